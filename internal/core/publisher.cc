#include "internal/core/publisher.h"

#include <fmt/format.h>

#include <algorithm>

#include "internal/core/rules.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
// Looking at every partition costs on the order of 100 ns each: with this pause between two looks a
// large group costs the leader no more than a tenth of a core while acknowledgements stream in.
constexpr Nanos kPausePerPartition = 1'000;
}  // namespace

namespace {
bool GaveBack(const wire::Heartbeat& heartbeat, const std::string& partition,
              const FencingToken& token) {
  return std::any_of(heartbeat.refused.begin(), heartbeat.refused.end(),
                     [&](const wire::Refusal& refusal) {
                       return refusal.partition == partition && refusal.token == token;
                     });
}

// The life left, was evicted, or was followed by another.
bool IsOver(const HeartbeatView& heartbeat, const Life& life) {
  if (!heartbeat.record) return false;
  if (heartbeat.record->incarnation > life.incarnation) return true;
  return heartbeat.record->incarnation == life.incarnation && !heartbeat.live();
}

}  // namespace

class Publisher::Holders {
 public:
  explicit Holders(const GroupView* view) : view_(view), holder_(view->names.size(), kNobody) {}

  void Add(int worker, const Holdings& held) {
    if (held.everything) {
      everything_ = everything_ == kNobody || everything_ == worker ? worker : kSeveral;
    }
    if (held.hidden) hidden_ = hidden_ == kNobody || hidden_ == worker ? worker : kSeveral;
    for (const PartitionIndex p : held.partitions) {
      holder_[p] = holder_[p] == kNobody || holder_[p] == worker ? worker : kSeveral;
    }
  }

  // Rule [3]: a partition may be granted only while no other worker possibly holds it.
  // Model: ownership.pml, RULE grant-only-free.
  bool FreeFor(int worker, PartitionIndex p) const {
    if (!RuleOn(Rule::kGrantOnlyFree)) return true;
    if (hidden_ != kNobody && hidden_ != worker && !view_->Vouched(p)) return false;
    return (everything_ == kNobody || everything_ == worker) &&
           (holder_[p] == kNobody || holder_[p] == worker);
  }

 private:
  static constexpr int kNobody = -1;
  static constexpr int kSeveral = -2;
  const GroupView* const view_;
  std::vector<int> holder_;
  int everything_ = kNobody;
  int hidden_ = kNobody;
};

Publisher::Publisher(Context* context, GroupView* view, Calculator* calculator, const Term& term,
                     std::function<void(const std::string&)> changed,
                     std::function<void()> vanished)
    : context_(context),
      view_(view),
      calculator_(calculator),
      term_(term),
      changed_(std::move(changed)),
      vanished_(std::move(vanished)) {}

// Acknowledgements that arrive together are answered together.
void Publisher::Touch() {
  const Nanos pause = static_cast<Nanos>(view_->names.size()) * kPausePerPartition;
  step_at_ = std::min(step_at_, std::max(context_->now, last_step_ + pause));
}

void Publisher::OnTime() {
  if (context_->now >= step_at_ && context_->now >= hold_until_) Step();
}

Nanos Publisher::NextDeadline() const {
  return step_at_ == kNever ? kNever : std::max(step_at_, hold_until_);
}

void Publisher::Step() {
  step_at_ = kNever;
  last_step_ = context_->now;
  std::vector<Holdings> held;
  held.reserve(view_->workers.size());
  Holders holders(view_);
  for (const auto& [id, worker] : view_->workers) {
    held.push_back(view_->PossiblyHeld(worker, context_->now));
    holders.Add(static_cast<int>(held.size()) - 1, held.back());
    if (worker.same_life() && worker.usable()) view_->Vouch(held.back().partitions);
  }
  int index = 0;
  for (auto& [id, worker] : view_->workers) {
    Consider(id, worker, holders, index, held[static_cast<std::size_t>(index)]);
    ++index;
  }
  if (calculator_->plan().exists && Settled()) calculator_->Settled();
}

bool Publisher::Settled() const {
  // Who is to hold nothing must have let go of everything.
  for (const auto& [id, worker] : view_->workers) {
    if (!worker.heartbeat.live() || !worker.same_life()) continue;
    if (calculator_->plan().workers.contains(id)) continue;
    if (!worker.acknowledged() || !worker.doc.owned.empty()) return false;
  }
  for (const auto& [id, planned] : calculator_->plan().workers) {
    const auto it = view_->workers.find(id);
    if (it == view_->workers.end()) return false;
    // Who is gone will never acknowledge; what it was to have is for the next rebalance, which
    // mustn't wait for this one's release_timeout.
    if (IsOver(it->second.heartbeat, planned.life)) continue;
    if (!it->second.acknowledged()) return false;
    if (it->second.doc.life_nonce != planned.life.nonce) return false;
    if (it->second.doc.owned != planned.target) return false;
    // It is granted something anew just now.
    if (it->second.doc.writing || !it->second.doc.unanswered.empty()) return false;
  }
  return true;
}

