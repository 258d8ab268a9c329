// A worker that works: a Manager, and a thread that appends to the fenced register for every
// partition that the Manager owns, over a connection of its own.
//
//   chaos_worker worker --server URL --prefix P --partitions N --preset fast --events FILE
//                [--set NAME=VALUE…] [--name NAME] [--break WHAT]
//
// Takes what `parti worker` takes of these, so that a WorkerGroup can start it. What the register
// refuses, or another's write overtakes, goes to FILE.register, one JSON object a line. `--break`
// makes a worker with which a run has to fail: "claims" never stops working on what it once had,
// and compares no tokens; "lease" never stops either, but heeds tokens that are greater than its
// own; "cas" writes over whatever another has written since it read.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "parti/cli/event_log.h"
#include "parti/cli/stderr_logger.h"
#include "parti/cli/wakeup.h"
#include "parti/manager.h"
#include "strategies/strategies.h"
#include "test/chaos/nats_client.h"
#include "test/chaos/register.h"

namespace parti::chaos {
namespace {

constexpr std::chrono::milliseconds kBetweenRounds(60);

struct Options {
  std::string server;
  std::string prefix;
  std::string preset = "fast";
  std::string events;
  std::string name;
  std::string strategy;
  std::string broken;
  int partitions = 0;
  std::vector<std::string> settings;
};

// What the partitions' owner does: it reads and writes the register in turn for all that it has.
class Work {
 public:
  Work(const Options& options, const Manager* const* manager)
      : manager_(*manager),
        name_(options.name),
        never_stops_(options.broken == "claims" || options.broken == "lease"),
        client_(options.server),
        register_(&client_, options.prefix + "-register",
                  {.compares_tokens = options.broken != "claims",
                   .compares_revisions = options.broken != "cas"}),
        log_(options.events + ".register", std::ios::app) {}

  void Begin(const std::string& partition) {
    const std::lock_guard lock(mutex_);
    owned_.insert(partition);
    changed_.notify_all();
  }

  // Returns when no write for it is in flight.
  void End(std::span<const OwnedPartition> partitions) {
    if (never_stops_) return;
    std::unique_lock lock(mutex_);
    for (const OwnedPartition& partition : partitions) owned_.erase(partition.id);
    changed_.wait(lock, [&] {
      return std::none_of(partitions.begin(), partitions.end(),
                          [&](const OwnedPartition& p) { return p.id == in_flight_; });
    });
  }

  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const std::vector<std::string> round(owned_.begin(), owned_.end());
      for (const std::string& partition : round) {
        if (stopping_ || !owned_.contains(partition)) continue;
        in_flight_ = partition;
        lock.unlock();
        WriteFor(partition);
        lock.lock();
        in_flight_.clear();
        changed_.notify_all();
      }
      changed_.wait_for(lock, kBetweenRounds, [&] { return stopping_; });
    }
  }

  void Stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }

 private:
  void WriteFor(const std::string& partition) {
    RegisterEntry entry{.partition = partition, .writer = name_, .asked = BootNow()};
    const std::optional<FencingToken> token = manager_->TokenFor(partition);
    if (token.has_value()) {
      last_token_[partition] = {token->epoch, token->version};
    } else if (!never_stops_ || !last_token_.contains(partition)) {
      return;
    }
    entry.token = last_token_[partition];
    const WriteResult result = register_.Append(entry);
    if (result.outcome == WriteOutcome::kRefused) NoteRefusal(entry, *result.stored);
    if (result.outcome == WriteOutcome::kConflict) {
      log_ << R"({"conflict":true})" << std::endl;
    }
  }

  // A newer owner has written. If this worker owns the partition even now, under the older token,
  // two own it.
  void NoteRefusal(const RegisterEntry& entry, const RegisterEntry& stored) {
    const std::optional<FencingToken> now = manager_->TokenFor(entry.partition);
    const bool still =
        now.has_value() && now->epoch == entry.token.epoch && now->version == entry.token.version;
    const nlohmann::ordered_json line{
        {"t", BootNow()},
        {"partition", entry.partition},
        {"writer", entry.writer},
        {"token", {entry.token.epoch, entry.token.version}},
        {"stored", {stored.token.epoch, stored.token.version}},
        {"by", stored.writer},
        {"sequence", stored.sequence},
        {"still_owned", still},
    };
    log_ << line.dump() << std::endl;
  }

  const Manager* const& manager_;
  const std::string name_;
  const bool never_stops_;
  NatsClient client_;
  FencedRegister register_;
  std::ofstream log_;
  std::map<std::string, Token> last_token_;  // of the writing thread alone
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> owned_;
  std::string in_flight_;
  bool stopping_ = false;
};

