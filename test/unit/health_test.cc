// The definition of live and ready, case by case.
#include "internal/runtime/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parti::runtime {
namespace {

using testing::HasSubstr;

class HealthTest : public testing::Test {
 protected:
  // A worker at work.
  HealthTest() {
    status_.worker_id = "worker-0";
    status_.lives = 1;
    status_.connected = true;
    status_.lease_left = WorkerStatus::Millis(900);
    status_.state = State::kStable;
    status_.assignment_epoch = 3;
    facts_.started = true;
    facts_.lease = 3 * core::kSecond;
  }

  WorkerHealth Judge() const { return JudgeHealth(status_, facts_); }
  void ExpectNotReady(const std::string& why) const {
    EXPECT_TRUE(Judge().live) << Judge().why_not;
    EXPECT_FALSE(Judge().ready);
    EXPECT_THAT(Judge().why_not, HasSubstr(why));
  }
  void ExpectNotLive(const std::string& why) const {
    EXPECT_FALSE(Judge().live);
    EXPECT_FALSE(Judge().ready);
    EXPECT_THAT(Judge().why_not, HasSubstr(why));
  }
  void ExpectReady() const {
    EXPECT_TRUE(Judge().live);
    EXPECT_TRUE(Judge().ready);
    EXPECT_EQ(Judge().why_not, "");
  }

  WorkerStatus status_;
  HealthFacts facts_;
};

TEST_F(HealthTest, AtWorkItIsLiveAndReady) { ExpectReady(); }

TEST_F(HealthTest, BeforeStartItIsLiveButNotReady) {
  status_ = {};
  facts_.started = false;
  ExpectNotReady("Start was not called");
}

TEST_F(HealthTest, WithoutAServerItIsLiveForARestartWouldNotBringItBack) {
  status_ = {};
  ExpectNotReady("not connected to NATS");
  status_.last_error = "no server at 127.0.0.1:4222";
  ExpectNotReady("not connected to NATS: no server at 127.0.0.1:4222");
}

TEST_F(HealthTest, WhileItJoinsItIsNotReady) {
  status_.lives = 0;
  status_.lease_left = {};
  ExpectNotReady("no worker id is claimed yet");
  status_.lives = 1;
  ExpectNotReady("the lease is lost");
}

TEST_F(HealthTest, OnceEvictedItIsNotReadyThoughItsLeaseRunsOn) {
  status_.state = State::kClaimingId;
  ExpectNotReady("the lease is lost; the worker is joining again");
}

TEST_F(HealthTest, AnOutageShorterThanTheLeaseChangesNothing) {
  status_.connected = false;
  status_.state = State::kDegraded;
  ExpectReady();
  status_.lease_left = {};
  ExpectNotReady("not connected to NATS");
}

TEST_F(HealthTest, WaitingForAnAssignmentIsReadyWhileSomebodyLeads) {
  status_.assignment_epoch = 0;
  status_.state = State::kWaitingAssignment;
  ExpectReady();
  status_.state = State::kElection;
  ExpectNotReady("no leader");
}

TEST_F(HealthTest, OwningNothingIsNoFault) {
  status_.partitions = 0;
  ExpectReady();
}

TEST_F(HealthTest, WhatItsGroupRefusedIsNotLive) {
  facts_.fatal = "the group's mode is exclusive";
  ExpectNotLive("the worker gave up: the group's mode is exclusive");
}

TEST_F(HealthTest, ALoopThatIsStuckIsNotLiveAfterALeaseOrTenSeconds) {
  facts_.loop_stuck = 9 * core::kSecond;
  ExpectReady();
  facts_.loop_stuck = 10 * core::kSecond;
  ExpectNotLive("not got on for 10 s");
  facts_.lease = 12 * core::kSecond;
  ExpectReady();
}

TEST_F(HealthTest, WhoWasToldToStopIsLiveToTheEndButNotReady) {
  status_.stopping = true;
  ExpectNotReady("stopping");
  facts_.ended = true;
  ExpectNotReady("stopped");
  facts_.fatal = "the group's mode is exclusive";
  ExpectNotReady("stopped");
}

}  // namespace
}  // namespace parti::runtime
