// Workers come, go and die; the group carries on, and nothing is owned twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "test/integration/cluster.h"

namespace parti::test {
namespace {

using ::testing::Gt;

TEST(FailoverTest, TwoWorkersShareAndTheSecondTakesOver) {
  Cluster cluster;
  const auto a = cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.Owned(a), 12U);
  const auto b = cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_GT(cluster.Owned(b), 0U);
  cluster.group().Terminate(a);
  ASSERT_EQ(cluster.Await([&] { return !cluster.group().Running(a); }), "");
  EXPECT_TRUE(cluster.group().exit(a)->ok()) << cluster.group().exit(a)->ToString();
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FailoverTest, FiveWorkersStartingAtOnceGetFiveIds) {
  Cluster cluster({.settings = {"max_workers=5"}});
  std::set<std::size_t> workers;
  for (const char* name : {"a", "b", "c", "d", "e"}) workers.insert(cluster.Start(name));
  ASSERT_EQ(cluster.AwaitSettled(), "");
  std::set<std::string> ids;
  for (const std::size_t worker : workers) ids.insert(cluster.observer().View(worker).worker);
  EXPECT_THAT(ids,
              ::testing::ElementsAre("worker-0", "worker-1", "worker-2", "worker-3", "worker-4"));
  EXPECT_EQ(cluster.Finish(), "");
}

// The leader goes by `go`; another takes over under a higher epoch.
template <typename Go>
void LeaderGoes(const Go& go) {
  Cluster cluster({.partitions = 60, .strategy = "consistent-hash"});
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t leader = cluster.group().Leader().value();
  const std::uint64_t epoch = cluster.observer().View(leader).epoch;
  go(cluster, leader);
  ASSERT_EQ(cluster.Await([&] { return !cluster.group().Running(leader); }), "");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t successor = cluster.group().Leader().value();
  EXPECT_NE(successor, leader);
  EXPECT_THAT(cluster.observer().View(successor).epoch, Gt(epoch));
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FailoverTest, TheLeaderLeaves) {
  LeaderGoes([](Cluster& cluster, std::size_t leader) { cluster.group().Terminate(leader); });
}

TEST(FailoverTest, TheLeaderIsKilled) {
  LeaderGoes([](Cluster& cluster, std::size_t leader) { cluster.group().Kill(leader); });
}

TEST(FailoverTest, AllWorkersDieAtOnceAndOthersTakeTheirPlace) {
  Cluster cluster;
  const auto a = cluster.Start("a");
  const auto b = cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.group().Kill(a);
  cluster.group().Kill(b);
  cluster.Start("c");
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FailoverTest, AWorkerStartedAgainUnderItsIdentityGetsItsIdBackAndNothingMoves) {
  // A lease long enough that the restart surely falls within it.
  Cluster cluster({.settings = {"heartbeat_ttl=5s"}});
  for (const char* name : {"a", "b"}) cluster.Start(name);
  const auto c = cluster.Start("c");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto before = cluster.OwnerIds();
  const std::string id = cluster.observer().View(c).worker;

  cluster.group().Kill(c);
  const auto again = cluster.Start("c-again", {"identity=c"});
  // Its former life is over because its process is gone, which no log can tell.
  cluster.group().CountAsGone(c);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.observer().View(again).worker, id);
  EXPECT_EQ(cluster.OwnerIds(), before);
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FailoverTest, WorkersMayStartBeforeTheServer) {
  Cluster cluster({.start_server = false});
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  EXPECT_TRUE(StaysTrue(
      [&] {
        cluster.group().Poll();
        return cluster.group().Living().size() == 3;
      },
      std::chrono::seconds(1)))
      << cluster.group().UnexpectedEnd();
  RestartServer(cluster.server());
  EXPECT_EQ(cluster.Finish(), "");
}

}  // namespace
}  // namespace parti::test
