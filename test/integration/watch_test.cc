// How the leader notices who comes and goes: by a watch, with a poll behind it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"
#include "test/integration/kv_tap.h"

namespace parti::test {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

// The poll comes every heartbeat_ttl / 2, which is after the test has failed.
TEST(WatchTest, JoinsAndLeavesAreNoticedByTheWatchAlone) {
  Cluster cluster({.settings = {"heartbeat_ttl=20m", "assume_new_group=true"}});
  const auto a = cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  KvTap tap(cluster.server().url(), cluster.prefix());
  const auto b = cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_GT(cluster.Owned(b), 0U);
  cluster.group().Terminate(b);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.Owned(a), 12U);
  EXPECT_EQ(cluster.Finish(), "");
}

// Of each join the watch tells at once, and the poll a while later.
TEST(WatchTest, AJoinMakesOneVersionAlthoughWatchAndPollBothSeeIt) {
  Cluster cluster({.settings = {"heartbeat_ttl=6s", "election_ttl=6s", "assume_new_group=true"}});
  KvTap tap(cluster.server().url(), cluster.prefix());
  cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  for (const char* name : {"b", "c", "d"}) {
    SCOPED_TRACE(name);
    const std::uint64_t version = tap.Version();
    const auto joiner = cluster.Start(name);
    ASSERT_EQ(cluster.AwaitSettled(), "");
    EXPECT_GT(cluster.Owned(joiner), 0U);
    EXPECT_EQ(tap.Version(), version + 1);
    const std::size_t polls = tap.Polls("heartbeat");
    ASSERT_EQ(cluster.Await([&] { return tap.Polls("heartbeat") > polls + 1; }), "");
    ASSERT_EQ(cluster.AwaitSettled(), "");
    EXPECT_EQ(tap.Version(), version + 1) << "after the poll";
  }
  EXPECT_EQ(cluster.Finish(), "");
}

std::set<std::string> ConsumersOf(Admin& admin, const std::string& stream) {
  std::set<std::string> names;
  const nlohmann::json answer = admin.Ask("$JS.API.CONSUMER.NAMES." + stream);
  for (const auto& name : answer.value("consumers", nlohmann::json::array())) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return names;
}

// What the leader watches through is taken away on the server; nobody tells it.
TEST(WatchTest, TheGroupGoesOnWhenTheWatchesFail) {
  Cluster cluster({.settings = {"heartbeat_ttl=6s", "election_ttl=6s", "assume_new_group=true"}});
  cluster.Start("a");
  cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  Admin admin(cluster.server().url());
  const std::vector<std::string> streams = {"KV_test-heartbeat", "KV_test-assignment",
                                            "KV_test-election"};
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    for (const std::string& stream : streams) {
      const std::set<std::string> consumers = ConsumersOf(admin, stream);
      EXPECT_THAT(consumers, Not(IsEmpty())) << stream;
      for (const std::string& consumer : consumers) {
        admin.Ask("$JS.API.CONSUMER.DELETE." + stream + "." + consumer);
      }
    }
    const auto joiner = cluster.Start(fmt::format("j{}", round));
    ASSERT_EQ(cluster.Await([&] { return cluster.Owned(joiner) > 0; }), "");
    ASSERT_EQ(cluster.AwaitSettled(), "");
    // Watches are there again, for the next round to take away.
    ASSERT_EQ(cluster.Await([&] {
      for (const std::string& stream : streams) {
        if (ConsumersOf(admin, stream).empty()) return false;
      }
      return true;
    }),
              "");
  }
  // One that falls silent without being deleted is for the poll to find: see KvTest and the
  // simulator's schedules.
  cluster.group().Kill(cluster.group().Leader().value());
  EXPECT_EQ(cluster.Finish(), "");
}

}  // namespace
}  // namespace parti::test