void Publisher::Consider(const std::string& id, WorkerView& worker, const Holders& holders,
                         int index, const Holdings& held) {
  DocView& doc = worker.doc;
  if (doc.writing || doc.rereading || worker.rereading) return;
  if (!worker.heartbeat.live()) return EmptyDoc(id, worker);
  if (doc.unreadable) return StandIn(id, worker);
  if (!worker.usable() || worker.too_old(context_->wire_version)) return;
  if (!calculator_->plan().exists) return;

  const wire::Heartbeat& heartbeat = *worker.heartbeat.record;
  const Life life{id, heartbeat.incarnation, heartbeat.nonce};
  const auto planned = calculator_->plan().workers.find(id);
  const bool in_plan = planned != calculator_->plan().workers.end() && planned->second.life == life;
  const bool same = worker.same_life();
  // Who isn't to have anything may get it all the same by a write that got no answer.
  if (!same && !in_plan && doc.unanswered.empty()) return;

  static const std::vector<PartitionIndex> kNone;
  const std::vector<PartitionIndex>& target = in_plan ? planned->second.target : kNone;
  const bool foreign = doc.epoch != term_.epoch || doc.nonce != term_.nonce;
  // Rule [6]: a predecessor's doc that was never acknowledged will be refused by its worker;
  // writing it again under our epoch is granting, and obeys rule [3].
  // Model: ownership.pml, RULE rewrite-foreign.
  // Model: ownership.pml, RULE rewrite-is-grant.
  const bool rewrite = same && foreign && !worker.acknowledged() && RuleOn(Rule::kRewriteForeign);
  const bool standing_counts = same && (!rewrite || !RuleOn(Rule::kRewriteIsGrant));

  Draft draft;
  const FencingToken fresh{term_.epoch, calculator_->plan().version};
  std::vector<FencingToken> tokens;
  // Moves too big for one doc go in batches: what the worker may hold takes room until it has let
  // go of it.
  std::size_t bytes = wire::kDocBaseBytes;
  for (const PartitionIndex p : held.partitions) {
    bytes += wire::DocBytesPerPartition(view_->names.Name(p));
  }
  for (const PartitionIndex p : target) {
    const auto at = std::lower_bound(doc.owned.begin(), doc.owned.end(), p);
    bool stands = standing_counts && at != doc.owned.end() && *at == p;
    if (stands && !rewrite) {
      // What the worker gave back isn't its own any more: it takes a new grant to offer it again.
      const FencingToken& token = doc.tokens[static_cast<std::size_t>(at - doc.owned.begin())];
      // Not before its time: a later plan may have left it there, not knowing.
      stands = token >= fresh || !GaveBack(heartbeat, view_->names.Name(p), token) ||
               calculator_->Refuses(id, p);
    }
    if (!stands && !holders.FreeFor(index, p)) continue;
    if (!std::binary_search(held.partitions.begin(), held.partitions.end(), p)) {
      const std::size_t room = wire::DocBytesPerPartition(view_->names.Name(p));
      if (bytes + room > context_->settings.max_doc_bytes) continue;
      bytes += room;
    }
    const FencingToken token =
        stands && !rewrite ? doc.tokens[static_cast<std::size_t>(at - doc.owned.begin())] : fresh;
    draft.owned.push_back(p);
    tokens.push_back(token);
  }
  // Rule [4]: what may still be held is never forgotten.
  // Model: ownership.pml, RULE keep-releasing.
  if (RuleOn(Rule::kKeepReleasing)) {
    draft.releasing = GroupView::Minus(held.partitions, draft.owned);
  }
  const bool needed = !same || rewrite || draft.owned != doc.owned || tokens != doc.tokens ||
                      !doc.unanswered.empty();
  if (!needed) return;
  draft.doc.version = calculator_->plan().version;
  draft.doc.life_incarnation = life.incarnation;
  draft.doc.life_nonce = life.nonce;
  draft.doc.life_lease_ms = heartbeat.lease_ms;
  for (std::size_t i = 0; i < draft.owned.size(); ++i) {
    draft.doc.owned.push_back({view_->names.Name(draft.owned[i]), tokens[i]});
  }
  Write(id, worker, std::move(draft));
}

