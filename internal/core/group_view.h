// The leader's picture of the group: each worker's newest heartbeat and doc, and what each of them
// possibly holds. Everything that rule [3] stands on.
#ifndef PARTI_INTERNAL_CORE_GROUP_VIEW_H_
#define PARTI_INTERNAL_CORE_GROUP_VIEW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "internal/core/context.h"
#include "internal/core/host.h"
#include "internal/wire/records.h"

namespace parti::core {

// Partitions by number while a leader leads; ids travel in records only.
using PartitionIndex = std::uint32_t;

class PartitionNames {
 public:
  PartitionIndex Intern(const std::string& id);
  // None: nothing here was ever called so.
  std::optional<PartitionIndex> Find(const std::string& id) const;
  const std::string& Name(PartitionIndex index) const { return names_[index]; }
  std::size_t size() const { return names_.size(); }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, PartitionIndex> index_;
};

struct HeartbeatView {
  std::uint64_t revision = 0;  // 0: the key has no message
  Nanos since = 0;             // when this very revision was received
  bool deleted = false;
  std::optional<wire::Heartbeat> record;  // none: absent, deleted or unreadable

  bool readable() const { return record.has_value(); }
  bool unreadable() const { return revision != 0 && !deleted && !record; }
  bool live() const { return record && record->kind == wire::HeartbeatKind::kLive; }
  bool left() const { return record && record->kind == wire::HeartbeatKind::kLeft; }
  bool evicted() const { return record && record->kind == wire::HeartbeatKind::kEvicted; }

  // Evicted: when the lease of the evicted life has certainly run out; and when it has if the
  // bucket that the tombstone was written to is the one that the life's heartbeats were seen in.
  Nanos lease_over_at = 0;
  Nanos lease_over_if_confirmed = kNever;
  bool to_confirm() const { return evicted() && lease_over_if_confirmed < lease_over_at; }
};

// A doc write that got no answer: until a later compare-and-set on its key succeeds, or a newer
// revision is read, it may still land. Rule [7].
struct UnansweredWrite {
  std::uint64_t incarnation = 0;
  std::vector<PartitionIndex> adds;  // sorted
};

struct DocView {
  std::uint64_t revision = 0;
  bool unreadable = false;  // or deleted
  bool valid = false;       // a doc stands
  bool unknown = false;     // it stands in for one that could not be read
  // It was meant for another bucket: a revision here that its worker has applied may be another's.
  bool strayed = false;
  std::uint64_t epoch = 0;
  std::uint64_t nonce = 0;
  std::uint64_t version = 0;
  std::uint64_t incarnation = 0;
  std::uint64_t life_nonce = 0;
  std::int64_t lease_ms = 0;
  std::vector<PartitionIndex> owned;  // sorted; tokens beside it
  std::vector<FencingToken> tokens;
  std::vector<PartitionIndex> releasing;  // sorted
  std::vector<UnansweredWrite> unanswered;
  bool writing = false;  // one write at a time
  bool rereading = false;
  Nanos releasing_since = kNever;  // since when something is to be released, unacknowledged

  // One entry for each life, however often the write is tried.
  void RememberUnanswered(std::uint64_t of_incarnation, const std::vector<PartitionIndex>& adds);
  bool empty() const { return !unreadable && !unknown && owned.empty() && releasing.empty(); }
};

struct WorkerView {
  HeartbeatView heartbeat;
  DocView doc;
  bool evicting = false;    // a tombstone is on its way
  bool rereading = false;   // the heartbeat is being read again
  bool confirming = false;  // the stream of its tombstone is being asked for
  bool condemned = false;   // to be evicted whatever its heartbeat says
  std::string condemned_why;
  // This life may have applied docs that no bucket tells of. Cleared by a heartbeat that has seen
  // the fence: it shows all that was applied before, and after it older docs are refused.
  bool suspect = false;
  // Its heartbeat showed that it holds what no doc tells of, and can't be read any more, or is
  // gone.
  bool obscured = false;

  // What the Calculator saw of this worker last.
  std::optional<wire::Heartbeat> counted;
  bool counted_blocks = false;
  // A life began or ended, its capacity or labels changed, or its doc became readable, since this
  // was asked last.
  bool MembershipChanged();

