// Two builds of the command in one group: `parti`, and `parti-next`, which speaks one wire version
// more. docs/upgrades.md is what they hold to.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "internal/wire/records.h"
#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"

namespace parti::test {
namespace {

using ::testing::HasSubstr;

constexpr int kOld = wire::kWireVersion;
constexpr int kNew = wire::kWireVersion + 1;

class UpgradeTest : public ::testing::Test {
 protected:
  void Begin(const std::vector<std::string>& settings = {}) {
    cluster_.emplace(ClusterOptions{.strategy = "consistent-hash", .settings = settings});
  }
  Cluster& cluster() { return *cluster_; }

  std::size_t StartOld(const std::string& name, const std::vector<std::string>& settings = {}) {
    return cluster().Start(name, settings);
  }
  std::size_t StartNew(const std::string& name, const std::vector<std::string>& settings = {}) {
    return cluster().Start(name, settings, {.binary = PARTI_NEXT_BINARY});
  }

  // The same identity, of the newer build.
  std::size_t Replace(const std::string& name, std::size_t worker) {
    cluster().group().Terminate(worker);
    EXPECT_EQ(cluster().Await([&] { return !cluster().group().Running(worker); }), "");
    return StartNew(name + "-next", {"identity=" + name});
  }

  KvClient& client() {
    if (!client_) {
      client_.emplace(kv::NatsKvOptions{.nats = {.url = cluster().server().url()},
                                        .prefix = cluster().prefix(),
                                        .heartbeat_ttl = core::kSecond});
      EXPECT_TRUE(client_->WaitReady().ok());
    }
    return *client_;
  }
  int GroupVersion() {
    const core::KvAnswer answer = client().Get(wire::Bucket::kElection, "leader");
    const auto leader = wire::DecodeLeader(answer.entry.value, wire::kMaxWireVersion);
    return leader.ok() ? leader->wire_version : 0;
  }
  std::string HeartbeatOf(std::size_t worker) {
    return client()
        .Get(wire::Bucket::kHeartbeat, cluster().observer().View(worker).worker)
        .entry.value;
  }
  static std::string Version(int version) { return fmt::format("{{\"v\":{},", version); }

  // A worker that must end by itself, saying why.
  void ExpectRefused(std::size_t worker, const std::vector<std::string>& says) {
    ASSERT_EQ(cluster().Await([&] { return !cluster().group().Running(worker); }), "");
    EXPECT_FALSE(cluster().group().exit(worker)->ok());
    for (const std::string& text : says) {
      EXPECT_THAT(cluster().group().ErrorTail(worker), HasSubstr(text));
    }
    EXPECT_EQ(cluster().Owned(worker), 0U);
    cluster().group().Terminate(worker);  // its end was expected
  }

 private:
  std::optional<Cluster> cluster_;
  std::optional<KvClient> client_;
};

TEST_F(UpgradeTest, OldAndNewShareAGroupAtTheOldVersionWhoeverLeads) {
  Begin();
  const auto a = StartOld("a");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  const auto b = StartNew("b");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_GT(cluster().Owned(b), 0U);
  EXPECT_EQ(GroupVersion(), kOld);
  EXPECT_THAT(HeartbeatOf(b), HasSubstr(Version(kOld)));

  // The newer build leads, among older ones.
  const auto c = StartOld("c");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  ASSERT_EQ(cluster().group().Leader(), a);
  cluster().group().Kill(a);
  cluster().group().Kill(c);
  ASSERT_EQ(cluster().Await([&] { return cluster().group().Leader() == b; }), "");
  StartOld("d");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_EQ(cluster().group().Leader(), b);
  EXPECT_EQ(GroupVersion(), kOld);
  EXPECT_EQ(cluster().Finish(), "");
}

TEST_F(UpgradeTest,
       ARollingRestartIntoTheNewBuildMovesNothingThenTheGroupFollowsAndOldOnesAreRefused) {
  // A window in which a worker that is replaced comes back.
  Begin({"planned_scale_window=8s"});
  const std::vector<std::string> names = {"a", "b", "c"};
  std::vector<std::size_t> workers;
  for (const std::string& name : names) workers.push_back(StartOld(name));
  ASSERT_EQ(cluster().AwaitSettled(), "");
  const auto before = cluster().OwnerIds();
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(GroupVersion(), kOld);
    workers[i] = Replace(names[i], workers[i]);
    ASSERT_EQ(cluster().AwaitSettled(), "");
    EXPECT_EQ(cluster().OwnerIds(), before) << "after replacing " << names[i];
  }
  ASSERT_EQ(cluster().Await([&] { return GroupVersion() == kNew; }), "");
  ASSERT_EQ(cluster().Await([&] {
    return HeartbeatOf(workers[0]).starts_with(Version(kNew)) &&
           HeartbeatOf(workers[2]).starts_with(Version(kNew));
  }),
            "");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_EQ(cluster().OwnerIds(), before);

  const auto late = StartOld("late");
  ExpectRefused(late, {fmt::format("the group speaks wire version {}", kNew),
                       fmt::format("this worker's build speaks only {}", kOld),
                       "run the build that the rest of the group runs"});
  // And the group goes on in the new version: somebody joins, somebody dies.
  StartNew("d");
  cluster().group().Kill(workers[0]);
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_EQ(GroupVersion(), kNew);
  EXPECT_EQ(cluster().Finish(), "");
}

TEST_F(UpgradeTest, TheVersionIsHeldBackForARollback) {
  Begin({fmt::format("wire_version={}", kOld)});
  const auto a = StartOld("a");
  const auto b = StartOld("b");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  const auto a2 = Replace("a", a);
  ASSERT_EQ(cluster().AwaitSettled(), "");
  Replace("b", b);
  ASSERT_EQ(cluster().AwaitSettled(), "");
  // All speak the new one, for some leases now.
  EXPECT_TRUE(StaysTrue([&] { return GroupVersion() == kOld; }, std::chrono::seconds(4)));
  // Back, then.
  cluster().group().Terminate(a2);
  StartOld("a-again", {"identity=a"});
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_EQ(GroupVersion(), kOld);
  EXPECT_EQ(cluster().Finish(), "");
}

TEST_F(UpgradeTest, ANewGroupOfTheNewBuildSpeaksTheNewVersionFromItsStart) {
  Begin();
  StartNew("a");
  StartNew("b");
  ASSERT_EQ(cluster().AwaitSettled(), "");
  EXPECT_EQ(GroupVersion(), kNew);
  ExpectRefused(StartOld("late"), {"wire version"});
  EXPECT_EQ(cluster().Finish(), "");
}

}  // namespace
}  // namespace parti::test