// An unreadable doc is replaced by one that can be read and says as much: the life that stands now
// holds everything until it is over.
void Publisher::StandIn(const std::string& id, WorkerView& worker) {
  Draft draft;
  draft.doc.unknown = true;
  draft.doc.version = calculator_->plan().version;
  draft.doc.life_incarnation = worker.heartbeat.record->incarnation;
  draft.doc.life_nonce = worker.heartbeat.record->nonce;
  draft.doc.life_lease_ms = worker.heartbeat.record->lease_ms;
  Write(id, worker, std::move(draft));
}

// The doc of a worker that is gone is emptied, not deleted, so that its history goes on.
void Publisher::EmptyDoc(const std::string& id, WorkerView& worker) {
  const DocView& doc = worker.doc;
  if (doc.revision == 0 && doc.unanswered.empty()) return;
  if (doc.empty() && doc.unanswered.empty()) return;
  if (!GroupView::DocLifeIsOver(worker, context_->now)) return;
  // A doc of an older life says by that that the present one is unexplained. Emptied for a life
  // that was evicted and may go on, it would say that this one holds nothing.
  if (worker.heartbeat.evicted() && context_->now < worker.heartbeat.lease_over_at) return;
  Draft draft;
  // Not the doc's own: it may be a predecessor's that landed late, and no plan of ours follows it.
  draft.doc.version = calculator_->plan().version;
  draft.doc.life_incarnation = std::max(doc.incarnation, worker.heartbeat.record->incarnation);
  draft.doc.life_nonce = doc.valid && doc.incarnation == draft.doc.life_incarnation
                             ? doc.life_nonce
                             : worker.heartbeat.record->nonce;
  draft.doc.life_lease_ms = std::max<std::int64_t>(doc.lease_ms, worker.heartbeat.record->lease_ms);
  Write(id, worker, std::move(draft));
}

void Publisher::Write(const std::string& id, WorkerView& worker, Draft draft) {
  draft.doc.epoch = term_.epoch;
  draft.doc.nonce = term_.nonce;
  std::sort(draft.doc.owned.begin(), draft.doc.owned.end());
  for (const PartitionIndex p : draft.releasing) {
    draft.doc.releasing.push_back(view_->names.Name(p));
  }
  std::sort(draft.doc.releasing.begin(), draft.doc.releasing.end());
  std::string value = context_->Encode(draft.doc);
  worker.doc.writing = true;
  const std::uint64_t expected = worker.doc.revision;
  // Rule [7]: from now on it may land, until a later compare-and-set succeeds or a newer revision
  // is read. An answer that says so takes it away with the whole old view.
  worker.doc.RememberUnanswered(draft.doc.life_incarnation,
                                GroupView::Union(draft.owned, draft.releasing));
  std::string kept = value;
  context_->Put(scope_, Bucket::kAssignment, id, expected, std::move(value),
                [this, id, expected, kept = std::move(kept)](const KvAnswer& answer) {
                  OnAnswer(id, expected, kept, answer);
                });
}

void Publisher::OnAnswer(const std::string& id, std::uint64_t expected, const std::string& value,
                         const KvAnswer& answer) {
  DocView& doc = view_->workers[id].doc;
  doc.writing = false;
  switch (answer.code) {
    case KvCode::kOk:
      backoff_.Reset();
      view_->TakeDoc(wire::Entry{id, answer.revision, false, value});
      changed_(id);
      return;
    case KvCode::kUnknown:
      step_at_ = std::min(step_at_, backoff_.Next(*context_));
      return;
    case KvCode::kRefused:
      context_->ReportOnce("doc refused: " + answer.error, Severity::kError,
                           absl::UnavailableError("the assignment of " + id +
                                                  " was refused by the server: " + answer.error));
      step_at_ = std::min(step_at_, backoff_.Next(*context_));
      return;
    case KvCode::kConflict:
    case KvCode::kNotFound:
      return Reread(id, expected);
  }
}

void Publisher::Reread(const std::string& id, std::uint64_t expected) {
  view_->workers[id].doc.rereading = true;
  context_->Get(scope_, Bucket::kAssignment, id, [this, id, expected](const KvAnswer& answer) {
    DocView& doc = view_->workers[id].doc;
    doc.rereading = false;
    // Reads are never behind: a revision lower than one that was there before the read was asked
    // for means that the bucket was wiped or rolled back.
    if (answer.code == KvCode::kNotFound && expected != 0) return vanished_();
    if (answer.code == KvCode::kOk && answer.entry.revision < expected) return vanished_();
    if (answer.code == KvCode::kOk && view_->TakeDoc(answer.entry)) return changed_(id);
    step_at_ = std::min(step_at_, backoff_.Next(*context_));
  });
}

}  // namespace parti::core
