// What befell others that do the like: each test is an idea of a public bug report of Go parti, the
// Kinesis client library and their like that could happen here. docs/testing.md cites them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"
#include "test/support/proxy.h"

namespace parti::test {
namespace {

using cli::EventKind;
using cli::EventLine;
using std::chrono::milliseconds;

class ReportsTest : public testing::Test {
 protected:
  void Start(const ClusterOptions& options, const std::vector<std::string>& names) {
    cluster_ = std::make_unique<Cluster>(options);
    admin_ = std::make_unique<Admin>(cluster_->server().url());
    for (const std::string& name : names) cluster_->Start(name);
    ASSERT_EQ(cluster_->AwaitSettled(), "");
  }
  std::string IdOf(std::size_t worker) { return cluster_->observer().View(worker).worker; }
  std::size_t Lives(std::size_t worker) { return cluster_->observer().View(worker).lives; }
  static std::string Stream(const std::string& bucket) { return "KV_test-" + bucket; }

  // What `nats kv del` does; and without a trace.
  void Delete(const std::string& bucket, const std::string& key) {
    EXPECT_TRUE(admin_->DeleteKey(fmt::format("$KV.test-{}.{}", bucket, key)).contains("seq"));
  }
  void Purge(const std::string& bucket, const std::string& key) {
    const auto answer = admin_->Ask("$JS.API.STREAM.PURGE." + Stream(bucket),
                                    {{"filter", fmt::format("$KV.test-{}.{}", bucket, key)}});
    EXPECT_TRUE(answer.value("success", false)) << answer;
  }
  bool Exists(const std::string& bucket) {
    return admin_->Ask("$JS.API.STREAM.INFO." + Stream(bucket)).contains("config");
  }
  std::uint64_t LastSequence(const std::string& bucket) {
    const auto answer = admin_->Ask("$JS.API.STREAM.INFO." + Stream(bucket));
    return answer.contains("state") ? answer["state"].value("last_seq", std::uint64_t{0}) : 0;
  }

  // Goes last: its proxies are the workers' only way.
  std::vector<std::unique_ptr<Proxy>> wires_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Admin> admin_;
};

// The record of a leader that was killed looks as fresh to whoever reads it anew as on the day that
// it was written. The survivors' connections break again and again, so that they read it anew.
TEST_F(ReportsTest, ALeaderKilledWhoseRecordLooksFreshToWhoeverReconnectsIsReplaced) {
  cluster_ = std::make_unique<Cluster>(
      ClusterOptions{.settings = {"heartbeat_ttl=3s", "election_ttl=3s", "assume_new_group=true"}});
  for (const char* name : {"a", "b", "c"}) {
    wires_.push_back(std::make_unique<Proxy>(cluster_->server().port()));
    cluster_->Start(name, {}, {.url = wires_.back()->url()});
  }
  admin_ = std::make_unique<Admin>(cluster_->server().url());
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  const std::size_t leader = cluster_->group().Leader().value();
  const std::uint64_t epoch = cluster_->observer().View(leader).epoch;
  // Right after it has renewed.
  const std::uint64_t renewal = LastSequence("election");
  ASSERT_TRUE(WaitFor([&] { return LastSequence("election") > renewal; }));
  cluster_->group().Kill(leader);
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      if (i == leader) continue;
      const std::uint64_t before = wires_[i]->total_connections();
      wires_[i]->Cut();
      ASSERT_TRUE(WaitFor([&] { return wires_[i]->total_connections() > before; }));
    }
  }
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  EXPECT_GT(cluster_->observer().View(cluster_->group().Leader().value()).epoch, epoch);
  EXPECT_EQ(cluster_->Finish(), "");
}

// The same, with all others replaced, too: nobody who saw the leader alive is left.
TEST_F(ReportsTest, AWholeFleetKilledWithItsLeaderInOfficeIsReplacedByAnother) {
  Start({}, {"a", "b", "c"});
  for (const std::size_t worker : {0U, 1U, 2U}) cluster_->group().Kill(worker);
  for (const char* name : {"d", "e", "f"}) cluster_->Start(name);
  EXPECT_EQ(cluster_->Finish(), "");
}

