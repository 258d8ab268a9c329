// What a snapshot of a group means: who leads, who lives, who owns what, what is wrong, and a
// verdict in plain words. Pure: the same snapshot gives the same answer.
//
//   GroupStatus status = JudgeGroup(snapshot, {});
//   status.headline    // "healthy: 3 workers own all 24 partitions under worker-2 (epoch 4, …"
//
// A group is
//   healthy      if a live leader is at work, and every partition is owned by a live worker, or on
//                its way to one by a planned move that makes progress;
//   not healthy  if something is wrong that costs work, or soon will: no leader, a worker that died
//                and whose partitions wait, partitions without an owner, a move that doesn't come
//                to its end, records that are unreadable or contradict each other;
//   unknown      if that can't be told.
//
// It shares the records with the workers but none of their decisions, so that a fault in those
// can't vouch for itself.
#ifndef PARTI_CLI_STATUS_MODEL_H_
#define PARTI_CLI_STATUS_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "parti/assignment.h"
#include "parti/cli/group_snapshot.h"

namespace parti::cli {

enum class Verdict { kHealthy = 0, kUnhealthy = 1, kUnknown = 2 };  // exit statuses
std::string_view VerdictName(Verdict verdict);                      // "healthy", "not healthy", …

// How much a finding matters. Notes and warnings leave the verdict alone.
enum class Severity { kNote, kWarning, kError };
std::string_view SeverityName(Severity severity);

struct Finding {
  Severity severity = Severity::kNote;
  std::string code = {};    // stable, for scripts: "worker-silent"
  std::string text = {};    // what is the case
  std::string advice = {};  // what to do; may be empty
};

enum class Life {
  kLive,        // its newest heartbeat is younger than its lease
  kSilent,      // older: its lease is over, and nobody has evicted it yet
  kEvicted,     // a tombstone, and the lease that it stands for may still run
  kJoining,     // a claim, no heartbeat of that life yet
  kUnreadable,  // the heartbeat can't be read: counts as alive until it is evicted
  kLeft,        // it left in order
  kDead,        // evicted, and its lease is over
  kGone,        // a claim or assignment of long ago, and no heartbeat any more
};
std::string_view LifeName(Life life);

struct WorkerStatus {
  std::string id = {};
  std::string identity = {};  // empty: not known
  Life life = Life::kGone;
  std::string state = {};  // as the worker says: "Stable"; empty: not known
  bool leader = false;
  bool drained = false;                        // by order
  std::optional<std::int64_t> silent_ms = {};  // age of the newest heartbeat, tombstone or `left`
  std::int64_t lease_ms = 0;
  std::int64_t capacity = 0;
  std::map<std::string, std::string> labels = {};
  std::uint64_t incarnation = 0;
  std::uint64_t epoch_seen = 0;
  // Its assignment: revision of the newest, and of the one that it has applied; 0: none.
  std::uint64_t doc_revision = 0;
  std::uint64_t applied_revision = 0;
  std::uint64_t doc_epoch = 0;
  std::uint64_t doc_version = 0;
  bool behind = false;  // alive, and hasn't applied the newest yet
  std::size_t owned = 0;
  std::size_t granted = 0;    // given to it, not applied yet
  std::size_t releasing = 0;  // taken from it, not let go yet
  std::size_t refused = 0;    // given back by it: its acquire hook failed
};

enum class PartitionState {
  kOwned,      // by a live worker that has applied its assignment
  kGranted,    // to a live worker that hasn't applied it yet
  kMoving,     // the same, and the assignment of its former owner still tells of it
  kReleasing,  // taken from a worker that hasn't let go yet
  kWaiting,    // its owner died: nobody may have it before the lease is over and it is granted anew
  kContested,  // in the assignments of two living workers
  kUnowned,
};
std::string_view PartitionStateName(PartitionState state);

struct PartitionStatus {
  std::string id = {};
  PartitionState state = PartitionState::kUnowned;
  std::string owner = {};  // also of kReleasing and kWaiting: who had it last
  std::string from = {};   // kMoving: its former owner. kContested: the other one
  FencingToken token = {};
};

struct PartitionCounts {
  std::optional<std::uint64_t> total = {};  // of the list; none: not known
  std::size_t owned = 0;
  std::size_t granted = 0;  // and moving
  std::size_t releasing = 0;
  std::size_t waiting = 0;
  std::size_t contested = 0;
  std::uint64_t unowned = 0;
  std::vector<std::string> unowned_sample = {};  // some of them, as the leader tells
};

struct LeaderStatus {
  std::string worker = {};
  std::uint64_t epoch = 0;
  std::int64_t renewed_ms = 0;  // ago
  bool released = false;        // it resigned
  bool alive = false;
  wire::Mode mode = wire::Mode::kExclusive;
};

struct ReportStatus {
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::string state = {};  // of the calculator
  std::string cause = {};  // of the last rebalance
  std::int64_t age_ms = 0;
  bool current = false;  // written by the present leader in its present term
};

struct ControlStatus {
  std::uint64_t revision = 0;
  wire::Control orders = {};
  bool confirmed = false;  // the present leader says that all of it is so
  std::vector<std::string> problems = {};
};

struct GroupStatus {
  Verdict verdict = Verdict::kUnknown;
  std::string headline = {};
  std::string advice = {};
  std::string prefix = {};
  std::string server = {};
  std::string time = {};  // when it was looked at, for logs; empty: not said

  std::optional<LeaderStatus> leader = {};
  std::optional<ReportStatus> report = {};
  std::optional<ControlStatus> control = {};
  PartitionCounts partitions = {};
  std::vector<WorkerStatus> workers = {};            // by id, numbers in their order
  std::vector<Finding> findings = {};                // the worst first
  bool listed = false;                               // partition_list was asked for
  std::vector<PartitionStatus> partition_list = {};  // by id, numbers in their order
  std::map<std::string, std::string> refusals = {};  // partition → "worker-1: why"
  std::int64_t quiet_ms = 0;                         // since the last assignment or report
  bool moving = false;                               // something is on its way

  std::size_t CountLive() const;
};

struct JudgeOptions {
  std::string prefix = "parti";
  std::string server = {};
  // How long a planned move may go without progress before it counts as not healthy.
  std::int64_t patience_ms = 60'000;
  bool list_partitions = false;
};

GroupStatus JudgeGroup(const GroupSnapshot& snapshot, const JudgeOptions& options);

// For when nothing, or not everything, could be read.
GroupStatus CannotTell(const absl::Status& why, const JudgeOptions& options);

// "worker-2" before "worker-10".
bool NaturalLess(std::string_view a, std::string_view b);
// "1.2 s", "4 min", "300 ms"
std::string TextOfAge(std::int64_t ms);
// "worker-1, worker-2 and 5 more"
std::string TextOfList(const std::vector<std::string>& items, std::size_t most,
                       std::size_t total = 0);

}  // namespace parti::cli

#endif  // PARTI_CLI_STATUS_MODEL_H_
