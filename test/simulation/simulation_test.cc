#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "test/simulation/clock.h"
#include "test/simulation/network.h"
#include "test/simulation/run.h"
#include "test/simulation/stream.h"
#include "test/simulation/world.h"

namespace parti::simulation {
namespace {

constexpr std::uint64_t kSeeds = 250;
constexpr std::uint64_t kSeedsPerTest = 50;

std::string Explain(std::uint64_t seed, const Outcome& outcome) {
  if (!outcome.violation) return "";
  return fmt::format("{}: {}\nreplay: sim --seed {} --story", outcome.violation->invariant,
                     outcome.violation->what, seed);
}

class SeedsTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SeedsTest, KeepEveryPromise) {
  for (std::uint64_t seed = GetParam(); seed < GetParam() + kSeedsPerTest; ++seed) {
    History history(History::Keep::kHash);
    const Outcome outcome = RunSeed(seed, &history);
    EXPECT_FALSE(outcome.violation) << Explain(seed, outcome);
  }
}

INSTANTIATE_TEST_SUITE_P(From, SeedsTest,
                         testing::Range<std::uint64_t>(1, kSeeds + 1, kSeedsPerTest));

TEST(Simulation, OneSeedIsOneHistory) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    History first(History::Keep::kHash);
    History second(History::Keep::kTraffic);  // keeping lines changes nothing
    const Outcome one = RunSeed(seed, &first);
    const Outcome two = RunSeed(seed, &second);
    EXPECT_EQ(one.hash, two.hash) << seed;
    EXPECT_EQ(one.steps, two.steps) << seed;
    EXPECT_EQ(one.simulated, two.simulated) << seed;
  }
}

TEST(Simulation, SeedsDiffer) {
  History first(History::Keep::kHash);
  History second(History::Keep::kHash);
  EXPECT_NE(RunSeed(1, &first).hash, RunSeed(2, &second).hash);
}

// What is judged elsewhere has to have happened.
TEST(Simulation, EnoughGoesWrong) {
  Tally tally;
  std::uint64_t refusals = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    History history(History::Keep::kHash);
    const Tally one = RunSeed(seed, &history).tally;
    const Scenario scenario = DrawScenario(seed);
    if (!scenario.two_builds && !scenario.modes_differ) refusals += one[Count::kFatalReport];
    tally.Add(one);
  }
  EXPECT_EQ(refusals, 0u);
  for (const Count count :
       {Count::kVersionRaised, Count::kCrash, Count::kPauseBeyondLease, Count::kRestart,
        Count::kAnswerLost, Count::kLandedLate, Count::kPartialScan, Count::kWatchStalled,
        Count::kLeaderChange, Count::kMove, Count::kEviction, Count::kLostPartition}) {
    EXPECT_GT(tally[count], 5u) << CountName(count);
  }
  // Rare by its nature; the schedules of the rules bring it about on purpose.
  EXPECT_GT(tally[Count::kDeposedWriteLanded], 2u);
}

TEST(ClockTest, InverseIsTheEarliestTime) {
  for (const int rate : {-90'909, -4'975, -1, 0, 1, 4'975, 90'909}) {
    const Clock clock(123'456'789, rate);
    for (const Nanos time : {Nanos{0}, Nanos{1}, Nanos{999'999}, Nanos{1'000'000},
                             77 * core::kSecond + 1, 200 * core::kSecond}) {
      const Nanos reading = clock.At(time);
      const Nanos earliest = clock.TrueTimeOf(reading);
      EXPECT_LE(earliest, time);
      EXPECT_GE(clock.At(earliest), reading);
      EXPECT_TRUE(earliest == 0 || clock.At(earliest - 1) < reading);
    }
  }
}

TEST(ClockTest, TwoClocksDifferByNoMoreThanTheDrift) {
  for (const int drift : {0, 10'000, 50'000, 200'000}) {
    const double most = Clock::LargestDeviation(drift);
    EXPECT_LE((1e6 + most) / (1e6 - most), 1 + drift / 1e6);
  }
}

TEST(StreamTest, AScanThatLagsSeesWhatWasSuperseded) {
  Stream stream(1);
  stream.Append("a", "1", false, 0);
  stream.Append("b", "2", false, 0);
  stream.Append("a", "3", false, 0);
  EXPECT_EQ(stream.Scan("", 3), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(stream.Scan("", 2), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(stream.Scan("a", 2), (std::vector<std::uint64_t>{1}));
  EXPECT_TRUE(stream.Scan("", 0).empty());
}

TEST(StreamTest, WhatExpiredIsGone) {
  Stream stream(1);
  stream.Append("a", "1", false, 10);
  stream.Append("b", "2", false, 20);
  stream.Expire(15);
  EXPECT_EQ(stream.Revision("a"), 0u);
  EXPECT_FALSE(stream.State().last_seq_gone);
  stream.Expire(25);
  EXPECT_TRUE(stream.State().last_seq_gone);
  EXPECT_EQ(stream.State().last_seq, 2u);
}

// The judge must see an overlap that is really there: two processes are told by hand to claim.
TEST(ClaimJudgeTest, SeesAnOverlapAndTheEndOfALease) {
  Scenario scenario;
  History history(History::Keep::kHash);
  Shared shared(scenario, &history);
  ClaimJudge judge(&shared);
  judge.Started("a", Clock(0, 0));
  judge.Started("b", Clock(core::kSecond, 0));
  const auto live = [&](int process, const std::string& worker, Nanos until) {
    judge.LifeBegan(process, {worker, 1});
    judge.HeartbeatAccepted(process, worker, 1, until);
    judge.Lease(process, until);
  };
  live(0, "worker-0", 10 * core::kSecond);
  live(1, "worker-1", 20 * core::kSecond);  // 19 s of true time
  judge.Claim(0, {1, 1, {{"p", {1, 1}}}});
  EXPECT_EQ(judge.OwnersOf("p"), std::vector<int>{0});
  shared.queue.AdvanceTo(10 * core::kSecond);
  EXPECT_TRUE(judge.OwnersOf("p").empty());
  judge.Claim(1, {1, 2, {{"p", {1, 2}}}});
  EXPECT_TRUE(shared.verdict.good());
  judge.HeartbeatAccepted(0, "worker-0", 1, 30 * core::kSecond);
  judge.Lease(0, 30 * core::kSecond);  // its old claim is valid again
  ASSERT_FALSE(shared.verdict.good());
  EXPECT_EQ(shared.verdict.violation()->invariant, "no two valid claims to one partition");
}

TEST(ClaimJudgeTest, SeesALeaseWithoutAHeartbeat) {
  Scenario scenario;
  History history(History::Keep::kHash);
  Shared shared(scenario, &history);
  ClaimJudge judge(&shared);
  judge.Started("a", Clock(0, 0));
  judge.LifeBegan(0, {"worker-0", 1});
  judge.HeartbeatAccepted(0, "worker-0", 1, 2 * core::kSecond);
  judge.Lease(0, 2 * core::kSecond);
  EXPECT_TRUE(shared.verdict.good());
  judge.Lease(0, 2 * core::kSecond + 1);
  EXPECT_FALSE(shared.verdict.good());
}

}  // namespace
}  // namespace parti::simulation
