// Groups that grow and shrink, restart one by one, and are large.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "parti/cli/log_tail.h"
#include "test/integration/cluster.h"

namespace parti::test {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kClaimWorkers = 1000;
constexpr int kClaimProcesses = 4;

// For what hundreds of workers do on two processors.
constexpr std::chrono::minutes kHeavyDeadline(8);

TEST(ScaleTest, OneWorkerTenWorkersOneWorker) {
  Cluster cluster({.partitions = 30,
                   .settings = {"heartbeat_ttl=6s", "election_ttl=6s", "assume_new_group=true",
                                "stop_timeout=60s"}});
  cluster.Start("w0");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  for (int i = 1; i < 10; ++i) cluster.Start(fmt::format("w{}", i));
  ASSERT_EQ(cluster.Await([&] {
    const auto living = cluster.group().Living();
    return std::all_of(living.begin(), living.end(),
                       [&](std::size_t worker) { return cluster.Owned(worker) == 3U; });
  }),
            "");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  // All but the last leave at once, the leader among them.
  for (std::size_t worker = 0; worker < 9; ++worker) cluster.group().Terminate(worker);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.Owned(9), 30U);
  EXPECT_EQ(cluster.Finish(), "");
}

// Each is stopped in order and started again under its own identity, the leader too. The group
// gives it the time: planned_scale_window and rebalance_cooldown are longer than a restart.
TEST(ScaleTest, ARollingRestartOfTenWorkersWithStableIdentitiesMovesNothing) {
  Cluster cluster(
      {.partitions = 40,
       .settings = {"heartbeat_ttl=20s", "election_ttl=20s", "assume_new_group=true",
                    "planned_scale_window=50s", "rebalance_cooldown=50s", "cold_start_window=3s"}});
  constexpr std::size_t kWorkers = 10;
  for (std::size_t i = 0; i < kWorkers; ++i) cluster.Start(fmt::format("w{}", i));
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto owners = cluster.OwnerIds();
  std::set<std::size_t> led;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    SCOPED_TRACE(fmt::format("w{}", i));
    if (cluster.group().Leader() == i) led.insert(i);
    const std::string id = cluster.observer().View(i).worker;
    cluster.group().Terminate(i);
    ASSERT_EQ(cluster.Await([&] { return !cluster.group().Running(i); }), "");
    const auto others = cluster.ClaimsOf(cluster.group().Living());
    const auto again = cluster.Start(fmt::format("w{}-again", i), {fmt::format("identity=w{}", i)});
    ASSERT_EQ(cluster.AwaitSettled(), "");
    EXPECT_EQ(cluster.observer().View(again).worker, id);
    EXPECT_EQ(cluster.Disturbed(others), "");
    EXPECT_EQ(cluster.OwnerIds(), owners);
  }
  EXPECT_THAT(led, Not(IsEmpty())) << "no leader was restarted";
  EXPECT_EQ(cluster.Finish(), "");
}

// Workers by the hundred: real ones, each with a connection of its own, many to a process.
class Crowd {
 public:
  Crowd(NatsServer& server, int processes, int in_each, int partitions,
        const std::vector<std::string>& arguments)
      : folder_(MakeTempDir()), observer_(PartitionIds(partitions)) {
    for (int p = 0; p < processes; ++p) {
      ProcessOptions options{
          .argv = {PARTI_CROWD, server.url(), fmt::format("{}", partitions),
                   fmt::format("{}", in_each), folder_->path(), fmt::format("crowd{}", p)},
          .stdout_file = OutputOf(p),
          .stderr_file = fmt::format("{}/crowd{}.err", folder_->path(), p)};
      options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
      processes_.push_back(StartProcess(options));
      for (int i = 0; i < in_each; ++i) {
        const std::string name = fmt::format("crowd{}-{}", p, i);
        observer_.AddProcess(name);
        tails_.emplace_back(fmt::format("{}/{}.events", folder_->path(), name));
      }
    }
  }

  // Until every one of them has a worker id; "" or why not.
  std::string AwaitJoined() {
    const bool joined = WaitFor(
        [&] {
          for (std::size_t p = 0; p < processes_.size(); ++p) {
            if (ReadFile(OutputOf(static_cast<int>(p))).empty()) return false;
          }
          return true;
        },
        kHeavyDeadline);
    Poll();
    return joined ? "" : fmt::format("{} of {} joined", Ids().size(), tails_.size());
  }

  // What they cost, as they say themselves.
  std::string Cost() const {
    std::string text;
    for (std::size_t p = 0; p < processes_.size(); ++p) {
      text += ReadFile(OutputOf(static_cast<int>(p)));
    }
    return text;
  }

  // The ids of the present lives.
  std::multiset<std::string> Ids() const {
    std::multiset<std::string> ids;
    for (std::size_t i = 0; i < tails_.size(); ++i) {
      if (observer_.View(i).lives > 0) ids.insert(observer_.View(i).worker);
    }
    return ids;
  }

