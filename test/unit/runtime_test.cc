// The runtime around core, on a KV in memory: the order of observer, Owns() and hooks, and what
// becomes of hooks that are slow, stuck or throw; starting and stopping in every order.
#include "internal/runtime/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "test/unit/runtime_fixture.h"

namespace parti::runtime {
namespace {

using testing::HasSubstr;

TEST_F(RuntimeTest, OwnsThenReleasesInTheOrderThatIsPromised) {
  StartAndOwn();
  ASSERT_TRUE(WaitFor([this] { return diary_.Count("on_acquire") == 2; }));
  const std::string worker = runtime_->board().life().worker;
  EXPECT_TRUE(runtime_->board().leader());
  EXPECT_TRUE(WaitFor([this] { return runtime_->board().assignment().partitions.size() == 2; }));
  ASSERT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(runtime_->board().state(), State::kShutdown);
  EXPECT_FALSE(Owns("a"));
  EXPECT_FALSE(runtime_->board().leader());
  EXPECT_TRUE(runtime_->board().assignment().partitions.empty());
  EXPECT_THAT(diary_.lines(),
              testing::ElementsAre("started " + worker, "acquired a", "acquired b",
                                   "on_acquire a owned", "on_acquire b owned", "on_release a",
                                   "on_release b", "released a", "released b", "stopped"));
}

TEST_F(RuntimeTest, WorksWithoutAnyHookOrObserver) {
  options_.hooks = {};
  options_.observer = nullptr;
  ASSERT_NO_FATAL_FAILURE(StartAndOwn());
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, ASlowHookDelaysNoHeartbeat) {
  Gate gate;
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    gate.Wait();
    return absl::OkStatus();
  };
  StartAndOwn();
  const std::int64_t first = observer_->until();
  EXPECT_TRUE(WaitFor([&] { return observer_->until() > first + options_.settings.lease; }));
  EXPECT_TRUE(Owns("a"));
  EXPECT_FALSE(diary_.Has("lease"));
  gate.Open();
  EXPECT_TRUE(runtime_->Stop().ok());
}

// Or a worker that takes its time with each of many new partitions is evicted before it lets go.
TEST_F(RuntimeTest, AReleaseOvertakesAcquiresThatHaveNotBegun) {
  Gate gate;
  std::atomic<bool> in_hook{false};
  options_.hooks.on_acquire = [&](const OwnedPartition& partition) {
    diary_.Add("on_acquire " + partition.id);
    in_hook = true;
    gate.Wait();
    return absl::OkStatus();
  };
  StartAndOwn();
  ASSERT_TRUE(WaitFor([&] { return in_hook.load(); }));
  std::thread stopper([this] { EXPECT_TRUE(runtime_->Stop().ok()); });
  EXPECT_TRUE(WaitFor([this] { return !Owns("a"); }));
  EXPECT_FALSE(diary_.Has("on_release"));  // the hook that runs is waited for
  gate.Open();
  stopper.join();
  EXPECT_TRUE(diary_.Has("on_release a"));
  EXPECT_TRUE(diary_.Has("on_release b"));
  EXPECT_EQ(diary_.Count("on_acquire"), 1U);
}

TEST_F(RuntimeTest, AnAcquireHookThatFailsGivesThePartitionBack) {
  options_.hooks.on_acquire = [](const OwnedPartition& partition) {
    return partition.id == "a" ? absl::UnavailableError("no room") : absl::OkStatus();
  };
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(WaitFor([this] { return diary_.Has("released a"); }));
  EXPECT_TRUE(WaitFor([this] { return Owns("b") && !Owns("a"); }));
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("no room"); }));
}

// Owns("a") was true while on_acquire ran, so other threads may work on it.
class RuntimeFailedAcquireTest : public RuntimeTest {
 protected:
  RuntimeFailedAcquireTest() {
    options_.hooks.on_acquire = [](const OwnedPartition& partition) {
      return partition.id == "a" ? absl::UnavailableError("no room") : absl::OkStatus();
    };
    options_.hooks.on_release = [this, record = options_.hooks.on_release](auto partitions,
                                                                           milliseconds bound) {
      record(partitions, bound);
      if (partitions.front().id == "a") gate_.Wait();
    };
  }

