// The lock-free view of what is owned: its answers one by one, then under threads that ask while it
// changes (run with the thread and address sanitizers too).
#include "internal/runtime/ownership.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace parti::runtime {
namespace {

std::atomic<core::Nanos> fake_now{0};
core::Nanos FakeNow() { return fake_now.load(); }

std::vector<OwnedPartition> Partitions(int count, FencingToken token, int first = 0) {
  std::vector<OwnedPartition> partitions;
  for (int i = 0; i < count; ++i) {
    partitions.push_back({"p-" + std::to_string(first + i), token});
  }
  return partitions;
}

class OwnershipTest : public testing::Test {
 protected:
  OwnershipTest() { fake_now = 0; }
  Ownership ownership_{&FakeNow};
};

TEST_F(OwnershipTest, OwnsNothingAtFirst) {
  EXPECT_FALSE(ownership_.Owns("p-0"));
  EXPECT_FALSE(ownership_.Owns(""));
  EXPECT_EQ(ownership_.TokenFor("p-0"), std::nullopt);
}

TEST_F(OwnershipTest, OwnsWhatIsClaimedUntilTheLeaseEnds) {
  ownership_.BeginLife();
  ownership_.ExtendLease(100);
  ownership_.Claim(Partitions(3, {.epoch = 2, .version = 7}));
  EXPECT_TRUE(ownership_.Owns("p-0"));
  EXPECT_EQ(ownership_.TokenFor("p-2"), (FencingToken{2, 7}));
  EXPECT_FALSE(ownership_.Owns("p-3"));
  EXPECT_FALSE(ownership_.Owns("p-"));
  fake_now = 99;
  EXPECT_TRUE(ownership_.Owns("p-0"));
  fake_now = 100;
  EXPECT_FALSE(ownership_.Owns("p-0"));
  EXPECT_EQ(ownership_.TokenFor("p-2"), std::nullopt);
}

TEST_F(OwnershipTest, ALifeWithoutALeaseOwnsNothing) {
  ownership_.BeginLife();
  ownership_.Claim(Partitions(1, {1, 1}));
  EXPECT_FALSE(ownership_.Owns("p-0"));
  ownership_.ExtendLease(1);
  EXPECT_TRUE(ownership_.Owns("p-0"));
}

TEST_F(OwnershipTest, ALeaseOnlyGrowsWithinALife) {
  ownership_.BeginLife();
  ownership_.Claim(Partitions(1, {1, 1}));
  ownership_.ExtendLease(100);
  ownership_.ExtendLease(50);
  EXPECT_EQ(ownership_.lease_until(), 100);
  fake_now = 75;
  EXPECT_TRUE(ownership_.Owns("p-0"));
}

TEST_F(OwnershipTest, ALeaseThatNeverEnds) {
  ownership_.BeginLife();
  ownership_.Claim(Partitions(1, {1, 1}));
  ownership_.ExtendLease(core::kNever);
  fake_now = core::kNever - 1;
  EXPECT_TRUE(ownership_.Owns("p-0"));
}

TEST_F(OwnershipTest, UnclaimTakesAwayOnlyWhatItNames) {
  ownership_.BeginLife();
  ownership_.ExtendLease(100);
  ownership_.Claim(Partitions(4, {1, 1}));
  ownership_.Unclaim(std::vector<std::string>{"p-1", "p-3", "p-99"});
  EXPECT_TRUE(ownership_.Owns("p-0"));
  EXPECT_FALSE(ownership_.Owns("p-1"));
  EXPECT_TRUE(ownership_.Owns("p-2"));
  EXPECT_FALSE(ownership_.Owns("p-3"));
  EXPECT_EQ(ownership_.size(), 2U);
}

TEST_F(OwnershipTest, ClaimingAgainRenewsTheToken) {
  ownership_.BeginLife();
  ownership_.ExtendLease(100);
  ownership_.Claim(Partitions(2, {1, 1}));
  ownership_.Claim(Partitions(1, {3, 9}));
  EXPECT_EQ(ownership_.size(), 2U);
  EXPECT_EQ(ownership_.TokenFor("p-0"), (FencingToken{3, 9}));
  EXPECT_EQ(ownership_.TokenFor("p-1"), (FencingToken{1, 1}));
}

TEST_F(OwnershipTest, UnclaimAllKeepsTheLeaseOfALifeThatGoesOn) {
  ownership_.BeginLife();
  ownership_.ExtendLease(100);
  ownership_.Claim(Partitions(2, {1, 1}));
  ownership_.UnclaimAll();
  EXPECT_FALSE(ownership_.Owns("p-0"));
  ownership_.Claim(Partitions(1, {1, 2}));
  EXPECT_TRUE(ownership_.Owns("p-0"));
}

TEST_F(OwnershipTest, ANewLifeInheritsNeitherPartitionsNorLease) {
  ownership_.BeginLife();
  ownership_.ExtendLease(100);
  ownership_.Claim(Partitions(1, {1, 1}));
  ownership_.UnclaimAll();
  ownership_.BeginLife();
  ownership_.Claim(Partitions(1, {2, 1}, 5));
  EXPECT_FALSE(ownership_.Owns("p-5"));
  ownership_.ExtendLease(200);
  EXPECT_FALSE(ownership_.Owns("p-0"));
  EXPECT_TRUE(ownership_.Owns("p-5"));
}

TEST_F(OwnershipTest, FindsEachOfMany) {
  ownership_.BeginLife();
  ownership_.ExtendLease(1);
  constexpr int kMany = 20'000;
  ownership_.Claim(Partitions(kMany, {1, 1}));
  for (int i = 0; i < kMany; ++i) ASSERT_TRUE(ownership_.Owns("p-" + std::to_string(i)));
  for (int i = kMany; i < 2 * kMany; ++i) ASSERT_FALSE(ownership_.Owns("p-" + std::to_string(i)));
}

TEST_F(OwnershipTest, WithoutReadersReplacedSnapshotsAreFreedAtOnce) {
  for (int i = 0; i < 100; ++i) {
    ownership_.Claim(Partitions(1, {1, 1}, i));
    EXPECT_EQ(ownership_.retired_count(), 0U);
  }
}

// A thread that asks Owns(), and is held up inside of it until it is let go.
class HeldUpReader {
 public:
  explicit HeldUpReader(const Ownership* ownership)
      : thread_([this, ownership] {
          held_up_ = this;
          answer_ = ownership->Owns("p-0");
        }) {
    inside_.wait(false);
  }

