// Runs what the application brings to plan with, the partition source and the strategy, on one
// thread: either may take its time.
#ifndef PARTI_INTERNAL_RUNTIME_PLANNER_H_
#define PARTI_INTERNAL_RUNTIME_PLANNER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/runtime/recorder.h"
#include "internal/runtime/task_thread.h"
#include "parti/partition_source.h"
#include "parti/strategy.h"

namespace parti::runtime {

// Thread safety: every method from any thread, except Finish from a source or strategy.
class Planner {
 public:
  // `post` takes the answers: PartitionsListed or PartitionsFailed, and StrategyDone.
  Planner(std::shared_ptr<PartitionSource> source,
          std::shared_ptr<const AssignmentStrategy> strategy, std::function<void()> on_thread_start,
          std::function<void(core::Event)> post, const Recorder* recorder);

  // Lists the partitions, after this call began. Calls that come before that are one.
  void List();

  void Plan(const core::RunStrategy& run);

  // See TaskThread::Finish.
  std::optional<std::string> Finish(core::Nanos deadline) { return thread_.Finish(deadline); }

 private:
  core::Event ListNow();
  absl::StatusOr<std::vector<std::int32_t>> PlanNow(const core::PlanInput& input) const;

  const std::shared_ptr<PartitionSource> source_;
  const std::shared_ptr<const AssignmentStrategy> strategy_;
  const std::function<void(core::Event)> post_;
  const Recorder* const recorder_;
  std::atomic<bool> list_posted_{false};  // and not begun yet
  TaskThread thread_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_PLANNER_H_