  Gate gate_;
};

TEST_F(RuntimeFailedAcquireTest, ItsPartitionIsGivenBackOnceOnReleaseHasReturned) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(WaitFor([this] { return diary_.Has("on_release a"); }));
  EXPECT_FALSE(Owns("a"));
  // Nobody hears of it yet, however long that takes.
  const int leases = observer_->leases();
  ASSERT_TRUE(WaitFor([&] { return observer_->leases() >= leases + 3; }));
  EXPECT_FALSE(diary_.Has("released a"));
  EXPECT_FALSE(diary_.Has("no room"));
  gate_.Open();
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("released a") && diary_.Has("no room"); }));
  EXPECT_TRUE(Owns("b"));
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(diary_.Count("on_release a"), 1U);
  EXPECT_FALSE(diary_.Has("on_release a owned"));
}

TEST_F(RuntimeFailedAcquireTest, AStopMeanwhileAsksNoSecondTime) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(WaitFor([this] { return diary_.Has("on_release a") && Owns("b"); }));
  std::thread stopper([this] { EXPECT_TRUE(runtime_->Stop().ok()); });
  EXPECT_TRUE(WaitFor([this] { return !Owns("b"); }));
  EXPECT_FALSE(diary_.Has("released"));
  gate_.Open();
  stopper.join();
  EXPECT_TRUE(diary_.Has("released a"));
  EXPECT_EQ(diary_.Count("on_release a"), 1U);
  EXPECT_EQ(diary_.Count("on_release b"), 1U);
}

TEST_F(RuntimeFailedAcquireTest, ALeaseThatEndsMeanwhileLosesOnlyTheOthers) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(WaitFor([this] { return diary_.Has("on_release a") && Owns("b"); }));
  store_->SwitchOff();
  ASSERT_TRUE(WaitFor([this] { return !Owns("b"); }));
  gate_.Open();
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("lost a") && diary_.Has("lost b"); }));
  EXPECT_EQ(diary_.Count("on_release a"), 1U);
  EXPECT_EQ(diary_.Count("on_lost b"), 1U);
  EXPECT_FALSE(diary_.Has("on_lost a"));
}

TEST_F(RuntimeTest, WhatHooksThrowIsReportedAndDoesNotStopTheWorker) {
  options_.hooks.on_acquire = [](const OwnedPartition& partition) -> absl::Status {
    if (partition.id == "a") throw std::runtime_error("acquire broke");
    return absl::OkStatus();
  };
  options_.hooks.on_release = [](auto, auto) { throw std::runtime_error("release broke"); };
  options_.hooks.on_state = [](State, State) { throw 7; };
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("on_acquire threw: acquire broke"); }));
  EXPECT_TRUE(WaitFor([this] { return Owns("b") && !Owns("a"); }));
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_TRUE(diary_.Has("on_release threw: release broke"));
  EXPECT_TRUE(diary_.Has("on_state threw"));
  EXPECT_TRUE(diary_.Has("released b"));
}

TEST_F(RuntimeTest, ASilentServerEndsTheClaimAtTheLeaseAndALaterOneBeginsANewLife) {
  StartAndOwn();
  store_->SwitchOff();
  ASSERT_TRUE(WaitFor([this] { return !Owns("a"); }));
  EXPECT_GE(BootNow(), observer_->until());
  ASSERT_TRUE(WaitFor([this] { return diary_.Has("lost a"); }));
  store_->SwitchOn();
  EXPECT_TRUE(WaitFor([this] { return Owns("a") && Owns("b"); }));
  EXPECT_EQ(diary_.Count("started"), 2U);
  EXPECT_FALSE(diary_.Has("on_lost a owned"));
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, FastModeKeepsItsCachedAssignmentWhileTheServerIsSilent) {
  options_.settings.mode = wire::Mode::kFast;
  options_.settings.stop_timeout = 100 * core::kMillisecond;
  StartAndOwn();
  store_->SwitchOff();
  ASSERT_TRUE(WaitFor([this] { return runtime_->board().state() == State::kDegraded; }));
  const core::Nanos later = BootNow() + options_.settings.lease;
  ASSERT_TRUE(WaitFor([&] { return BootNow() > later; }));
  EXPECT_TRUE(Owns("a"));
}

