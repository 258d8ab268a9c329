// What can happen to a worker's core. The runtime, or the simulator, turns the world into these.
#ifndef PARTI_INTERNAL_CORE_EVENT_H_
#define PARTI_INTERNAL_CORE_EVENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/wire/kv_types.h"
#include "parti/assignment.h"
#include "parti/partition.h"

namespace parti::core {

using WatchId = std::uint64_t;
using RequestId = std::uint64_t;
using Ticket = std::uint64_t;

// The application called Start. First event, once.
struct Start {};

// The application called Stop. Core drains, leaves, and ends with the effect Stopped.
struct StopRequested {};

// The deadline that Worker::NextDeadline() named was reached (or any other time: harmless).
struct Tick {};

// The connection to NATS was lost or is there again. A hint: nothing depends on it being told.
struct ConnectionChanged {
  bool connected = false;
};

// A watch delivered an entry: part of its snapshot first, then each change in revision order.
struct WatchEntry {
  WatchId watch = 0;
  wire::Entry entry;
};

// The watch's first snapshot ended. `stream` was asked for after OpenWatch was carried out; the
// snapshot may have ended before it reached stream.last_seq, and core waits for that.
struct WatchSnapshotEnd {
  WatchId watch = 0;
  wire::StreamState stream;
  // When the watch was opened, by the clock of Entry::stored_at; 0: not known.
  std::int64_t opened_at = 0;
};

// The watch delivers nothing any more. Core opens a new one.
struct WatchBroken {
  WatchId watch = 0;
  std::string reason;
};

// The answer to KvGet, KvPut or KvInfo. Each request gets exactly one, within its timeout.
struct KvAnswer {
  RequestId request = 0;
  wire::KvCode code = wire::KvCode::kUnknown;
  std::uint64_t revision = 0;  // put: the new revision
  wire::Entry entry;           // get
  wire::StreamState stream;    // info
  std::string error;           // for people
};

// A hook that core asked for has returned. For release and lost: its work has drained.
struct ReleaseDone {
  Ticket ticket = 0;
};
struct LostDone {
  Ticket ticket = 0;
};
struct AcquireDone {
  std::string partition;
  FencingToken token;
  // An error gives the partition back, with its message as the reason. What worked on it because
  // Owns() was true has drained.
  absl::Status status;
};

// The partition source listed (at the start, at a refresh, at a change). Validated, any order.
struct PartitionsListed {
  std::shared_ptr<const std::vector<Partition>> partitions;
};
// The partition source failed; the standing list stays.
struct PartitionsFailed {
  absl::Status status;
};

// The application asked for a rebalance.
struct RebalanceRequested {};

// The answer to RunStrategy.
struct StrategyDone {
  Ticket ticket = 0;
  absl::StatusOr<std::vector<std::int32_t>> owners = std::vector<std::int32_t>();
};

using Event =
    std::variant<Start, StopRequested, Tick, ConnectionChanged, WatchEntry, WatchSnapshotEnd,
                 WatchBroken, KvAnswer, ReleaseDone, LostDone, AcquireDone, PartitionsListed,
                 PartitionsFailed, RebalanceRequested, StrategyDone>;

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_EVENT_H_