  // The doc names the life that the heartbeat shows.
  bool same_life() const {
    return doc.valid && heartbeat.record && heartbeat.record->incarnation == doc.incarnation &&
           heartbeat.record->nonce == doc.life_nonce;
  }
  // What the worker's present life may hold can't be told from the doc.
  bool doc_blocks() const { return doc.unreadable || (doc.unknown && same_life()); }
  bool newer_life() const {
    return heartbeat.record && (!doc.valid || heartbeat.record->incarnation > doc.incarnation);
  }
  // It can't read what is written in this wire version.
  bool too_old(int wire_version) const {
    return heartbeat.live() && heartbeat.record->speaks < wire_version;
  }
  // The worker has applied the standing doc.
  bool acknowledged() const {
    return same_life() && heartbeat.live() && heartbeat.record->applied_revision == doc.revision &&
           heartbeat.record->applied_nonce == doc.nonce;
  }
  // … or a later one: it has let go of all that the standing doc takes away.
  bool has_released() const {
    return acknowledged() || (same_life() && heartbeat.live() && Outran(*heartbeat.record));
  }
  // It applied a doc that the standing one doesn't follow: a bucket was wiped or rolled back, or
  // the view of the doc is behind.
  bool unexplained() const;
  bool LeaseIsOver(Nanos now) const {
    return heartbeat.evicted() && now >= heartbeat.lease_over_at;
  }
  bool HoldsAll(Nanos now) const { return (unexplained() || obscured) && !LeaseIsOver(now); }
  // What this heartbeat of the doc's life shows as applied is newer than the doc, or another one.
  bool Outran(const wire::Heartbeat& record) const;
  // It may be given partitions.
  bool usable() const;
};

// Everything, or a sorted list.
struct Holdings {
  bool everything = false;
  bool hidden = false;  // … and what nobody else is known to hold
  std::vector<PartitionIndex> partitions;
};

class GroupView {
 public:
  explicit GroupView(Context* context) : context_(context) {}

  PartitionNames names;
  std::map<std::string, WorkerView> workers;

  // Both return whether it was news.
  bool TakeHeartbeat(const wire::Entry& entry);
  bool TakeDoc(const wire::Entry& entry);
  // All lives are suspect until they have seen `epoch`. Terms that share the largest epoch can't be
  // told apart by it: there they are so only where the past is unknown.
  void SuspectAll(std::uint64_t epoch, bool unknown_past);
  // Likewise this one, unless its life has only begun.
  void SuspectOld(const std::string& worker);

  // What was, in this term, in the doc of a life that isn't suspect: since that doc was written
  // nobody else was given it, so no suspect holds it.
  bool Vouched(PartitionIndex p) const { return p < vouched_.size() && vouched_[p]; }
  void Vouch(const std::vector<PartitionIndex>& partitions);

  // The assignment bucket is another than the predecessor's: what isn't of this term strayed there.
  void DocsRecreated(std::uint64_t own_nonce);

  // This heartbeat was sent before `seen_at`: its lease is counted from there rather than from its
  // first sight, which spares the failover of a leader one lease.
  void KnowSentBefore(std::uint64_t nonce, std::uint64_t number, Nanos seen_at);
  // The heartbeat bucket is another than the predecessor's: its record tells nothing of that.
  void HeartbeatsRecreated();

  // What `worker` may hold at `now`, as far as this leader can know.
  Holdings PossiblyHeld(const WorkerView& worker, Nanos now) const;
  // The life that the doc names is certainly over: nothing of it is held.
  static bool DocLifeIsOver(const WorkerView& worker, Nanos now);

  static std::vector<PartitionIndex> Union(const std::vector<PartitionIndex>& a,
                                           const std::vector<PartitionIndex>& b);
  static std::vector<PartitionIndex> Minus(const std::vector<PartitionIndex>& a,
                                           const std::vector<PartitionIndex>& b);

 private:
  bool HasSeenFence(const wire::Heartbeat& heartbeat) const;
  bool MayHide(const WorkerView& worker) const;
  void NoteTombstone(HeartbeatView& view, const HeartbeatView& before);

  Context* const context_;
  std::uint64_t fence_epoch_ = 0;
  std::uint64_t own_nonce_ = 0;  // 0: the docs are in the bucket that they were meant for
  std::vector<bool> vouched_;
  std::uint64_t known_nonce_ = 0;
  std::uint64_t known_number_ = 0;
  Nanos known_since_ = 0;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_GROUP_VIEW_H_
