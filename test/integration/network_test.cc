// Workers whose way to the server is cut, frozen or slow, from outside them: by a proxy between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "test/integration/cluster.h"
#include "test/support/proxy.h"

namespace parti::test {
namespace {

using cli::EventKind;
using cli::EventLine;
using std::chrono::milliseconds;
using Direction = Proxy::Direction;

constexpr std::int64_t kLeaseNanos = 1'000'000'000;  // preset fast

// Three workers, each on a wire of its own.
class NetworkTest : public testing::Test {
 protected:
  void StartThree(const std::vector<std::string>& settings = {}) {
    cluster_ = std::make_unique<Cluster>(ClusterOptions{.settings = settings});
    for (const char* name : {"a", "b", "c"}) StartWorker(name);
    ASSERT_EQ(cluster_->AwaitSettled(), "");
  }
  std::size_t StartWorker(const std::string& name) {
    wires_.push_back(std::make_unique<Proxy>(cluster_->server().port()));
    return cluster_->Start(name, {}, {.url = wires_.back()->url()});
  }
  Proxy& wire(std::size_t worker) { return *wires_[worker]; }
  std::size_t Leader() { return cluster_->group().Leader().value(); }
  std::size_t Follower() { return Leader() == 0 ? 1 : 0; }

  // From `since` on the worker extends no lease beyond what it had sent before, gains nothing, and
  // reports all that it owned as lost, up to the end of that life.
  void ExpectItStoppedOwning(std::size_t worker, std::int64_t since, std::size_t owned) {
    std::size_t lost = 0;
    for (const EventLine& event : cluster_->Events(worker)) {
      if (event.t < since) continue;
      if (event.kind == EventKind::kStarted) break;
      EXPECT_NE(event.kind, EventKind::kAcquired) << event.partition;
      EXPECT_NE(event.kind, EventKind::kReleased) << event.partition;
      if (event.kind == EventKind::kLeader) {
        EXPECT_FALSE(event.gained);
      }
      if (event.kind == EventKind::kLease) {
        EXPECT_LE(event.until, since + kLeaseNanos) << "a lease counted from after the cut";
      }
      if (event.kind == EventKind::kLost) ++lost;
    }
    EXPECT_EQ(lost, owned);
  }

  // Cuts the worker off by `cut` until the others own everything, heals, and sees it come back.
  template <typename CutOff>
  void CutOffAndHealed(std::size_t worker, const CutOff& cut) {
    const bool led = worker == Leader();
    const std::uint64_t epoch = cluster_->observer().View(Leader()).epoch;
    const std::size_t owned = cluster_->Owned(worker);
    ASSERT_GT(owned, 0U);
    const std::size_t lives = cluster_->observer().View(worker).lives;
    cut(wire(worker));
    const std::int64_t cut_at = cli::BootNanos();
    cluster_->group().SetAside(worker, true);
    ASSERT_EQ(cluster_->AwaitSettled(), "");
    if (led) {
      EXPECT_GT(cluster_->observer().View(Leader()).epoch, epoch);
    } else {
      EXPECT_EQ(cluster_->observer().View(Leader()).epoch, epoch);
    }
    EXPECT_EQ(cluster_->Owned(worker), 0U);

    wire(worker).Heal();
    cluster_->group().SetAside(worker, false);
    ASSERT_EQ(cluster_->Await([&] { return cluster_->observer().View(worker).lives > lives; }), "");
    ASSERT_EQ(cluster_->AwaitSettled(), "");
    EXPECT_GT(cluster_->Owned(worker), 0U);
    EXPECT_EQ(cluster_->Finish(), "");
    ExpectItStoppedOwning(worker, cut_at, owned);
  }

