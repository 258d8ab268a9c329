#include "parti/cli/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "parti/cli/connection_flags.h"
#include "parti/cli/event_log.h"
#include "parti/cli/metrics_server.h"
#include "parti/cli/stderr_logger.h"
#include "parti/cli/wakeup.h"
#include "parti/manager.h"
#include "strategies/strategies.h"

namespace parti::cli {
namespace {

constexpr int kFailure = 1;
constexpr int kUsageError = 2;
// Who stops a process often tells it and its process group, which is one wish, not two.
constexpr std::chrono::milliseconds kSameSignal(300);

std::vector<Partition> NumberedPartitions(int count) {
  std::vector<Partition> partitions;
  partitions.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    // "p-7" is two keys: a hyphen within a key would be escaped in the id.
    partitions.push_back({.keys = {"p", std::to_string(i)}});
  }
  return partitions;
}

class WorkerLogger : public StderrLogger {
 public:
  using StderrLogger::StderrLogger;
  void Log(LogLevel level, std::string_view message) override {
    StderrLogger::Log(level, InFlagNames(std::string(message)));
  }
};

// One worker's run. Main waits, while other threads start and stop the Manager, so that a second
// signal is always heard.
class WorkerRun {
 public:
  explicit WorkerRun(const WorkerOptions& options)
      : options_(options), logger_(std::make_shared<WorkerLogger>(options.log_level)) {}

  int Run() {
    if (absl::Status status = Prepare(); !status.ok()) {
      Fail(status);
      return absl::IsInvalidArgument(status) ? kUsageError : kFailure;
    }
    std::thread starter([this] {
      // What for is in the log already.
      if (!manager_->Start().ok() && !stopping_) End();
    });
    std::thread stopper;
    std::chrono::steady_clock::time_point told_at;
    while (!stopped_) {
      const int signal = wakeup_.Wait();
      const auto now = std::chrono::steady_clock::now();
      if (signal != Wakeup::kNotified && stopper.joinable() && now - told_at > kSameSignal) {
        _exit(128 + signal);
      }
      if (stopper.joinable()) continue;
      if (signal != Wakeup::kNotified) {
        logger_->Log(LogLevel::kInfo, "stopping; a second signal ends at once");
      }
      told_at = now;
      stopping_ = true;
      stopper = std::thread([this] { Stop(); });
    }
    starter.join();
    stopper.join();
    return failed_ ? kFailure : 0;
  }

 private:
  absl::Status Prepare() {
    if (!options_.events.empty()) {
      auto log = EventLog::Open(options_.events, [this](const absl::Status& status) {
        Fail(status);
        End();
      });
      if (!log.ok()) return log.status();
      event_log_ = *std::move(log);
    }
    if (!options_.metrics.empty()) {
      auto server = MetricsServer::Open(options_.metrics, options_.config);
      if (!server.ok()) return server.status();
      metrics_server_ = *std::move(server);
      logger_->Log(LogLevel::kInfo, "metrics are at " + metrics_server_->url());
    }
    auto strategy = MakeStrategy(options_.strategy);
    if (!strategy.ok()) return strategy.status();
    auto manager = Manager::Create({
        .config = options_.config,
        .nats = options_.nats,
        .source = std::make_shared<StaticPartitionSource>(NumberedPartitions(options_.partitions)),
        .strategy = *std::move(strategy),
        .hooks = MakeHooks(),
        .observer = event_log_,
        .logger = logger_,
        .metrics = metrics_server_ ? metrics_server_->metrics() : nullptr,
    });
    if (!manager.ok()) return manager.status();
    manager_ = *std::move(manager);
    return absl::OkStatus();
  }

  Hooks MakeHooks() {
    Hooks hooks;
    if (options_.acquire_delay.count() > 0) {
      hooks.on_acquire = [this](const OwnedPartition&) {
        std::this_thread::sleep_for(options_.acquire_delay);
        return absl::OkStatus();
      };
    }
    if (options_.release_delay.count() > 0) {
      hooks.on_release = [this](std::span<const OwnedPartition>, std::chrono::milliseconds) {
        std::this_thread::sleep_for(options_.release_delay);
      };
    }
    // The Manager may end by itself: refused by its group. (What for is in the log.)
    hooks.on_state = [this](State, State to) {
      if (to == State::kShutdown && !stopping_) End();
    };
    return hooks;
  }

  // The run has failed; main stops what is left of it.
  void End() {
    failed_ = true;
    wakeup_.Notify();
  }

  void Stop() {
    if (absl::Status status = manager_->Stop(); !status.ok()) Fail(status);
    stopped_ = true;
    wakeup_.Notify();
  }

  void Fail(const absl::Status& status) {
    failed_ = true;
    logger_->Log(LogLevel::kError, std::string(status.message()));
  }

  const WorkerOptions options_;
  Wakeup wakeup_;
  const std::shared_ptr<StderrLogger> logger_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> failed_{false};
  std::shared_ptr<EventLog> event_log_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::unique_ptr<Manager> manager_;  // last: its threads use the others
};

}  // namespace

int RunWorker(const WorkerOptions& options) { return WorkerRun(options).Run(); }

}  // namespace parti::cli