TEST_F(RuntimeTest, StartWaitsForAServerUntilStop) {
  options_.kv_factory = [](kv::Sink, KvTroubleSink trouble) {
    trouble(absl::UnavailableError("no server"));
    class Nothing : public kv::Kv {
      void Get(const core::KvGet&) override {}
      void Put(const core::KvPut&) override {}
      void Info(const core::KvInfo&) override {}
      void Open(const core::OpenWatch&) override {}
      void Close(const core::CloseWatch&) override {}
      std::size_t MaxValueBytes() const override { return 0; }
      void Shutdown() override {}
    };
    return std::make_unique<Nothing>();
  };
  Create();
  EXPECT_EQ(runtime_->Start(milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("on_error no server"); }));
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(runtime_->board().state(), State::kShutdown);
  EXPECT_TRUE(diary_.Has("stopped"));

  Create();
  std::thread stopper([this] { EXPECT_TRUE(runtime_->Stop().ok()); });
  EXPECT_EQ(runtime_->Start(kDeadline).code(), absl::StatusCode::kCancelled);
  stopper.join();
}

TEST_F(RuntimeTest, StartReturnsWhyItIsRefused) {
  options_.kv_factory = [this](kv::Sink, KvTroubleSink trouble) {
    trouble(absl::FailedPreconditionError("bucket x keeps 5 revisions"));
    return std::make_unique<MemoryKv>(store_, [](core::Event) {});
  };
  EXPECT_EQ(Start(), absl::FailedPreconditionError("bucket x keeps 5 revisions"));
  EXPECT_TRUE(WaitFor([this] { return runtime_->board().state() == State::kShutdown; }));
  EXPECT_TRUE(runtime_->Stop().ok());

  options_.kv_factory = [](kv::Sink, KvTroubleSink) {
    return absl::StatusOr<std::unique_ptr<kv::Kv>>(absl::InvalidArgumentError("bad url"));
  };
  EXPECT_EQ(Start(), absl::InvalidArgumentError("bad url"));
}

