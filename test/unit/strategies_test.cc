#include "strategies/strategies.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace parti {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Owners = std::vector<std::int32_t>;

std::vector<Partition> Partitions(int count) {
  std::vector<Partition> partitions;
  for (int i = 0; i < count; ++i) partitions.push_back({{"p", fmt::format("{:06}", i)}});
  return partitions;
}

std::vector<WorkerInfo> Workers(const std::vector<std::int64_t>& capacities) {
  std::vector<WorkerInfo> workers;
  for (std::size_t i = 0; i < capacities.size(); ++i) {
    workers.push_back({fmt::format("worker-{:04}", i), capacities[i], {}});
  }
  return workers;
}

std::vector<WorkerInfo> Workers(int count) {
  return Workers(std::vector<std::int64_t>(static_cast<std::size_t>(count), 1));
}

Owners Assign(const AssignmentStrategy& strategy, const std::vector<WorkerInfo>& workers,
              const std::vector<Partition>& partitions, Owners previous = {}) {
  previous.resize(partitions.size(), kUnassigned);
  const auto owners = strategy.Assign({workers, partitions, previous});
  EXPECT_TRUE(owners.ok()) << owners.status();
  return owners.value_or(Owners());
}

std::vector<std::int64_t> Counts(const Owners& owners, std::size_t workers) {
  std::vector<std::int64_t> counts(workers, 0);
  for (const std::int32_t owner : owners) ++counts.at(static_cast<std::size_t>(owner));
  return counts;
}

std::int64_t Moved(const Owners& from, const Owners& to) {
  std::int64_t moved = 0;
  for (std::size_t p = 0; p < from.size(); ++p) moved += from[p] != to[p] ? 1 : 0;
  return moved;
}

std::int64_t TotalCapacity(const std::vector<WorkerInfo>& workers) {
  std::int64_t total = 0;
  for (const WorkerInfo& worker : workers) total += worker.capacity;
  return total;
}

// Owners of before, as indices after worker `gone` was taken out of the list.
Owners WithoutWorker(Owners owners, std::int32_t gone) {
  for (std::int32_t& owner : owners) {
    if (owner == gone) {
      owner = kUnassigned;
    } else if (owner > gone) {
      --owner;
    }
  }
  return owners;
}

struct RandomInput {
  std::vector<WorkerInfo> workers;
  std::vector<Partition> partitions;
  Owners previous;
};

RandomInput MakeRandomInput(std::mt19937_64* random) {
  RandomInput input;
  std::vector<std::int64_t> capacities(1 + (*random)() % 12);
  const bool even = (*random)() % 2 == 0;
  for (auto& capacity : capacities) {
    capacity = even ? 1 : static_cast<std::int64_t>(1 + (*random)() % 9);
  }
  input.workers = Workers(capacities);
  input.partitions = Partitions(static_cast<int>((*random)() % 200));
  const std::uint64_t skew = 1 + (*random)() % capacities.size();
  for (std::size_t p = 0; p < input.partitions.size(); ++p) {
    const bool none = (*random)() % 5 == 0;
    input.previous.push_back(none ? kUnassigned : static_cast<std::int32_t>((*random)() % skew));
  }
  return input;
}

class EveryStrategy : public ::testing::TestWithParam<std::string_view> {
 protected:
  const std::shared_ptr<const AssignmentStrategy> strategy_ = MakeStrategy(GetParam()).value();
};

INSTANTIATE_TEST_SUITE_P(Strategies, EveryStrategy, ::testing::ValuesIn(StrategyNames()),
                         [](const auto& each) {
                           std::string name(each.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(EveryStrategy, NoPartitions) { EXPECT_TRUE(Assign(*strategy_, Workers(3), {}).empty()); }

TEST_P(EveryStrategy, OneWorkerOwnsAll) {
  EXPECT_THAT(Assign(*strategy_, Workers(1), Partitions(50)), Each(0));
}

TEST_P(EveryStrategy, NobodyToAssignTo) {
  EXPECT_THAT(Assign(*strategy_, {}, Partitions(5)), Each(kUnassigned));
  EXPECT_THAT(Assign(*strategy_, Workers({0, 0}), Partitions(5)), Each(kUnassigned));
}

TEST_P(EveryStrategy, CapacityZeroOwnsNothing) {
  Owners previous(100, 1);
  const Owners owners = Assign(*strategy_, Workers({1, 0, 1}), Partitions(100), previous);
  const auto counts = Counts(owners, 3);
  EXPECT_EQ(counts[1], 0);
  EXPECT_EQ(counts[0] + counts[2], 100);
}

TEST_P(EveryStrategy, MoreWorkersThanPartitions) {
  const auto counts = Counts(Assign(*strategy_, Workers(20), Partitions(7)), 20);
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 1);
}

TEST_P(EveryStrategy, HugeCapacities) {
  const Owners owners = Assign(*strategy_, Workers({INT64_MAX, INT64_MAX, 1}), Partitions(1000));
  const auto counts = Counts(owners, 3);
  EXPECT_NEAR(static_cast<double>(counts[0]), 500, 60);
  EXPECT_LE(counts[2], 1);
}

TEST_P(EveryStrategy, PreviousOwnersMustMatch) {
  const auto workers = Workers(2);
  const auto partitions = Partitions(3);
  const Owners previous(2, 0);
  const auto owners = strategy_->Assign({workers, partitions, previous});
  EXPECT_EQ(owners.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(owners.status().message()), HasSubstr("2 previous owners for 3"));
}

TEST_P(EveryStrategy, PreviousOwnersThatDoNotExistCountAsNone) {
  EXPECT_EQ(Assign(*strategy_, Workers(3), Partitions(4), {3, -2, INT32_MAX, INT32_MIN}),
            Assign(*strategy_, Workers(3), Partitions(4)));
}

TEST_P(EveryStrategy, EveryPartitionIsOwnedAndTheResultIsStable) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const RandomInput input = MakeRandomInput(&random);
    const Owners owners = Assign(*strategy_, input.workers, input.partitions, input.previous);
    ASSERT_EQ(owners.size(), input.partitions.size());
    for (const std::int32_t owner : owners) {
      ASSERT_GE(owner, 0);
      ASSERT_LT(static_cast<std::size_t>(owner), input.workers.size());
    }
    ASSERT_EQ(Assign(*strategy_, input.workers, input.partitions, input.previous), owners);
    ASSERT_EQ(Assign(*strategy_, input.workers, input.partitions, owners), owners);
  }
}

