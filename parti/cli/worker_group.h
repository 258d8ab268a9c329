// Worker processes on one server, and the observer over their event logs: what `parti demo` and the
// integration tests share.
//
//   WorkerGroup group({.binary = "/proc/self/exe", .url = server->url(), .folder = folder, …});
//   std::size_t a = group.Spawn("a").value();
//   … group.Poll() every now and then, until group.Settled(…) …
//
// Thread safety: none.
#ifndef PARTI_CLI_WORKER_GROUP_H_
#define PARTI_CLI_WORKER_GROUP_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/log_tail.h"
#include "parti/cli/observer.h"
#include "parti/cli/process.h"

namespace parti::cli {

struct WorkerGroupOptions {
  std::string binary = "/proc/self/exe";
  std::string url = {};
  std::string folder = {};  // for event logs and standard error
  std::string prefix = "demo";
  int partitions = 24;
  std::string strategy = {};  // empty: the worker's default
  std::string preset = "fast";
  std::vector<std::string> settings = {};  // name=value, for every worker
};

// What one worker has that the others haven't.
struct SpawnOptions {
  std::string url = {};                                 // empty: the group's
  std::string binary = {};                              // empty: the group's
  std::vector<std::string> arguments = {};              // further ones of `parti worker`
  std::map<std::string, std::string> environment = {};  // in addition to the inherited one
};

// CLOCK_BOOTTIME in ns, the clock of the event logs.
std::int64_t BootNanos();

class WorkerGroup {
 public:
  explicit WorkerGroup(WorkerGroupOptions options);

  // Starts a worker process. Its number is its process number at the observer. `settings` are for
  // it alone. Names must differ.
  absl::StatusOr<std::size_t> Spawn(const std::string& name,
                                    const std::vector<std::string>& settings = {},
                                    const SpawnOptions& more = {});

  // Reads what the logs have got, and notices processes that ended.
  void Poll();

  // SIGTERM: it is to release everything and go.
  void Terminate(std::size_t worker);
  // SIGKILL, and waits until it is gone.
  void Kill(std::size_t worker);
  // SIGSTOP and SIGCONT. A paused worker doesn't count as living.
  void Pause(std::size_t worker);
  void Resume(std::size_t worker);
  // Whether a worker that runs counts as living: one that is cut off from the server doesn't.
  void SetAside(std::size_t worker, bool aside) { workers_[worker].aside = aside; }
  // After Kill: tells the observer that its claims have ended with it; see Observer::ProcessGone.
  void CountAsGone(std::size_t worker);

  // Terminates all and waits; kills what is left after `timeout`. Reads the logs to their ends.
  void StopAll(std::chrono::milliseconds timeout);
  // True when no process is left.
  bool AllEnded() const;

  // Workers that run and are meant to go on.
  std::vector<std::size_t> Living() const;
  bool Running(std::size_t worker) const { return !workers_[worker].exit.has_value(); }
  const std::optional<ExitStatus>& exit(std::size_t worker) const { return workers_[worker].exit; }
  std::optional<std::size_t> Leader() const;

  // Empty when every partition is held by a living worker, every living worker has applied its
  // assignment, one of them leads without being about to rebalance, and nothing has moved for
  // `quiet` at least. Else what is missing. (A strategy may leave a worker without any partition.)
  std::string WhyUnsettled(std::chrono::milliseconds quiet) const;
  bool Settled(std::chrono::milliseconds quiet) const { return WhyUnsettled(quiet).empty(); }

  // A process that ended without having been told to: who, how, and the end of its standard error.
  // Empty if there is none.
  std::string UnexpectedEnd() const;
  // The last lines of a worker's standard error.
  std::string ErrorTail(std::size_t worker, std::size_t lines = 8) const;
  // States, leases and error tails of all workers, for a failure message.
  std::string Describe() const;

  Observer& observer() { return observer_; }
  const Observer& observer() const { return observer_; }
  std::size_t size() const { return workers_.size(); }
  const std::string& name(std::size_t worker) const { return workers_[worker].name; }
  pid_t pid(std::size_t worker) const { return workers_[worker].process->pid(); }
  std::string ErrorFile(std::size_t worker) const;
  std::string EventFile(std::size_t worker) const;

 private:
  struct Member {
    std::string name;
    std::unique_ptr<Process> process;
    LogTail tail;
    bool told_to_end = false;
    bool paused = false;
    bool aside = false;
    std::optional<ExitStatus> exit = {};
    std::int64_t seen_gone = 0;
  };
  void NoticeEnd(std::size_t worker);

  const WorkerGroupOptions options_;
  Observer observer_;
  std::vector<Member> workers_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_WORKER_GROUP_H_