TEST_F(RuntimeTest, StartsOnce) {
  StartAndOwn();
  EXPECT_EQ(runtime_->Start(kDeadline).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(runtime_->Start(kDeadline).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RuntimeTest, StopBeforeStart) {
  Create();
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(runtime_->board().state(), State::kShutdown);
  EXPECT_EQ(runtime_->Start(kDeadline).code(), absl::StatusCode::kCancelled);
}

TEST_F(RuntimeTest, StopFromAHookIsRefused) {
  std::promise<absl::Status> answered;
  options_.hooks.on_acquire = [&](const OwnedPartition& partition) {
    if (partition.id == "a") answered.set_value(runtime_->Stop());
    return absl::OkStatus();
  };
  StartAndOwn();
  EXPECT_EQ(answered.get_future().get().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Owns("a"));
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, StopFromManyThreadsAtOnce) {
  StartAndOwn();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(runtime_->Stop().ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(diary_.Count("on_release"), 2U);
  EXPECT_EQ(diary_.Count("stopped"), 1U);
}

TEST_F(RuntimeTest, NoHookRunsAfterStop) {
  std::atomic<bool> stopped{false};
  std::atomic<int> late{0};
  const auto check = [&] {
    if (stopped) ++late;
  };
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    check();
    return absl::OkStatus();
  };
  options_.hooks.on_release = [&](auto, auto) { check(); };
  options_.hooks.on_state = [&](State, State) { check(); };
  options_.hooks.on_assignment_changed = [&](const AssignmentChange&) { check(); };
  options_.hooks.on_leadership = [&](bool, std::uint64_t) { check(); };
  for (int round = 0; round < 20; ++round) {
    stopped = false;
    Create();
    std::thread starter([&] { (void)runtime_->Start(kDeadline); });
    // In every stage of a start, from not launched yet to owning all.
    ASSERT_TRUE(WaitFor([&] { return store_->puts() >= round % 10; }));
    EXPECT_TRUE(runtime_->Stop().ok());
    stopped = true;
    starter.join();
    runtime_.reset();
    store_ = std::make_shared<MemoryStore>();
  }
  EXPECT_EQ(late, 0);
}

TEST_F(RuntimeTest, StopGivesUpOnAHookThatIsStuckAndMayBeCalledAgain) {
  Gate gate;
  options_.settings.stop_timeout = 100 * core::kMillisecond;
  options_.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  options_.hooks.on_state = [this](State, State to) {
    if (to == State::kShutdown) diary_.Add("a hook after the stuck one");
  };
  StartAndOwn();
  const absl::Status status = runtime_->Stop();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("on_release"));
  EXPECT_FALSE(Owns("a"));
  EXPECT_FALSE(diary_.Has("released a"));
  gate.Open();
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_FALSE(diary_.Has("a hook after the stuck one"));
}

// Stop gives up on an on_acquire, behind which the hooks for what is owned still wait.
class StopBehindAcquireTest : public RuntimeTest {
 protected:
  absl::Status StopTwice() {
    Gate gate;
    std::atomic<bool> acquiring = false;
    options_.settings.stop_timeout = 100 * core::kMillisecond;
    options_.hooks.on_acquire = [&](const OwnedPartition&) {
      acquiring = true;
      gate.Wait();
      return absl::OkStatus();
    };
    StartAndOwn();
    EXPECT_TRUE(WaitFor([&] { return acquiring.load(); }));
    const absl::Status status = runtime_->Stop();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(status.message()), HasSubstr("on_acquire"));
    gate.Open();
    return runtime_->Stop();
  }
};

TEST_F(StopBehindAcquireTest, AReleaseHookThatWasNeverCalledIsNotForgotten) {
  const absl::Status status = StopTwice();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("on_release was never called"));
  EXPECT_FALSE(diary_.Has("on_release"));
}

TEST_F(StopBehindAcquireTest, AReleaseHookThatIsNotThereIsNotMissed) {
  options_.hooks.on_release = nullptr;
  options_.hooks.on_lost = nullptr;
  EXPECT_EQ(StopTwice(), absl::OkStatus());
}

TEST_F(RuntimeTest, AStuckReleaseHookDoesNotKeepTheSourceFromBeingListed) {
  class CountingSource : public PartitionSource {
   public:
    absl::StatusOr<std::vector<Partition>> List() override {
      ++calls;
      return std::vector<Partition>{{.keys = {"a"}}, {.keys = {"b"}}};
    }
    std::atomic<int> calls{0};
  };
  Gate gate;
  auto source = std::make_shared<CountingSource>();
  options_.source = source;
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    gate.Wait();
    return absl::OkStatus();
  };
  StartAndOwn();
  const int before = source->calls;
  runtime_->RefreshPartitions();
  EXPECT_TRUE(WaitFor([&] { return source->calls > before; }));
  gate.Open();
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, ASourceThatFailsIsAskedAgain) {
  class FailsTwice : public PartitionSource {
   public:
    absl::StatusOr<std::vector<Partition>> List() override {
      switch (calls_++) {
        case 0:
          throw std::runtime_error("source broke");
        case 1:
          return std::vector<Partition>{{.keys = {"not.a.token"}}};
        default:
          return std::vector<Partition>{{.keys = {"a"}}, {.keys = {"b"}}};
      }
    }

   private:
    int calls_ = 0;
  };
  options_.source = std::make_shared<FailsTwice>();
  ASSERT_NO_FATAL_FAILURE(StartAndOwn());
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("source broke"); }));
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("not.a.token"); }));
}

