// Who leads, how leaders follow each other, and that nobody else decides anything.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/kv_tap.h"

namespace parti::test {
namespace {

using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// No lease and no term ends because the machine is busy: what happens then was asked for.
const std::vector<std::string> kPatient = {"heartbeat_ttl=10s", "election_ttl=10s",
                                           "assume_new_group=true"};

TEST(ElectionTest, FiveWorkersStartedAtOnceElectOneLeader) {
  Cluster cluster({.settings = kPatient});
  std::vector<std::size_t> workers;
  for (const char* name : {"a", "b", "c", "d", "e"}) workers.push_back(cluster.Start(name));
  ASSERT_EQ(cluster.AwaitSettled(), "");
  std::set<std::string> ids;
  for (const std::size_t worker : workers) {
    ids.insert(cluster.observer().View(worker).worker);
    EXPECT_GT(cluster.Owned(worker), 0U) << cluster.group().name(worker);
  }
  EXPECT_THAT(ids, SizeIs(5));
  EXPECT_THAT(cluster.observer().leaderships(), SizeIs(1));
  cluster.Start("f");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_THAT(cluster.observer().leaderships(), SizeIs(1));
  EXPECT_EQ(cluster.Finish(), "");
}

// The epochs under which a worker says that it planned a rebalance.
std::set<std::uint64_t> PlannedEpochs(const cli::WorkerGroup& group, std::size_t worker) {
  static const std::regex kPlanned("rebalance planned .*\\(epoch ([0-9]+),");
  std::set<std::uint64_t> epochs;
  for (const std::string& line : ReadLines(group.ErrorFile(worker))) {
    std::smatch match;
    if (std::regex_search(line, match, kPlanned)) epochs.insert(std::stoull(match[1]));
  }
  return epochs;
}

// Seen from outside: whoever writes a doc is the connection that wrote the leader record of the
// doc's epoch; and no worker speaks of a plan but under an epoch that it gained.
TEST(ElectionTest, OnlyTheLeaderRunsACalculator) {
  Cluster cluster({.settings = kPatient});
  KvTap tap(cluster.server().url(), cluster.prefix());
  const auto a = cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.Start("b");
  const auto c = cluster.Start("c");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.group().Terminate(c);  // a follower leaves
  ASSERT_EQ(cluster.AwaitSettled(), "");
  ASSERT_EQ(cluster.group().Leader(), a);
  cluster.group().Terminate(a);  // and the leader
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.Start("d");
  EXPECT_EQ(cluster.Finish(), "");

  std::map<std::pair<std::uint64_t, std::uint64_t>, std::set<std::string>> writers_of_fence;
  for (const auto& [writer, leader] : tap.Leaders()) {
    writers_of_fence[{leader.epoch, leader.nonce}].insert(writer);
  }
  EXPECT_THAT(writers_of_fence, SizeIs(Gt(1)));
  const std::vector<KvTap::DocWrite> docs = tap.Docs();
  EXPECT_THAT(docs, Not(IsEmpty()));
  for (const KvTap::DocWrite& write : docs) {
    EXPECT_THAT(writers_of_fence[(std::pair{write.doc.epoch, write.doc.nonce})],
                ::testing::ElementsAre(write.writer))
        << "the doc of " << write.worker << ", version " << write.doc.version;
  }

  std::map<std::size_t, std::set<std::uint64_t>> gained;
  for (const cli::Leadership& term : cluster.observer().leaderships()) {
    gained[term.process].insert(term.epoch);
  }
  std::size_t planned = 0;
  for (std::size_t worker = 0; worker < cluster.group().size(); ++worker) {
    for (const std::uint64_t epoch : PlannedEpochs(cluster.group(), worker)) {
      ++planned;
      EXPECT_TRUE(gained[worker].contains(epoch))
          << cluster.group().name(worker) << " planned under epoch " << epoch;
    }
  }
  EXPECT_GE(planned, 2U);
}

// More than three times election_ttl: without renewals another would have taken over.
TEST(ElectionTest, ALeaderRenewsItsTermFor20SecondsAndNothingMoves) {
  Cluster cluster({.settings = {"heartbeat_ttl=6s", "election_ttl=6s", "assume_new_group=true"}});
  KvTap tap(cluster.server().url(), cluster.prefix());
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto claims = cluster.Claims();
  const std::size_t docs = tap.Docs().size();
  const std::size_t records = tap.Leaders().size();

  EXPECT_FALSE(WaitFor(
      [&] {
        cluster.group().Poll();
        return cluster.Claims() != claims || cluster.observer().leaderships().size() != 1U;
      },
      std::chrono::seconds(20)));

  EXPECT_EQ(cluster.Claims(), claims);
  EXPECT_EQ(tap.Docs().size(), docs) << "something was assigned anew";
  const std::vector<KvTap::LeaderWrite> leaders = tap.Leaders();
  EXPECT_GT(leaders.size(), records + 1) << "the term was not renewed";
  // (The tap sees what is sent, also by those who were second when the group began.)
  for (std::size_t i = records; i < leaders.size(); ++i) {
    EXPECT_EQ(leaders[i].leader.epoch, leaders.back().leader.epoch);
    EXPECT_EQ(leaders[i].leader.nonce, leaders.back().leader.nonce);
    EXPECT_EQ(leaders[i].writer, leaders.back().writer);
  }
  EXPECT_EQ(cluster.Finish(), "");
}

// The leader dies again and again, each time as soon as it is seen to lead: not one of them gets
// the time to settle the group.
TEST(ElectionTest, RapidChurnOfLeaders) {
  Cluster cluster(
      {.partitions = 24, .strategy = "consistent-hash", .settings = {"max_workers=20"}});
  int started = 0;
  const auto start = [&] { cluster.Start(fmt::format("w{}", started++)); };
  for (int i = 0; i < 4; ++i) start();
  ASSERT_EQ(cluster.AwaitSettled(), "");
  std::uint64_t epoch = 0;
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    ASSERT_EQ(cluster.Await([&] {
      const auto leader = cluster.group().Leader();
      return leader.has_value() && cluster.observer().View(*leader).epoch > epoch;
    }),
              "");
    const std::size_t leader = cluster.group().Leader().value();
    epoch = cluster.observer().View(leader).epoch;
    if (round % 3 == 2) {
      cluster.group().Terminate(leader);
    } else {
      cluster.group().Kill(leader);
    }
    start();
  }
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(ElectionTest, ThreeRoundsOfFailoverLeaveNoOrphansAndNoDuplicates) {
  Cluster cluster({.partitions = 40, .strategy = "consistent-hash"});
  for (const char* name : {"a", "b", "c", "d", "e"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::size_t leader = cluster.group().Leader().value();
    const std::uint64_t epoch = cluster.observer().View(leader).epoch;
    cluster.group().Kill(leader);
    ASSERT_EQ(cluster.AwaitSettled(), "");  // every partition has one living owner
    EXPECT_GT(cluster.observer().View(cluster.group().Leader().value()).epoch, epoch);
    const cli::Verdict verdict = cluster.observer().Judge(cli::BootNanos());
    EXPECT_THAT(verdict.unowned, IsEmpty());
    EXPECT_THAT(verdict.overlaps, IsEmpty());
    std::size_t owned = 0;
    for (const std::size_t worker : cluster.group().Living()) owned += cluster.Owned(worker);
    EXPECT_EQ(owned, 40U);
  }
  EXPECT_EQ(cluster.Finish(), "");
}

}  // namespace
}  // namespace parti::test
