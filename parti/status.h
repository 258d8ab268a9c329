// What a Manager tells about itself: for probes, and for whoever looks.
#ifndef PARTI_STATUS_H_
#define PARTI_STATUS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "parti/config.h"
#include "parti/state.h"

namespace parti {

// In the terms of Kubernetes's probes.
struct WorkerHealth {
  // False when a restart of the process would help and nothing else will: the Manager has ended by
  // itself (its group refused it, or somebody has to act), or its loop has not got on for as long
  // as a lease and for at least 10 s (an OwnershipObserver, Logger or Metrics that blocks). True
  // before Start and after Stop. NATS being away is no reason, for a restart wouldn't bring it
  // back; neither is a hook that takes long (WorkerStatus::hook tells).
  bool live = true;

  // True while the worker is a member in good standing: it has a worker id, its lease runs, and it
  // has applied an assignment or waits for one while somebody leads. Whether it owns any partition
  // doesn't matter: it may have none to own. False before it joined, while its lease is lost, and
  // from the moment when Stop was called.
  bool ready = false;

  // In plain words, why it isn't live, or else why it isn't ready. Empty if it is both.
  std::string why_not;
};

// A snapshot. Texts hold no secrets; what isn't known is empty or 0.
struct WorkerStatus {
  using Millis = std::chrono::milliseconds;

  std::string group;     // Config::prefix
  std::string identity;  // as recorded: Config::identity, or host name and pid
  Mode mode{};

  std::string worker_id;          // of the present life, or the last one; empty before the first
  std::uint64_t incarnation = 0;  // of that life
  std::uint64_t lives = 0;        // how many there were; each but the first began after a loss

  State state = State::kInit;
  Millis in_state{0};     // for how long
  Millis lease_left{0};   // 0: none runs. Fast mode: of a lease that doesn't end: Millis::max()
  bool stopping = false;  // Stop was called
  bool leader = false;
  std::uint64_t epoch = 0;  // while leading: of the term
  std::string calculator;   // while leading: Idle, Scaling, Rebalancing or Emergency

  bool connected = false;    // to NATS, with the buckets at hand
  std::string server;        // the one connected to last: host:port
  Millis connection_age{0};  // since it was connected, or lost the connection

  std::uint64_t assignment_epoch = 0;    // of the assignment applied last in this life; 0: none
  std::uint64_t assignment_version = 0;  // and its version
  std::size_t partitions = 0;            // owned

  std::string hook;        // the one that is running
  Millis hook_running{0};  // for how long
  std::size_t hooks_waiting = 0;

  std::uint64_t errors = 0;  // how many warnings and errors there were
  std::string last_error;    // the newest
  Millis last_error_age{0};
};

}  // namespace parti

#endif  // PARTI_STATUS_H_
