#include "internal/runtime/event_queue.h"

#include <chrono>
#include <utility>

#include "internal/runtime/clock.h"

namespace parti::runtime {

void EventQueue::Push(Incoming incoming) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  events_.push_back(std::move(incoming));
  // Under the lock: a waiter that takes the event may destroy this queue.
  if (events_.size() == 1) pushed_.notify_one();
}

std::vector<Incoming> EventQueue::Wait(core::Nanos deadline) {
  std::unique_lock lock(mutex_);
  const auto some = [this] { return !events_.empty() || closed_; };
  if (deadline == core::kNever) {
    pushed_.wait(lock, some);
  } else if (const core::Nanos left = deadline - BootNow(); left > 0) {
    // A condition variable knows no CLOCK_BOOTTIME. The remaining time is the same on the steady
    // clock, which only stands still while the machine is suspended.
    pushed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::nanoseconds(left),
                       some);
  }
  return std::exchange(events_, {});
}

void EventQueue::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  events_.clear();
  pushed_.notify_one();
}

}  // namespace parti::runtime
