// What `parti status` makes of buckets, right ones and wrong ones made by hand.
#include "parti/cli/status_model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parti/cli/status_text.h"
#include "test/unit/status_group.h"

namespace parti::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Codes(const GroupStatus& status) {
  std::vector<std::string> codes;
  for (const Finding& finding : status.findings) codes.push_back(finding.code);
  return codes;
}

const WorkerStatus& Worker(const GroupStatus& status, const std::string& id) {
  for (const WorkerStatus& worker : status.workers) {
    if (worker.id == id) return worker;
  }
  ADD_FAILURE() << "no " << id;
  static const WorkerStatus none;
  return none;
}

PartitionStatus Partition(const GroupStatus& status, const std::string& id) {
  for (const PartitionStatus& partition : status.partition_list) {
    if (partition.id == id) return partition;
  }
  return {.id = "no " + id};
}

void ExpectUnhealthy(const GroupStatus& status, const std::string& code, const std::string& said) {
  EXPECT_EQ(status.verdict, Verdict::kUnhealthy) << status.headline;
  EXPECT_THAT(Codes(status), Contains(code));
  EXPECT_THAT(status.headline, AllOf(StartsWith("not healthy: "), HasSubstr(said)));
}

// ---- the verdict

TEST(StatusTest, AHealthyGroupIsSummedUpInOneLine) {
  const GroupStatus status = Group().Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy);
  EXPECT_EQ(status.headline,
            "healthy: 3 workers own all 6 partitions under worker-0 (epoch 4, version 9)");
  EXPECT_THAT(status.findings, IsEmpty());
  EXPECT_FALSE(status.moving);
  EXPECT_EQ(status.partitions.owned, 6U);
  EXPECT_EQ(status.partitions.unowned, 0U);
  EXPECT_TRUE(Worker(status, "worker-0").leader);
  EXPECT_EQ(Worker(status, "worker-1").owned, 2U);
  EXPECT_EQ(Worker(status, "worker-1").silent_ms, 1'200);
  EXPECT_EQ(Worker(status, "worker-1").identity, "host-1");
  EXPECT_EQ(Partition(status, "p-4").owner, "worker-1");
  EXPECT_EQ(Partition(status, "p-4").token, (FencingToken{4, 9}));
}

TEST(StatusTest, WorkersAreSortedByTheirNumbers) {
  const GroupStatus status = Group(12, 12).Judge();
  EXPECT_EQ(status.workers[1].id, "worker-1");
  EXPECT_EQ(status.workers[2].id, "worker-2");
  EXPECT_EQ(status.workers[11].id, "worker-11");
  EXPECT_TRUE(NaturalLess("a9", "a10"));
  EXPECT_TRUE(NaturalLess("a", "a0"));
  EXPECT_FALSE(NaturalLess("p-1", "p-01"));
  EXPECT_TRUE(NaturalLess("p-01", "p-1"));
}

TEST(StatusTest, NobodyHasJoinedYet) {
  Group group(0, 0);
  group.snapshot.leader.reset();
  group.snapshot.report.reset();
  ExpectUnhealthy(group.Judge(), "no-workers", "no worker has joined yet");
}

TEST(StatusTest, EverybodyLeft) {
  Group group;
  for (int i = 0; i < 3; ++i) {
    group.Beat(i).kind = wire::HeartbeatKind::kLeft;
    group.BeatWas(i, 200'000 + i);
  }
  group.Leader().released = true;
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "no-workers", "the last was heard 3 min ago");
  EXPECT_EQ(Worker(status, "worker-1").life, Life::kLeft);
}

// ---- leaders

TEST(StatusTest, ALeaderThatResignedIsNoLeader) {
  Group group;
  group.Leader().released = true;
  group.snapshot.leader->since = group.Ago(3'000);
  ExpectUnhealthy(group.Judge(), "no-leader", "no leader for 3.0 s: worker-0 resigned");
}

TEST(StatusTest, ALeaderIsNoLeaderOnceItsLeaseIsOver) {
  Group group;
  group.BeatWas(0, kLease - 1);
  EXPECT_EQ(group.Judge().verdict, Verdict::kHealthy);
  group.BeatWas(0, kLease + 2'000);
  group.snapshot.leader->since = group.Ago(14'000);
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "no-leader", "worker-0 leads by record, but is silent");
  EXPECT_THAT(Codes(status), Contains("worker-silent"));
}

TEST(StatusTest, AnUnreadableLeaderRecordLeavesNothingToTell) {
  Group group;
  group.snapshot.leader->record = wire::DecodeLeader("}{");
  GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnknown);
  EXPECT_THAT(status.headline, StartsWith("can't tell: the leader record is unreadable: "));
  group.snapshot.leader->record = wire::DecodeLeader(R"({"v":99})");
  status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnknown);
  EXPECT_THAT(status.advice, HasSubstr("newer release"));
}

