// Pauses, a dying server, garbage in the buckets, settings that don't agree, and churn.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/integration/cluster.h"

namespace parti::test {
namespace {

using cli::EventKind;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// The worker's events from `since` on, up to its next life: it may report its losses, and no more.
void ExpectOnlyLosses(const Cluster& cluster, std::size_t worker, std::int64_t since) {
  std::size_t seen = 0;
  for (const cli::EventLine& event : cluster.Events(worker)) {
    if (event.t < since) continue;
    if (event.kind == EventKind::kStarted) break;
    EXPECT_THAT(event.kind, AnyOf(EventKind::kLost, EventKind::kState, EventKind::kLeader))
        << "event " << seen << " after the pause";
    if (event.kind == EventKind::kLeader) {
      EXPECT_FALSE(event.gained);
    }
    ++seen;
  }
}

// Pauses the worker that `choose` names until the others own everything.
template <typename Choose>
void PausedBeyondItsLease(const Choose& choose) {
  Cluster cluster;
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t paused = choose(cluster);
  const std::size_t owned = cluster.Owned(paused);
  ASSERT_GT(owned, 0U);
  const std::size_t lives = cluster.observer().View(paused).lives;

  cluster.group().Pause(paused);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::int64_t resumed_at = cli::BootNanos();
  cluster.group().Resume(paused);
  ASSERT_EQ(cluster.Await([&] { return cluster.observer().View(paused).lives > lives; }), "");
  ASSERT_EQ(cluster.AwaitSettled(), "");

  ExpectOnlyLosses(cluster, paused, resumed_at);
  const auto events = cluster.Events(paused);
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.kind == EventKind::kLost; }),
            static_cast<std::ptrdiff_t>(owned));
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FaultsTest, AWorkerPausedBeyondItsLeaseNeverActsAsOwnerAgain) {
  PausedBeyondItsLease([](Cluster& cluster) {
    const std::size_t leader = cluster.group().Leader().value();
    return leader == 0 ? 1U : 0U;
  });
}

TEST(FaultsTest, ALeaderPausedBeyondItsLeaseNeverActsAsOwnerAgain) {
  PausedBeyondItsLease([](Cluster& cluster) { return cluster.group().Leader().value(); });
}

// Shows that the other tests could fail: fast mode doesn't keep the promise, and that is seen.
TEST(FaultsTest, TheOverlapsThatFastModeAllowsAreSeen) {
  Cluster cluster({.settings = {"mode=fast"}});
  const auto a = cluster.Start("a");
  cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.group().Pause(a);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_FALSE(cluster.observer().Judge(cli::BootNanos()).overlaps.empty());
}

TEST(FaultsTest, TheServerIsKilledAndStartedAgainOnItsFiles) {
  Cluster cluster({.settings = {"storage=file"}});
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.server().Kill();
  // Without a server every lease runs out, and with it every claim.
  ASSERT_EQ(cluster.Await(
                [&] { return cluster.observer().Judge(cli::BootNanos()).unowned.size() == 12U; }),
            "");
  RestartServer(cluster.server());
  ASSERT_EQ(cluster.AwaitSettled(), "");
  // And once so quickly that leases may survive it.
  cluster.server().Kill();
  RestartServer(cluster.server());
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FaultsTest, TheServerForgetsItsBuckets) {
  Cluster cluster({.settings = {"storage=memory"}});
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.server().Kill();
  RestartServer(cluster.server());
  // The workers may take a while to see that everything is gone.
  ASSERT_EQ(cluster.Await([&] { return cluster.observer().View(0).lives > 1; }), "");
  EXPECT_EQ(cluster.FinishAfterAmnesia(), "");
}

// Writes whatever it is told to, past all that guards the buckets.
class Vandal {
 public:
  explicit Vandal(const std::string& url) {
    EXPECT_EQ(natsConnection_ConnectTo(&connection_, url.c_str()), NATS_OK);
    EXPECT_EQ(natsConnection_JetStream(&jetstream_, connection_, nullptr), NATS_OK);
  }
  ~Vandal() {
    jsCtx_Destroy(jetstream_);
    natsConnection_Destroy(connection_);
  }
  Vandal(const Vandal&) = delete;
  Vandal& operator=(const Vandal&) = delete;

