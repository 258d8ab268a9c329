#include "internal/core/applier.h"

#include <fmt/format.h>

#include "internal/core/rules.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

Applier::Applier(Context* context, Host* host, std::function<void()> changed)
    : context_(context),
      host_(host),
      changed_(std::move(changed)),
      watch_(
          context, Bucket::kAssignment, [this](const wire::Entry& e) { OnEntry(e); }, [] {}) {}

void Applier::Begin(const Life& life) {
  scope_.Renew();
  active_ = true;
  life_ = life;
  newest_seen_ = 0;
  newest_epoch_ = 0;
  pending_.reset();
  checking_ = false;
  applying_.reset();
  applied_revision_ = 0;
  applied_nonce_ = 0;
  applied_epoch_ = 0;
  applied_version_ = 0;
  refused_.clear();
  granted_.clear();
  retry_at_ = kNever;
  poll_at_ = context_->now + 2 * context_->settings.lease;
  watch_.Open(life.worker);
}

void Applier::Freeze() {
  scope_.Renew();
  active_ = false;
  pending_.reset();
  checking_ = false;
  retry_at_ = kNever;
  poll_at_ = kNever;
  watch_.Close();
}

void Applier::Lose(const std::string& reason) {
  Freeze();
  applying_.reset();
  context_->Emit(Unclaim{true, {}});
  std::vector<OwnedPartition> lost;
  for (const auto& [id, token] : held_) lost.push_back({id, token});
  held_.clear();
  if (lost.empty()) return;
  const Ticket ticket = context_->NextTicket();
  tickets_[ticket] = {lost, true};
  context_->Emit(AssignmentChanged{Assignment{}, {}, lost});
  context_->Emit(RunLost{ticket, std::move(lost), reason});
}

void Applier::ReleaseAll() {
  Freeze();
  applying_.reset();
  context_->Emit(Unclaim{true, {}});
  std::vector<OwnedPartition> released;
  for (const auto& [id, token] : held_) released.push_back({id, token});
  held_.clear();
  if (released.empty()) return;
  const Ticket ticket = context_->NextTicket();
  tickets_[ticket] = {released, false};
  context_->Emit(AssignmentChanged{Assignment{}, {}, released});
  context_->Emit(
      RunRelease{ticket, std::move(released), context_->now + context_->settings.stop_timeout});
}

// ---- seeing a doc

void Applier::OnEntry(const wire::Entry& entry) {
  if (!active_ || entry.key != life_.worker || entry.deleted) return;
  auto doc = context_->DecodeDoc(entry.value);
  if (!doc.ok()) {
    context_->Malformed(wire::Bucket::kAssignment, entry.key);
    context_->ReportOnce("doc " + entry.key, Severity::kError,
                         absl::DataLossError("the assignment of " + entry.key +
                                             " is unreadable and was not applied: " +
                                             std::string(doc.status().message())));
    return;
  }
  if (doc->life_incarnation != life_.incarnation || doc->life_nonce != life_.nonce) return;
  if (doc->unknown) return;
  // Rule [8]: within a life docs count in rising revision order only. (A stream that lost its end
  // uses revisions again, under a later term.)
  // Model: ownership.pml, RULE forward-only.
  const bool newer = entry.revision > newest_seen_ || doc->epoch > newest_epoch_;
  if (!newer && RuleOn(Rule::kForwardOnly)) return;
  newest_seen_ = entry.revision;
  newest_epoch_ = doc->epoch;
  pending_ = Seen{entry.revision, *std::move(doc)};
  retry_at_ = kNever;
  if (!applying_) CheckFence();
}

// Rule [2]: the epoch is read from the stream, and the read starts after the doc was seen.
// Model: ownership.pml, RULE check-fence.
void Applier::CheckFence() {
  if (!pending_ || applying_) return;
  if (!RuleOn(Rule::kCheckFence)) return Apply();
  checking_ = true;
  // By number, not by the doc's revision: in a recreated stream another doc may bear the same one,
  // and the read began before that one was seen.
  const std::uint64_t check = ++check_;
  context_->Get(scope_, Bucket::kElection, "leader",
                [this, check](const KvAnswer& a) { OnFence(a, check); });
}

void Applier::OnFence(const KvAnswer& answer, std::uint64_t check) {
  // A newer doc came meanwhile and has a read of its own.
  if (!pending_ || check != check_ || applying_) return;
  checking_ = false;
  if (answer.code != KvCode::kOk || answer.entry.deleted) return RetryFence();
  const auto leader = context_->DecodeLeader(answer.entry.value);
  if (!leader.ok() || leader->mode != context_->settings.mode ||
      leader->wire_version > context_->settings.newest_wire_version) {
    RetryFence();
    return host_->SawLeader(answer.entry);
  }
  const wire::Doc& doc = pending_->doc;
  const bool overtaken = leader->epoch > doc.epoch ||
                         (leader->epoch == doc.epoch && leader->nonce != doc.nonce) ||
                         doc.epoch < context_->highest_epoch;
  context_->SawEpoch(leader->epoch);
  if (overtaken) {
    pending_.reset();
    return;
  }
  // An older `leader` than the doc's is a read behind its time, or a wiped bucket.
  if (leader->epoch < doc.epoch) return RetryFence();
  Apply();
}

void Applier::RetryFence() { retry_at_ = backoff_.Next(*context_); }

// ---- applying it

