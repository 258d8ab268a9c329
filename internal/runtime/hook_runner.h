// Runs the application's hooks on their thread, in order, and tells core what came of them.
#ifndef PARTI_INTERNAL_RUNTIME_HOOK_RUNNER_H_
#define PARTI_INTERNAL_RUNTIME_HOOK_RUNNER_H_

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/runtime/recorder.h"
#include "internal/runtime/task_thread.h"
#include "parti/hooks.h"

namespace parti::runtime {

// Hooks for partitions that go overtake on_acquire calls that have not begun: an application that
// takes its time with each of many new partitions would else be evicted before it could let go of
// one. Of the same partition, on_acquire is then dropped. on_release comes in any case: Owns() was
// true, so work may have begun without on_acquire.
//
// A hook that throws is reported to on_error; its work counts as drained, and a thrown on_acquire
// gives the partition back. A hook that isn't there has succeeded, in its turn. What names no
// partition calls no hook, but takes its turn, too.
//
// Thread safety: every method from any thread, except Finish from a hook.
class HookRunner {
 public:
  // `post` takes the answers (ReleaseDone, LostDone, AcquireDone); `report` takes what hooks threw.
  // `recorder` outlives this.
  HookRunner(Hooks hooks, std::function<void()> on_thread_start,
             std::function<void(core::Event)> post, std::function<void(const absl::Status&)> report,
             const Recorder* recorder);

  void Release(core::RunRelease release);
  void Lost(core::RunLost lost);
  void Acquire(core::RunAcquire acquire);
  // on_release for what on_acquire failed for; then the failure is told once more.
  void GiveBack(const core::AcquireDone& failed, core::Nanos deadline);
  void AssignmentChanged(AssignmentChange change);
  void StateChanged(State from, State to);
  void LeadershipChanged(bool gained, std::uint64_t epoch);
  void Error(const absl::Status& status);

  // See TaskThread::Finish.
  std::optional<std::string> Finish(core::Nanos deadline) { return thread_.Finish(deadline); }

  std::optional<std::string> dropped() const { return thread_.dropped(); }

  bool has_on_release() const { return hooks_.on_release != nullptr; }

  TaskThread::Activity activity() const { return thread_.activity(); }

 private:
  template <typename Call>
  absl::Status Guard(std::string_view hook, Call call);
  void RunOnError(const absl::Status& status);
  void RunOnRelease(const std::vector<OwnedPartition>& partitions, core::Nanos deadline);
  void DropAwaited(const std::vector<OwnedPartition>& partitions);
  bool TakeAwaited(const OwnedPartition& partition);

  const Hooks hooks_;
  const std::function<void(core::Event)> post_;
  const std::function<void(const absl::Status&)> report_;
  const Recorder* const recorder_;
  std::mutex mutex_;
  std::set<OwnedPartition> awaited_;  // on_acquire was posted, has not begun and was not dropped
  TaskThread thread_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_HOOK_RUNNER_H_
