#include "internal/runtime/runtime.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "internal/runtime/clock.h"
#include "internal/wire/printable.h"

namespace parti::runtime {
namespace {

// How long Stop waits, once the worker has left, for hooks that were still to run.
constexpr core::Nanos kFinishBound = 2 * core::kSecond;

// The runtime that the calling thread belongs to, if any: Stop would wait for that thread.
thread_local const Runtime* inside = nullptr;

}  // namespace

Runtime::Runtime(RuntimeOptions options)
    : options_(std::move(options)),
      recorder_(options_.metrics.get()),
      hooks_(
          options_.hooks, [this] { inside = this; },
          [this](core::Event event) { queue_.Push(std::move(event)); },
          [this](const absl::Status& status) {
            board_.SetError(std::string(status.message()));
            LogError(status);
          },
          &recorder_),
      planner_(
          options_.source, options_.strategy, [this] { inside = this; },
          [this](core::Event event) { queue_.Push(std::move(event)); }, &recorder_),
      loop_(options_.settings, options_.kv_factory,
            {.queue = &queue_,
             .ownership = &ownership_,
             .hooks = &hooks_,
             .planner = &planner_,
             .board = &board_,
             .observer = options_.observer.get(),
             .logger = options_.logger.get(),
             .recorder = &recorder_,
             .list_backoff_min = options_.list_backoff_min,
             .list_backoff_max = options_.list_backoff_max}) {}

Runtime::~Runtime() { (void)Stop(); }

absl::Status Runtime::Start(std::chrono::milliseconds timeout) {
  {
    const std::lock_guard lock(launch_mutex_);
    if (launched_) {
      return absl::FailedPreconditionError(
          "Start was called already; a Manager starts once, create another one");
    }
    if (board_.stopping()) return absl::CancelledError("Stop was called before Start");
    launched_ = true;
    board_.SetStarted();
    loop_thread_ = std::thread([this] {
      inside = this;
      loop_.Run();
    });
  }
  return board_.WaitForLife(timeout);
}

void Runtime::LogError(const absl::Status& status) const {
  if (!options_.logger) return;
  try {
    options_.logger->Log(LogLevel::kError, wire::Printable(std::string(status.message())));
  } catch (...) {
    // There is nowhere to tell it.
  }
}

absl::Status Runtime::Stop() {
  if (inside == this) {
    return absl::FailedPreconditionError(
        "Stop was called from a hook, source, strategy or observer, and would wait for itself; "
        "call it from a thread of the application");
  }
  {
    const std::lock_guard lock(launch_mutex_);
    if (board_.SetStopping()) queue_.Push(core::StopRequested{});
  }
  // Whoever comes second waits until the first is done, and finds nothing left to do.
  const std::lock_guard lock(stop_mutex_);
  if (loop_thread_.joinable()) loop_thread_.join();
  board_.SetState(State::kShutdown);
  board_.SetEnded();
  return FinishTasks();
}

// The loop is gone, so nothing new is posted. What was posted is still delivered, within a bound.
absl::Status Runtime::FinishTasks() {
  const core::Nanos deadline = BootNow() + kFinishBound;
  const std::optional<std::string> hook = hooks_.Finish(deadline);
  const std::optional<std::string> task = planner_.Finish(deadline);
  if (!hook && !task) {
    const std::optional<std::string> dropped = hooks_.dropped();
    if (!dropped) return absl::OkStatus();
    return absl::AbortedError(fmt::format(
        "{} was never called: the hook before it took longer than stop_timeout ({} ms); "
        "the worker owns nothing, but what the application does for its partitions may "
        "still be under way: end it, and raise stop_timeout",
        *dropped, options_.settings.stop_timeout / core::kMillisecond));
  }
  return absl::DeadlineExceededError(
      fmt::format("{} has not returned within stop_timeout ({} ms); the worker owns nothing and no "
                  "further hook begins, but what this one uses must stay alive until it returns",
                  hook ? *hook : *task, options_.settings.stop_timeout / core::kMillisecond));
}

WorkerStatus Runtime::Status() const {
  WorkerStatus status;
  status.group = options_.group;
  status.identity = options_.settings.identity;
  status.mode = options_.settings.mode == wire::Mode::kFast ? Mode::kFast : Mode::kExclusive;
  board_.Fill(&status);
  const TaskThread::Activity hooks = hooks_.activity();
  status.hook = hooks.running;
  if (!hooks.running.empty()) {
    status.hook_running = std::chrono::milliseconds((BootNow() - hooks.since) / core::kMillisecond);
  }
  status.hooks_waiting = hooks.waiting;
  return status;
}

WorkerHealth Runtime::Health() const {
  HealthFacts facts;
  facts.lease = options_.settings.lease;
  board_.Fill(&facts);
  return JudgeHealth(Status(), facts);
}

void Runtime::RefreshPartitions() {
  const std::lock_guard lock(launch_mutex_);
  if (launched_) planner_.List();
}

void Runtime::TriggerRebalance() { queue_.Push(core::RebalanceRequested{}); }

}  // namespace parti::runtime
