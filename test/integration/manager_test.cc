// Manager on a real server: starting and stopping, hooks that are slow, stuck or throw, and what
// becomes of Owns() when the server goes away.
#include "parti/manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "strategies/strategies.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr int kPartitions = 8;

std::string IdOf(int number) { return "p-" + std::to_string(number); }

std::vector<Partition> SomePartitions() {
  std::vector<Partition> partitions;
  for (int i = 0; i < kPartitions; ++i) partitions.push_back({.keys = {"p", std::to_string(i)}});
  return partitions;
}

// What a hook waits for until the test lets it go; at the latest when the test is over.
class Gate {
 public:
  ~Gate() { Open(); }
  void Open() {
    if (!opened_.exchange(true)) promise_.set_value();
  }
  void Wait() { future_.wait(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_{promise_.get_future().share()};
  std::atomic<bool> opened_{false};
};

// What happened to one Manager, in order.
class Diary {
 public:
  void Add(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  int Count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(
        std::count_if(lines_.begin(), lines_.end(),
                      [&](const std::string& line) { return line.find(text) != line.npos; }));
  }
  bool Has(std::string_view text) const { return Count(text) > 0; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class ManagerTest : public testing::Test {
 protected:
  ManagerTest() {
    options_.config = Config::Preset("fast").value();
    options_.config.identity = "first";
    options_.config.assume_new_group = true;
    // Slower than the preset: the machine may be loaded.
    options_.config.heartbeat_ttl = milliseconds(3000);
    options_.config.election_ttl = milliseconds(3000);
    options_.config.refusal_backoff = milliseconds(600'000);
    options_.source = std::make_shared<StaticPartitionSource>(SomePartitions());
    options_.strategy = MakeRoundRobin();
    options_.hooks.on_acquire = [this](const OwnedPartition& partition) {
      diary_.Add("acquire " + partition.id);
      return absl::OkStatus();
    };
    options_.hooks.on_release = [this](std::span<const OwnedPartition> partitions, milliseconds) {
      for (const OwnedPartition& partition : partitions) diary_.Add("release " + partition.id);
    };
    options_.hooks.on_lost = [this](std::span<const OwnedPartition> partitions, std::string_view) {
      for (const OwnedPartition& partition : partitions) diary_.Add("lost " + partition.id);
    };
    options_.hooks.on_error = [this](const absl::Status& status) {
      diary_.Add("error " + std::string(status.message()));
    };
  }

  // Hooks use what the test holds, so everything is stopped first.
  void TearDown() override {
    if (second_) (void)second_->Stop();
    if (first_) (void)first_->Stop();
  }

  void StartServer() {
    server_ = test::StartServer();
    options_.nats.url = server_->url();
  }

  static std::unique_ptr<Manager> Create(const ManagerOptions& options) {
    auto manager = Manager::Create(options);
    EXPECT_TRUE(manager.ok()) << manager.status();
    return manager.ok() ? *std::move(manager) : nullptr;
  }

  // The first Manager, owning everything.
  void StartFirst() {
    StartServer();
    first_ = Create(options_);
    const absl::Status status = first_->Start(kDeadline);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions; }));
  }

  // Another one beside it, without hooks unless `options` has been given some.
  void StartSecond(Hooks hooks = {}) {
    ManagerOptions options = options_;
    options.config.identity = "second";
    options.hooks = std::move(hooks);
    second_ = Create(options);
    const absl::Status status = second_->Start(kDeadline);
    ASSERT_TRUE(status.ok()) << status;
  }

  static int Owned(const Manager& manager) {
    int owned = 0;
    for (int i = 0; i < kPartitions; ++i) owned += manager.Owns(IdOf(i)) ? 1 : 0;
    return owned;
  }

  Diary diary_;
  ManagerOptions options_;
  std::unique_ptr<NatsServer> server_;
  std::unique_ptr<Manager> first_;
  std::unique_ptr<Manager> second_;
};

TEST_F(ManagerTest, JoinsOwnsAndLeaves) {
  StartFirst();
  EXPECT_THAT(first_->worker_id(), testing::StartsWith("worker-"));
  EXPECT_GT(first_->incarnation(), 0U);
  EXPECT_TRUE(first_->is_leader());
  EXPECT_TRUE(first_->WaitState(State::kStable, kDeadline));
  EXPECT_EQ(first_->current_assignment().partitions.size(), kPartitions);
  EXPECT_GT(first_->TokenFor("p-0").value_or(FencingToken{}).epoch, 0U);
  EXPECT_FALSE(first_->Owns("p-8"));
  EXPECT_TRUE(WaitFor([this] { return diary_.Count("acquire") == kPartitions; }));

  EXPECT_TRUE(first_->Stop().ok());
  EXPECT_EQ(first_->state(), State::kShutdown);
  EXPECT_EQ(Owned(*first_), 0);
  EXPECT_EQ(diary_.Count("release"), kPartitions);
  EXPECT_FALSE(diary_.Has("lost p-"));
  EXPECT_FALSE(diary_.Has("error"));
}

TEST_F(ManagerTest, TwoShareAndTheSecondTakesOverFromTheFirst) {
  StartFirst();
  StartSecond();
  ASSERT_TRUE(WaitFor([this] { return Owned(*first_) == 4 && Owned(*second_) == 4; }));
  for (int i = 0; i < kPartitions; ++i) {
    EXPECT_NE(first_->Owns(IdOf(i)), second_->Owns(IdOf(i))) << i;
  }
  ASSERT_TRUE(first_->Stop().ok());
  EXPECT_TRUE(WaitFor([this] { return Owned(*second_) == kPartitions; }));
  EXPECT_TRUE(WaitFor([this] { return second_->is_leader(); }));
}

TEST_F(ManagerTest, TheSecondGetsNothingUntilTheFirstsReleaseHookHasReturned) {
  Gate gate;
  std::atomic<bool> in_hook{false};
  options_.config.release_timeout = milliseconds(600'000);
  options_.hooks.on_release = [&](auto, auto) {
    in_hook = true;
    gate.Wait();
  };
  StartFirst();
  StartSecond();
  ASSERT_TRUE(WaitFor([&] { return in_hook.load(); }));
  EXPECT_TRUE(WaitFor([&] { return Owned(*first_) == 4; }));
  // Longer than a lease: the slow hook delays neither side's heartbeats.
  EXPECT_TRUE(StaysTrue([this] { return Owned(*second_) == 0 && Owned(*first_) == 4; },
                        milliseconds(4000)));
  gate.Open();
  EXPECT_TRUE(WaitFor([this] { return Owned(*second_) == 4; }));
  EXPECT_FALSE(diary_.Has("lost p-"));
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, AnAcquireHookThatFailsGivesThePartitionToAnother) {
  StartFirst();
  Hooks refuses;
  std::atomic<int> refused{0};
  refuses.on_acquire = [&](const OwnedPartition&) {
    ++refused;
    return absl::ResourceExhaustedError("no room");
  };
  // Its other threads have a moment's work left; nobody else may begin before.
  std::atomic<int> early{0};
  std::atomic<int> released{0};
  refuses.on_release = [&](std::span<const OwnedPartition> partitions, milliseconds) {
    for (const OwnedPartition& partition : partitions) {
      const auto nobodys = [&] {
        return !first_->Owns(partition.id) && !second_->Owns(partition.id);
      };
      early += StaysTrue(nobodys, milliseconds(50)) ? 0 : 1;
      ++released;
    }
  };
  StartSecond(refuses);
  EXPECT_TRUE(WaitFor([&] { return refused > 0; }));
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions; }));
  EXPECT_EQ(released, refused);
  EXPECT_EQ(early, 0);
  EXPECT_TRUE(second_->Stop().ok());
}

