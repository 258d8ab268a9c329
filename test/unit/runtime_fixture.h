// A Runtime on a KV in memory, with a diary of everything that its hooks and observer are told.
#ifndef PARTI_TEST_UNIT_RUNTIME_FIXTURE_H_
#define PARTI_TEST_UNIT_RUNTIME_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "internal/runtime/runtime.h"
#include "test/unit/memory_kv.h"

namespace parti::runtime {

using std::chrono::milliseconds;
using test::MemoryKv;
using test::MemoryStore;

// Generous: for a loaded machine under a sanitizer. A test that passes never waits this long.
inline constexpr std::chrono::seconds kDeadline(60);

inline bool WaitFor(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable never_notified;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    never_notified.wait_for(lock, milliseconds(1));
  }
  return true;
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

class GivesAllToTheFirst : public AssignmentStrategy {
 public:
  std::string_view name() const override { return "first"; }
  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    return std::vector<std::int32_t>(input.partitions.size(), 0);
  }
};

// Writes down everything, in order, from hooks and observer alike.
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
  std::size_t Count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(lines_.begin(), lines_.end(),
                      [&](const std::string& line) { return line.find(text) != line.npos; }));
  }
  bool Has(std::string_view text) const { return Count(text) > 0; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class DiaryObserver : public OwnershipObserver {
 public:
  explicit DiaryObserver(Diary* diary) : diary_(diary) {}
  void Watch(const Ownership* ownership) { ownership_ = ownership; }

  void OnStarted(std::int64_t, std::string_view worker, std::uint64_t) override {
    diary_->Add("started " + std::string(worker));
  }
  void OnAcquired(std::int64_t, std::uint64_t, std::uint64_t,
                  std::span<const OwnedPartition> partitions) override {
    Note("acquired", partitions);
  }
  void OnReleased(std::int64_t, std::span<const OwnedPartition> partitions) override {
    Note("released", partitions);
  }
  void OnLost(std::int64_t, std::span<const OwnedPartition> partitions) override {
    Note("lost", partitions);
  }
  void OnLease(std::int64_t now, std::int64_t until) override {
    if (ownership_ != nullptr && ownership_.load()->lease_until() >= until)
      diary_->Add("lease used early");
    ++leases_;
    until_ = until;
    if (until <= now) diary_->Add("lease in the past");
  }
  void OnStopped(std::int64_t) override { diary_->Add("stopped"); }

  int leases() const { return leases_; }
  std::int64_t until() const { return until_; }

 private:
  void Note(const std::string& what, std::span<const OwnedPartition> partitions) {
    for (const OwnedPartition& partition : partitions) {
      const bool owns = ownership_ != nullptr && ownership_.load()->Owns(partition.id);
      diary_->Add(what + " " + partition.id + (owns ? " owned" : ""));
    }
  }

  Diary* const diary_;
  std::atomic<const Ownership*> ownership_{nullptr};
  std::atomic<int> leases_{0};
  std::atomic<std::int64_t> until_{0};
};

class RuntimeTest : public testing::Test {
 protected:
  RuntimeTest() {
    core::Settings& settings = options_.settings;
    settings.identity = "test";
    settings.assume_new_group = true;
    settings.lease = 1500 * core::kMillisecond;
    settings.heartbeat_interval = 50 * core::kMillisecond;
    settings.election_ttl = 1500 * core::kMillisecond;
    settings.cold_start_window = 10 * core::kMillisecond;
    settings.planned_scale_window = 10 * core::kMillisecond;
    settings.debounce = 5 * core::kMillisecond;
    settings.rebalance_cooldown = 10 * core::kMillisecond;
    settings.refusal_backoff = 3600 * core::kSecond;
    settings.stop_timeout = 30 * core::kSecond;
    options_.kv_factory = [this](kv::Sink sink, KvTroubleSink) {
      return std::make_unique<MemoryKv>(store_, std::move(sink));
    };
    options_.source = std::make_shared<StaticPartitionSource>(
        std::vector<Partition>{{.keys = {"a"}}, {.keys = {"b"}}});
    options_.strategy = std::make_shared<GivesAllToTheFirst>();
    options_.observer = observer_;
    options_.hooks.on_acquire = [this](const OwnedPartition& partition) {
      diary_.Add("on_acquire " + partition.id + (Owns(partition.id) ? " owned" : ""));
      return absl::OkStatus();
    };
    options_.hooks.on_release = [this](std::span<const OwnedPartition> partitions, milliseconds) {
      for (const auto& p : partitions) {
        diary_.Add("on_release " + p.id + (Owns(p.id) ? " owned" : ""));
      }
    };
    options_.hooks.on_lost = [this](std::span<const OwnedPartition> partitions, std::string_view) {
      for (const auto& p : partitions) {
        diary_.Add("on_lost " + p.id + (Owns(p.id) ? " owned" : ""));
      }
    };
    options_.hooks.on_error = [this](const absl::Status& status) {
      diary_.Add("on_error " + std::string(status.message()));
    };
  }

  // Hooks ask runtime_ as long as it works.
  ~RuntimeTest() override {
    if (runtime_) (void)runtime_->Stop();
  }

  void Create() {
    runtime_ = std::make_unique<Runtime>(options_);
    observer_->Watch(&runtime_->ownership());
  }
  absl::Status Start(milliseconds timeout = kDeadline) {
    Create();
    return runtime_->Start(timeout);
  }
  void StartAndOwn() {
    ASSERT_TRUE(Start().ok());
    ASSERT_TRUE(WaitFor([this] { return Owns("a") && Owns("b"); }));
  }
  bool Owns(const std::string& id) const { return runtime_->ownership().Owns(id); }

  Diary diary_;
  std::shared_ptr<DiaryObserver> observer_ = std::make_shared<DiaryObserver>(&diary_);
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  RuntimeOptions options_;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace parti::runtime

#endif  // PARTI_TEST_UNIT_RUNTIME_FIXTURE_H_