  void Write(const std::string& bucket, const std::string& key, const std::string& value) {
    const std::string subject = fmt::format("$KV.{}.{}", bucket, key);
    jsErrCode code{};
    const natsStatus status = js_Publish(nullptr, jetstream_, subject.c_str(), value.data(),
                                         static_cast<int>(value.size()), nullptr, &code);
    EXPECT_EQ(status, NATS_OK) << subject << ": " << natsStatus_GetText(status);
  }

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* jetstream_ = nullptr;
};

std::vector<std::string> Garbage() {
  std::mt19937_64 random(7);
  std::string noise(2000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  return {"",
          "}{",
          "null",
          "[[[[[[[[[[[[[[[[",
          R"({"v":1})",
          R"({"v":"one","epoch":-1,"incarnation":"x","owned":{},"lease_ms":1e300})",
          std::string("\x28\xb5\x2f\xfd", 4) + noise,  // begins like a zstd frame
          std::string(100'000, '['),
          noise};
}

TEST(FaultsTest, GarbageInEveryBucketNeitherCrashesNorStopsTheGroup) {
  Cluster cluster;
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  Vandal vandal(cluster.server().url());
  const std::string id = cluster.observer().View(0).worker;
  for (const std::string& garbage : Garbage()) {
    for (const char* bucket : {"stableid", "heartbeat", "assignment"}) {
      const std::string name = fmt::format("{}-{}", cluster.prefix(), bucket);
      vandal.Write(name, id, garbage);
      vandal.Write(name, "worker-999", garbage);
      vandal.Write(name, "no-such_key", garbage);
    }
    vandal.Write(cluster.prefix() + "-election", "leader", garbage);
    vandal.Write(cluster.prefix() + "-election", "no-such_key", garbage);
    ASSERT_EQ(cluster.AwaitSettled(), "");
  }
  cluster.Start("d");
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FaultsTest, AWorkerOfAnotherModeRefusesToStart) {
  Cluster cluster;
  cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto other = cluster.Start("b", {"mode=fast"});
  ASSERT_EQ(cluster.Await([&] { return !cluster.group().Running(other); }), "");
  EXPECT_FALSE(cluster.group().exit(other)->ok());
  EXPECT_THAT(cluster.group().ErrorTail(other), HasSubstr("mode"));
  EXPECT_EQ(cluster.Owned(other), 0U);
  cluster.group().Terminate(other);  // its end was expected
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(FaultsTest, TenRoundsOfKillingAndPausing) {
  Cluster cluster({.settings = {"max_workers=8"}});
  const char* const chosen = std::getenv("PARTI_CHURN_SEED");
  std::mt19937_64 random(chosen == nullptr ? 1 : std::strtoull(chosen, nullptr, 10));
  int started = 0;
  const auto start = [&] { cluster.Start(fmt::format("w{}", started++)); };
  for (int i = 0; i < 4; ++i) start();
  ASSERT_EQ(cluster.AwaitSettled(), "");
  for (int round = 0; round < 10; ++round) {
    const std::vector<std::size_t> living = cluster.group().Living();
    const std::size_t victim = living[random() % living.size()];
    const std::size_t other = living[random() % living.size()];
    SCOPED_TRACE(fmt::format("round {}: {} and {}", round, victim, other));
    const bool pause = random() % 2 == 0;
    if (pause) {
      cluster.group().Pause(victim);
    } else {
      cluster.group().Kill(victim);
      start();
    }
    // Half of the time a second worker dies before the group has got over the first.
    if (other != victim && random() % 2 == 0) {
      cluster.group().Kill(other);
      start();
    }
    ASSERT_EQ(cluster.AwaitSettled(), "");
    if (pause) {
      cluster.group().Resume(victim);
      ASSERT_EQ(cluster.AwaitSettled(), "");
    }
  }
  EXPECT_EQ(cluster.Finish(), "");
}

}  // namespace
}  // namespace parti::test
