#include "internal/core/monitor.h"

#include <fmt/format.h>

#include "internal/core/rules.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

Monitor::Monitor(Context* context, GroupView* view, const Term& term, Calls calls)
    : context_(context), view_(view), term_(term), calls_(std::move(calls)) {}

void Monitor::Look() {
  next_look_ = kNever;
  for (auto& [id, worker] : view_->workers) {
    next_look_ = std::min(next_look_, LookAt(id, worker));
  }
}

void Monitor::Touched(const std::string& id) {
  next_look_ = std::min(next_look_, LookAt(id, view_->workers[id]));
}

void Monitor::OnTime() {
  if (context_->now >= next_look_) Look();
}

void Monitor::Condemn(const std::string& id, std::string why) {
  WorkerView& worker = view_->workers[id];
  if (worker.condemned) return;
  worker.condemned = true;
  worker.condemned_why = std::move(why);
  Touched(id);
}

// When this worker is to be evicted, and why. kNever: nothing to evict.
Nanos Monitor::DeadlineOf(const WorkerView& worker, Verdict* verdict) const {
  const HeartbeatView& heartbeat = worker.heartbeat;
  const DocView& doc = worker.doc;
  if (worker.condemned && !heartbeat.left() && !heartbeat.evicted()) {
    *verdict = {EvictionReason::kUnexplained, worker.condemned_why};
    return 0;
  }
  // What a doc names holds its partitions until a tombstone says otherwise, also when its heartbeat
  // is gone or shows something older than the doc.
  if (worker.suspect && !heartbeat.evicted() && context_->now >= suspects_until_) {
    *verdict = {EvictionReason::kUnexplained,
                "a bucket was recreated, and it has not shown what it holds"};
    return 0;
  }
  if (heartbeat.deleted) {
    *verdict = {EvictionReason::kDeleted, "its heartbeat was deleted"};
    return 0;
  }
  const bool doc_unexplained =
      (doc.valid && !doc.empty() &&
       (!heartbeat.record ||
        (!worker.newer_life() && !worker.same_life() && !heartbeat.evicted()))) ||
      (doc.unreadable && !heartbeat.record) ||
      // Nor would an empty one ever be written again for a life that doesn't come after its own.
      (doc.valid && heartbeat.live() && !worker.newer_life() && !worker.same_life());
  // Rule [5]: a heartbeat older than the doc is no basis for anything but its end.
  // Model: ownership.pml, RULE never-older-life.
  const bool older_counts = !heartbeat.record || RuleOn(Rule::kNeverOlderLife);
  if (doc_unexplained && older_counts && !heartbeat.unreadable()) {
    *verdict = {EvictionReason::kUnexplained,
                "its heartbeat does not show the life that its assignment names"};
    return 0;
  }
  if (heartbeat.evicted() && doc.valid && !doc.empty() &&
      heartbeat.record->incarnation < doc.incarnation) {
    *verdict = {EvictionReason::kUnexplained,
                "its tombstone names an older life than its assignment"};
    return 0;
  }
  // What a life with an unreadable assignment holds is known to nobody: it ends. The doc says so
  // first, so that a later leader doesn't end the next life, too.
  if (heartbeat.live() && doc.unknown && worker.same_life()) {
    *verdict = {EvictionReason::kUnreadable, "its assignment was unreadable"};
    return 0;
  }
  // It couldn't read what would take its partitions away.
  if (worker.too_old(context_->wire_version) && worker.same_life() && !doc.empty()) {
    *verdict = {EvictionReason::kTooOld,
                fmt::format("its build speaks wire versions up to {}, the group is at {}",
                            heartbeat.record->speaks, context_->wire_version)};
    return 0;
  }
  const Nanos suspect = worker.suspect ? suspects_until_ : kNever;
  if (heartbeat.live()) {
    const Nanos silent =
        heartbeat.since + context_->WithDrift(heartbeat.record->lease_ms * kMillisecond);
    *verdict = {EvictionReason::kSilent, "no heartbeat for its lease"};
    const bool held_up =
        doc.releasing_since != kNever && worker.same_life() && !worker.has_released();
    const Nanos stuck = held_up ? doc.releasing_since + context_->settings.release_timeout : kNever;
    if (stuck < silent) {
      *verdict = {EvictionReason::kRelease,
                  "it did not release its partitions within release_timeout"};
    }
    return std::min({silent, stuck, suspect});
  }
  if (heartbeat.unreadable()) {
    *verdict = {EvictionReason::kUnreadable, "its heartbeat is unreadable"};
    return heartbeat.since + context_->WithDrift(context_->longest_lease);
  }
  return kNever;
}

Nanos Monitor::LookAt(const std::string& id, WorkerView& worker) {
  if (worker.evicting || worker.rereading) return kNever;  // the answer looks again
  if (worker.has_released()) worker.doc.releasing_since = kNever;
  // An applied doc that the view of the doc doesn't explain: the view may be behind, so the doc is
  // read again before anything is concluded.
  if (worker.heartbeat.live() && worker.unexplained() && !worker.condemned && !worker.doc.rereading)
    RereadDoc(id, worker);
  Verdict verdict;
  const Nanos deadline = DeadlineOf(worker, &verdict);
  if (deadline != kNever && context_->now >= deadline) {
    // Rule [5]: a heartbeat older than the doc is read again before it is believed; the tombstone's
    // compare-and-set is that read, it succeeds only if nothing newer is there.
    Evict(id, worker, verdict);
    return kNever;
  }
  const HeartbeatView& heartbeat = worker.heartbeat;
  if (heartbeat.to_confirm() && !worker.confirming) Confirm(id, worker);
  if (heartbeat.evicted() && context_->now < heartbeat.lease_over_at) {
    return heartbeat.lease_over_at;
  }
  return deadline;
}

