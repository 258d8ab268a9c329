#include "internal/core/control_key.h"

#include <fmt/format.h>

#include <utility>

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
const std::string kKey(wire::kControlKey);
}  // namespace

ControlKey::ControlKey(Context* context, std::function<void()> changed)
    : context_(context),
      changed_(std::move(changed)),
      watch_(
          context, Bucket::kElection, [this](const wire::Entry& e) { OnEntry(e); },
          [this] { OnReady(); }) {}

void ControlKey::Open() {
  watch_.Open(kKey);
  give_up_at_ = context_->now + context_->settings.lease;
  Read();
}

// ---- what was read

// The watch may lag behind a read; a fresh snapshot too, but a stream that was recreated starts
// again at 1, and only a read tells the two apart.
void ControlKey::OnEntry(const wire::Entry& entry) {
  if (entry.revision > revision_) return Take(entry);
  if (entry.revision < revision_ && !reading_) Read();
}

void ControlKey::OnReady() {
  if (watch_.highest_seen() == 0 && revision_ != 0 && !reading_) return Read();
  if (watch_.highest_seen() == 0 && revision_ == 0) Absent();
}

void ControlKey::Read() {
  reading_ = true;
  read_at_ = kNever;
  context_->Get(scope_, Bucket::kElection, kKey,
                [this, before = revision_](const KvAnswer& answer) { OnRead(answer, before); });
}

// Reads are never behind what was known before they were asked for: an older revision means that
// the bucket was wiped or rolled back, and what it says now is what people want now.
void ControlKey::OnRead(const KvAnswer& answer, std::uint64_t known_before) {
  reading_ = false;
  if (answer.code != KvCode::kOk && answer.code != KvCode::kNotFound) {
    read_at_ = backoff_.Next(*context_);
    return;
  }
  backoff_.Reset();
  read_at_ = context_->now + context_->settings.lease;
  const std::uint64_t revision = answer.code == KvCode::kOk ? answer.entry.revision : 0;
  if (revision < revision_ && revision_ != known_before) return;  // the watch was faster
  if (revision != revision_) {
    // The watch had time enough to show it, were it not silent.
    if (known_ && watch_.ready()) watch_.Reopen();
    return revision == 0 ? Absent() : Take(answer.entry);
  }
  if (revision == 0) Absent();
}

void ControlKey::Take(const wire::Entry& entry) {
  revision_ = entry.revision;
  if (entry.deleted) {
    control_ = {};
    readable_ = true;
    problem_.clear();
    return Known();
  }
  auto control = wire::DecodeControl(entry.value);
  if (control.ok()) {
    control_ = *std::move(control);
    readable_ = true;
    problem_.clear();
    return Known();
  }
  context_->Malformed(Bucket::kElection, entry.key);
  problem_ = fmt::format("the control record (revision {}) can't be read, {}: {}", entry.revision,
                         readable_ ? "the one before stands" : "it counts as empty",
                         std::string(control.status().message()));
  context_->ReportOnce("control", Severity::kWarning, absl::DataLossError(problem_));
  Known();
}

void ControlKey::Absent() {
  if (known_ && revision_ == 0 && problem_.empty()) return;
  revision_ = 0;
  control_ = {};
  problem_.clear();
  Known();
}

void ControlKey::Known() {
  known_ = true;
  give_up_at_ = kNever;
  changed_();
}

// ---- time

void ControlKey::OnTime() {
  watch_.OnTime();
  if (context_->now >= read_at_ && !reading_) Read();
  if (context_->now >= give_up_at_) {
    problem_ =
        "the control record could not be read since this leader took over; it counts as empty";
    Known();
  }
}

Nanos ControlKey::NextDeadline() const {
  return std::min({watch_.NextDeadline(), reading_ ? kNever : read_at_, give_up_at_});
}

}  // namespace parti::core
