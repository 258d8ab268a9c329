#include "internal/core/reporter.h"

#include <algorithm>
#include <utility>

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
const std::string kKey(wire::kReportKey);
constexpr Nanos kPause = 200 * kMillisecond;
// How often the key is looked at when there is nothing to write: somebody may have tampered with
// it.
constexpr int kVerifyEveryLeases = 2;
}  // namespace

Reporter::Reporter(Context* context, const GroupView* view, Calculator* calculator,
                   const ControlKey* control, const Term& term)
    : context_(context), view_(view), calculator_(calculator), control_(control), term_(term) {}

void Reporter::Begin() {
  begun_ = true;
  OwnersChanged();
}

void Reporter::Touch() {
  if (!begun_ || over_) return;
  write_at_ = std::min(write_at_, std::max(context_->now, last_write_ + kPause));
}

// ---- what there is to tell

// Looks at every partition, which at 100,000 of them takes about a millisecond: no more often than
// reports are written, and only when a doc, a life or the list has changed.
void Reporter::CountUnassigned() {
  std::vector<bool> owned(view_->names.size(), false);
  for (const auto& [id, worker] : view_->workers) {
    if (!worker.heartbeat.live() || !worker.same_life()) continue;
    for (const PartitionIndex p : worker.doc.owned) owned[p] = true;
  }
  unassigned_ = 0;
  sample_.clear();
  for (const PartitionIndex p : calculator_->partitions()) {  // sorted by id
    if (owned[p]) continue;
    if (++unassigned_ <= wire::kReportSample) sample_.push_back(view_->names.Name(p));
  }
}

wire::Report Reporter::Make() {
  if (std::exchange(owners_stale_, false)) CountUnassigned();
  wire::Report report;
  report.epoch = term_.epoch;
  report.nonce = term_.nonce;
  report.leader = term_.holder;
  report.state = CalculatorStateName(calculator_->state());
  report.version = calculator_->plan().version;
  report.cause = calculator_->cause();
  report.listed = calculator_->listed();
  report.partitions = calculator_->partitions().size();
  report.unassigned = unassigned_;
  report.sample = sample_;
  report.control_revision = control_->revision();
  report.control_settled = control_->problem().empty() && calculator_->ControlSettled();
  if (!control_->problem().empty()) report.problems.push_back(control_->problem());
  for (const std::string& problem : calculator_->Problems()) {
    if (report.problems.size() < wire::kReportSample) report.problems.push_back(problem);
  }
  return report;
}

// ---- writing

void Reporter::Write() {
  write_at_ = kNever;
  wire::Report report = Make();
  if (written_ == report) return;
  last_write_ = context_->now;
  busy_ = true;
  std::string value = wire::Encode(report);
  context_->Put(
      scope_, Bucket::kElection, kKey, *revision_, std::move(value),
      [this, report = std::move(report)](const KvAnswer& answer) { OnWritten(report, answer); });
}

void Reporter::OnWritten(const wire::Report& report, const KvAnswer& answer) {
  busy_ = false;
  if (answer.code == KvCode::kOk) {
    backoff_.Reset();
    revision_ = answer.revision;
    written_ = report;
    verify_at_ = context_->now + kVerifyEveryLeases * context_->settings.lease;
    return;
  }
  if (answer.code == KvCode::kRefused) {
    context_->ReportOnce("report refused: " + answer.error, Severity::kWarning,
                         absl::UnavailableError("the leader's report for status commands was "
                                                "refused by the server: " +
                                                answer.error));
  }
  // What stands there now is not known.
  revision_.reset();
  written_.reset();
  write_at_ = std::max(last_write_ + kPause, backoff_.Next(*context_));
}

void Reporter::Read() {
  busy_ = true;
  verify_at_ = kNever;
  context_->Get(scope_, Bucket::kElection, kKey, [this](const KvAnswer& a) { OnRead(a); });
}

void Reporter::OnRead(const KvAnswer& answer) {
  busy_ = false;
  if (answer.code != KvCode::kOk && answer.code != KvCode::kNotFound) {
    verify_at_ = context_->now + context_->settings.lease;
    if (!revision_) write_at_ = std::max(last_write_ + kPause, backoff_.Next(*context_));
    return;
  }
  const std::uint64_t revision = answer.code == KvCode::kOk ? answer.entry.revision : 0;
  verify_at_ = context_->now + kVerifyEveryLeases * context_->settings.lease;
  if (revision_ == revision) return;
  revision_ = revision;
  written_.reset();
  if (answer.code == KvCode::kOk && !answer.entry.deleted) {
    const auto found = wire::DecodeReport(answer.entry.value);
    // Deposed without knowing it yet: the successor's report stands. A stranger's claim to a later
    // term counts no more than the leader record, which ends this one soon enough if it is true.
    if (found.ok() && found->epoch > term_.epoch && found->epoch <= context_->highest_epoch) {
      over_ = true;
      return;
    }
  }
  Touch();
}

// ---- time

void Reporter::OnTime() {
  if (!begun_ || over_) return;
  const bool settled = calculator_->ControlSettled();
  if (calculator_->state() != state_ || calculator_->plan().version != version_ ||
      settled != settled_) {
    state_ = calculator_->state();
    version_ = calculator_->plan().version;
    settled_ = settled;
    Touch();
  }
  if (busy_) return;
  if (context_->now >= write_at_) {
    revision_ ? Write() : Read();
  } else if (context_->now >= verify_at_) {
    Read();
  }
}

Nanos Reporter::NextDeadline() const {
  return !begun_ || over_ || busy_ ? kNever : std::min(write_at_, verify_at_);
}

}  // namespace parti::core
