// A thread that runs the application's code, so that the loop never has to wait for it: one for
// the hooks, one for the partition source and the strategy.
#ifndef PARTI_INTERNAL_RUNTIME_TASK_THREAD_H_
#define PARTI_INTERNAL_RUNTIME_TASK_THREAD_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "internal/core/time.h"

namespace parti::runtime {

// Runs tasks one at a time, in the order of Post except for PostAhead. The thread starts with the
// first task.
//
// Thread safety: every method from any thread, except that Finish and the destructor must not be
// called by a task.
class TaskThread {
 public:
  struct Task {
    std::string name;           // for the error about one that doesn't return
    std::function<void()> run;  // throws nothing
    bool can_wait = false;      // PostAhead may overtake it
    bool owed = false;          // if it is dropped, that is remembered
  };

  // `on_thread_start` runs first thing on the thread.
  explicit TaskThread(std::function<void()> on_thread_start = {});
  // Runs no further task, and waits for the running one however long it takes.
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  // Dropped after Finish.
  void Post(Task task);

  // The task runs before all that can wait and have not begun, and so before what follows those.
  void PostAhead(Task task);

  // Takes no further task, lets those posted before run, and waits for them. At `deadline`
  // (CLOCK_BOOTTIME) those that have not begun are dropped, and the name of the one that still runs
  // is returned. May be called again, to wait longer.
  std::optional<std::string> Finish(core::Nanos deadline);

  // The name of the first owed task that Finish dropped.
  std::optional<std::string> dropped() const;

  struct Activity {
    std::string running;      // its name; empty: none
    core::Nanos since = 0;    // when that began
    std::size_t waiting = 0;  // how many tasks have not begun
  };
  Activity activity() const;

 private:
  void Insert(std::deque<Task>::iterator before, Task task);
  void Run();

  const std::function<void()> on_thread_start_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::optional<std::string> running_;
  std::optional<std::string> dropped_;
  core::Nanos running_since_ = 0;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_TASK_THREAD_H_