// A listing that lacks a worker who lives: its heartbeat is gone from the bucket without a trace,
// and the leader reads the bucket anew before the next one comes. That isn't a death: what the
// worker holds goes to nobody while it may hold it.
TEST_F(ReportsTest, AWorkerMissingFromATruncatedListingIsNotTakenForDead) {
  wires_.clear();
  cluster_ = std::make_unique<Cluster>(
      ClusterOptions{.settings = {"heartbeat_ttl=6s", "heartbeat_interval=2s", "election_ttl=6s",
                                  "assume_new_group=true"}});
  admin_ = std::make_unique<Admin>(cluster_->server().url());
  for (const char* name : {"a", "b", "c"}) {
    wires_.push_back(std::make_unique<Proxy>(cluster_->server().port()));
    cluster_->Start(name, {}, {.url = wires_.back()->url()});
  }
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  const std::size_t leader = cluster_->group().Leader().value();
  const std::size_t missing = leader == 0 ? 1 : 0;
  const std::size_t lives = Lives(missing);
  Purge("heartbeat", IdOf(missing));
  const std::uint64_t before = wires_[leader]->total_connections();
  wires_[leader]->Cut();
  ASSERT_TRUE(WaitFor([&] { return wires_[leader]->total_connections() > before; }));
  // Its next heartbeat finds no predecessor, and a life never writes over what it can't explain.
  ASSERT_EQ(cluster_->Await([&] { return Lives(missing) > lives; }), "");
  EXPECT_EQ(cluster_->Finish(), "");
}

class DeletedKeyTest : public ReportsTest,
                       public testing::WithParamInterface<std::tuple<std::string, bool>> {};

// Somebody deletes what a running group stands on, with a marker or without a trace; the group goes
// on and can still share out.
TEST_P(DeletedKeyTest, TheGroupGoesOn) {
  const std::string bucket = std::get<0>(GetParam());
  const bool traceless = std::get<1>(GetParam());
  Start({}, {"a", "b", "c"});
  for (const std::size_t worker : {0U, 1U, 2U}) {
    const std::string key = bucket == "election" ? "leader" : IdOf(worker);
    const std::uint64_t at = LastSequence(bucket);
    if (traceless) {
      Purge(bucket, key);
    } else {
      Delete(bucket, key);
    }
    // Claims and assignments are written again only when there is cause to.
    if (bucket == "election" || bucket == "heartbeat") {
      ASSERT_TRUE(WaitFor([&] { return LastSequence(bucket) > at + (traceless ? 0 : 1); }));
    }
    ASSERT_EQ(cluster_->AwaitSettled(), "");
  }
  cluster_->Start("d");
  ASSERT_EQ(cluster_->Await([&] { return cluster_->Owned(3) > 0; }), "");
  EXPECT_EQ(cluster_->Finish(), "");
}

INSTANTIATE_TEST_SUITE_P(Buckets, DeletedKeyTest,
                         testing::Combine(testing::Values("stableid", "election", "heartbeat",
                                                          "assignment"),
                                          testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param) +
                                  (std::get<1>(test.param) ? "Purged" : "Deleted");
                         });

// A claim is lost while its bearer's heartbeats go on: the id isn't free for that, and the bearer,
// whose lease rests on its heartbeats alone, isn't disturbed.
TEST_F(ReportsTest, AClaimLostOrForgedWhileHeartbeatsGoOnFreesNoId) {
  Start({.settings = {"max_workers=4", "heartbeat_ttl=3s", "assume_new_group=true"}},
        {"a", "b", "c"});
  const auto before = cluster_->OwnerIds();
  Purge("stableid", IdOf(0));
  Delete("stableid", IdOf(1));
  // Somebody else's claim, as an unfenced process would write it.
  admin_->AskRaw("$KV.test-stableid." + IdOf(2),
                 R"({"v":1,"identity":"x","incarnation":9,"nonce":"9","lease_ms":100})");
  const std::size_t d = cluster_->Start("d");
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  const std::size_t e = cluster_->Start("e");
  ASSERT_EQ(cluster_->Await([&] {
    return cluster_->group().ErrorTail(e).find("all 4 worker ids are taken") != std::string::npos;
  }),
            "");
  for (const std::size_t worker : {0U, 1U, 2U}) {
    EXPECT_EQ(Lives(worker), 1U);
    EXPECT_NE(IdOf(d), IdOf(worker));
  }
  EXPECT_EQ(Lives(e), 0U);
  cluster_->group().SetAside(e, true);  // it never gets one
  EXPECT_EQ(cluster_->Finish(), "");
}

class WipedBucketTest : public ReportsTest, public testing::WithParamInterface<std::string> {};