void Monitor::Evict(const std::string& id, WorkerView& worker, const Verdict& verdict) {
  const HeartbeatView& heartbeat = worker.heartbeat;
  wire::Heartbeat tombstone;
  tombstone.kind = wire::HeartbeatKind::kEvicted;
  tombstone.lease_ms = context_->settings.lease / kMillisecond;
  if (heartbeat.record) {
    tombstone.incarnation = heartbeat.record->incarnation;
    tombstone.nonce = heartbeat.record->nonce;
    tombstone.number = heartbeat.record->number;
    tombstone.lease_ms = heartbeat.record->lease_ms;
    tombstone.applied_revision = heartbeat.record->applied_revision;
    tombstone.applied_nonce = heartbeat.record->applied_nonce;
  } else {
    tombstone.lease_ms = std::max(tombstone.lease_ms, context_->longest_lease / kMillisecond);
  }
  if (worker.doc.valid && worker.doc.incarnation > tombstone.incarnation) {
    // Two lives: if the doc strayed here from before a wipe, the one whose heartbeat this is holds
    // what nothing tells. What it applied is to be explained by no doc.
    const bool over =
        heartbeat.left() || (heartbeat.evicted() && context_->now >= heartbeat.lease_over_at);
    if (heartbeat.record && !over) tombstone.applied_revision = wire::kMaxExactInteger;
    tombstone.incarnation = worker.doc.incarnation;
    tombstone.nonce = worker.doc.life_nonce;
    tombstone.lease_ms = std::max(tombstone.lease_ms, worker.doc.lease_ms);
  }
  if (worker.obscured) tombstone.applied_revision = wire::kMaxExactInteger;
  tombstone.highest_epoch = context_->highest_epoch;
  tombstone.capacity = 0;
  tombstone.replaced_revision = heartbeat.revision;
  tombstone.evicting_epoch = term_.epoch;
  worker.evicting = true;
  context_->Report(Severity::kWarning,
                   absl::AbortedError(fmt::format("evicting {}: {}", id, verdict.why)));
  context_->Put(scope_, Bucket::kHeartbeat, id, heartbeat.revision, context_->Encode(tombstone),
                [this, id, tombstone, reason = verdict.reason](const KvAnswer& answer) {
                  OnEvictAnswer(id, tombstone, reason, answer);
                });
}

void Monitor::OnEvictAnswer(const std::string& id, const wire::Heartbeat& tombstone,
                            EvictionReason reason, const KvAnswer& answer) {
  WorkerView& worker = view_->workers[id];
  if (answer.code == KvCode::kOk) {
    context_->Emit(EvictionNote{id, reason});
    worker.evicting = false;
    view_->TakeHeartbeat(wire::Entry{id, answer.revision, false, context_->Encode(tombstone)});
    calls_.changed(id);
    Touched(id);
    return;
  }
  // Not known, or something newer is there: what is there decides.
  worker.rereading = true;
  context_->Get(
      scope_, Bucket::kHeartbeat, id,
      [this, id, known = worker.heartbeat.revision](const KvAnswer& a) { OnReread(id, known, a); });
}

void Monitor::OnReread(const std::string& id, std::uint64_t known, const KvAnswer& answer) {
  WorkerView& worker = view_->workers[id];
  worker.rereading = false;
  worker.evicting = false;
  if (answer.code == KvCode::kOk) {
    // Reads are never behind what was seen before they were asked for.
    if (answer.entry.revision < known) return calls_.went_back();
    if (view_->TakeHeartbeat(answer.entry)) calls_.changed(id);
  } else if (answer.code == KvCode::kNotFound && worker.heartbeat.revision != 0) {
    // The key is gone altogether (expired, or removed by hand). The tombstone is then a create.
    worker.obscured = worker.HoldsAll(context_->now);
    worker.heartbeat = HeartbeatView{0, context_->now, true, std::nullopt, 0};
    calls_.changed(id);
  }
  // Not at once, or an unreachable server would be asked without a pause.
  next_look_ = std::min(next_look_, context_->now + context_->settings.retry_backoff_max);
}

// A bucket that was restored may have lost heartbeats that this term never saw, and with them what
// the tombstone's compare-and-set proves.
void Monitor::Confirm(const std::string& id, WorkerView& worker) {
  worker.confirming = true;
  calls_.ask_stream([this, id, tombstone = worker.heartbeat.revision](bool same) {
    OnConfirm(id, tombstone, same);
  });
}

void Monitor::OnConfirm(const std::string& id, std::uint64_t tombstone, bool same) {
  WorkerView& worker = view_->workers[id];
  worker.confirming = false;
  if (!same) {
    next_look_ = std::min(next_look_, context_->now + context_->settings.retry_backoff_max);
    return;
  }
  if (worker.heartbeat.revision == tombstone) {
    worker.heartbeat.lease_over_at = worker.heartbeat.lease_over_if_confirmed;
  }
  calls_.changed(id);
}

void Monitor::RereadDoc(const std::string& id, WorkerView& worker) {
  worker.doc.rereading = true;
  context_->Get(scope_, Bucket::kAssignment, id, [this, id](const KvAnswer& answer) {
    WorkerView& now = view_->workers[id];
    now.doc.rereading = false;
    if (answer.code == KvCode::kOk) {
      if (view_->TakeDoc(answer.entry)) calls_.changed(id);
    } else if (answer.code != KvCode::kNotFound) {
      next_look_ = std::min(next_look_, context_->now + context_->settings.retry_backoff_max);
      return;
    }
    if (now.heartbeat.live() && now.unexplained()) {
      Condemn(id, "it applied an assignment that no longer exists");
      calls_.changed(id);
    }
  });
}

}  // namespace parti::core
