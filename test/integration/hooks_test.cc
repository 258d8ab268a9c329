// Hooks that are slow or stuck, and Managers that are started and stopped by many threads at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/local_group.h"

namespace parti::test {
namespace {

using cli::EventKind;
using std::chrono::milliseconds;
using testing::HasSubstr;

int Count(const Cluster& cluster, std::size_t worker, EventKind kind) {
  const auto events = cluster.Events(worker);
  return static_cast<int>(std::count_if(events.begin(), events.end(),
                                        [&](const auto& event) { return event.kind == kind; }));
}

// Each release takes longer than the lease: heartbeats go on meanwhile, and nothing is lost.
TEST(HooksTest, ReleasesThatTakeLongerThanTheLeaseCostNobodyItsLease) {
  Cluster cluster({.settings = {"release_timeout=30s", "stop_timeout=60s", "heartbeat_ttl=2s",
                                "assume_new_group=true"}});
  const cli::SpawnOptions slow{.arguments = {"--release-delay", "2500ms"}};
  const auto a = cluster.Start("a", {}, slow);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto b = cluster.Start("b", {}, slow);
  ASSERT_EQ(cluster.Await([&] { return cluster.Owned(b) == 6; }), "");
  EXPECT_EQ(cluster.Finish(), "");
  for (const std::size_t worker : {a, b}) {
    EXPECT_EQ(cluster.observer().View(worker).lives, 1U);
    EXPECT_EQ(Count(cluster, worker, EventKind::kLost), 0);
  }
}

// Twelve acquires one after the other take several leases; a release overtakes those not begun.
TEST(HooksTest, AcquiresThatTakeSeveralLeasesCostNobodyItsLeaseAndDelayNoRelease) {
  Cluster cluster({.settings = {"release_timeout=30s", "stop_timeout=60s", "heartbeat_ttl=2s",
                                "assume_new_group=true"}});
  const cli::SpawnOptions slow{.arguments = {"--acquire-delay", "500ms"}};
  const auto a = cluster.Start("a", {}, slow);
  ASSERT_EQ(cluster.Await([&] { return cluster.Owned(a) == 12; }), "");
  const auto b = cluster.Start("b", {}, slow);
  ASSERT_EQ(cluster.Await([&] { return cluster.Owned(b) == 6; }), "");
  EXPECT_TRUE(StaysTrue(
      [&] {
        cluster.group().Poll();
        return cluster.Owned(a) == 6 && cluster.Owned(b) == 6;
      },
      milliseconds(2500)));
  EXPECT_EQ(cluster.Finish(), "");
  for (const std::size_t worker : {a, b}) {
    EXPECT_EQ(cluster.observer().View(worker).lives, 1U);
    EXPECT_EQ(Count(cluster, worker, EventKind::kLost), 0);
  }
}

// The leader itself is the stuck one here: it evicts itself no less.
TEST(HooksTest, AReleaseStuckBeyondItsTimeoutIsEvictedAndTheOthersTakeOver) {
  Gate gate;
  LocalGroup group;
  ManagerOptions stuck = group.Options("a");
  stuck.config.release_timeout = milliseconds(1000);
  stuck.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  Manager& a = group.Start("a", stuck);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  const std::uint64_t first_life = a.incarnation();

  ManagerOptions other = group.Options("b");
  other.config.release_timeout = milliseconds(1000);
  group.Start("b", other);
  // What was to move and what was to stay: the evicted one loses it all.
  ASSERT_EQ(group.AwaitOwned({{"a", 0}, {"b", 8}}), "");
  EXPECT_TRUE(gate.reached());
  // It may join again, for its old lease is over; but while the hook is stuck it takes nothing.
  ASSERT_TRUE(WaitFor([&] { return a.incarnation() > first_life; })) << group.log("a").Text();
  EXPECT_TRUE(StaysTrue([&] { return group.Owned("a") == 0; }, milliseconds(2000)));

  gate.Open();
  EXPECT_EQ(group.AwaitOwned({{"a", 4}, {"b", 4}}), "");
  EXPECT_EQ(group.Finish(), "");
}

TEST(HooksTest, AWorkerEvictedForAStuckReleaseRejoinsWhenItHasDrained) {
  Cluster cluster({.settings = {"release_timeout=1s", "stop_timeout=60s"}});
  const auto a = cluster.Start("a", {}, {.arguments = {"--release-delay", "3s"}});
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto b = cluster.Start("b");
  ASSERT_EQ(cluster.Await([&] { return cluster.Owned(b) == 12; }), "");
  // Eviction ends its life in the middle of the release; the next one takes its share.
  ASSERT_EQ(
      cluster.Await([&] { return cluster.observer().View(a).lives > 1 && cluster.Owned(a) == 6; }),
      "");
  EXPECT_EQ(cluster.Finish(), "");
  EXPECT_GT(Count(cluster, a, EventKind::kLost), 0);
}

// on_acquire of one partition hangs; those behind it wait for it, claims don't.
TEST(HooksTest, AStuckAcquireHoldsUpOtherHooksButNoClaimNorHeartbeat) {
  Gate gate;
  std::atomic<int> acquired{0};
  LocalGroup group;
  ManagerOptions options = group.Options("a");
  options.hooks.on_acquire = [&](const OwnedPartition&) {
    gate.Wait();
    ++acquired;
    return absl::OkStatus();
  };
  Manager& a = group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  const std::uint64_t life = a.incarnation();
  // Longer than the lease.
  EXPECT_TRUE(
      StaysTrue([&] { return group.Owned("a") == 8 && acquired == 0; }, milliseconds(4000)));
  EXPECT_EQ(a.incarnation(), life);
  gate.Open();
  EXPECT_TRUE(WaitFor([&] { return acquired == 8; }));
  EXPECT_EQ(group.Finish(), "");
}

TEST(HooksTest, AStopDuringAStuckAcquireNamesTheHookAndOwnsNothing) {
  Gate gate;
  LocalGroup group;
  ManagerOptions options = group.Options("a");
  options.config.stop_timeout = milliseconds(300);
  options.hooks.on_acquire = [&](const OwnedPartition&) {
    gate.Wait();
    return absl::OkStatus();
  };
  options.hooks.on_release = [](auto, auto) {};
  Manager& a = group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  ASSERT_TRUE(WaitFor([&] { return gate.reached(); }));
  const absl::Status stopped = a.Stop();
  EXPECT_EQ(stopped.code(), absl::StatusCode::kDeadlineExceeded) << stopped;
  EXPECT_THAT(std::string(stopped.message()), HasSubstr("on_acquire"));
  EXPECT_EQ(group.Owned("a"), 0);
  gate.Open();
  // Its claims ended with its lease, for it could not say that its work had drained.
  EXPECT_THAT(group.Stop("a"), HasSubstr("on_release was never called"));
  EXPECT_THAT(group.Finish(), HasSubstr("stopped without giving up 8 partitions"));
}

// Eight Managers; for each, threads that start it, stop it, and ask it everything meanwhile. It
// never hangs or crashes, no hook comes after Stop, and nothing is owned twice.
TEST(HooksTest, ManyManagersAreStartedAndStoppedByManyThreadsAtOnce) {
  constexpr int kManagers = 8;
  struct Watched {
    std::atomic<bool> stopped{false};
    std::atomic<int> late{0};
  };
  std::vector<Watched> watched(kManagers);
  LocalGroup group;
  std::vector<Manager*> managers;
  for (int i = 0; i < kManagers; ++i) {
    const std::string name = "m" + std::to_string(i);
    ManagerOptions options = group.Options(name);
    Watched* const mine = &watched[static_cast<std::size_t>(i)];
    const auto note = [mine] { mine->late += mine->stopped ? 1 : 0; };
    options.hooks.on_acquire = [note](const OwnedPartition&) {
      note();
      return absl::OkStatus();
    };
    options.hooks.on_release = [note](auto, auto) { note(); };
    options.hooks.on_lost = [note](auto, auto) { note(); };
    options.hooks.on_state = [note](State, State) { note(); };
    options.hooks.on_leadership = [note](bool, std::uint64_t) { note(); };
    options.hooks.on_error = [note](const absl::Status&) { note(); };
    managers.push_back(&group.Create(name, options));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kManagers; ++i) {
    Manager* const manager = managers[static_cast<std::size_t>(i)];
    Watched* const mine = &watched[static_cast<std::size_t>(i)];
    for (int starter = 0; starter < 2; ++starter) {
      threads.emplace_back([manager] {
        const absl::Status status = manager->Start(kDeadline);
        // The second one, and one that a Stop overtook, are told so.
        EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status) || absl::IsCancelled(status))
            << status;
      });
    }
    threads.emplace_back([manager] {
      while (manager->state() != State::kShutdown) {
        (void)manager->Owns("p-1");
        (void)manager->TokenFor("p-2");
        (void)manager->current_assignment();
        (void)manager->worker_id();
        (void)manager->is_leader();
        manager->RefreshPartitions();
        manager->TriggerRebalance();
        (void)manager->WaitState(State::kShutdown, milliseconds(5));
      }
    });
    for (int stopper = 0; stopper < 2; ++stopper) {
      threads.emplace_back([manager, mine, i] {
        // Some before they begin, some while they join, some when they own.
        if (i % 4 == 1) (void)manager->WaitState(State::kClaimingId, kDeadline);
        if (i % 4 >= 2) (void)manager->WaitState(State::kStable, milliseconds(5000));
        EXPECT_TRUE(manager->Stop().ok());
        mine->stopped = true;
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kManagers; ++i) {
    EXPECT_EQ(watched[static_cast<std::size_t>(i)].late, 0) << i;
    EXPECT_EQ(managers[static_cast<std::size_t>(i)]->state(), State::kShutdown);
    EXPECT_EQ(group.Owned("m" + std::to_string(i)), 0);
  }
  EXPECT_EQ(group.Finish(), "");
}

}  // namespace
}  // namespace parti::test