TEST_P(EveryStrategy, AHundredThousandPartitions) {
  const auto workers = Workers(100);
  const auto partitions = Partitions(100'000);
  const Owners owners = Assign(*strategy_, workers, partitions);
  const auto counts = Counts(owners, 100);
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 1100);
  EXPECT_EQ(Assign(*strategy_, workers, partitions, owners), owners);
}

TEST(RoundRobin, DealsInTurns) {
  EXPECT_THAT(Assign(*MakeRoundRobin(), Workers(3), Partitions(7)),
              ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

// The least number of partitions that change owner on the way to counts that are each the whole
// part of the share or one more: every choice of who gets one more is tried.
std::int64_t LeastMoves(const RandomInput& input) {
  const auto total = TotalCapacity(input.workers);
  const auto count = static_cast<std::int64_t>(input.partitions.size());
  std::vector<std::int64_t> held(input.workers.size(), 0);
  for (const std::int32_t owner : input.previous) {
    if (owner != kUnassigned) ++held[static_cast<std::size_t>(owner)];
  }
  std::int64_t best = count;
  for (std::uint32_t more = 0; more < (1u << input.workers.size()); ++more) {
    std::int64_t sum = 0;
    std::int64_t kept = 0;
    bool allowed = true;
    for (std::size_t w = 0; w < input.workers.size(); ++w) {
      const std::int64_t product = count * input.workers[w].capacity;
      const std::int64_t extra = (more >> w) & 1;
      if (extra == 1 && product % total == 0) allowed = false;
      sum += product / total + extra;
      kept += std::min(held[w], product / total + extra);
    }
    if (allowed && sum == count) best = std::min(best, count - kept);
  }
  return best;
}

TEST(RoundRobin, CountsAreAsEvenAsCanBeWithTheLeastMoves) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 500; ++round) {
    const RandomInput input = MakeRandomInput(&random);
    const Owners owners =
        Assign(*MakeRoundRobin(), input.workers, input.partitions, input.previous);
    const auto counts = Counts(owners, input.workers.size());
    const auto total = TotalCapacity(input.workers);
    const auto count = static_cast<std::int64_t>(input.partitions.size());
    for (std::size_t w = 0; w < counts.size(); ++w) {
      const std::int64_t product = count * input.workers[w].capacity;
      ASSERT_GE(counts[w], product / total);
      ASSERT_LE(counts[w], (product + total - 1) / total);
    }
    ASSERT_EQ(Moved(input.previous, owners), LeastMoves(input));
  }
}

TEST(RoundRobin, AJoinMovesOnlyWhatTheNewcomerTakes) {
  const auto partitions = Partitions(103);
  const Owners before = Assign(*MakeRoundRobin(), Workers(4), partitions);
  const Owners after = Assign(*MakeRoundRobin(), Workers(5), partitions, before);
  EXPECT_EQ(Moved(before, after), Counts(after, 5)[4]);
}

TEST(RoundRobin, ALeaveMovesOnlyWhatTheLeaverHeld) {
  const auto partitions = Partitions(103);
  const Owners before = Assign(*MakeRoundRobin(), Workers(5), partitions);
  const Owners left = WithoutWorker(before, 2);
  const Owners after = Assign(*MakeRoundRobin(), Workers(4), partitions, left);
  EXPECT_EQ(Moved(left, after), Counts(before, 5)[2]);
}

std::int64_t Bound(double load_factor, std::int64_t capacity, std::int64_t total, std::size_t all) {
  const double share =
      static_cast<double>(capacity) * static_cast<double>(all) / static_cast<double>(total);
  return static_cast<std::int64_t>(std::ceil(load_factor * share - 1e-6));
}

