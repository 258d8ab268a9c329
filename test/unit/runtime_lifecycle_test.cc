// Starting, stopping and throwing in every combination that an application may come up with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "internal/runtime/process.h"
#include "internal/wire/records.h"
#include "test/unit/runtime_fixture.h"

namespace parti::runtime {
namespace {

using RuntimeLifecycleTest = RuntimeTest;

TEST_F(RuntimeLifecycleTest, OfManyStartsAtOnceOneStarts) {
  Create();
  std::atomic<int> started{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const absl::Status status = runtime_->Start(kDeadline);
      started += status.ok() ? 1 : 0;
      refused += absl::IsFailedPrecondition(status) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(started, 1);
  EXPECT_EQ(refused, 5);
}

TEST_F(RuntimeLifecycleTest, StartAndStopAtOnceEndStopped) {
  for (int round = 0; round < 20; ++round) {
    Create();
    absl::Status started;
    std::thread starter([&] { started = runtime_->Start(kDeadline); });
    std::vector<std::thread> stoppers;
    for (int i = 0; i < 3; ++i) {
      stoppers.emplace_back([&] { EXPECT_TRUE(runtime_->Stop().ok()); });
    }
    starter.join();
    for (std::thread& stopper : stoppers) stopper.join();
    EXPECT_TRUE(started.ok() || absl::IsCancelled(started)) << started;
    EXPECT_EQ(runtime_->board().state(), State::kShutdown);
    EXPECT_FALSE(Owns("a"));
    store_ = std::make_shared<MemoryStore>();
  }
}

// As by daemon(3): who looks whether the holder of a claim is gone must find the child.
TEST_F(RuntimeLifecycleTest, AChildThatStartsWhatItsParentCreatedClaimsInItsOwnName) {
  Create();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool started = runtime_->Start(kDeadline).ok();
    const auto claim =
        wire::DecodeClaim(store_->Value(wire::Bucket::kStableId, runtime_->board().life().worker));
    if (!started || !claim.ok()) _exit(2);
    _exit(claim->process == OwnProcess() && claim->process.pid == getpid() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "status " << status;
  EXPECT_EQ(WEXITSTATUS(status), 0) << "2: not started, 1: in another name";
}

TEST_F(RuntimeLifecycleTest, AWaitForAStateEndsWithTheWorker) {
  StartAndOwn();
  std::thread waiter(
      [this] { EXPECT_FALSE(runtime_->board().WaitForState(State::kEmergency, kDeadline)); });
  EXPECT_TRUE(runtime_->Stop().ok());
  waiter.join();
  EXPECT_TRUE(runtime_->board().WaitForState(State::kShutdown, milliseconds(0)));
}

TEST_F(RuntimeLifecycleTest, EverythingMayBeCalledBeforeStartAndAfterStop) {
  Create();
  const auto call_all = [this] {
    EXPECT_FALSE(Owns("a"));
    EXPECT_FALSE(runtime_->ownership().TokenFor("a"));
    EXPECT_FALSE(runtime_->board().leader());
    EXPECT_TRUE(runtime_->board().assignment().partitions.empty());
    EXPECT_FALSE(runtime_->board().WaitForState(State::kStable, milliseconds(0)));
    EXPECT_FALSE(runtime_->Health().ready);
    EXPECT_EQ(runtime_->Status().partitions, 0U);
    runtime_->RefreshPartitions();
    runtime_->TriggerRebalance();
  };
  call_all();
  EXPECT_TRUE(runtime_->Stop().ok());
  call_all();
}

// Each hook in turn, something that is a std::exception and something that isn't.
class EveryHookTest : public RuntimeTest,
                      public testing::WithParamInterface<std::tuple<int, bool>> {
 protected:
  static constexpr std::array kHooks = {
      "on_acquire",    "on_release", "on_lost", "on_state", "on_assignment_changed",
      "on_leadership", "on_error"};
  void Throw() {
    ++thrown_;
    if (std::get<1>(GetParam())) throw std::runtime_error("the hook broke");
    throw 7;
  }
  std::atomic<int> thrown_{0};
};

TEST_P(EveryHookTest, MayThrow) {
  const std::string hook = kHooks[static_cast<std::size_t>(std::get<0>(GetParam()))];
  Hooks& hooks = options_.hooks;
  options_.settings.refusal_backoff = 10 * core::kMillisecond;
  if (hook == "on_acquire") {
    hooks.on_acquire = [this](const OwnedPartition&) -> absl::Status {
      if (thrown_ < 2) Throw();
      return absl::OkStatus();
    };
  }
  if (hook == "on_release") hooks.on_release = [this](auto, auto) { Throw(); };
  if (hook == "on_lost") hooks.on_lost = [this](auto, auto) { Throw(); };
  if (hook == "on_state") hooks.on_state = [this](State, State) { Throw(); };
  if (hook == "on_assignment_changed") hooks.on_assignment_changed = [this](auto&) { Throw(); };
  if (hook == "on_leadership") hooks.on_leadership = [this](bool, std::uint64_t) { Throw(); };
  if (hook == "on_error") hooks.on_error = [this](const absl::Status&) { Throw(); };

  class Lines : public Logger {
   public:
    explicit Lines(Diary* diary) : diary_(diary) {}
    void Log(LogLevel, std::string_view line) override { diary_->Add("log " + std::string(line)); }

   private:
    Diary* const diary_;
  };
  options_.logger = std::make_shared<Lines>(&diary_);

  StartAndOwn();
  if (hook == "on_lost" || hook == "on_error") {
    store_->SwitchOff();
    ASSERT_TRUE(WaitFor([this] { return thrown_ > 0; }));
    store_->SwitchOn();
  }
  // Stop would overtake a call that has not begun.
  if (hook != "on_release") {
    ASSERT_TRUE(WaitFor([this] { return thrown_ > 0; })) << hook;
  }
  // It works on: a life in good standing that owns everything.
  EXPECT_TRUE(WaitFor(
      [this] { return Owns("a") && Owns("b") && runtime_->board().state() == State::kStable; }));
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_GT(thrown_, 0);
  EXPECT_TRUE(diary_.Has("log hook " + hook + " threw") || diary_.Has("log hook on_error threw"))
      << testing::PrintToString(diary_.lines());
  if (hook != "on_error") {
    EXPECT_TRUE(diary_.Has("on_error hook " + hook + " threw"));
    EXPECT_TRUE(diary_.Has(std::get<1>(GetParam()) ? "the hook broke" : "no std::exception"));
  }
}

INSTANTIATE_TEST_SUITE_P(Hooks, EveryHookTest,
                         testing::Combine(testing::Range(0, 7), testing::Bool()));

TEST_F(RuntimeLifecycleTest, ALoggerThatThrowsCostsNothing) {
  class Throws : public Logger {
   public:
    void Log(LogLevel, std::string_view) override { throw std::runtime_error("the log is full"); }
  };
  options_.logger = std::make_shared<Throws>();
  options_.hooks.on_state = [](State, State) { throw 7; };
  ASSERT_NO_FATAL_FAILURE(StartAndOwn());
  EXPECT_TRUE(runtime_->Stop().ok());
}

TEST_F(RuntimeLifecycleTest, AnObserverThatThrowsIsReportedAndTheWorkerGoesOn) {
  class Throws : public OwnershipObserver {
   public:
    void OnAcquired(std::int64_t, std::uint64_t, std::uint64_t,
                    std::span<const OwnedPartition>) override {
      throw std::runtime_error("no space left");
    }
    void OnLease(std::int64_t, std::int64_t) override { throw 7; }
  };
  options_.observer = std::make_shared<Throws>();
  runtime_ = std::make_unique<Runtime>(options_);
  ASSERT_TRUE(runtime_->Start(kDeadline).ok());
  EXPECT_TRUE(WaitFor([this] { return Owns("a") && Owns("b"); }));
  EXPECT_TRUE(runtime_->Stop().ok());
}

}  // namespace
}  // namespace parti::runtime
