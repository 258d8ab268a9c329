// What a worker's core wants done. The runtime carries effects out in the order given.
#ifndef PARTI_INTERNAL_CORE_EFFECT_H_
#define PARTI_INTERNAL_CORE_EFFECT_H_

#include <cstdint>
#include <memory>
#include <string>
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

// A rebalance was decided, or carried out. For metrics, logs and status.
struct RebalanceNote {
  enum class Phase { kPlanned, kSettled } phase{};
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::string cause;
  int moved = 0;  // partitions whose owner changes
  int workers = 0;
  int partitions = 0;
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
                 LeadershipChanged, Report, RebalanceNote, RunStrategy, Stopped>;

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_EFFECT_H_