TEST(StatusTest, ALeaderThatReportsNothingLeavesUnownedPartitionsUnknown) {
  Group group;
  group.snapshot.report.reset();
  GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnknown);
  EXPECT_THAT(Codes(status), ElementsAre("no-report"));
  // But what is wrong is wrong.
  group.BeatWas(1, kLease + 2'000);
  ExpectUnhealthy(group.Judge(), "worker-silent", "worker-1");
}

TEST(StatusTest, ANewLeaderHasAMomentToReport) {
  Group group;
  group.Leader().epoch = 5;
  group.Leader().nonce = 55;
  group.Leader().renewals = 2;
  GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy) << status.headline;
  EXPECT_THAT(status.headline, HasSubstr("has just taken over"));
  group.Leader().renewals = 50;
  status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnknown) << status.headline;
}

TEST(StatusTest, AReportOfALaterLeaderThanTheRecordNames) {
  Group group;
  group.Report().epoch = 6;
  ExpectUnhealthy(group.Judge(), "report-of-another-leader", "epoch 6");
}

TEST(StatusTest, TheElectionBucketWentBack) {
  Group group;
  group.Beat(2).highest_epoch = 8;
  ExpectUnhealthy(group.Judge(), "epoch-went-back", "worker-2 has seen epoch 8");
  Group other;
  other.Doc(1).epoch = 8;
  ExpectUnhealthy(other.Judge(), "epoch-went-back", "the assignment of worker-1 is of epoch 8");
  Group twice;
  twice.Doc(1).nonce = 45;
  twice.Beat(1).applied_nonce = 45;
  ExpectUnhealthy(twice.Judge(), "epoch-of-two-leaders", "the assignment of worker-1 is");
}

// ---- deaths

TEST(StatusTest, AWorkerSilentForLongerThanItsLease) {
  Group group;
  group.BeatWas(2, 14'000);
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "worker-silent", "worker-2 gave no sign of life");
  EXPECT_EQ(Worker(status, "worker-2").life, Life::kSilent);
  EXPECT_EQ(status.partitions.waiting, 2U);
  EXPECT_EQ(Partition(status, "p-2").state, PartitionState::kWaiting);
  EXPECT_EQ(Partition(status, "p-2").owner, "worker-2");
}

TEST(StatusTest, ALateHeartbeatIsAWarning) {
  Group group;
  group.BeatWas(2, kLease / 2);
  EXPECT_THAT(group.Judge().findings, IsEmpty());
  group.BeatWas(2, 7'000);
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy);
  EXPECT_THAT(Codes(status), ElementsAre("heartbeat-late"));
  EXPECT_THAT(status.findings[0].text, HasSubstr("worker-2 (7.0 s of a lease of 12 s)"));
}