std::int64_t Floor(double load_factor, std::int64_t capacity, std::int64_t total, std::size_t all) {
  const double share =
      static_cast<double>(capacity) * static_cast<double>(all) / static_cast<double>(total);
  return static_cast<std::int64_t>(
      std::max(std::floor(share / load_factor), share >= 1 ? 1.0 : 0.0));
}

TEST(ConsistentHash, NobodyGoesWithoutWhereThereIsEnoughForAll) {
  for (int workers = 1; workers <= 12; ++workers) {
    for (int partitions = workers; partitions <= 30; ++partitions) {
      const Owners owners = Assign(*MakeConsistentHash(), Workers(workers), Partitions(partitions));
      const auto counts = Counts(owners, static_cast<std::size_t>(workers));
      EXPECT_GE(*std::min_element(counts.begin(), counts.end()), 1)
          << workers << " workers, " << partitions << " partitions";
    }
  }
}

TEST(ConsistentHash, NoWorkerExceedsItsBoundOrMissesItsFloor) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 2000; ++round) {
    const double load_factor = std::vector<double>{1.0, 1.01, 1.1, 1.5, 10.0}[random() % 5];
    const auto strategy = MakeConsistentHash({.virtual_nodes = 20, .load_factor = load_factor});
    const RandomInput input = MakeRandomInput(&random);
    const Owners owners = Assign(*strategy, input.workers, input.partitions, input.previous);
    const auto counts = Counts(owners, input.workers.size());
    const auto total = TotalCapacity(input.workers);
    for (std::size_t w = 0; w < counts.size(); ++w) {
      ASSERT_LE(counts[w],
                Bound(load_factor, input.workers[w].capacity, total, input.partitions.size()));
      ASSERT_GE(counts[w],
                Floor(load_factor, input.workers[w].capacity, total, input.partitions.size()));
    }
    ASSERT_EQ(Assign(*strategy, input.workers, input.partitions, owners), owners);
  }
}

TEST(ConsistentHash, OptionsOutOfRangeAreBroughtIntoIt) {
  for (const ConsistentHashOptions options :
       {ConsistentHashOptions{0, std::nan("")}, ConsistentHashOptions{-5, -1.0},
        ConsistentHashOptions{1, INFINITY}}) {
    const Owners owners = Assign(*MakeConsistentHash(options), Workers(3), Partitions(30));
    EXPECT_EQ(owners.size(), 30u);
    EXPECT_GE(*std::min_element(owners.begin(), owners.end()), 0);
  }
}

TEST(ConsistentHash, CapacityIsShareOfTheLoad) {
  const Owners owners = Assign(*MakeConsistentHash(), Workers({1, 2, 5}), Partitions(8000));
  const auto counts = Counts(owners, 3);
  EXPECT_NEAR(static_cast<double>(counts[0]), 1000, 250);
  EXPECT_NEAR(static_cast<double>(counts[1]), 2000, 400);
  EXPECT_NEAR(static_cast<double>(counts[2]), 5000, 600);
}

// 1/n of the partitions must move; the bounds and the ring's unevenness may cost as much again.
TEST(ConsistentHash, JoinsAndLeavesMoveFew) {
  const auto partitions = Partitions(5000);
  for (int workers = 3; workers <= 40; ++workers) {
    const Owners before = Assign(*MakeConsistentHash(), Workers(workers), partitions);
    const Owners joined = Assign(*MakeConsistentHash(), Workers(workers + 1), partitions, before);
    EXPECT_LE(Moved(before, joined), 2 * 5000 / (workers + 1)) << workers;

    std::vector<WorkerInfo> rest = Workers(workers);
    const std::int32_t gone = workers / 2;
    rest.erase(rest.begin() + gone);
    const Owners left = WithoutWorker(before, gone);
    const Owners after = Assign(*MakeConsistentHash(), rest, partitions, left);
    EXPECT_LE(Moved(left, after), 2 * 5000 / workers) << workers;
  }
}

TEST(ConsistentHash, ANewPartitionMovesNextToNothingElse) {
  auto partitions = Partitions(1000);
  Owners before = Assign(*MakeConsistentHash(), Workers(10), partitions);
  partitions.push_back({{"q", "new"}});
  const Owners after = Assign(*MakeConsistentHash(), Workers(10), partitions, before);
  before.push_back(kUnassigned);
  EXPECT_LE(Moved(before, after), 10);
}

// Workers of two releases must agree on who owns what, or partitions move at each upgrade.
TEST(ConsistentHash, GoldenOwners) {
  EXPECT_THAT(Assign(*MakeConsistentHash(), Workers(3), Partitions(12)),
              ElementsAre(1, 0, 2, 1, 0, 2, 0, 1, 1, 2, 0, 2));
}

TEST(Strategies, ByName) {
  EXPECT_THAT(StrategyNames(), ElementsAre("consistent-hash", "round-robin"));
  for (const std::string_view name : StrategyNames()) {
    EXPECT_EQ(MakeStrategy(name).value()->name(), name);
  }
  EXPECT_THAT(std::string(MakeStrategy("random").status().message()),
              HasSubstr("unknown strategy \"random\": there are consistent-hash and round-robin"));
}

}  // namespace
}  // namespace parti