  std::unique_ptr<Cluster> cluster_;
  std::vector<std::unique_ptr<Proxy>> wires_;  // of each worker; they go before the cluster
};

TEST_F(NetworkTest, AFollowerCutOffStopsOwningByItsOwnClockAndRejoinsAsANewLife) {
  StartThree();
  CutOffAndHealed(Follower(), [](Proxy& wire) { wire.Partition(); });
}

TEST_F(NetworkTest, TheLeaderCutOffStopsOwningAndLeadingAndRejoinsAsANewLife) {
  StartThree();
  CutOffAndHealed(Leader(), [](Proxy& wire) { wire.Partition(); });
}

// A black hole: connections stay open, nothing passes.
TEST_F(NetworkTest, AFollowerWhoseWireIsFrozenStopsOwningAndRejoins) {
  StartThree();
  CutOffAndHealed(Follower(), [](Proxy& wire) { wire.Freeze(); });
}

// What it writes doesn't arrive, what the others do it sees: it is as good as cut off. After the
// healing its old writes arrive late.
TEST_F(NetworkTest, AFollowerThatIsHeardNoMoreStopsOwningAlthoughItHears) {
  StartThree();
  CutOffAndHealed(Follower(), [](Proxy& wire) { wire.Freeze(Direction::kToServer); });
}

TEST_F(NetworkTest, ALeaderThatIsHeardNoMoreStopsOwningAndLeadingAlthoughItHears) {
  StartThree();
  CutOffAndHealed(Leader(), [](Proxy& wire) { wire.Freeze(Direction::kToServer); });
}

// Its heartbeats arrive and no answer comes back. It can't count on any of them.
TEST_F(NetworkTest, AFollowerThatHearsNothingStopsOwningAlthoughItIsHeard) {
  StartThree();
  CutOffAndHealed(Follower(), [](Proxy& wire) { wire.Freeze(Direction::kToClient); });
}

TEST_F(NetworkTest, ALeaderThatHearsNothingStopsOwningAndLeadingAlthoughItIsHeard) {
  StartThree();
  CutOffAndHealed(Leader(), [](Proxy& wire) { wire.Freeze(Direction::kToClient); });
}

// The leader's writes are held back on the wire while a worker joins, so that assignments are among
// them; a successor is elected and shares out; then the old ones arrive.
TEST_F(NetworkTest, AssignmentsOfADeposedLeaderThatArriveLateDoNoHarm) {
  StartThree({"heartbeat_ttl=2500ms", "election_ttl=2500ms", "assume_new_group=true"});
  const std::size_t leader = Leader();
  const std::uint64_t epoch = cluster_->observer().View(leader).epoch;
  // The leader hears of the one that joins, and answers into the void.
  const std::size_t d = StartWorker("d");
  ASSERT_EQ(cluster_->Await([&] { return cluster_->observer().View(d).lives > 0; }), "");
  wire(leader).Freeze(Direction::kToServer);
  cluster_->group().SetAside(leader, true);
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  EXPECT_GT(cluster_->observer().View(Leader()).epoch, epoch);
  // Now what was held back arrives; and whatever becomes of it, the group goes on.
  wire(leader).Heal();
  cluster_->group().SetAside(leader, false);
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  cluster_->group().Kill(d);
  EXPECT_EQ(cluster_->Finish(), "");
}

// 60 ms each way, for everyone: a round trip is nearly half of a heartbeat's interval.
TEST_F(NetworkTest, SlowLinksDelayTheGroupButBreakNothing) {
  StartThree();
  for (const auto& wire : wires_) wire->Delay(milliseconds(60));
  const std::size_t d = StartWorker("d");
  wire(d).Delay(milliseconds(60));
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  cluster_->group().Kill(Leader());
  ASSERT_EQ(cluster_->AwaitSettled(), "");
  EXPECT_EQ(cluster_->Finish(), "");
}

// Connections that break and are there again within the lease cost nothing: the life goes on.
TEST_F(NetworkTest, ConnectionsThatBreakAndComeBackWithinTheLeaseCostNobodyItsLife) {
  StartThree({"heartbeat_ttl=10s", "election_ttl=10s", "assume_new_group=true"});
  const auto before = cluster_->OwnerIds();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint64_t> connections;
    for (const auto& wire : wires_) {
      connections.push_back(wire->total_connections());
      wire->Cut();
    }
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      ASSERT_TRUE(WaitFor([&] { return wires_[i]->total_connections() > connections[i]; }));
    }
    ASSERT_EQ(cluster_->AwaitSettled(), "");
  }
  EXPECT_EQ(cluster_->OwnerIds(), before);
  EXPECT_EQ(cluster_->Finish(), "");
  for (std::size_t i = 0; i < wires_.size(); ++i) {
    EXPECT_EQ(cluster_->observer().View(i).lives, 1U) << i;
  }
}

}  // namespace
}  // namespace parti::test