TEST(StatusTest, TheLeaseThatCountsIsTheOneThatTheWorkerRecorded) {
  Group group;
  group.Beat(2).lease_ms = 60'000;
  group.BeatWas(2, 14'000);
  EXPECT_EQ(group.Judge().verdict, Verdict::kHealthy);
}

TEST(StatusTest, AnEvictedWorkersPartitionsWaitForItsLease) {
  Group group;
  group.Beat(2).kind = wire::HeartbeatKind::kEvicted;
  group.BeatWas(2, 4'000);
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "worker-dead", "worker-2 died; 2 partitions wait");
  EXPECT_THAT(status.headline, HasSubstr("at most 8.0 s"));
  // Granted to others already: it is over with.
  group.Doc(0).owned = {{"p-0", {4, 9}}, {"p-2", {4, 10}}, {"p-3", {4, 9}}};
  group.Doc(1).owned = {{"p-1", {4, 9}}, {"p-4", {4, 9}}, {"p-5", {4, 10}}};
  group.Doc(2).owned.clear();
  EXPECT_EQ(group.Judge().verdict, Verdict::kHealthy) << group.Judge().headline;
}

TEST(StatusTest, WhatADeadWorkerLeavesIsNoPlannedMoveAlsoOnceItsLeaseIsOver) {
  Group group;
  group.Beat(2).kind = wire::HeartbeatKind::kEvicted;
  group.BeatWas(2, 100);
  group.Doc(2).owned.clear();
  group.Report().state = "Scaling";
  group.ReportWas(100);
  ExpectUnhealthy(group.Judge(), "unowned", "2 of 6 partitions have no owner");
  // When most die at once the leader calls that Scaling, and waits for others to come.
  group.BeatWas(2, kLease + 3'000);
  EXPECT_EQ(Worker(group.Judge(), "worker-2").life, Life::kDead);
  ExpectUnhealthy(group.Judge(), "unowned", "2 of 6 partitions have no owner");
}

TEST(StatusTest, GrantsAfterADeathAreNoConflictWithTheDeadOnesAssignment) {
  Group group;
  group.Beat(2).kind = wire::HeartbeatKind::kEvicted;
  group.BeatWas(2, 12'100);
  group.Doc(0).owned.push_back({"p-2", {4, 10}});
  EXPECT_THAT(Codes(group.Judge()), Not(Contains("two-owners")));
}

TEST(StatusTest, PastWorkersDontMatter) {
  Group group;
  group.Join(7);
  group.Beat(7).kind = wire::HeartbeatKind::kEvicted;
  group.BeatWas(7, 100'000);
  group.Join(8);
  group.snapshot.heartbeats.erase("worker-8");
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy) << status.headline;
  EXPECT_EQ(Worker(status, "worker-7").life, Life::kDead);
  EXPECT_EQ(Worker(status, "worker-8").life, Life::kGone);
}

// ---- partitions

TEST(StatusTest, APlannedMoveIsHealthyAsLongAsItGetsOn) {
  Group group;
  group.Doc(1).owned = {{"p-1", {4, 9}}};
  group.Doc(1).releasing = {"p-4"};
  group.Doc(1).version = 10;
  group.Behind(1);
  group.DocWas(1, 2'000);
  group.Report().state = "Rebalancing";
  group.Report().unassigned = 1;
  GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy);
  EXPECT_THAT(status.headline, AllOf(StartsWith("healthy, rebalancing: "),
                                     HasSubstr("own 5 of 6 partitions, 1 being released")));
  EXPECT_TRUE(status.moving);
  EXPECT_TRUE(Worker(status, "worker-1").behind);
  EXPECT_EQ(Partition(status, "p-4").state, PartitionState::kReleasing);

  group.DocWas(1, 61'000);
  status = group.Judge();
  ExpectUnhealthy(status, "stuck", "worker-1 has not applied the newest assignment for 61 s");
  EXPECT_THAT(status.headline, HasSubstr("1 partition still to be released"));
  group.options.patience_ms = 120'000;
  EXPECT_EQ(group.Judge().verdict, Verdict::kHealthy);
}

TEST(StatusTest, AMoveShowsBothEnds) {
  Group group;
  group.Doc(1).owned = {{"p-1", {4, 9}}};
  group.Doc(1).releasing = {"p-4"};  // let go of: applied
  group.Doc(2).owned.insert(group.Doc(2).owned.begin() + 1, {"p-4", {4, 10}});
  group.Doc(2).version = 10;
  group.Behind(2);
  group.DocWas(2, 500);
  GroupStatus status = group.Judge();
  const PartitionStatus moving = Partition(status, "p-4");
  EXPECT_EQ(moving.state, PartitionState::kMoving);
  EXPECT_EQ(moving.from, "worker-1");
  EXPECT_EQ(moving.owner, "worker-2");
  EXPECT_EQ(Partition(status, "p-2").state, PartitionState::kOwned) << "it keeps what it had";
  EXPECT_EQ(status.verdict, Verdict::kHealthy) << status.headline;
  // Once applied, it is simply owned.
  group.Beat(2).applied_revision += 100;
  status = group.Judge();
  EXPECT_EQ(Partition(status, "p-4").state, PartitionState::kOwned);
  EXPECT_EQ(status.partitions.owned, 6U);
  EXPECT_FALSE(status.moving);
}

TEST(StatusTest, PartitionsWithoutAnOwner) {
  Group group;
  group.Doc(1).owned = {{"p-1", {4, 9}}};
  group.Report().unassigned = 1;
  group.Report().sample = {"p-4"};
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "unowned", "1 of 6 partitions has no owner: p-4");
  EXPECT_THAT(status.partitions.unowned_sample, ElementsAre("p-4"));
  EXPECT_EQ(Partition(status, "p-4").state, PartitionState::kUnowned);
  group.ReportWas(1'000);
  EXPECT_EQ(group.Judge().verdict, Verdict::kHealthy) << "somebody may see to it yet";
  group.Report().state = "Emergency";
  ExpectUnhealthy(group.Judge(), "unowned", "no owner");
}

TEST(StatusTest, AssignmentsVanishedThatTheLeaderStillCounts) {
  Group group;
  group.snapshot.docs.erase("worker-1");
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnhealthy);
  EXPECT_THAT(Codes(status), AllOf(Contains("unexplained-assignment"), Contains("unowned")));
}

TEST(StatusTest, APartitionThatWorkersGiveBackIsToldWithTheReason) {
  Group group;
  group.Beat(1).refused = {{"p-1", {4, 9}, "no disk"}};
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "unowned", "p-1 (given back by worker-1: no disk)");
  EXPECT_EQ(Worker(status, "worker-1").refused, 1U);
  EXPECT_THAT(status.advice, HasSubstr("acquire hook"));
}

TEST(StatusTest, TwoLivingOwnersOfOnePartition) {
  Group group;
  group.Doc(2).owned.insert(group.Doc(2).owned.begin(), {"p-1", {4, 8}});
  const GroupStatus status = group.Judge();
  ExpectUnhealthy(status, "two-owners", "p-1 (worker-1 and worker-2)");
  EXPECT_EQ(Partition(status, "p-1").state, PartitionState::kContested);
  EXPECT_EQ(status.partitions.contested, 1U);
}

TEST(StatusTest, AnAssignmentOfALifeThatIsOver) {
  Group group;
  group.Beat(2).incarnation = 2;
  group.Claim(2).incarnation = 2;
  group.Beat(2).applied_revision = 0;
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnhealthy);
  EXPECT_THAT(Codes(status), Contains("assignment-of-the-dead"));
  EXPECT_EQ(status.partitions.unowned, 2U);
}

// ---- records that don't fit

TEST(StatusTest, UnreadableRecordsAreNamedWithTheReason) {
  Group group;
  group.snapshot.heartbeats["worker-1"].record = wire::DecodeHeartbeat("garbage");
  group.snapshot.docs["worker-2"].record = wire::DecodeDoc(R"({"v":1})");
  group.snapshot.claims["worker-2"].record = wire::DecodeClaim("");
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kUnhealthy);
  EXPECT_THAT(Codes(status),
              AllOf(Contains("unreadable-heartbeat"), Contains("unreadable-assignment"),
                    Contains("unreadable-claim")));
  const std::string text = StatusText(status, {});
  EXPECT_THAT(text, HasSubstr("the heartbeat of worker-1 is unreadable: "));
  EXPECT_EQ(Worker(status, "worker-1").life, Life::kUnreadable);
  EXPECT_EQ(Partition(status, "p-1").state, PartitionState::kWaiting);
}

