// What a Runtime tells of itself: metrics, status and health.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "parti/metrics.h"
#include "parti/status.h"
#include "test/unit/runtime_fixture.h"

namespace parti::runtime {
namespace {

// Adds everything up, by name and labels.
class Tally : public Metrics {
 public:
  void Add(Metric metric, Labels labels, double amount) override {
    Note(metric, labels, MetricType::kCounter);
    const std::lock_guard lock(mutex_);
    values_[Key(metric, labels)] += amount;
  }
  void Set(Metric metric, Labels labels, double value) override {
    Note(metric, labels, MetricType::kGauge);
    const std::lock_guard lock(mutex_);
    values_[Key(metric, labels)] = value;
  }
  void Observe(Metric metric, Labels labels, double value) override {
    Note(metric, labels, MetricType::kHistogram);
    EXPECT_GE(value, 0) << InfoOf(metric).name;
    const std::lock_guard lock(mutex_);
    ++values_[Key(metric, labels)];
  }
  // A counter's or gauge's value; how often a histogram observed.
  double Value(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    return found == values_.end() ? 0 : found->second;
  }
  int calls() const { return calls_; }

 private:
  static std::string Key(Metric metric, Labels labels) {
    std::string key(InfoOf(metric).name);
    for (const std::string_view label : labels) key += " " + std::string(label);
    return key;
  }
  void Note(Metric metric, Labels labels, MetricType type) {
    ++calls_;
    const MetricInfo& info = InfoOf(metric);
    EXPECT_EQ(info.type, type) << info.name;
    ASSERT_EQ(info.labels.size(), labels.size()) << info.name;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      EXPECT_THAT(info.labels[i].values, testing::Contains(labels[i])) << info.name;
    }
  }

  mutable std::mutex mutex_;
  std::map<std::string, double> values_;
  std::atomic<int> calls_{0};
};

using RuntimeStatusTest = RuntimeTest;

TEST_F(RuntimeStatusTest, WhatHappensIsMeasured) {
  const auto tally = std::make_shared<Tally>();
  options_.metrics = tally;
  StartAndOwn();
  ASSERT_TRUE(WaitFor([this] { return runtime_->board().state() == State::kStable; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_settle_seconds") >= 1; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_heartbeats_total ok") >= 3; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_hook_seconds on_acquire") == 2; }));
  EXPECT_EQ(tally->Value("parti_lives_total"), 1);
  EXPECT_EQ(tally->Value("parti_connected"), 1);
  EXPECT_EQ(tally->Value("parti_leader"), 1);
  EXPECT_EQ(tally->Value("parti_elections_total won"), 1);
  EXPECT_EQ(tally->Value("parti_state Stable"), 1);
  EXPECT_EQ(tally->Value("parti_state Init"), 0);
  EXPECT_EQ(tally->Value("parti_rebalances_total cold_start"), 1);
  EXPECT_EQ(tally->Value("parti_partitions_moved_total"), 2);
  EXPECT_EQ(tally->Value("parti_detection_seconds"), 1);
  EXPECT_EQ(tally->Value("parti_strategy_seconds"), 1);
  EXPECT_EQ(tally->Value("parti_listings_total ok"), 1);
  EXPECT_EQ(tally->Value("parti_partitions_owned"), 2);
  EXPECT_EQ(tally->Value("parti_partitions_acquired_total"), 2);
  EXPECT_GE(tally->Value("parti_heartbeat_seconds"), 3);
  EXPECT_GE(tally->Value("parti_lease_margin_seconds"), 3);
  EXPECT_GE(tally->Value("parti_kv_requests_total put ok"), 5);
  EXPECT_GE(tally->Value("parti_kv_request_seconds put"), 5);

  ASSERT_TRUE(runtime_->Stop().ok());
  EXPECT_EQ(tally->Value("parti_partitions_released_total"), 2);
  EXPECT_EQ(tally->Value("parti_partitions_lost_total"), 0);
  EXPECT_EQ(tally->Value("parti_partitions_owned"), 0);
  EXPECT_EQ(tally->Value("parti_leader"), 0);
  EXPECT_EQ(tally->Value("parti_connected"), 0);
  EXPECT_EQ(tally->Value("parti_state Shutdown"), 1);
  EXPECT_EQ(tally->Value("parti_hook_failures_total on_acquire"), 0);
}

TEST_F(RuntimeStatusTest, FailuresAreMeasured) {
  const auto tally = std::make_shared<Tally>();
  options_.metrics = tally;
  options_.hooks.on_acquire = [](const OwnedPartition& partition) -> absl::Status {
    if (partition.id == "a") return absl::UnavailableError("no room");
    throw std::runtime_error("acquire broke");
  };
  options_.hooks.on_error = [](const absl::Status&) { throw 7; };
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_hook_failures_total on_acquire") >= 2; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_hook_failures_total on_error") >= 1; }));
  store_->SwitchOff();
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_heartbeats_total failed") >= 1; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_kv_requests_total put unanswered") >= 1; }));
  EXPECT_TRUE(WaitFor([&] { return tally->Value("parti_reports_total warning") >= 1; }));
}

