// The life cycle of one Manager: starts the loop, the hook thread and the planner, and stops them
// in an order in which nobody calls into something that is gone.
#ifndef PARTI_INTERNAL_RUNTIME_RUNTIME_H_
#define PARTI_INTERNAL_RUNTIME_RUNTIME_H_

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "internal/runtime/event_queue.h"
#include "internal/runtime/hook_runner.h"
#include "internal/runtime/loop.h"
#include "internal/runtime/ownership.h"
#include "internal/runtime/planner.h"
#include "internal/runtime/recorder.h"
#include "internal/runtime/status_board.h"
#include "parti/metrics.h"
#include "parti/status.h"

namespace parti::runtime {

struct RuntimeOptions {
  core::Settings settings;
  core::Nanos list_backoff_min = 200 * core::kMillisecond;
  core::Nanos list_backoff_max = 30 * core::kSecond;
  KvFactory kv_factory;
  std::shared_ptr<PartitionSource> source;
  std::shared_ptr<const AssignmentStrategy> strategy;
  Hooks hooks;
  std::shared_ptr<OwnershipObserver> observer;  // may be null
  std::shared_ptr<Logger> logger;               // may be null
  std::shared_ptr<Metrics> metrics;             // may be null
  std::string group;                            // for Status
};

// Thread safety and meaning: as Manager's methods of the same name.
class Runtime {
 public:
  explicit Runtime(RuntimeOptions options);
  // Stops. A hook that still runs is waited for, however long it takes.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  absl::Status Start(std::chrono::milliseconds timeout);
  absl::Status Stop();

  void RefreshPartitions();
  void TriggerRebalance();

  WorkerStatus Status() const;
  WorkerHealth Health() const;

  const Ownership& ownership() const { return ownership_; }
  const StatusBoard& board() const { return board_; }

 private:
  absl::Status FinishTasks();
  void LogError(const absl::Status& status) const;

  const RuntimeOptions options_;
  // In this order: each part is used by those below it.
  const Recorder recorder_;
  EventQueue queue_;
  StatusBoard board_;
  Ownership ownership_;
  HookRunner hooks_;
  Planner planner_;
  Loop loop_;

  std::mutex launch_mutex_;
  bool launched_ = false;
  std::mutex stop_mutex_;  // held for the length of Stop
  std::thread loop_thread_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_RUNTIME_H_
