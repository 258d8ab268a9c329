// What a worker's core wants done. The runtime carries effects out in the order given.
#ifndef PARTI_INTERNAL_CORE_EFFECT_H_
#define PARTI_INTERNAL_CORE_EFFECT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "internal/core/event.h"
#include "internal/core/time.h"
#include "internal/wire/kv_types.h"
#include "parti/assignment.h"
#include "parti/state.h"
#include "parti/strategy.h"

namespace parti::core {

// --- Towards the KV. Each request is answered by exactly one KvAnswer. ---

// Reads a key's newest message from the stream leader, never from a cache.
struct KvGet {
  RequestId request = 0;
  wire::Bucket bucket{};
  std::string key;
  Nanos timeout = 0;
};

// Compare-and-set: writes if the key's last revision is `expected` (0: the key has no message).
struct KvPut {
  RequestId request = 0;
  wire::Bucket bucket{};
  std::string key;
  std::uint64_t expected = 0;
  std::string value;
  Nanos timeout = 0;
};

// Asks for the stream's identity and last sequence.
struct KvInfo {
  RequestId request = 0;
  wire::Bucket bucket{};
  Nanos timeout = 0;
};

// Watches one key, or the whole bucket when `key` is empty: the newest message of each key, then
// every change. The world answers with WatchEntry*, WatchSnapshotEnd, WatchEntry*, … or
// WatchBroken.
struct OpenWatch {
  WatchId watch = 0;
  wire::Bucket bucket{};
  std::string key;
};
struct CloseWatch {
  WatchId watch = 0;
};

// --- Towards the application's view of what it owns. These define the claims. ---

// The life began: a worker id is held. Comes before anything else of that life.
struct LifeBegan {
  std::string worker;
  std::uint64_t incarnation = 0;
};

// The lease runs until `until` on the worker's own clock. Owns() is false from then on. Fast mode:
// `until` is kNever.
struct LeaseUntil {
  Nanos until = 0;
};

// From now on Owns() may be true for these. One that is owned already gets the new token.
struct Claim {
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::vector<OwnedPartition> partitions;
};

// From now on Owns() is false for these. `all`: for every partition.
struct Unclaim {
  bool all = false;
  std::vector<std::string> partitions;
};

// --- Hooks: run in order, one at a time, on the hook thread. ---

// Stop work on these and drain; ReleaseDone answers. `deadline`: when the worker's own bound on
// draining is reached; the hook should give up its work by then.
struct RunRelease {
  Ticket ticket = 0;
  std::vector<OwnedPartition> partitions;
  Nanos deadline = 0;
};

// These were lost: the lease ran out or the life was evicted. LostDone answers.
struct RunLost {
  Ticket ticket = 0;
  std::vector<OwnedPartition> partitions;
  std::string reason;
};

// Begin work on these; one AcquireDone answers for each.
struct RunAcquire {
  std::vector<OwnedPartition> partitions;
};

// The release (or loss) is complete: the partition is free of this worker. For logs.
struct Released {
  std::vector<OwnedPartition> partitions;
  bool lost = false;
};

struct AssignmentChanged {
  Assignment assignment;  // now in force
  std::vector<OwnedPartition> added;
  std::vector<OwnedPartition> removed;
};

struct StateChanged {
  State from{};
  State to{};
};

struct LeadershipChanged {
  bool gained = false;
  std::uint64_t epoch = 0;
};

// Something a person should know. kFatal: the worker refuses to go on; Stopped follows.
enum class Severity { kInfo, kWarning, kError, kFatal };
struct Report {
  Severity severity{};
  absl::Status status;
};

// --- For metrics, logs and status. Nothing answers, and nothing depends on them. ---

enum class RebalanceCause {
  kColdStart,   // the first workers of an empty group
  kOutage,      // most workers were lost at once
  kJoin,        // workers joined
  kLeave,       // workers left on purpose
  kDeath,       // workers died
  kAltered,     // capacity or labels changed
  kPartitions,  // the partition list changed
  kRequested,   // the application asked for it
  kRefused,     // a worker gave partitions back, or is offered them again
  kTakeover,    // a new leader completes what its predecessor began
  kControl,     // people asked for it through the control key
  kRetry,       // the strategy failed before
};
std::string_view RebalanceCauseName(RebalanceCause cause);  // "cold_start", "outage", …

// A rebalance was decided, or carried out.
struct RebalanceNote {
  enum class Phase { kPlanned, kSettled } phase{};
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::string cause;  // for people; `reason` is its kind
  int moved = 0;      // planned: partitions whose owner changes, `orphans` included
  int workers = 0;
  int partitions = 0;
  RebalanceCause reason{};
  int orphans = 0;  // planned: partitions that had no living owner and get one
  // From the first sight of what caused it to the plan: debounce, window and strategy included.
  Nanos detection = 0;
  // Settled: from the plan until every worker had applied it. 0: planned by an earlier leader.
  Nanos settle = 0;
};

// An attempt to renew the lease has ended.
struct HeartbeatNote {
  bool ok = false;       // acknowledged
  Nanos round_trip = 0;  // from sending to the answer
  // How much of the standing lease was left when the answer came; what nears 0 is about to be
  // evicted. Fast mode: of the lease as it would have been.
  Nanos margin_left = 0;
};

// A step of this worker's candidacy. Winning and losing the office is LeadershipChanged.
struct ElectionNote {
  enum class Kind {
    kChallenged,  // wrote itself into the leader record; won or lost follows
    kWon,
    kLost,     // somebody else was first, or the write failed
    kDeposed,  // led, and does so no longer
  } kind{};
  std::uint64_t epoch = 0;
};

enum class EvictionReason {
  kSilent,       // no heartbeat for its lease
  kRelease,      // it didn't release within release_timeout
  kUnreadable,   // its heartbeat or its assignment can't be read
  kDeleted,      // its heartbeat was deleted
  kUnexplained,  // heartbeat and assignment contradict each other: a bucket was wiped or rolled
                 // back
  kTooOld,       // its build can't read the group's wire version
};
std::string_view EvictionReasonName(EvictionReason reason);  // "silent", "release", …

// The leader evicted a life: its tombstone was accepted.
struct EvictionNote {
  std::string worker;
  EvictionReason reason{};
};

// A value that can't be read was met: by everybody who reads that key.
struct MalformedNote {
  wire::Bucket bucket{};
  std::string key;
};

// --- Towards the strategy, on a thread of its own; StrategyDone answers. ---
struct PlanInput {
  std::vector<WorkerInfo> workers;
  std::shared_ptr<const std::vector<Partition>> partitions;  // sorted by id
  std::vector<std::int32_t> previous_owner;
};
struct RunStrategy {
  Ticket ticket = 0;
  std::shared_ptr<const PlanInput> input;
};

// The worker is done: nothing more will come of it.
struct Stopped {};

using Effect =
    std::variant<KvGet, KvPut, KvInfo, OpenWatch, CloseWatch, LifeBegan, LeaseUntil, Claim, Unclaim,
                 RunRelease, RunLost, RunAcquire, Released, AssignmentChanged, StateChanged,
                 LeadershipChanged, Report, RebalanceNote, HeartbeatNote, ElectionNote,
                 EvictionNote, MalformedNote, RunStrategy, Stopped>;

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_EFFECT_H_
