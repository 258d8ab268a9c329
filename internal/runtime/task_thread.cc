#include "internal/runtime/task_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "internal/runtime/clock.h"

namespace parti::runtime {

TaskThread::TaskThread(std::function<void()> on_thread_start)
    : on_thread_start_(std::move(on_thread_start)) {}

TaskThread::~TaskThread() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    tasks_.clear();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void TaskThread::Post(Task task) {
  const std::lock_guard lock(mutex_);
  Insert(tasks_.end(), std::move(task));
}

void TaskThread::PostAhead(Task task) {
  const std::lock_guard lock(mutex_);
  const auto overtaken = std::find_if(tasks_.begin(), tasks_.end(),
                                      [](const Task& waiting) { return waiting.can_wait; });
  Insert(overtaken, std::move(task));
}

// With mutex_ held.
void TaskThread::Insert(std::deque<Task>::iterator before, Task task) {
  if (finishing_) return;
  tasks_.insert(before, std::move(task));
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { Run(); });
  } else {
    changed_.notify_all();
  }
}

std::optional<std::string> TaskThread::Finish(core::Nanos deadline) {
  std::unique_lock lock(mutex_);
  finishing_ = true;
  changed_.notify_all();
  const core::Nanos left = std::max<core::Nanos>(0, deadline - BootNow());
  changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::nanoseconds(left),
                      [this] { return tasks_.empty() && !running_; });
  for (const Task& task : tasks_) {
    if (task.owed && !dropped_) dropped_ = task.name;
  }
  tasks_.clear();
  return running_;
}

std::optional<std::string> TaskThread::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

TaskThread::Activity TaskThread::activity() const {
  const std::lock_guard lock(mutex_);
  return {running_.value_or(""), running_ ? running_since_ : 0, tasks_.size()};
}

void TaskThread::Run() {
  if (on_thread_start_) on_thread_start_();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !tasks_.empty() || finishing_; });
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    running_ = std::move(task.name);
    running_since_ = BootNow();
    lock.unlock();
    task.run();
    // What the task captured is released before it counts as over.
    task.run = nullptr;
    lock.lock();
    running_.reset();
    changed_.notify_all();
  }
}

}  // namespace parti::runtime