TEST_F(RuntimeTest, AStrategyThatAnswersNonsenseIsReported) {
  class Nonsense : public AssignmentStrategy {
   public:
    std::string_view name() const override { return "nonsense"; }
    absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
      return std::vector<std::int32_t>(input.partitions.size(), 5);
    }
  };
  options_.strategy = std::make_shared<Nonsense>();
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("to worker number 5; there are 1 workers"); }));
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, TwoWorkersHandPartitionsOver) {
  StartAndOwn();
  Diary other_diary;
  RuntimeOptions options = options_;
  options.settings.identity = "other";
  options.observer = nullptr;
  options.hooks = {};
  options.hooks.on_acquire = [&](const OwnedPartition& partition) {
    other_diary.Add("on_acquire " + partition.id);
    return absl::OkStatus();
  };
  Runtime other(options);
  ASSERT_TRUE(other.Start(kDeadline).ok());
  EXPECT_NE(other.board().life().worker, runtime_->board().life().worker);
  ASSERT_TRUE(runtime_->Stop().ok());
  EXPECT_TRUE(WaitFor([&] { return other.ownership().Owns("a") && other.ownership().Owns("b"); }));
  EXPECT_TRUE(WaitFor([&] { return other_diary.Count("on_acquire") >= 2; }));
  EXPECT_TRUE(other.Stop().ok());
}

TEST_F(RuntimeTest, WaitForStateSeesAStateThatHasPassed) {
  Create();
  std::thread starter([this] { EXPECT_TRUE(runtime_->Start(kDeadline).ok()); });
  EXPECT_TRUE(runtime_->board().WaitForState(State::kStable, kDeadline));
  starter.join();
  EXPECT_FALSE(runtime_->board().WaitForState(State::kDegraded, milliseconds(1)));
  std::thread stopper([this] { EXPECT_TRUE(runtime_->Stop().ok()); });
  EXPECT_TRUE(runtime_->board().WaitForState(State::kShutdown, milliseconds::max()));
  stopper.join();
}

TEST_F(RuntimeTest, HooksMayCallEverythingButStop) {
  std::atomic<int> called{0};
  const auto call_all = [&] {
    (void)runtime_->Status();
    (void)runtime_->Health();
    (void)runtime_->board().assignment();
    (void)runtime_->ownership().TokenFor("a");
    (void)runtime_->board().WaitForState(State::kDegraded, milliseconds(0));
    runtime_->RefreshPartitions();
    runtime_->TriggerRebalance();
    EXPECT_EQ(runtime_->Start(kDeadline).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(runtime_->Stop().code(), absl::StatusCode::kFailedPrecondition);
    ++called;
  };
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    call_all();
    return absl::OkStatus();
  };
  options_.hooks.on_release = [&](auto, auto) { call_all(); };
  options_.hooks.on_state = [&](State, State) { call_all(); };
  options_.hooks.on_leadership = [&](bool, std::uint64_t) { call_all(); };
  options_.hooks.on_assignment_changed = [&](const AssignmentChange&) { call_all(); };
  StartAndOwn();
  EXPECT_TRUE(WaitFor([&] { return called >= 5; }));
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeTest, DestroyedWhileItStarts) {
  for (int round = 0; round < 10; ++round) {
    Create();
    Runtime* const runtime = runtime_.get();
    ASSERT_EQ(runtime->Start(milliseconds(0)).code() == absl::StatusCode::kFailedPrecondition,
              false);
    ASSERT_TRUE(WaitFor([&] { return store_->puts() >= round % 5; }));
    runtime_.reset();
    store_ = std::make_shared<MemoryStore>();
  }
  EXPECT_EQ(diary_.Count("stopped"), 10U);
}

}  // namespace
}  // namespace parti::runtime
