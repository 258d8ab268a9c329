#include "internal/runtime/hook_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "internal/kv/unshared.h"
#include "internal/runtime/clock.h"
#include "internal/wire/printable.h"

namespace parti::runtime {

HookRunner::HookRunner(Hooks hooks, std::function<void()> on_thread_start,
                       std::function<void(core::Event)> post,
                       std::function<void(const absl::Status&)> report, const Recorder* recorder)
    : hooks_(std::move(hooks)),
      post_(std::move(post)),
      report_(std::move(report)),
      recorder_(recorder),
      thread_(std::move(on_thread_start)) {}

// Calls a hook. What it throws becomes an error, which is reported; what it returns is passed on.
template <typename Call>
absl::Status HookRunner::Guard(std::string_view hook, Call call) {
  std::string what;
  const core::Nanos began = BootNow();
  try {
    const absl::Status status = call();
    recorder_->Observe(Metric::kHookSeconds, BootNow() - began, {hook});
    if (!status.ok()) recorder_->Add(Metric::kHookFailures, {hook});
    return status;
  } catch (const std::exception& exception) {
    what = exception.what();
  } catch (...) {
    what = "something that is no std::exception";
  }
  recorder_->Observe(Metric::kHookSeconds, BootNow() - began, {hook});
  recorder_->Add(Metric::kHookFailures, {hook});
  absl::Status status = absl::InternalError(fmt::format("hook {} threw: {}", hook, what));
  report_(status);
  RunOnError(status);
  return status;
}

// on_error itself may throw; that goes to the log only.
void HookRunner::RunOnError(const absl::Status& status) {
  if (!hooks_.on_error) return;
  const core::Nanos began = BootNow();
  try {
    hooks_.on_error(status);
    recorder_->Observe(Metric::kHookSeconds, BootNow() - began, {"on_error"});
  } catch (const std::exception& exception) {
    recorder_->Observe(Metric::kHookSeconds, BootNow() - began, {"on_error"});
    recorder_->Add(Metric::kHookFailures, {"on_error"});
    report_(absl::InternalError(fmt::format("hook on_error threw: {}", exception.what())));
  } catch (...) {
    recorder_->Observe(Metric::kHookSeconds, BootNow() - began, {"on_error"});
    recorder_->Add(Metric::kHookFailures, {"on_error"});
    report_(absl::InternalError("hook on_error threw something that is no std::exception"));
  }
}

void HookRunner::RunOnRelease(const std::vector<OwnedPartition>& partitions, core::Nanos deadline) {
  if (!hooks_.on_release || partitions.empty()) return;
  const core::Nanos left = std::max<core::Nanos>(0, deadline - BootNow());
  (void)Guard("on_release", [&] {
    hooks_.on_release(partitions, std::chrono::milliseconds(left / core::kMillisecond));
    return absl::OkStatus();
  });
}

void HookRunner::DropAwaited(const std::vector<OwnedPartition>& partitions) {
  const std::lock_guard lock(mutex_);
  for (const OwnedPartition& partition : partitions) awaited_.erase(partition);
}

bool HookRunner::TakeAwaited(const OwnedPartition& partition) {
  const std::lock_guard lock(mutex_);
  return awaited_.erase(partition) > 0;
}

// Release, Lost and Acquire take their turn also when there is no hook to call: work has drained
// only when the hook that runs now has returned.
void HookRunner::Release(core::RunRelease release) {
  DropAwaited(release.partitions);
  const bool owed = hooks_.on_release != nullptr && !release.partitions.empty();
  thread_.PostAhead({"on_release",
                     [this, release = std::move(release)] {
                       RunOnRelease(release.partitions, release.deadline);
                       post_(core::ReleaseDone{release.ticket});
                     },
                     /*can_wait=*/false, owed});
}

void HookRunner::Lost(core::RunLost lost) {
  DropAwaited(lost.partitions);
  const bool owed = hooks_.on_lost != nullptr && !lost.partitions.empty();
  thread_.PostAhead({"on_lost",
                     [this, lost = std::move(lost)] {
                       if (hooks_.on_lost && !lost.partitions.empty()) {
                         (void)Guard("on_lost", [&] {
                           hooks_.on_lost(lost.partitions, lost.reason);
                           return absl::OkStatus();
                         });
                       }
                       post_(core::LostDone{lost.ticket});
                     },
                     /*can_wait=*/false, owed});
}

// A task for each, so that those that have not begun can be dropped.
void HookRunner::Acquire(core::RunAcquire acquire) {
  for (OwnedPartition& partition : acquire.partitions) {
    {
      const std::lock_guard lock(mutex_);
      awaited_.insert(partition);
    }
    thread_.Post({"on_acquire",
                  [this, partition = std::move(partition)] {
                    absl::Status status;
                    if (TakeAwaited(partition) && hooks_.on_acquire) {
                      status = Guard("on_acquire", [&] { return hooks_.on_acquire(partition); });
                    }
                    post_(core::AcquireDone{partition.id, partition.token, kv::Unshared(status)});
                  },
                  /*can_wait=*/true});
  }
}

void HookRunner::GiveBack(const core::AcquireDone& failed, core::Nanos deadline) {
  thread_.PostAhead(
      {"on_release",
       [this, partition = OwnedPartition{failed.partition, failed.token},
        status = kv::Unshared(failed.status), deadline] {
         RunOnRelease({partition}, deadline);
         post_(core::AcquireDone{partition.id, partition.token, kv::Unshared(status)});
       },
       /*can_wait=*/false, /*owed=*/true});
}

void HookRunner::AssignmentChanged(AssignmentChange change) {
  if (!hooks_.on_assignment_changed) return;
  thread_.Post({"on_assignment_changed", [this, change = std::move(change)] {
                  (void)Guard("on_assignment_changed", [&] {
                    hooks_.on_assignment_changed(change);
                    return absl::OkStatus();
                  });
                }});
}

void HookRunner::StateChanged(State from, State to) {
  if (!hooks_.on_state) return;
  thread_.Post({"on_state", [this, from, to] {
                  (void)Guard("on_state", [&] {
                    hooks_.on_state(from, to);
                    return absl::OkStatus();
                  });
                }});
}

void HookRunner::LeadershipChanged(bool gained, std::uint64_t epoch) {
  if (!hooks_.on_leadership) return;
  thread_.Post({"on_leadership", [this, gained, epoch] {
                  (void)Guard("on_leadership", [&] {
                    hooks_.on_leadership(gained, epoch);
                    return absl::OkStatus();
                  });
                }});
}

void HookRunner::Error(const absl::Status& status) {
  if (!hooks_.on_error) return;
  // (The task's alone: see unshared.h.)
  absl::Status clean(status.code(), wire::Printable(std::string(status.message())));
  thread_.Post({"on_error", [this, clean = std::move(clean)] { RunOnError(clean); }});
}

}  // namespace parti::runtime