  std::size_t Lives() const {
    std::size_t lives = 0;
    for (std::size_t i = 0; i < tails_.size(); ++i) lives += observer_.View(i).lives;
    return lives;
  }

  void Poll() {
    for (std::size_t i = 0; i < tails_.size(); ++i) {
      tails_[i].Poll([&](std::string_view line) { observer_.AddLine(i, line); });
    }
  }

  // Stops them in order. "" or what went wrong.
  std::string Stop() {
    for (const auto& process : processes_) process->Signal(SIGTERM).IgnoreError();
    std::string wrong;
    for (const auto& process : processes_) {
      const auto exit = process->Wait(kHeavyDeadline);
      if (!exit.has_value()) {
        wrong += "still running\n";
      } else if (!exit->ok()) {
        wrong += exit->ToString() + "\n";
      }
    }
    Poll();
    return wrong;
  }

  cli::Observer& observer() { return observer_; }

 private:
  static std::vector<std::string> PartitionIds(int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) ids.push_back(fmt::format("p-{}", i));
    return ids;
  }
  std::string OutputOf(int process) const {
    return fmt::format("{}/crowd{}.out", folder_->path(), process);
  }

  std::unique_ptr<TempDir> folder_;
  cli::Observer observer_;
  std::vector<cli::LogTail> tails_;
  std::vector<std::unique_ptr<Process>> processes_;
};

// 500 heartbeats a second; and if they put the decision off, it would come after the deadline, for
// debounce_cap is longer.
TEST(ScaleHeavyTest, AJoinIsNoticedInTimeWhile200WorkersHeartbeat) {
  const auto server = StartServer();
  const std::vector<std::string> settings = {"prefix=test",
                                             "heartbeat_interval=400ms",
                                             "heartbeat_ttl=60s",
                                             "election_ttl=60s",
                                             "assume_new_group=true",
                                             "debounce=1s",
                                             "debounce_cap=30m",
                                             "cold_start_window=1s",
                                             "planned_scale_window=200ms",
                                             "rebalance_cooldown=200ms",
                                             "stop_timeout=5m"};
  std::vector<std::string> arguments = {"--in-turn"};
  arguments.insert(arguments.end(), settings.begin(), settings.end());
  Crowd crowd(*server, 2, 100, 400, arguments);
  ASSERT_EQ(crowd.AwaitJoined(), "");
  EXPECT_THAT(crowd.Ids(), SizeIs(200));

  const std::unique_ptr<TempDir> folder = MakeTempDir();
  cli::WorkerGroup joiner({.binary = PARTI_BINARY,
                           .url = server->url(),
                           .folder = folder->path(),
                           .prefix = "test",
                           .partitions = 400,
                           .settings = settings});
  ASSERT_TRUE(joiner.Spawn("joiner").ok());
  EXPECT_TRUE(WaitFor(
      [&] {
        joiner.Poll();
        const auto holders = joiner.observer().HoldersAt(cli::BootNanos());
        return std::any_of(holders.begin(), holders.end(),
                           [](const auto& holder) { return holder.process.has_value(); });
      },
      kHeavyDeadline))
      << joiner.Describe();
  joiner.StopAll(kDeadline);
  EXPECT_EQ(crowd.Stop(), "");

  // One history: the crowd's and the joiner's.
  const std::size_t process = crowd.observer().AddProcess("joiner");
  for (const std::string& line : ReadLines(joiner.EventFile(0))) {
    crowd.observer().AddLine(process, line);
  }
  cli::Verdict verdict = crowd.observer().Judge(cli::BootNanos());
  verdict.unowned.clear();  // all have left
  EXPECT_EQ(verdict.Describe(), "");
  fmt::print("{}", crowd.Cost());
}

// All have started before the first has its id.
TEST(ScaleHeavyTest, AThousandIdsClaimedAtOnceAreAllDifferentAndNoneIsMissing) {
  const auto server = StartServer();
  Crowd crowd(*server, kClaimProcesses, kClaimWorkers / kClaimProcesses, 10,
              {"prefix=test", fmt::format("max_workers={}", kClaimWorkers), "heartbeat_interval=2m",
               "heartbeat_ttl=20m", "election_ttl=20m", "assume_new_group=true",
               "request_timeout=10s", "stop_timeout=5m"});
  ASSERT_EQ(crowd.AwaitJoined(), "");
  const std::multiset<std::string> ids = crowd.Ids();
  EXPECT_THAT(ids, SizeIs(kClaimWorkers));
  EXPECT_EQ(crowd.Lives(), static_cast<std::size_t>(kClaimWorkers)) << "somebody joined twice";
  for (int i = 0; i < kClaimWorkers; ++i) EXPECT_EQ(ids.count(fmt::format("worker-{}", i)), 1U);
  EXPECT_EQ(crowd.Stop(), "");
  cli::Verdict verdict = crowd.observer().Judge(cli::BootNanos());
  verdict.unowned.clear();
  EXPECT_EQ(verdict.Describe(), "");
  fmt::print("{}", crowd.Cost());
}

}  // namespace
}  // namespace parti::test