TEST_F(ManagerTest, HooksThatThrowAreReportedAndTheWorkerGoesOn) {
  options_.hooks.on_acquire = [](const OwnedPartition& partition) -> absl::Status {
    if (partition.id == "p-3") throw std::runtime_error("acquire broke");
    return absl::OkStatus();
  };
  options_.hooks.on_release = [](auto, auto) { throw std::runtime_error("release broke"); };
  StartServer();
  first_ = Create(options_);
  ASSERT_TRUE(first_->Start(kDeadline).ok());
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("on_acquire threw: acquire broke"); }));
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions - 1; }));
  EXPECT_TRUE(first_->Stop().ok());
  EXPECT_TRUE(diary_.Has("on_release threw: release broke"));
}

TEST_F(ManagerTest, StopGivesUpOnAReleaseHookThatIsStuck) {
  Gate gate;
  options_.config.stop_timeout = milliseconds(300);
  options_.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  StartFirst();
  const absl::Status status = first_->Stop();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("on_release"));
  EXPECT_EQ(Owned(*first_), 0);
  gate.Open();
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, StopEndsAStartThatWaitsForAServer) {
  const auto server = test::StartServer({.start = false});
  options_.nats.url = server->url();
  first_ = Create(options_);
  std::promise<absl::Status> started;
  std::thread starter([&] { started.set_value(first_->Start()); });
  // The first complaint shows that it is at it.
  EXPECT_TRUE(WaitFor([this] { return diary_.Has("error"); }));
  EXPECT_TRUE(first_->Stop().ok());
  EXPECT_EQ(started.get_future().get().code(), absl::StatusCode::kCancelled);
  starter.join();
}