void Applier::Apply() {
  backoff_.Reset();
  applying_ = *std::move(pending_);
  pending_.reset();
  context_->SawEpoch(applying_->doc.epoch);
  const wire::Doc& doc = applying_->doc;
  std::map<std::string, FencingToken> wanted;
  for (const OwnedPartition& partition : doc.owned) wanted[partition.id] = partition.token;

  std::erase_if(refused_, [&wanted](const wire::Refusal& refusal) {
    const auto it = wanted.find(refusal.partition);
    return it == wanted.end() || it->second != refusal.token;
  });
  added_.clear();
  removed_.clear();
  for (const auto& [id, token] : held_) {
    if (!wanted.contains(id)) removed_.push_back({id, token});
  }
  // What stays keeps the token of its first grant: it never was anybody else's since. What was
  // given back isn't taken again under the same grant.
  for (const auto& [id, token] : wanted) {
    const bool given_back =
        std::any_of(refused_.begin(), refused_.end(),
                    [&id = id](const wire::Refusal& r) { return r.partition == id; });
    if (!held_.contains(id) && !given_back) added_.push_back({id, token});
  }
  granted_ = std::move(wanted);
  if (removed_.empty()) {
    applying_ticket_ = 0;
    return Finish();
  }
  Unclaim unclaim;
  for (const OwnedPartition& partition : removed_) {
    held_.erase(partition.id);
    unclaim.partitions.push_back(partition.id);
  }
  context_->Emit(std::move(unclaim));
  applying_ticket_ = context_->NextTicket();
  tickets_[applying_ticket_] = {removed_, false};
  context_->Emit(RunRelease{applying_ticket_, removed_,
                            context_->now + context_->settings.release_timeout / 5 * 4});
  if (!RuleOn(Rule::kDrainBeforeAck)) Finish();
}

// Drained: claim what was added, tell the leader, start the work.
// Model: ownership.pml, RULE drain-before-ack.
void Applier::Finish() {
  const Seen seen = *std::move(applying_);
  applying_.reset();
  applied_revision_ = seen.revision;
  applied_nonce_ = seen.doc.nonce;
  applied_epoch_ = seen.doc.epoch;
  applied_version_ = seen.doc.version;
  if (!added_.empty()) {
    for (const OwnedPartition& partition : added_) held_[partition.id] = partition.token;
    context_->Emit(Claim{applied_epoch_, applied_version_, added_});
  }
  changed_();
  context_->Emit(AssignmentChanged{Current(), added_, removed_});
  if (!added_.empty()) context_->Emit(RunAcquire{added_});
  CheckFence();
}

// A doc that is being drained for adds something later, and nothing has shown it yet.
// Model: ownership.pml, RULE hear-after-fence.
std::uint64_t Applier::told_epoch() const {
  if (!applying_ || added_.empty()) return context_->highest_epoch;
  return std::min(context_->highest_epoch, applying_->doc.epoch);
}

Assignment Applier::Current() const {
  Assignment assignment{applied_epoch_, applied_version_, {}};
  assignment.partitions.reserve(held_.size());
  for (const auto& [id, token] : held_) assignment.partitions.push_back({id, token});
  return assignment;
}

void Applier::OnReleaseDone(Ticket ticket) {
  const auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return;
  context_->Emit(Released{std::move(it->second.partitions), it->second.lost});
  tickets_.erase(it);
  if (applying_ && ticket == applying_ticket_) Finish();
}

void Applier::OnLostDone(Ticket ticket) { OnReleaseDone(ticket); }

// An acquire hook that failed gives the partition back, with its reason.
void Applier::OnAcquireDone(const AcquireDone& done) {
  if (done.status.ok()) return;
  const auto it = held_.find(done.partition);
  if (it == held_.end() || it->second != done.token) return;
  held_.erase(it);
  context_->Emit(Unclaim{false, {done.partition}});
  context_->Emit(Released{{{done.partition, done.token}}, false});
  context_->Report(
      Severity::kWarning,
      absl::Status(done.status.code(),
                   fmt::format("partition {} was given back: its acquire hook failed: {}",
                               done.partition, std::string(done.status.message()))));
  // The leader knows the grant by the token in its doc.
  const auto grant = granted_.find(done.partition);
  refused_.push_back({done.partition, grant == granted_.end() ? done.token : grant->second,
                      std::string(done.status.message()).substr(0, 200)});
  if (!active_) return;
  context_->Emit(AssignmentChanged{Current(), {}, {{done.partition, done.token}}});
  changed_();
}

// ---- time

// The fallback for a watch that silently delivers nothing, or still follows a stream that was
// recreated: the doc itself, now and then.
void Applier::Poll() {
  poll_at_ =
      context_->now + 2 * context_->settings.lease + context_->Jitter(context_->settings.lease);
  const std::uint64_t known = std::max(newest_seen_, watch_.highest_seen());
  context_->Get(scope_, Bucket::kAssignment, life_.worker,
                [this, known](const KvAnswer& answer) { OnPoll(answer, known); });
}

void Applier::OnPoll(const KvAnswer& answer, std::uint64_t known) {
  const bool found = answer.code == KvCode::kOk;
  if (!found && answer.code != KvCode::kNotFound) return;
  // Reads are never behind: less than was known before means another stream. Nothing of the old one
  // was applied in this life, so its order doesn't bind; if something was, the leader ends this
  // life.
  const bool another_stream = known != 0 && (!found || answer.entry.revision < known);
  if (another_stream && applied_revision_ == 0 && !applying_) {
    newest_seen_ = 0;
    newest_epoch_ = 0;
    pending_.reset();
  }
  if (found) OnEntry(answer.entry);
  if (another_stream || (found && answer.entry.revision > watch_.highest_seen())) watch_.Reopen();
}

void Applier::OnTime() {
  watch_.OnTime();
  if (!active_) return;
  if (context_->now >= retry_at_) {
    retry_at_ = kNever;
    CheckFence();
  }
  if (context_->now >= poll_at_) Poll();
}

Nanos Applier::NextDeadline() const {
  return std::min({watch_.NextDeadline(), retry_at_, poll_at_});
}

}  // namespace parti::core