  bool LetGo() {
    may_go_ = true;
    may_go_.notify_all();
    thread_.join();
    return answer_;
  }

  static core::Nanos Clock() {
    if (HeldUpReader* self = held_up_; self != nullptr) {
      self->inside_ = true;
      self->inside_.notify_all();
      self->may_go_.wait(false);
    }
    return fake_now.load();
  }

 private:
  static thread_local HeldUpReader* held_up_;
  std::atomic<bool> inside_{false};
  std::atomic<bool> may_go_{false};
  std::atomic<bool> answer_{false};
  std::thread thread_;
};
thread_local HeldUpReader* HeldUpReader::held_up_ = nullptr;

class HeldUpReaderTest : public testing::Test {
 protected:
  HeldUpReaderTest() {
    fake_now = 0;
    ownership_.BeginLife();
    ownership_.ExtendLease(100);
    ownership_.Claim(Partitions(1, {1, 1}));
  }
  Ownership ownership_{&HeldUpReader::Clock};
};

TEST_F(HeldUpReaderTest, WhatItReadsIsNotFreedUnderIt) {
  HeldUpReader reader(&ownership_);
  for (int i = 0; i < 10; ++i) ownership_.Claim(Partitions(1, {1, 2}, i));
  ownership_.Collect();
  EXPECT_GT(ownership_.retired_count(), 0U);
  EXPECT_TRUE(reader.LetGo());
  ownership_.Collect();
  EXPECT_EQ(ownership_.retired_count(), 0U);
}

TEST_F(HeldUpReaderTest, ItsAnswerIsByTheClockAndNotByWhenItAsked) {
  HeldUpReader reader(&ownership_);
  fake_now = 500;
  ownership_.ExtendLease(1000);
  EXPECT_FALSE(reader.LetGo());
}

// Two threads that share a counter, of which one is always inside: what was replaced before the
// second came in must be freed all the same.
TEST_F(HeldUpReaderTest, ReadersThatComeLaterDoNotKeepWhatWasReplacedBefore) {
  HeldUpReader first(&ownership_);
  ownership_.Claim(Partitions(1, {1, 2}));
  // Threads are spread over 32 counters in turn.
  for (int i = 0; i < 31; ++i) std::thread([this] { (void)ownership_.Owns("p-9"); }).join();
  HeldUpReader second(&ownership_);
  first.LetGo();
  ownership_.Collect();
  EXPECT_EQ(ownership_.retired_count(), 0U);
  second.LetGo();
}

// The thread sanitizer delivers signals late, or never.
#if defined(__SANITIZE_THREAD__)
#define PARTI_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PARTI_THREAD_SANITIZER
#endif
#endif

#ifndef PARTI_THREAD_SANITIZER

std::atomic<int> stopped_in_signal{0};
std::atomic<int> signals_done{0};
void HoldInSignal(int) {
  const int done = signals_done;
  ++stopped_in_signal;
  while (signals_done == done) sched_yield();
}

// The reader is stopped at any instruction, by a signal, after its life has lapsed and before the
// next one begins with a longer lease. Whatever it had read by then, it must not say "mine".
TEST(OwnershipThreadsTest, TheNextLifesLeaseDoesNotReviveTheLastLifesPartitions) {
  constexpr int kRounds = 1000;
  Ownership ownership(&FakeNow);
  std::atomic<bool> lapsed{false};
  std::atomic<bool> done{false};
  std::atomic<int> calls{0};
  std::atomic<int> revived{0};
  signal(SIGUSR1, &HoldInSignal);
  std::thread reader([&] {
    while (!done) {
      const bool had_lapsed = lapsed;
      if (ownership.Owns("p-0") && had_lapsed) ++revived;
      ++calls;
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    fake_now = 0;
    ownership.BeginLife();
    ownership.ExtendLease(100);
    ownership.Claim(Partitions(1, {1, 1}));
    fake_now = 500;
    lapsed = true;
    // A call that began before the lapse may end now.
    const int before = calls;
    while (calls < before + 2) sched_yield();
    const int stopped = stopped_in_signal;
    pthread_kill(reader.native_handle(), SIGUSR1);
    while (stopped_in_signal == stopped) sched_yield();
    ownership.UnclaimAll();
    ownership.BeginLife();
    ownership.ExtendLease(1000);
    ++signals_done;
    const int after = calls;
    while (calls < after + 2) sched_yield();
    lapsed = false;
  }
  done = true;
  reader.join();
  signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(revived, 0);
}

#endif

// Readers that are never all out of a stripe must not keep replaced snapshots alive for ever.
TEST(OwnershipThreadsTest, BusyReadersDoNotStopCollection) {
  Ownership ownership;
  ownership.BeginLife();
  ownership.ExtendLease(core::kNever);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!done) (void)ownership.Owns("p-1");
    });
  }
  for (int i = 0; i < 200; ++i) ownership.Claim(Partitions(10, {1, 1}));
  while (ownership.retired_count() > 0) ownership.Collect();
  done = true;
  for (std::thread& reader : readers) reader.join();
}