TEST_F(ManagerTest, StartGivesUpWaitingButTheManagerGoesOn) {
  const auto server = test::StartServer({.start = false});
  options_.nats.url = server->url();
  first_ = Create(options_);
  EXPECT_EQ(first_->Start(milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  RestartServer(*server);
  EXPECT_TRUE(first_->WaitState(State::kStable, kDeadline));
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions; }));
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, StopFromManyThreadsAndAgain) {
  StartFirst();
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(first_->Stop().ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(first_->Stop().ok());
  EXPECT_EQ(diary_.Count("release"), kPartitions);
  EXPECT_EQ(first_->Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ManagerTest, StopFromAHookIsRefused) {
  std::promise<absl::Status> answered;
  std::atomic<bool> asked{false};
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    if (!asked.exchange(true)) answered.set_value(first_->Stop());
    return absl::OkStatus();
  };
  StartFirst();
  EXPECT_EQ(answered.get_future().get().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, NoHookRunsAfterStop) {
  StartServer();
  std::atomic<bool> stopped{false};
  std::atomic<int> late{0};
  const auto check = [&] { late += stopped ? 1 : 0; };
  options_.hooks = {};
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    check();
    return absl::OkStatus();
  };
  options_.hooks.on_release = [&](auto, auto) { check(); };
  options_.hooks.on_state = [&](State, State) { check(); };
  options_.hooks.on_assignment_changed = [&](const AssignmentChange&) { check(); };
  options_.hooks.on_error = [&](const absl::Status&) { check(); };
  // Stopped in the midst of connecting, joining and owning.
  for (const State reached : {State::kInit, State::kClaimingId, State::kStable, State::kInit}) {
    stopped = false;
    first_ = Create(options_);
    std::thread starter([this] { (void)first_->Start(kDeadline); });
    EXPECT_TRUE(first_->WaitState(reached, kDeadline));
    EXPECT_TRUE(first_->Stop().ok());
    stopped = true;
    starter.join();
  }
  EXPECT_EQ(late, 0);
}

TEST_F(ManagerTest, WhenTheServerIsGoneOwnsEndsWithTheLeaseAndComesBackWithTheServer) {
  StartFirst();
  const std::uint64_t incarnation = first_->incarnation();
  const std::string worker = first_->worker_id();
  server_->Kill();
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == 0; }));
  EXPECT_TRUE(WaitFor([this] { return diary_.Count("lost p-") == kPartitions; }));
  EXPECT_TRUE(first_->current_assignment().partitions.empty());
  RestartServer(*server_);
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions; }));
  EXPECT_TRUE(first_->worker_id() != worker || first_->incarnation() > incarnation);
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, AFrozenServerEndsTheLeaseToo) {
  StartFirst();
  server_->Pause();
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == 0; }));
  server_->Resume();
  EXPECT_TRUE(WaitFor([this] { return Owned(*first_) == kPartitions; }));
  EXPECT_TRUE(first_->Stop().ok());
}

TEST_F(ManagerTest, StopIsBoundedWhenTheServerIsGone) {
  options_.config.stop_timeout = milliseconds(500);
  StartFirst();
  server_->Kill();
  EXPECT_TRUE(first_->Stop().ok());
  EXPECT_EQ(diary_.Count("release p-") + diary_.Count("lost p-"), kPartitions);
}

TEST_F(ManagerTest, AWorkerOfAnotherModeIsRefused) {
  StartFirst();
  ManagerOptions options = options_;
  options.config.identity = "second";
  options.config.mode = Mode::kFast;
  options.hooks = {};
  second_ = Create(options);
  const absl::Status status = second_->Start(kDeadline);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("exclusive"));
  EXPECT_TRUE(WaitFor([this] { return second_->state() == State::kShutdown; }));
}

TEST_F(ManagerTest, RefreshPartitionsBringsInWhatWasAdded) {
  class GrowingSource : public PartitionSource {
   public:
    absl::StatusOr<std::vector<Partition>> List() override {
      std::vector<Partition> partitions = SomePartitions();
      if (grown) partitions.push_back({.keys = {"extra"}});
      return partitions;
    }
    std::atomic<bool> grown{false};
  };
  auto source = std::make_shared<GrowingSource>();
  options_.source = source;
  StartFirst();
  EXPECT_FALSE(first_->Owns("extra"));
  source->grown = true;
  first_->RefreshPartitions();
  EXPECT_TRUE(WaitFor([this] { return first_->Owns("extra"); }));
  EXPECT_EQ(Owned(*first_), kPartitions);
}

TEST(ManagerOptionsTest, CreateNamesWhatIsMissing) {
  ManagerOptions options;
  const auto message = [&] { return std::string(Manager::Create(options).status().message()); };
  EXPECT_THAT(message(), HasSubstr("source"));
  options.source = std::make_shared<StaticPartitionSource>(SomePartitions());
  EXPECT_THAT(message(), HasSubstr("strategy"));
  options.strategy = MakeRoundRobin();
  EXPECT_TRUE(Manager::Create(options).ok());
  options.nats.url = "";
  EXPECT_THAT(message(), HasSubstr("url"));
  options.nats.url = "nats://127.0.0.1:4222";
  options.config.heartbeat_ttl = milliseconds(1);
  EXPECT_THAT(message(), HasSubstr("heartbeat_ttl"));
}

}  // namespace
}  // namespace parti::test