TEST_F(RuntimeStatusTest, MetricsThatThrowCostNothing) {
  class Throws : public Metrics {
   public:
    void Add(Metric, Labels, double) override { throw std::runtime_error("metrics broke"); }
    void Set(Metric, Labels, double) override { throw 7; }
    void Observe(Metric, Labels, double) override { throw std::runtime_error("metrics broke"); }
  };
  options_.metrics = std::make_shared<Throws>();
  ASSERT_NO_FATAL_FAILURE(StartAndOwn());
  EXPECT_TRUE(runtime_->Stop().ok());
  EXPECT_FALSE(diary_.Has("metrics broke"));
}

TEST_F(RuntimeStatusTest, NothingIsMeasuredAfterStop) {
  const auto tally = std::make_shared<Tally>();
  options_.metrics = tally;
  StartAndOwn();
  ASSERT_TRUE(runtime_->Stop().ok());
  const int calls = tally->calls();
  runtime_->TriggerRebalance();
  runtime_->RefreshPartitions();
  EXPECT_EQ(tally->calls(), calls);
}

TEST_F(RuntimeStatusTest, StatusTellsOfEachStage) {
  options_.group = "orders";
  Create();
  WorkerStatus status = runtime_->Status();
  EXPECT_EQ(status.group, "orders");
  EXPECT_EQ(status.identity, "test");
  EXPECT_EQ(status.worker_id, "");
  EXPECT_EQ(status.state, State::kInit);
  EXPECT_FALSE(runtime_->Health().ready);
  EXPECT_TRUE(runtime_->Health().live);

  ASSERT_TRUE(runtime_->Start(kDeadline).ok());
  ASSERT_TRUE(WaitFor([this] {
    return runtime_->Status().partitions == 2 && runtime_->Status().state == State::kStable;
  }));
  status = runtime_->Status();
  EXPECT_THAT(status.worker_id, testing::StartsWith("worker-"));
  EXPECT_GT(status.incarnation, 0U);
  EXPECT_EQ(status.lives, 1U);
  EXPECT_TRUE(status.leader);
  EXPECT_GT(status.epoch, 0U);
  EXPECT_EQ(status.calculator, "Idle");
  EXPECT_TRUE(status.connected);
  EXPECT_GT(status.lease_left.count(), 0);
  EXPECT_LE(status.lease_left, milliseconds(1500));
  EXPECT_EQ(status.assignment_epoch, status.epoch);
  EXPECT_GT(status.assignment_version, 0U);
  EXPECT_EQ(runtime_->Health().why_not, "");
  EXPECT_TRUE(runtime_->Health().ready);

  store_->SwitchOff();
  ASSERT_TRUE(WaitFor([this] { return !runtime_->Health().ready; }));
  EXPECT_TRUE(runtime_->Health().live);
  EXPECT_EQ(runtime_->Status().partitions, 0U);
  ASSERT_TRUE(WaitFor([this] { return runtime_->Status().errors > 0; }));
  EXPECT_NE(runtime_->Status().last_error, "");
  store_->SwitchOn();
  ASSERT_TRUE(WaitFor([this] { return runtime_->Health().ready; }));
  EXPECT_EQ(runtime_->Status().lives, 2U);

  ASSERT_TRUE(runtime_->Stop().ok());
  status = runtime_->Status();
  EXPECT_TRUE(status.stopping);
  EXPECT_FALSE(status.leader);
  EXPECT_EQ(status.calculator, "");
  EXPECT_FALSE(status.connected);
  EXPECT_EQ(status.lease_left.count(), 0);
  EXPECT_EQ(status.partitions, 0U);
  EXPECT_EQ(runtime_->Health().why_not, "stopped");
  EXPECT_TRUE(runtime_->Health().live);
}

TEST_F(RuntimeStatusTest, StatusNamesTheHookThatRuns) {
  Gate gate;
  options_.hooks.on_acquire = [&](const OwnedPartition&) {
    gate.Wait();
    return absl::OkStatus();
  };
  StartAndOwn();
  EXPECT_TRUE(WaitFor([this] {
    const WorkerStatus status = runtime_->Status();
    return status.hook == "on_acquire" && status.hooks_waiting >= 1 &&
           status.hook_running.count() > 0;
  }));
  EXPECT_TRUE(runtime_->Health().ready);  // it holds its lease; what it does with it is its own
  gate.Open();
  EXPECT_TRUE(WaitFor([this] { return runtime_->Status().hook.empty(); }));
}

TEST_F(RuntimeStatusTest, AWorkerThatItsGroupRefusedIsNotLive) {
  options_.kv_factory = [](kv::Sink, KvTroubleSink) {
    return absl::StatusOr<std::unique_ptr<kv::Kv>>(absl::InvalidArgumentError("bad url"));
  };
  EXPECT_FALSE(Start().ok());
  EXPECT_FALSE(runtime_->Health().live);
  EXPECT_EQ(runtime_->Health().why_not, "the worker gave up: bad url");
  ASSERT_TRUE(runtime_->Stop().ok());
  EXPECT_TRUE(runtime_->Health().live);
}

}  // namespace
}  // namespace parti::runtime
