// Manager: one worker of a group that shares out partitions exclusively through NATS.
//
//   auto config = parti::Config::Preset("default").value();
//   config.prefix = "orders";
//   parti::Hooks hooks;
//   hooks.on_acquire = [](const parti::OwnedPartition& p) { …; return absl::OkStatus(); };
//   hooks.on_release = [](auto partitions, auto bound) { … };
//   parti::ManagerOptions options{.config = config, .nats = {.url = "nats://127.0.0.1:4222"}};
//   options.source = std::make_shared<parti::StaticPartitionSource>(partitions);
//   options.strategy = parti::MakeConsistentHash();
//   options.hooks = hooks;
//   auto manager = parti::Manager::Create(std::move(options));
//   if (!manager.ok()) …
//   absl::Status status = (*manager)->Start();
//   … for each message: if ((*manager)->Owns(id)) handle it …
//   (*manager)->Stop();
//
// A Manager belongs to the process that starts it: a child that is forked afterwards has none of
// its threads, and must neither ask nor destroy it.
//
// Thread safety: every method may be called from any thread at any time, except that Stop may not
// be called from a hook (it would wait for itself; it answers FailedPrecondition).
#ifndef PARTI_MANAGER_H_
#define PARTI_MANAGER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/assignment.h"
#include "parti/config.h"
#include "parti/connection.h"
#include "parti/export.h"
#include "parti/hooks.h"
#include "parti/logger.h"
#include "parti/metrics.h"
#include "parti/partition_source.h"
#include "parti/state.h"
#include "parti/status.h"
#include "parti/strategy.h"

namespace parti {

struct ManagerOptions {
  Config config;
  ConnectionOptions nats = {};                         // the server, and who we are to it
  std::shared_ptr<PartitionSource> source;             // required
  std::shared_ptr<const AssignmentStrategy> strategy;  // required
  Hooks hooks = {};
  std::shared_ptr<OwnershipObserver> observer = {};  // optional
  std::shared_ptr<Logger> logger = {};               // optional: none is silent
  std::shared_ptr<Metrics> metrics = {};             // optional
};

class PARTI_EXPORT Manager {
 public:
  // Checks the options; connects to nothing yet.
  static absl::StatusOr<std::unique_ptr<Manager>> Create(ManagerOptions options);

  // Stops, if Stop was not called.
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Begins to work: connects (retrying until there is a server), creates or binds the buckets and
  // joins the group. Returns once the id is claimed, or with the reason why it can't be, or
  // Cancelled when Stop was called meanwhile, or DeadlineExceeded after `timeout` (the Manager goes
  // on trying; call WaitState or Stop). May be called once.
  absl::Status Start(std::chrono::milliseconds timeout = std::chrono::hours(24 * 365));

  // Releases every partition, lets the release hooks drain (bounded by Config::stop_timeout),
  // leaves the group and disconnects. No hook runs after it returned. Idempotent.
  //
  // DeadlineExceeded names a hook, source or strategy that has not returned in time: no further one
  // begins, but what it uses must stay alive until it returns. Call Stop again to wait on; the
  // destructor waits however long it takes. Aborted, once that has returned: an on_release or
  // on_lost behind it was never called, so what the application does for its partitions may go on.
  absl::Status Stop();

  // True while this worker holds a valid claim to the partition. Lock-free, about 100 ns: meant to
  // be asked for each message. A claim can end right after the answer: pass the fencing token to
  // stores that can check it. Where on_release waits for work in flight, count the work in before
  // asking: a call that began before the claim ended may still say yes.
  bool Owns(std::string_view partition_id) const;

  // The token, if owned now.
  std::optional<FencingToken> TokenFor(std::string_view partition_id) const;

  std::string worker_id() const;  // empty before the first life
  std::uint64_t incarnation() const;
  bool is_leader() const;
  State state() const;
  Assignment current_assignment() const;

  // For probes, and for whoever looks. Cheap; before Start and after Stop, too.
  WorkerHealth Health() const;
  WorkerStatus Status() const;

  // True when the worker is in `state`, or enters it within `timeout`, however briefly. False at
  // once when it has ended and will enter no state any more.
  bool WaitState(State state, std::chrono::milliseconds timeout) const;

  // Asks this worker's source for the partitions again, in the background. What the leader lists
  // counts: call it in every worker, or in the leader.
  void RefreshPartitions();

  // Has the leader ask the strategy again although nothing changed that parti knows of. Has an
  // effect in the leader only: call it in every worker, or in the leader.
  void TriggerRebalance();

 private:
  class Impl;
  explicit Manager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace parti

#endif  // PARTI_MANAGER_H_
