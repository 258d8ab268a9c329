#include "test/simulation/hook_thread.h"

#include <algorithm>
#include <utility>

#include "test/simulation/process.h"

namespace parti::simulation {

void HookThread::Queue(core::RunRelease hook) {
  queue_.emplace_back(std::move(hook));
  RunNext();
}

void HookThread::Queue(core::RunLost hook) {
  queue_.emplace_back(std::move(hook));
  RunNext();
}

void HookThread::Queue(const core::RunAcquire& hook) {
  for (const OwnedPartition& partition : hook.partitions) queue_.emplace_back(partition);
  RunNext();
}

void HookThread::LetGo() {
  held_ = false;
  RunNext();
}

Nanos HookThread::Duration() {
  const HookFaults& faults = shared_.scenario.hooks;
  Random& random = shared_.random;
  if (random.Chance(faults.stuck)) {
    shared_.tally.Add(Count::kHookStuck);
    return random.Between(0, faults.stuck_max);
  }
  if (random.Chance(faults.slow)) {
    shared_.tally.Add(Count::kHookSlow);
    return random.Exponential(faults.slow_mean);
  }
  return faults.typical == 0 ? 0 : random.Exponential(faults.typical);
}

void HookThread::RunNext() {
  if (running_ || held_ || queue_.empty()) return;
  running_ = true;
  const Nanos duration = Duration();
  shared_.last_fault = std::max(shared_.last_fault, shared_.now() + duration);
  shared_.queue.After(duration, [this] { process_.Run([this] { Finish(); }); });
}

void HookThread::Finish() {
  const Job job = std::move(queue_.front());
  queue_.pop_front();
  running_ = false;
  if (const auto* release = std::get_if<core::RunRelease>(&job)) {
    process_.HookReturned(*release);
  } else if (const auto* lost = std::get_if<core::RunLost>(&job)) {
    process_.HookReturned(*lost);
  } else {
    absl::Status status;
    if (failing_) {
      status = absl::UnavailableError(*failing_);
    } else if (shared_.random.Chance(shared_.scenario.hooks.fail_acquire)) {
      shared_.tally.Add(Count::kAcquireFailed);
      shared_.last_fault = std::max(shared_.last_fault, shared_.now());
      status = absl::UnavailableError("the acquire hook failed");
    }
    process_.HookReturned(std::get<OwnedPartition>(job), status);
  }
  RunNext();
}

}  // namespace parti::simulation