// Lives come and go while readers ask. Each life owns p-<its number>; a reader that is told "mine"
// must find the life still on when the call began or later: `ended` is set before the lapse.
TEST(OwnershipThreadsTest, NoReaderSeesAPartitionOfALifeThatHadEnded) {
  constexpr int kLives = 3000;
  Ownership ownership;
  std::atomic<int> ended{-1};
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<std::int64_t> seen{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const int gone = ended.load();
        for (int life = std::max(0, gone - 3); life <= gone + 1; ++life) {
          const auto token = ownership.TokenFor("p-" + std::to_string(life));
          if (!token) continue;
          ++seen;
          if (life <= gone || token->epoch != static_cast<std::uint64_t>(life)) ++wrong;
        }
      }
    });
  }
  for (int life = 0; life < kLives; ++life) {
    ownership.BeginLife();
    ownership.ExtendLease(core::kNever);
    const FencingToken token{static_cast<std::uint64_t>(life), 1};
    ownership.Claim(Partitions(1, token, life));
    ownership.Claim(Partitions(20, token, 1'000'000));
    ownership.Unclaim(std::vector<std::string>{"p-1000003"});
    // The very first is left on until it was seen, so that the readers have begun.
    while (life == 0 && seen == 0) std::this_thread::yield();
    ownership.UnclaimAll();
    ended = life;
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  ownership.Collect();
  ownership.Collect();
  EXPECT_EQ(ownership.retired_count(), 0U);
}

}  // namespace
}  // namespace parti::runtime
