// A child process: started, signalled, waited for, and never left behind.
//
//   auto worker = Process::Start({.argv = {"parti", "worker"}, .stdout_file = "w.log"});
//   (*worker)->Signal(SIGTERM);
//   std::optional<ExitStatus> exit = (*worker)->Wait(std::chrono::seconds(10));
//
// The child gets SIGKILL when this process ends, however it ends, and when the object is destroyed.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_CLI_PROCESS_H_
#define PARTI_CLI_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace parti::cli {

struct ProcessOptions {
  std::vector<std::string> argv = {};                   // argv[0] without '/': looked up on PATH
  std::map<std::string, std::string> environment = {};  // in addition to the inherited one
  std::string stdout_file = {};                         // appended to; empty: inherited
  std::string stderr_file = {};                         // the same; may be the same file
  bool pipe_stdout = false;  // instead of stdout_file: read from stdout_fd()
};

struct ExitStatus {
  int code = 0;    // valid if signal is 0
  int signal = 0;  // the signal that ended it, or 0
  bool ok() const { return code == 0 && signal == 0; }
  std::string ToString() const;  // "exit status 1", "signal 9"
};

class Process {
 public:
  // Returns once the program runs, or why it can't.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const ProcessOptions& options);

  // Kills it, if it still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  // The reading end of its standard output with pipe_stdout, else -1. Closed with the object.
  int stdout_fd() const { return stdout_fd_; }

  // FailedPrecondition if it has ended.
  absl::Status Signal(int signal);

  // SIGSTOP, and waits until every one of its threads stands still, or it has ended. SIGCONT undoes
  // it.
  void Freeze();

  bool Running();

  // How it ended, or nothing if it still runs after `timeout`.
  std::optional<ExitStatus> Wait(std::chrono::milliseconds timeout);

  // SIGKILL, and waits until it is gone.
  ExitStatus Kill();

 private:
  Process(pid_t pid, int stdout_fd) : pid_(pid), stdout_fd_(stdout_fd) {}
  bool Reap();  // with mutex_ held: true if it has ended

  const pid_t pid_;
  const int stdout_fd_;
  std::mutex mutex_;
  std::optional<ExitStatus> exit_;  // set: the pid may belong to someone else by now
};

}  // namespace parti::cli

#endif  // PARTI_CLI_PROCESS_H_
