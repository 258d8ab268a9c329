// Many workers in one process: real Managers, each with a connection, threads and an event log of
// its own. For tests in which a process per worker would be too much for a small machine.
//
//   crowd URL PARTITIONS COUNT FOLDER NAME [--in-turn] [SETTING=VALUE…]
//
// The workers are NAME-0 … NAME-(COUNT-1), by identity too; their logs are FOLDER/NAME-0.events and
// so on. They start at once, or with --in-turn each when the one before has its worker id. When all
// have one, a line with what they cost goes to standard output. SIGTERM stops them in order.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "parti/cli/event_log.h"
#include "parti/cli/stderr_logger.h"
#include "parti/cli/wakeup.h"
#include "parti/manager.h"
#include "strategies/strategies.h"

namespace parti::test {
namespace {

constexpr int kStoppers = 8;

// A line of /proc/self/status, such as "Threads:\t12".
std::string OwnStatus(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return line;
  }
  return name + "?";
}

class Crowd {
 public:
  Crowd(std::string url, int partitions, int count, std::string folder, std::string name)
      : url_(std::move(url)), folder_(std::move(folder)), name_(std::move(name)), count_(count) {
    for (int i = 0; i < partitions; ++i) {
      partitions_.push_back({.keys = {"p", std::to_string(i)}});
    }
  }

  int Run(const Config& config, bool in_turn) {
    const auto timeout = in_turn ? std::chrono::milliseconds(std::chrono::minutes(10))
                                 : std::chrono::milliseconds(0);
    for (int i = 0; i < count_; ++i) {
      if (absl::Status status = Add(config, i); !status.ok()) return Fail(status);
    }
    for (const auto& manager : managers_) {
      const absl::Status status = manager->Start(timeout);
      if (!status.ok() && !absl::IsDeadlineExceeded(status)) return Fail(status);
    }
    wakeup_.Wait();
    Stop();
    return failed_ ? 1 : 0;
  }

 private:
  absl::Status Add(Config config, int number) {
    config.identity = fmt::format("{}-{}", name_, number);
    auto log = cli::EventLog::Open(fmt::format("{}/{}.events", folder_, config.identity),
                                   [this](const absl::Status& status) { Fail(status); });
    if (!log.ok()) return log.status();
    Hooks hooks;
    // Each counts once, also if it should have to join again.
    hooks.on_state = [this, counted = false](State from, State to) mutable {
      const bool joins = from == State::kClaimingId && to != State::kShutdown;
      if (joins && !std::exchange(counted, true) && ++joined_ == count_) Announce();
    };
    auto manager = Manager::Create({
        .config = config,
        .nats = {.url = url_},
        .source = std::make_shared<StaticPartitionSource>(partitions_),
        .strategy = MakeConsistentHash(),
        .hooks = hooks,
        .observer = *std::move(log),
        .logger = logger_,
    });
    if (!manager.ok()) return manager.status();
    managers_.push_back(*std::move(manager));
    return absl::OkStatus();
  }

  void Announce() const {
    fmt::print("joined {} {}\n", OwnStatus("Threads:"), OwnStatus("VmRSS:"));
    std::fflush(stdout);
  }

  void Stop() {
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> stoppers;
    for (int i = 0; i < kStoppers; ++i) {
      stoppers.emplace_back([&] {
        for (std::size_t m = next++; m < managers_.size(); m = next++) {
          if (absl::Status status = managers_[m]->Stop(); !status.ok()) Fail(status);
        }
      });
    }
    for (std::thread& stopper : stoppers) stopper.join();
  }

  int Fail(const absl::Status& status) {
    failed_ = true;
    fmt::print(stderr, "{}\n", status.ToString());
    return 1;
  }

  const std::string url_;
  const std::string folder_;
  const std::string name_;
  const int count_;
  cli::Wakeup wakeup_;
  const std::shared_ptr<Logger> logger_ = std::make_shared<cli::StderrLogger>(LogLevel::kWarning);
  std::vector<Partition> partitions_;
  std::atomic<int> joined_{0};
  std::atomic<bool> failed_{false};
  std::vector<std::unique_ptr<Manager>> managers_;  // last: their threads use the others
};

int Main(int argc, char** argv) {
  if (argc < 6) {
    fmt::print(stderr,
               "usage: crowd URL PARTITIONS COUNT FOLDER NAME [--in-turn] [SETTING=VALUE…]\n");
    return 2;
  }
  Config config;
  bool in_turn = false;
  for (int i = 6; i < argc; ++i) {
    const std::string setting = argv[i];
    if (setting == "--in-turn") {
      in_turn = true;
      continue;
    }
    const std::size_t equals = setting.find('=');
    const absl::Status status =
        equals == std::string::npos
            ? absl::InvalidArgumentError("not SETTING=VALUE")
            : config.Set(setting.substr(0, equals), setting.substr(equals + 1));
    if (!status.ok()) {
      fmt::print(stderr, "{}: {}\n", setting, status.ToString());
      return 2;
    }
  }
  return Crowd(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), argv[4], argv[5])
      .Run(config, in_turn);
}

}  // namespace
}  // namespace parti::test

int main(int argc, char** argv) { return parti::test::Main(argc, argv); }
