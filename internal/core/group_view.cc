#include "internal/core/group_view.h"

#include <algorithm>
#include <iterator>

#include "internal/core/rules.h"
#include "internal/wire/limits.h"

namespace parti::core {

PartitionIndex PartitionNames::Intern(const std::string& id) {
  const auto [it, added] = index_.try_emplace(id, static_cast<PartitionIndex>(names_.size()));
  if (added) names_.push_back(id);
  return it->second;
}

std::optional<PartitionIndex> PartitionNames::Find(const std::string& id) const {
  const auto it = index_.find(id);
  return it == index_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<PartitionIndex> GroupView::Union(const std::vector<PartitionIndex>& a,
                                             const std::vector<PartitionIndex>& b) {
  std::vector<PartitionIndex> out;
  out.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

std::vector<PartitionIndex> GroupView::Minus(const std::vector<PartitionIndex>& a,
                                             const std::vector<PartitionIndex>& b) {
  std::vector<PartitionIndex> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

void DocView::RememberUnanswered(std::uint64_t of_incarnation,
                                 const std::vector<PartitionIndex>& adds) {
  for (UnansweredWrite& write : unanswered) {
    if (write.incarnation != of_incarnation) continue;
    write.adds = GroupView::Union(write.adds, adds);
    return;
  }
  unanswered.push_back({of_incarnation, adds});
}

// The wait counts from the moment when we received exactly the revision that the tombstone
// replaced; if we never did, from our first sight of the tombstone. That no later heartbeat was
// accepted follows from the compare-and-set only if the bucket wasn't restored in between: until
// its stream was asked for after the tombstone, the wait counts from the tombstone, too.
// Model: ownership.pml, RULE wait-after-tombstone.
// Model: lease.pml, RULE wait-after-tombstone.
// Model: lease.pml, RULE confirm-tombstone.
void GroupView::NoteTombstone(HeartbeatView& view, const HeartbeatView& before) {
  const bool received = before.revision != 0 && before.revision == view.record->replaced_revision;
  const Nanos from = received ? before.since : view.since;
  const Nanos lease = context_->WithDrift(view.record->lease_ms * kMillisecond);
  view.lease_over_at = view.since + lease;
  view.lease_over_if_confirmed = from + lease;
  if (!RuleOn(Rule::kConfirmTombstone)) view.lease_over_at = view.lease_over_if_confirmed;
  if (!RuleOn(Rule::kWaitAfterTombstone) || context_->settings.mode == wire::Mode::kFast) {
    view.lease_over_at = view.since;
  }
}

bool GroupView::TakeHeartbeat(const wire::Entry& entry) {
  WorkerView& worker = workers[entry.key];
  const HeartbeatView before = worker.heartbeat;
  // Rule [8]: views only rise; what arrives late changes nothing.
  if (entry.revision <= before.revision) return false;
  worker.obscured = worker.HoldsAll(context_->now);
  HeartbeatView& view = worker.heartbeat;
  view = HeartbeatView{entry.revision, context_->now, entry.deleted, std::nullopt, 0};
  if (entry.deleted) return true;
  auto record = context_->DecodeHeartbeat(entry.value);
  if (!record.ok()) {
    context_->Malformed(wire::Bucket::kHeartbeat, entry.key);
    context_->SawLease(wire::LeaseOfUnreadable(entry.value));
    context_->ReportOnce("heartbeat " + entry.key, Severity::kWarning,
                         absl::DataLossError("the heartbeat of " + entry.key +
                                             " is unreadable; it counts as a live worker until its "
                                             "lease is over: " +
                                             std::string(record.status().message())));
    return true;
  }
  context_->SawLease(record->lease_ms);
  context_->SawEpoch(std::max(record->highest_epoch, record->evicting_epoch));
  view.record = *std::move(record);
  worker.obscured = false;
  // Only of the very heartbeat that the record names: in a restored bucket an older one may land
  // after those that were accepted since. Nor does it take back what was seen of its life already.
  // (Model: lease.pml, RECORD_COUNTS_FOR_OLDER and FORGETS_WHAT_IT_SAW.)
  if (view.live() && known_nonce_ != 0 && view.record->nonce == known_nonce_ &&
      view.record->number == known_number_) {
    view.since = std::min(view.since, known_since_);
  }
  if (before.record && before.record->nonce == view.record->nonce) {
    view.since = std::max(view.since, before.since);
  }
  if (view.evicted()) NoteTombstone(view, before);
  const bool new_life = !before.record || before.record->incarnation != view.record->incarnation ||
                        before.record->nonce != view.record->nonce;
  if (new_life || !view.live()) worker.condemned = false;
  // A suspect that was evicted stays one until its lease is over.
  const bool cleared = new_life || HasSeenFence(*view.record);
  if (worker.suspect && (view.left() || (view.live() && cleared))) {
    worker.suspect = false;
    // It left under our fence: nobody before us knew.
    if (view.left() && !new_life && worker.same_life() && !worker.Outran(*view.record)) {
      Vouch(worker.doc.owned);
    }
  }
  return true;
}

bool GroupView::TakeDoc(const wire::Entry& entry) {
  DocView& view = workers[entry.key].doc;
  if (entry.revision <= view.revision) return false;
  DocView next;
  next.revision = entry.revision;
  next.writing = view.writing;
  next.rereading = view.rereading;
  if (entry.deleted) {
    // Whoever deleted it, a worker may have seen it and apply it yet: it holds everything, like an
    // unreadable one.
    next.unreadable = true;
  } else if (auto doc = context_->DecodeDoc(entry.value); !doc.ok()) {
    next.unreadable = true;
    context_->Malformed(wire::Bucket::kAssignment, entry.key);
    context_->SawLease(wire::LeaseOfUnreadable(entry.value));
    context_->ReportOnce("doc " + entry.key, Severity::kError,
                         absl::DataLossError("the assignment of " + entry.key +
                                             " is unreadable; its worker is evicted: " +
                                             std::string(doc.status().message())));
  } else {
    context_->SawLease(doc->life_lease_ms);
    context_->SawEpoch(doc->epoch);
    next.valid = true;
    next.unknown = doc->unknown;
    next.epoch = doc->epoch;
    next.nonce = doc->nonce;
    next.version = doc->version;
    next.incarnation = doc->life_incarnation;
    next.life_nonce = doc->life_nonce;
    next.lease_ms = doc->life_lease_ms;
    next.strayed = own_nonce_ != 0 && next.nonce != own_nonce_;
    std::vector<std::pair<PartitionIndex, FencingToken>> owned;
    for (const OwnedPartition& partition : doc->owned) {
      owned.emplace_back(names.Intern(partition.id), partition.token);
    }
    std::sort(owned.begin(), owned.end());
    for (const auto& [index, token] : owned) {
      next.owned.push_back(index);
      next.tokens.push_back(token);
    }
    for (const std::string& id : doc->releasing) next.releasing.push_back(names.Intern(id));
    std::sort(next.releasing.begin(), next.releasing.end());
  }
  // Since the first of a row of documents of one life of which none was acknowledged. (The view of
  // the doc may lag behind what the worker has applied.)
  if (!next.releasing.empty()) {
    const bool in_a_row = view.releasing_since != kNever && view.life_nonce == next.life_nonce &&
                          !workers[entry.key].has_released();
    next.releasing_since = in_a_row ? view.releasing_since : context_->now;
  }
  // It strayed here from before a wipe, and has taken the place of what told of a later life.
  if (view.valid && next.valid && next.incarnation < view.incarnation) {
    next.RememberUnanswered(view.incarnation, Union(view.owned, view.releasing));
    for (const UnansweredWrite& write : view.unanswered) {
      if (write.incarnation <= next.incarnation) continue;
      next.RememberUnanswered(write.incarnation, write.adds);
    }
  }
  view = std::move(next);
  return true;
}

// Terms that share the largest epoch can't be told apart by it.
bool GroupView::HasSeenFence(const wire::Heartbeat& heartbeat) const {
  return heartbeat.highest_epoch >= fence_epoch_ && fence_epoch_ < wire::kMaxExactInteger;
}

// An absent heartbeat under an empty doc is one that expired; any other may stand for a life.
bool GroupView::MayHide(const WorkerView& worker) const {
  const HeartbeatView& heartbeat = worker.heartbeat;
  if (heartbeat.left()) return false;
  if (heartbeat.live()) return !HasSeenFence(*heartbeat.record);
  if (heartbeat.revision == 0) return worker.doc.unreadable || !worker.doc.empty();
  return true;
}

// Model: ownership.pml, RULE hear-after-fence.
void GroupView::SuspectAll(std::uint64_t epoch, bool unknown_past) {
  fence_epoch_ = epoch;
  if (!RuleOn(Rule::kHearAfterFence)) return;
  if (epoch >= wire::kMaxExactInteger && !unknown_past) return;
  for (auto& [id, worker] : workers) worker.suspect = MayHide(worker);
}

void GroupView::Vouch(const std::vector<PartitionIndex>& partitions) {
  vouched_.resize(names.size());
  for (const PartitionIndex p : partitions) vouched_[p] = true;
}

void GroupView::SuspectOld(const std::string& id) {
  WorkerView& worker = workers[id];
  const bool begins = worker.heartbeat.live() && worker.heartbeat.record->number == 1;
  const bool seen = worker.heartbeat.record && HasSeenFence(*worker.heartbeat.record);
  worker.suspect = (worker.heartbeat.live() && !seen && !begins) || worker.heartbeat.unreadable();
}

void GroupView::DocsRecreated(std::uint64_t own_nonce) {
  own_nonce_ = own_nonce;
  for (auto& [id, worker] : workers) {
    worker.doc.strayed = worker.doc.valid && worker.doc.nonce != own_nonce;
  }
}

void GroupView::KnowSentBefore(std::uint64_t nonce, std::uint64_t number, Nanos seen_at) {
  known_nonce_ = nonce;
  known_number_ = number;
  known_since_ = seen_at;
}

void GroupView::HeartbeatsRecreated() {
  for (auto& [id, worker] : workers) {
    const std::optional<wire::Heartbeat>& record = worker.heartbeat.record;
    if (record && record->nonce == known_nonce_) worker.heartbeat.since = context_->now;
  }
  known_nonce_ = 0;
}

bool WorkerView::MembershipChanged() {
  const std::optional<wire::Heartbeat>& now = heartbeat.record;
  const bool same =
      counted.has_value() == now.has_value() &&
      (!now || (counted->kind == now->kind && counted->nonce == now->nonce &&
                counted->incarnation == now->incarnation && counted->capacity == now->capacity &&
                counted->labels == now->labels));
  const bool blocks = doc_blocks();
  const bool changed = !same || blocks != counted_blocks;
  if (changed) counted = now;
  counted_blocks = blocks;
  return changed;
}

// Model: ownership.pml, RULE unexplained-holds-all.
// Model: ownership.pml, RULE never-older-life.
bool WorkerView::unexplained() const {
  // Of a tombstone, too: it repeats what the last heartbeat had applied.
  if (!heartbeat.live() && !heartbeat.evicted()) return false;
  // After a wipe numbers begin anew. A doc of another life that came late, of the same number or a
  // later one, has taken the place of what told of this one.
  if (doc.valid && !same_life() && heartbeat.record->incarnation == doc.incarnation) return true;
  const bool later_doc = doc.valid && heartbeat.record->incarnation < doc.incarnation;
  if (later_doc && RuleOn(Rule::kNeverOlderLife)) return true;
  if (heartbeat.record->applied_revision == 0) return false;
  if (!same_life()) return newer_life();
  return doc.strayed || Outran(*heartbeat.record);
}

bool WorkerView::Outran(const wire::Heartbeat& record) const {
  if (record.applied_revision > doc.revision) return true;
  return record.applied_revision == doc.revision && record.applied_nonce != doc.nonce;
}

bool WorkerView::usable() const {
  if (!heartbeat.live() || evicting || condemned || suspect || doc_blocks()) return false;
  // Rule [5]: nothing is written for an older life than the doc names.
  // Model: ownership.pml, RULE never-older-life.
  if (doc.valid && !same_life() && !newer_life() && RuleOn(Rule::kNeverOlderLife)) return false;
  return !unexplained() || !RuleOn(Rule::kUnexplainedHoldsAll);
}

bool GroupView::DocLifeIsOver(const WorkerView& worker, Nanos now) {
  const HeartbeatView& heartbeat = worker.heartbeat;
  if (!heartbeat.record) return false;
  if (worker.doc.unreadable) {
    return heartbeat.left() || (heartbeat.evicted() && now >= heartbeat.lease_over_at);
  }
  if (!worker.doc.valid) return true;
  if (worker.newer_life()) return true;
  if (worker.same_life() && heartbeat.left()) return true;
  return heartbeat.evicted() && heartbeat.record->incarnation >= worker.doc.incarnation &&
         now >= heartbeat.lease_over_at;
}

Holdings GroupView::PossiblyHeld(const WorkerView& worker, Nanos now) const {
  Holdings held;
  const DocView& doc = worker.doc;
  const bool over = DocLifeIsOver(worker, now);
  if (doc.unreadable) {
    // Model: ownership.pml, RULE unreadable-holds-all.
    if (!over && RuleOn(Rule::kUnreadableHoldsAll)) held.everything = true;
  } else if (doc.unknown && !over) {
    held.everything = true;
  } else if (doc.valid && !over) {
    // Rule [4]: before the worker has acknowledged the doc it may hold what that takes away, too.
    // Model: ownership.pml, RULE unacked-holds-all.
    const bool exact = worker.acknowledged() || !RuleOn(Rule::kUnackedHoldsAll);
    held.partitions = exact ? doc.owned : Union(doc.owned, doc.releasing);
  }
  if (worker.HoldsAll(now) && RuleOn(Rule::kUnexplainedHoldsAll)) {
    held.everything = true;
  }
  held.hidden = worker.suspect && !worker.LeaseIsOver(now);
  // Rule [7]: what a write without an answer would add.
  // Model: ownership.pml, RULE remember-unanswered.
  if (RuleOn(Rule::kRememberUnanswered)) {
    for (const UnansweredWrite& write : doc.unanswered) {
      if (worker.heartbeat.record && worker.heartbeat.record->incarnation > write.incarnation) {
        continue;
      }
      held.partitions = Union(held.partitions, write.adds);
    }
  }
  return held;
}

}  // namespace parti::core