// A bucket is deleted under a running group, which makes it anew and goes on; nothing is owned
// twice.
TEST_P(WipedBucketTest, TheGroupMakesItAnewAndGoesOn) {
  Start({}, {"a", "b", "c"});
  const std::string bucket = GetParam();
  admin_->Ask("$JS.API.STREAM.DELETE." + Stream(bucket));
  // Claims and assignments are looked for only when there is cause to.
  const std::size_t d = cluster_->Start("d");
  ASSERT_TRUE(WaitFor([&] {
    cluster_->group().Poll();
    return Exists(bucket) && Lives(d) > 0;
  })) << cluster_->group().Describe();
  ASSERT_EQ(cluster_->Await([&] { return cluster_->Owned(d) > 0; }), "");
  EXPECT_EQ(cluster_->FinishAfterAmnesia(), "");
}

INSTANTIATE_TEST_SUITE_P(Buckets, WipedBucketTest,
                         testing::Values("stableid", "election", "heartbeat", "assignment"),
                         [](const auto& test) { return test.param; });

// Who left in order isn't counted among the living until its lease is over: the others own all of
// it before that.
TEST_F(ReportsTest, TheLeaseOfAWorkerThatLeftIsNotWaitedOut) {
  Start({.settings = {"heartbeat_ttl=20s"}}, {"a", "b", "c"});
  const std::size_t left = cluster_->group().Leader().value() == 0 ? 1 : 0;
  cluster_->group().Terminate(left);
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  const std::int64_t lease = cluster_->observer().View(left).until;
  EXPECT_LT(cluster_->observer().last_change(), lease);
  EXPECT_EQ(cluster_->Finish(), "");
}

// What a wall clock is off by, for processes that have the preloaded library.
class WallClock {
 public:
  WallClock() { Jump(std::chrono::hours(0)); }
  // In place: the processes have the file mapped.
  void Jump(std::chrono::seconds by) {
    const std::int64_t seconds = by.count();
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    if (!file) file.open(path_, std::ios::binary | std::ios::out);
    file.write(reinterpret_cast<const char*>(&seconds), sizeof(seconds));
  }
  cli::SpawnOptions Worker() const {
    return {.environment = {{"LD_PRELOAD", PARTI_WALL_CLOCK}, {"PARTI_TEST_WALL_CLOCK", path_}}};
  }

 private:
  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  const std::string path_ = folder_->File("wall-clock");
};

// Wall clocks hours apart, and jumping forth and back: no lease, election or wait hangs on them.
TEST_F(ReportsTest, WallClocksThatJumpByHoursChangeNothing) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own library has to be the first one preloaded";
#endif
  cluster_ = std::make_unique<Cluster>(
      ClusterOptions{.settings = {"heartbeat_ttl=6s", "election_ttl=4s", "assume_new_group=true"}});
  std::vector<WallClock> clocks(3);
  clocks[1].Jump(std::chrono::hours(-5));
  cluster_->Start("a", {}, clocks[0].Worker());
  cluster_->Start("b", {}, clocks[1].Worker());
  cluster_->Start("c", {}, clocks[2].Worker());
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  const std::size_t leader = cluster_->group().Leader().value();
  const std::size_t follower = leader == 0 ? 1 : 0;
  const auto before = cluster_->OwnerIds();
  for (const auto& [worker, hours] : {std::pair(leader, 9), std::pair(follower, 30),
                                      std::pair(leader, -48), std::pair(follower, 0)}) {
    clocks[worker].Jump(std::chrono::hours(hours));
    EXPECT_TRUE(StaysTrue(
        [&] {
          cluster_->group().Poll();
          return Lives(0) + Lives(1) + Lives(2) == 3 && cluster_->OwnerIds() == before;
        },
        milliseconds(1500)))
        << cluster_->group().Describe();
  }
  EXPECT_EQ(cluster_->group().Leader(), leader);
  cluster_->group().Kill(leader);
  EXPECT_EQ(cluster_->Finish(), "");
}

// Nobody joins or leaves, nothing else happens: what a killed worker held is taken over all the
// same.
TEST_F(ReportsTest, APartitionOfADeadWorkerIsTakenOverThoughAllElseIsConverged) {
  Start({}, {"a", "b"});
  const std::size_t follower = cluster_->group().Leader().value() == 0 ? 1 : 0;
  cluster_->group().Kill(follower);
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  EXPECT_EQ(cluster_->Owned(1 - follower), 12U);
  EXPECT_EQ(cluster_->Finish(), "");
}

}  // namespace
}  // namespace parti::test
