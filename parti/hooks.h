// How the application learns what it owns: hooks for the work, an observer for the record.
#ifndef PARTI_HOOKS_H_
#define PARTI_HOOKS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "parti/assignment.h"
#include "parti/export.h"
#include "parti/state.h"

namespace parti {

struct AssignmentChange {
  Assignment assignment;  // now in force
  std::vector<OwnedPartition> added;
  std::vector<OwnedPartition> removed;
};

// All hooks run on one thread of the Manager, in the order of what happened, one at a time; only
// on_release and on_lost overtake calls of on_acquire that have not begun, and those for the same
// partitions are dropped. A slow hook delays the hooks after it, never a heartbeat. Exceptions are
// caught and reported to on_error. No hook runs after Manager::Stop returned. Hooks may call the
// Manager, except Stop. Each may be empty.
struct Hooks {
  // Begin work on a partition. Owns() is true already. An error gives the partition back, with the
  // error's message as the reason: Owns() turns false, and on_release comes for it, for other
  // threads may work on whatever Owns() allows; its next owner starts when that has returned.
  std::function<absl::Status(const OwnedPartition&)> on_acquire;

  // End work on these, and return when nothing of it is in flight: the next owner starts after
  // that. Comes also where on_acquire was dropped or failed, for Owns() was true. It is false
  // already. `bound`: time to be done by; after Config::release_timeout the leader evicts this
  // worker.
  std::function<void(std::span<const OwnedPartition>, std::chrono::milliseconds bound)> on_release;

  // The claim to these has ended already, without asking: stop work on them at once. Return when
  // nothing of it is in flight; this worker takes new partitions only after that.
  std::function<void(std::span<const OwnedPartition>, std::string_view reason)> on_lost;

  std::function<void(const AssignmentChange&)> on_assignment_changed;
  std::function<void(State from, State to)> on_state;
  std::function<void(bool gained, std::uint64_t epoch)> on_leadership;
  // Errors and warnings that a person should see; the same goes to the Logger.
  std::function<void(const absl::Status&)> on_error;
};

// A record of ownership as it happens, for audit logs and checkers. Unlike hooks, each call is made
// at the very instant that bounds a claim, on the Manager's own thread: it must return quickly, for
// while it runs no heartbeat is sent (an observer that blocks ends the lease, which is safe but
// costly). A claim to a partition lasts from OnAcquired to OnReleased, OnLost or the latest `until`
// of OnLease, whichever is first. `now` and `until` are CLOCK_BOOTTIME in ns.
class PARTI_EXPORT OwnershipObserver {
 public:
  virtual ~OwnershipObserver() = default;
  // A life began under this id; what follows until the next OnStarted belongs to it.
  virtual void OnStarted(std::int64_t /*now*/, std::string_view /*worker*/,
                         std::uint64_t /*incarnation*/) {}
  virtual void OnState(std::int64_t /*now*/, State /*from*/, State /*to*/) {}
  virtual void OnLeader(std::int64_t /*now*/, bool /*gained*/, std::uint64_t /*epoch*/) {}
  // Before Owns() can be true.
  virtual void OnAcquired(std::int64_t /*now*/, std::uint64_t /*epoch*/, std::uint64_t /*version*/,
                          std::span<const OwnedPartition>) {}
  // After Owns() is false and the work has drained.
  virtual void OnReleased(std::int64_t /*now*/, std::span<const OwnedPartition>) {}
  virtual void OnLost(std::int64_t /*now*/, std::span<const OwnedPartition>) {}
  // Before the extended lease is used.
  virtual void OnLease(std::int64_t /*now*/, std::int64_t /*until*/) {}
  virtual void OnStopped(std::int64_t /*now*/) {}
};

}  // namespace parti

#endif  // PARTI_HOOKS_H_
