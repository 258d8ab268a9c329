// What becomes of assignments when leaders change, and when they die in the middle of changing
// them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/kv_tap.h"

namespace parti::test {
namespace {

using cli::EventKind;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Not;

// A lease that survives a busy machine, and can still be waited out.
const std::vector<std::string> kSteady = {"heartbeat_ttl=4s", "election_ttl=4s",
                                          "assume_new_group=true"};

std::vector<std::size_t> StartAll(Cluster& cluster, const std::vector<std::string>& names,
                                  const cli::SpawnOptions& more = {}) {
  std::vector<std::size_t> workers;
  workers.reserve(names.size());
  for (const std::string& name : names) workers.push_back(cluster.Start(name, {}, more));
  return workers;
}

std::size_t OtherThan(std::size_t leader) { return leader == 0 ? 1 : 0; }

// Those who go lose what they had; what the others hold isn't touched, not for an instant.
template <typename Go>
void OthersKeepWhatTheyHave(const Go& go) {
  // Round robin moves nothing that doesn't have to; bounds on loads may cost a move more.
  Cluster cluster({.partitions = 60, .settings = kSteady});
  StartAll(cluster, {"a", "b", "c", "d", "e"});
  ASSERT_EQ(cluster.AwaitSettled(), "");
  go(cluster);
  const std::vector<std::size_t> survivors = cluster.group().Living();
  ASSERT_LT(survivors.size(), 5U);
  const auto before = cluster.ClaimsOf(survivors);
  ASSERT_THAT(before, Not(IsEmpty()));
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.Disturbed(before), "");
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(AssignmentTest, IsPreservedWhenTheLeaderIsKilled) {
  OthersKeepWhatTheyHave(
      [](Cluster& cluster) { cluster.group().Kill(cluster.group().Leader().value()); });
}

TEST(AssignmentTest, IsPreservedWhenTheLeaderLeaves) {
  OthersKeepWhatTheyHave(
      [](Cluster& cluster) { cluster.group().Terminate(cluster.group().Leader().value()); });
}

TEST(AssignmentTest, IsPreservedWhenAFollowerAndTheLeaderDieTogether) {
  OthersKeepWhatTheyHave([](Cluster& cluster) {
    const std::size_t leader = cluster.group().Leader().value();
    const std::size_t follower = OtherThan(leader);
    ::kill(cluster.group().pid(follower), SIGKILL);
    ::kill(cluster.group().pid(leader), SIGKILL);
    cluster.group().Kill(follower);
    cluster.group().Kill(leader);
  });
}

// The versions of docs, in the order in which they were written.
TEST(AssignmentTest, VersionsOnlyRiseThroughJoinsLeavesAndFailovers) {
  Cluster cluster({.settings = kSteady});
  KvTap tap(cluster.server().url(), cluster.prefix());
  StartAll(cluster, {"a", "b"});
  std::uint64_t version = 0;
  const auto expect_higher = [&](const char* after) {
    ASSERT_EQ(cluster.AwaitSettled(), "") << after;
    EXPECT_GT(tap.Version(), version) << after;
    version = tap.Version();
  };
  expect_higher("the cold start");
  cluster.Start("c");
  expect_higher("a join");
  cluster.group().Kill(cluster.group().Leader().value());
  expect_higher("a failover");
  cluster.Start("d");
  expect_higher("another join");
  cluster.group().Terminate(cluster.group().Leader().value());
  expect_higher("a leader that left");
  EXPECT_EQ(cluster.Finish(), "");

  std::pair<std::uint64_t, std::uint64_t> highest;
  std::uint64_t highest_version = 0;
  for (const auto& [worker, writer, doc] : tap.Docs()) {
    EXPECT_GE((std::pair{doc.epoch, doc.version}), highest) << "the doc of " << worker;
    EXPECT_GE(doc.version, highest_version) << "the doc of " << worker;
    highest = std::max(highest, {doc.epoch, doc.version});
    highest_version = std::max(highest_version, doc.version);
  }
}

// A worker joins; its partitions are revoked from the others, who take long to let go. Then, with
// nothing granted yet, the leader goes.
template <typename Go>
void LeaderGoesDuringARebalance(const Go& go) {
  Cluster cluster({.settings = {"heartbeat_ttl=4s", "election_ttl=4s", "assume_new_group=true",
                                "release_timeout=30s", "stop_timeout=30s"}});
  KvTap tap(cluster.server().url(), cluster.prefix());
  StartAll(cluster, {"a", "b", "c"}, {.arguments = {"--release-delay", "3s"}});
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t leader = cluster.group().Leader().value();
  const std::uint64_t epoch = cluster.observer().View(leader).epoch;

  const std::size_t joiner = cluster.Start("d");
  ASSERT_EQ(cluster.Await([&] {
    const auto docs = tap.Docs();
    return std::any_of(docs.begin(), docs.end(),
                       [](const auto& write) { return !write.doc.releasing.empty(); });
  }),
            "");
  go(cluster, leader);
  ASSERT_EQ(cluster.Await([&] { return !cluster.group().Running(leader); }), "");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_GT(cluster.Owned(joiner), 0U);
  for (const cli::EventLine& event : cluster.Events(joiner)) {
    if (event.kind != EventKind::kAcquired) continue;
    EXPECT_GT(event.token.epoch, epoch) << "the rebalance was over already";
  }
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(AssignmentTest, TheLeaderIsShutDownDuringARebalance) {
  LeaderGoesDuringARebalance(
      [](Cluster& cluster, std::size_t leader) { cluster.group().Terminate(leader); });
}

TEST(AssignmentTest, TheLeaderIsKilledDuringARebalance) {
  LeaderGoesDuringARebalance(
      [](Cluster& cluster, std::size_t leader) { cluster.group().Kill(leader); });
}

// A follower died, and the leader knows; it waits for the grace period, and goes in the midst.
template <typename Go>
void LeaderGoesDuringAnEmergency(const Go& go) {
  Cluster cluster({.partitions = 40,
                   .settings = {"heartbeat_ttl=3s", "election_ttl=3s", "assume_new_group=true",
                                "emergency_grace_period=4s"}});
  StartAll(cluster, {"a", "b", "c", "d", "e"});
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t leader = cluster.group().Leader().value();
  const std::uint64_t epoch = cluster.observer().View(leader).epoch;
  const std::size_t victim = OtherThan(leader);
  std::set<std::string> orphans;
  for (const auto& [partition, held] : cluster.ClaimsOf({victim})) orphans.insert(partition);
  ASSERT_THAT(orphans, Not(IsEmpty()));

  cluster.group().Kill(victim);
  ASSERT_EQ(cluster.Await([&] { return cluster.observer().View(leader).state == "Emergency"; }),
            "");
  go(cluster, leader);
  const auto before = cluster.ClaimsOf(cluster.group().Living());
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.Disturbed(before), "");
  for (const cli::Holder& holder : cluster.observer().HoldersAt(cli::BootNanos())) {
    if (orphans.contains(holder.partition)) {
      EXPECT_GT(holder.token.epoch, epoch) << "the emergency was over already";
    }
  }
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(AssignmentTest, TheLeaderIsShutDownDuringAnEmergency) {
  LeaderGoesDuringAnEmergency(
      [](Cluster& cluster, std::size_t leader) { cluster.group().Terminate(leader); });
}

TEST(AssignmentTest, TheLeaderIsKilledDuringAnEmergency) {
  LeaderGoesDuringAnEmergency(
      [](Cluster& cluster, std::size_t leader) { cluster.group().Kill(leader); });
}

}  // namespace
}  // namespace parti::test