int Fail(const absl::Status& status) {
  fmt::print(stderr, "chaos_worker: {}\n", status.ToString());
  return 1;
}

int Run(const Options& options) {
  cli::Wakeup wakeup;  // before any other thread
  absl::StatusOr<Config> config = Config::Preset(options.preset);
  if (!config.ok()) return Fail(config.status());
  config->prefix = options.prefix;
  for (const std::string& setting : options.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) return Fail(absl::InvalidArgumentError(setting));
    const absl::Status set = config->Set(setting.substr(0, equals), setting.substr(equals + 1));
    if (!set.ok()) return Fail(set);
  }
  auto log = cli::EventLog::Open(options.events, [&](const absl::Status& status) {
    Fail(status);
    wakeup.Notify();
  });
  if (!log.ok()) return Fail(log.status());
  std::vector<Partition> partitions;
  for (int i = 0; i < options.partitions; ++i) {
    partitions.push_back({.keys = {"p", std::to_string(i)}});
  }
  const Manager* manager_seen = nullptr;
  Work work(options, &manager_seen);
  Hooks hooks;
  hooks.on_acquire = [&](const OwnedPartition& partition) {
    work.Begin(partition.id);
    return absl::OkStatus();
  };
  hooks.on_release = [&](std::span<const OwnedPartition> owned, std::chrono::milliseconds) {
    work.End(owned);
  };
  hooks.on_lost = [&](std::span<const OwnedPartition> owned, std::string_view) { work.End(owned); };
  std::atomic<bool> ended{false};
  hooks.on_state = [&](State, State to) {
    if (to == State::kShutdown && !ended.exchange(true)) wakeup.Notify();
  };
  auto manager = Manager::Create({.config = *config,
                                  .nats = {.url = options.server},
                                  .source = std::make_shared<StaticPartitionSource>(partitions),
                                  .strategy = MakeConsistentHash(),
                                  .hooks = hooks,
                                  .observer = *std::move(log),
                                  .logger = std::make_shared<cli::StderrLogger>(LogLevel::kInfo)});
  if (!manager.ok()) return Fail(manager.status());
  manager_seen = manager->get();
  std::thread starter([&] {
    if (!(*manager)->Start().ok()) wakeup.Notify();
  });
  std::thread writer([&] { work.Run(); });
  const int signal = wakeup.Wait();
  ended = true;
  const absl::Status stopped = (*manager)->Stop();
  starter.join();
  work.Stop();
  writer.join();
  if (!stopped.ok()) return Fail(stopped);
  return signal == cli::Wakeup::kNotified ? 1 : 0;
}

}  // namespace
}  // namespace parti::chaos

int main(int argc, char** argv) {
  parti::chaos::Options options;
  CLI::App app{"A worker that appends to a fenced register for every partition that it owns."};
  CLI::App* worker = app.add_subcommand("worker");
  app.require_subcommand(1);
  worker->add_option("--server", options.server)->required();
  worker->add_option("--prefix", options.prefix)->required();
  worker->add_option("--partitions", options.partitions)->required();
  worker->add_option("--preset", options.preset);
  worker->add_option("--events", options.events)->required();
  worker->add_option("--strategy", options.strategy);
  worker->add_option("--name", options.name)->required();
  worker->add_option("--set", options.settings)->allow_extra_args(false);
  worker->add_option("--break", options.broken)
      ->check(CLI::IsMember({"", "claims", "lease", "cas"}));
  CLI11_PARSE(app, argc, argv);
  return parti::chaos::Run(options);
}
