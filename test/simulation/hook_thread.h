// The application of one process, as its hooks see it: one hook at a time, in order, each taking as
// long as it takes, sometimes failing.
#ifndef PARTI_TEST_SIMULATION_HOOK_THREAD_H_
#define PARTI_TEST_SIMULATION_HOOK_THREAD_H_

#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "internal/core/effect.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

class Process;

class HookThread {
 public:
  HookThread(Shared* shared, Process* process) : shared_(*shared), process_(*process) {}

  void Queue(core::RunRelease hook);
  void Queue(core::RunLost hook);
  void Queue(const core::RunAcquire& hook);

  // Stories and targeted schedules: every hook waits until it is let go; acquires fail with a
  // reason.
  void Hold() { held_ = true; }
  void LetGo();
  void FailAcquires(std::string reason) { failing_ = std::move(reason); }
  void SucceedAcquires() { failing_.reset(); }

  bool idle() const { return !running_ && queue_.empty(); }

 private:
  using Job = std::variant<core::RunRelease, core::RunLost, OwnedPartition>;

  void RunNext();
  void Finish();
  Nanos Duration();

  Shared& shared_;
  Process& process_;
  std::deque<Job> queue_;
  bool running_ = false;
  bool held_ = false;
  std::optional<std::string> failing_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_HOOK_THREAD_H_
