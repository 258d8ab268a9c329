#include "internal/kv/timers.h"

namespace parti::kv {

Timers::Timers() : thread_([this] { Run(); }) {}

Timers::~Timers() { Stop(); }

Timers::Id Timers::At(Clock::time_point time, std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  const Id id(time, next_id_++);
  if (stopping_) return id;
  const auto at = calls_.emplace(id, std::move(call)).first;
  if (at == calls_.begin()) changed_.notify_one();
  return id;
}

Timers::Id Timers::After(std::chrono::nanoseconds delay, std::function<void()> call) {
  return At(Clock::now() + std::chrono::duration_cast<Clock::duration>(delay), std::move(call));
}

void Timers::Cancel(const Id& id) {
  const std::lock_guard lock(mutex_);
  calls_.erase(id);
}

void Timers::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    calls_.clear();
    changed_.notify_one();
  }
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Timers::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (calls_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = calls_.begin();
    if (const Clock::time_point due = first->first.first; due > Clock::now()) {
      changed_.wait_until(lock, due);
      continue;
    }
    const std::function<void()> call = std::move(first->second);
    calls_.erase(first);
    lock.unlock();
    call();
    lock.lock();
  }
}

}  // namespace parti::kv