TEST(StatusTest, ALifeWithoutAClaim) {
  Group group;
  group.snapshot.claims.erase("worker-1");
  ExpectUnhealthy(group.Judge(), "life-without-claim", "worker-1 is alive, but nothing claims");
  Group other;
  other.Claim(1).nonce = 1;
  other.Claim(1).identity = "intruder";
  ExpectUnhealthy(other.Judge(), "claim-of-another-life", "intruder");
}

TEST(StatusTest, AnAssignmentWithoutAHeartbeat) {
  Group group;
  group.snapshot.heartbeats.erase("worker-1");
  const GroupStatus status = group.Judge();
  EXPECT_THAT(Codes(status), Contains("assignment-without-heartbeat"));
  EXPECT_EQ(status.verdict, Verdict::kUnhealthy);
}

TEST(StatusTest, AClaimWithoutAHeartbeatIsSomebodyJoining) {
  Group group;
  group.Join(3);
  group.snapshot.heartbeats.erase("worker-3");
  group.snapshot.docs.erase("worker-3");
  group.snapshot.claims["worker-3"].since = group.Ago(400);
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy) << status.headline;
  EXPECT_EQ(Worker(status, "worker-3").life, Life::kJoining);
}

// ---- text and JSON

TEST(StatusTest, TheTextBeginsWithTheVerdict) {
  Group group;
  wire::Control control;
  control.paused = true;
  control.drained = {"worker-1"};
  control.pins = {{"p-3", "worker-0"}};
  group.Order(control);
  group.Beat(1).labels = {{"zone", "a"}};
  const std::string text = StatusText(group.Judge(), {});
  EXPECT_THAT(text, StartsWith("healthy: 3 workers own all 6 partitions under worker-0 (epoch 4, "
                               "version 9); paused\n"));
  EXPECT_THAT(text, HasSubstr("orders      paused; drained worker-1; pinned p-3 to worker-0"));
  EXPECT_THAT(text, HasSubstr("zone=a"));
  EXPECT_THAT(text, HasSubstr("by the server's own clock"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(StatusTest, NothingThatRecordsSayReachesTheTerminalAsACommand) {
  Group group;
  group.Claim(1).identity =
      "evil\x1b[2J\xc2\x9b"
      "31m\nname\xff";
  group.Report().cause = "\x1b]0;title\x07";
  group.Beat(1).refused = {{"p-1", {4, 9}, "a\rb"}};
  const std::string text = StatusText(group.Judge(), {});
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_THAT(text, AllOf(Not(HasSubstr("\xc2\x9b")), Not(HasSubstr("\xff"))));
  EXPECT_THAT(text, HasSubstr("evil?[2J?31m?name?"));
}

TEST(StatusTest, AScreenIsNeverExceeded) {
  Group group(200, 400);
  for (int i = 0; i < 30; ++i) group.BeatWas(i * 3 + 1, 20'000);
  for (const std::size_t rows : {4U, 10U, 24U, 60U}) {
    const std::string text =
        StatusText(group.Judge(), {.colour = false, .columns = 60, .rows = rows});
    std::size_t lines = 0;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos;
         begin = end + 1, end = text.find('\n', begin)) {
      ++lines;
      EXPECT_LE(end - begin, 60U + 8U);  // "…" and the like are more bytes than columns
    }
    EXPECT_LE(lines, rows);
  }
}

TEST(StatusTest, ManyWorkersAreSummedUpUnlessAllAreAskedFor) {
  Group group(1'000, 2'000);
  group.options.list_partitions = false;
  group.BeatWas(777, 20'000);
  const GroupStatus status = group.Judge();
  const std::string some = StatusText(status, {});
  EXPECT_THAT(some, AllOf(HasSubstr("worker-777"), HasSubstr("more workers (--all shows them)")));
  EXPECT_LT(std::count(some.begin(), some.end(), '\n'), 90);
  const std::string all = StatusText(status, {.all_workers = true});
  EXPECT_GT(std::count(all.begin(), all.end(), '\n'), 1'000);
}

TEST(StatusTest, AHundredThousandPartitionsOfAThousandWorkersAreJudgedAtOnce) {
  Group group(1'000, 100'000);
  const GroupStatus status = group.Judge();
  EXPECT_EQ(status.verdict, Verdict::kHealthy) << status.headline;
  EXPECT_EQ(status.partitions.owned, 100'000U);
  EXPECT_EQ(status.partition_list.size(), 100'000U);
}

TEST(StatusTest, TheJsonSaysTheSame) {
  Group group;
  group.BeatWas(2, 14'000);
  const auto json = nlohmann::json::parse(StatusJson(group.Judge()));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["verdict"], "unhealthy");
  EXPECT_EQ(json["exit_status"], 1);
  EXPECT_THAT(json["summary"].get<std::string>(), StartsWith("not healthy: worker-2"));
  EXPECT_EQ(json["leader"]["worker"], "worker-0");
  EXPECT_EQ(json["workers"].size(), 3U);
  EXPECT_EQ(json["workers"][2]["life"], "silent");
  EXPECT_EQ(json["partitions"]["waiting"], 2);
  EXPECT_EQ(json["partition_list"].size(), 6U);
  EXPECT_EQ(json["findings"][0]["code"], "worker-silent");
}

TEST(StatusTest, AgesAloneAreNoChange) {
  Group group;
  const std::string before = StatusSignature(group.Judge());
  group.snapshot.now += 2'000 * kMs;
  EXPECT_EQ(StatusSignature(group.Judge()), before);
  group.snapshot.now += 12'000 * kMs;
  EXPECT_NE(StatusSignature(group.Judge()), before);
}

}  // namespace
}  // namespace parti::cli
