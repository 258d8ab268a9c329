// `parti check-history` as a user runs it, on histories made wrong by hand: each kind of finding
// has a history that shows it, and one beside it, a hair away, that is right.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/integration/cluster.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A log of one worker, line by line, as `parti worker --events` writes it; times in ms.
class Log {
 public:
  Log() = default;
  Log(std::string worker, int incarnation, int started, int until) {
    Begin(std::move(worker), incarnation, started);
    Lease(started, until);
  }

  Log& Begin(std::string worker, int incarnation, int t) {
    worker_ = std::move(worker);
    incarnation_ = incarnation;
    return Add(t, "started", "");
  }
  Log& Lease(int t, int until) { return Add(t, "lease", fmt::format(R"(,"until":{})", Ns(until))); }
  Log& Acquired(int t, const std::string& partition, int epoch, int version) {
    return Add(t, "acquired", Grant(partition, epoch, version));
  }
  Log& Released(int t, const std::string& partition) {
    return Add(t, "released", Grant(partition, 1, 1));
  }
  Log& Leads(int t, int epoch) {
    return Add(t, "leader", fmt::format(R"(,"epoch":{},"gained":true)", epoch));
  }
  Log& Stopped(int t) { return Add(t, "stopped", ""); }
  // A process opens the log: on the clock of that boot, whose second 0 was at `boot` since 1970.
  Log& Opened(int t, const std::string& clock, int boot, bool alone) {
    return Raw(fmt::format(R"({{"t":{},"event":"opened","worker":"","incarnation":0,"clock":"{}",)"
                           R"("wall":{},"alone":{}}})",
                           Ns(t), clock, Ns(boot) + Ns(t), alone))
        .Raw("\n");
  }
  Log& Raw(const std::string& text) {
    text_ += text;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  static long long Ns(int ms) { return 1'000'000LL * ms; }
  static std::string Grant(const std::string& partition, int epoch, int version) {
    return fmt::format(R"(,"epoch":{},"version":{},"partition":"{}")", epoch, version, partition);
  }
  Log& Add(int t, const std::string& event, const std::string& more) {
    text_ += fmt::format(R"({{"t":{},"event":"{}","worker":"{}","incarnation":{}{}}})", Ns(t),
                         event, worker_, incarnation_, more);
    text_ += "\n";
    return *this;
  }

  std::string worker_;
  int incarnation_ = 0;
  std::string text_;
};

struct Judged {
  int status = -1;
  std::string output;
  nlohmann::json json = {};
};

class HistoryTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    WriteFile(folder_->File(name), text);
    files_.push_back(folder_->File(name));
    return files_.back();
  }
  void Write(const std::string& name, const Log& log) { Write(name, log.text()); }

  Judged Run(std::vector<std::string> more) {
    const std::string output = folder_->File(fmt::format("output-{}", ++runs_));
    std::vector<std::string> argv = {PARTI_BINARY, "check-history"};
    argv.insert(argv.end(), more.begin(), more.end());
    const auto process = StartProcess({.argv = argv, .stdout_file = output, .stderr_file = output});
    const auto exit = process->Wait(10 * kDeadline);  // a million lines, on a busy machine
    Judged judged{.output = ReadFile(output)};
    if (exit.has_value() && exit->signal == 0) judged.status = exit->code;
    judged.json = nlohmann::json::parse(judged.output, nullptr, false);
    return judged;
  }

  // Of the files written.
  Judged Check(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.insert(arguments.end(), files_.begin(), files_.end());
    return Run(arguments);
  }

  // Exactly one finding, of this kind; its text.
  std::string OnlyFinding(const std::string& kind, std::vector<std::string> more = {}) {
    const Judged judged = Check(std::move(more));
    EXPECT_EQ(judged.status, 1) << judged.output;
    EXPECT_EQ(judged.json["findings"], 1) << judged.output;
    EXPECT_THAT(judged.json[kind], SizeIs(1)) << judged.output;
    if (!judged.json[kind].is_array() || judged.json[kind].empty()) return "";
    return judged.json[kind][0].get<std::string>();
  }

  void ExpectClean(std::vector<std::string> more = {}) {
    const Judged judged = Check(std::move(more));
    EXPECT_EQ(judged.status, 0) << judged.output;
    EXPECT_EQ(judged.json["clean"], true);
  }

  const std::unique_ptr<TempDir> folder_ = MakeTempDir();
  std::vector<std::string> files_;
  int runs_ = 0;
};

Log A(int until = 10'000) { return Log("worker-0", 5, 1'000, until); }
Log B(int until = 10'000) { return Log("worker-1", 6, 1'000, until); }

TEST_F(HistoryTest, AHandOverInOrderIsCleanAndItsGapIsMeasured) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Released(2'000, "p-0"));
  Write("b.events", B().Acquired(2'250, "p-0", 1, 2).Lease(2'300, 11'000));
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 0) << judged.output;
  EXPECT_EQ(judged.json["gap"]["count"], 1);
  EXPECT_EQ(judged.json["gap"]["max_ns"], 250'000'000);
  EXPECT_EQ(judged.json["workers"], 2);
  EXPECT_EQ(judged.json["claims"], 2);
  const Judged text = Run(files_);
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.output, AllOf(HasSubstr("2 logs, 8 lines"), HasSubstr("clean: nothing found"),
                                 HasSubstr("max 0.250 s")));
}

TEST_F(HistoryTest, TwoOwnersAtOnce) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Released(3'000, "p-0"));
  Write("b.events", B().Acquired(2'999, "p-0", 1, 2));
  EXPECT_THAT(OnlyFinding("overlaps"),
              AllOf(HasSubstr("p-0: for 1.000 ms, from 2.999000 s to 3.000000 s"),
                    HasSubstr(fmt::format("worker-0 from {0}:3 to {0}:4", files_[0])),
                    HasSubstr(fmt::format("worker-1 from {0}:3 to the end of its lease ({0}:2)",
                                          files_[1]))));
  EXPECT_THAT(Run(files_).output,
              AllOf(HasSubstr("1  two owners at once"), HasSubstr("1 finding")));
  // In mode fast it may happen, and is told.
  const Judged fast = Check({"--fast"});
  EXPECT_EQ(fast.status, 0) << fast.output;
  EXPECT_THAT(fast.json["overlaps"], SizeIs(1));
}

TEST_F(HistoryTest, AKilledOwnerHoldsUntilItsLeaseHasRunOut) {
  Write("a.events", A(5'000).Acquired(1'010, "p-0", 1, 1));
  Write("b.events", B().Acquired(4'999, "p-0", 2, 2));
  OnlyFinding("overlaps");
}

TEST_F(HistoryTest, ASuccessorAfterTheLeaseOfTheKilledIsClean) {
  Write("a.events", A(5'000).Acquired(1'010, "p-0", 1, 1));
  Write("b.events", B().Acquired(5'000, "p-0", 2, 2));
  ExpectClean();
}

TEST_F(HistoryTest, WhoeverSawTheProcessEndMaySaySo) {
  Write("a.events",
        A(5'000).Acquired(1'010, "p-0", 1, 1).Raw("{\"t\":2000000000,\"event\":\"gone\"}\n"));
  Write("b.events", Log("worker-0", 7, 2'100, 10'000).Acquired(2'200, "p-0", 2, 2));
  ExpectClean();
}

TEST_F(HistoryTest, WhatASuccessorAppendsToTheLogOfTheGoneIsItsOwn) {
  Write("a.events", A(5'000)
                        .Acquired(1'010, "p-0", 1, 1)
                        .Raw("{\"t\":2000000000,\"event\":\"gone\"}\n")
                        .Begin("worker-0", 7, 2'100)
                        .Lease(2'100, 9'000)
                        .Acquired(2'200, "p-0", 2, 2));
  Write("b.events", B().Acquired(8'999, "p-0", 3, 3));
  EXPECT_THAT(OnlyFinding("overlaps"), HasSubstr("from 8.999000 s to 9.000000 s"));
}

TEST_F(HistoryTest, AGapIsAFindingOnlyWhereItIsTooLong) {
  Write("a.events", A(90'000).Acquired(1'010, "p-0", 1, 1).Released(2'000, "p-0"));
  Write("b.events", B(90'000).Acquired(4'001, "p-0", 1, 2).Lease(5'000, 95'000));
  ExpectClean();
  ExpectClean({"--max-gap", "2001ms"});
  EXPECT_THAT(OnlyFinding("gaps", {"--max-gap", "2s"}),
              AllOf(HasSubstr("p-0"), HasSubstr("2001.000 ms"), HasSubstr("from 2.000000 s")));
}

TEST_F(HistoryTest, APartitionThatNobodyGotBackIsAGapToTheEnd) {
  Write("a.events",
        A(99'000).Acquired(1'010, "p-0", 1, 1).Released(2'000, "p-0").Lease(70'000, 99'000));
  EXPECT_THAT(OnlyFinding("gaps"), HasSubstr("where the logs end"));
}

TEST_F(HistoryTest, APartitionThatNobodyEverOwnedShowsWhereAllAreKnown) {
  Write("a.events", A(99'000).Acquired(1'010, "p-0", 1, 1).Lease(70'000, 99'000));
  ExpectClean();
  ExpectClean({"--partitions", "1"});
  EXPECT_THAT(OnlyFinding("gaps", {"--partitions", "2"}), HasSubstr("p-1: never owned"));
}

TEST_F(HistoryTest, ATokenThatWentDown) {
  Write("a.events", A().Acquired(1'010, "p-0", 2, 5).Released(2'000, "p-0"));
  Write("b.events", B().Acquired(2'100, "p-0", 2, 4));
  EXPECT_THAT(OnlyFinding("token_regressions"),
              AllOf(HasSubstr(fmt::format("p-0: (2, 4) of worker-1 ({}:3)", files_[1])),
                    HasSubstr(fmt::format("after (2, 5) of worker-0 ({}:3)", files_[0]))));
}

TEST_F(HistoryTest, AnEpochOfTwoLeaders) {
  Write("a.events", A().Leads(1'100, 3));
  Write("b.events", B().Leads(1'200, 3));
  EXPECT_THAT(OnlyFinding("epoch_regressions"),
              HasSubstr(fmt::format("epoch 3 was gained by worker-0 ({}:3) and by worker-1 ({}:3)",
                                    files_[0], files_[1])));
}

TEST_F(HistoryTest, AVersionThatWentDown) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 6));
  Write("b.events", B().Acquired(1'100, "p-1", 2, 5));
  EXPECT_THAT(OnlyFinding("version_regressions"),
              HasSubstr(fmt::format("epoch 1 had reached 6 ({}:3)", files_[0])));
}

TEST_F(HistoryTest, AnIncarnationThatDidNotRise) {
  Write("a.events", A().Stopped(2'000));
  Write("b.events", Log("worker-0", 5, 3'000, 9'000));
  EXPECT_THAT(
      OnlyFinding("incarnation_regressions"),
      HasSubstr(fmt::format("worker-0: incarnation 5 at 3.000000 s ({}:1) after 5", files_[1])));
}

TEST_F(HistoryTest, AWorkerIdBorneTwiceAtOnce) {
  Write("a.events", A(5'000));
  Write("b.events", Log("worker-0", 7, 4'999, 9'000));
  EXPECT_THAT(OnlyFinding("id_conflicts"),
              AllOf(HasSubstr(fmt::format("worker-0 was borne by {}:1 and {}:1 at once", files_[0],
                                          files_[1])),
                    HasSubstr("for 1.000 ms")));
}

TEST_F(HistoryTest, AnIdBorneTwiceShowsBehindAShortLife) {
  Write("a.events", A(9'000));
  Write("b.events", Log("worker-0", 6, 2'000, 9'000).Stopped(2'001));
  Write("c.events", Log("worker-0", 7, 8'000, 9'500));
  EXPECT_THAT(Check().json["id_conflicts"], SizeIs(2));
}

TEST_F(HistoryTest, ALeaseThatRoseFromTheDead) {
  Write("a.events", A(2'000).Lease(2'001, 3'000));
  EXPECT_THAT(OnlyFinding("after_lease"), HasSubstr("run out 1.000 ms ago was extended"));
}

TEST_F(HistoryTest, AClaimAfterTheLease) {
  Write("a.events", A(2'000).Acquired(2'000, "p-0", 1, 1));
  EXPECT_THAT(OnlyFinding("after_lease"), HasSubstr("acquired p-0 without a running lease"));
}

TEST_F(HistoryTest, WhatElseNoCorrectWorkerDoes) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Released(1'100, "p-1"));
  EXPECT_THAT(OnlyFinding("anomalies"), HasSubstr("gave up p-1, which it didn't hold"));
}

TEST_F(HistoryTest, AnUnknownPartitionIsAnAnomaly) {
  Write("a.events", A().Acquired(1'010, "p-7", 1, 1));
  ExpectClean();
  EXPECT_THAT(OnlyFinding("anomalies", {"--partitions", "7"}), HasSubstr("p-7"));
}

TEST_F(HistoryTest, ABrokenLine) {
  Write("a.events", A().Raw("oops\n").Acquired(1'010, "p-0", 1, 1));
  EXPECT_THAT(OnlyFinding("broken_lines"), HasSubstr(files_[0] + ":3: not a JSON object"));
}

TEST_F(HistoryTest, ALineOfTheWrongTypeIsBroken) {
  Write("a.events", A().Raw("{\"t\":5,\"event\":\"acquired\",\"partition\":7}\n"));
  EXPECT_THAT(OnlyFinding("broken_lines"), HasSubstr("\"partition\" is not a string"));
}

TEST_F(HistoryTest, ALineThatAKillCutShortIsNoFinding) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Raw("{\"t\":1020000000,\"eve"));
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 0) << judged.output;
  EXPECT_EQ(judged.json["torn_lines"], 1);
  EXPECT_THAT(Run(files_).output, HasSubstr("1 line cut short"));
}

TEST_F(HistoryTest, SoIsOneThatANewProcessOfTheSameLogFollows) {
  Write("a.events",
        A(2'000)
            .Acquired(1'010, "p-0", 1, 1)
            .Raw("{\"t\":1020000000,\"eve\n")
            .Raw(R"({"t":2500000000,"event":"state","worker":"","incarnation":0,"state":"Init"})")
            .Raw("\n")
            .Begin("worker-0", 9, 2'600)
            .Lease(2'600, 9'000)
            .Acquired(2'700, "p-0", 2, 2));
  ExpectClean();
}

TEST_F(HistoryTest, SoIsOneAfterWhichItsProcessWasSeenToBeGone) {
  Write("a.events", A().Raw("{\"t\":1020000000,\"eve\n{\"t\":1030000000,\"event\":\"gone\"}\n"));
  ExpectClean();
}

TEST_F(HistoryTest, ALineCutShortAmidALifeIsBroken) {
  Write("a.events", A().Raw("{\"t\":1020000000,\"eve\n").Acquired(1'030, "p-0", 1, 1));
  OnlyFinding("broken_lines");
}

TEST_F(HistoryTest, SoIsOneAfterWhichNobodyIsSeenToFollow) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Raw("{\"t\":1020000000,\"eve\n"));
  OnlyFinding("broken_lines");
}

TEST_F(HistoryTest, WorkersThatShareALogAreToldApartByTheirIds) {
  const std::string a = A().Acquired(1'010, "p-0", 1, 1).text();
  const std::string b = B().Acquired(2'000, "p-0", 1, 2).text();
  Write("both.events", a + b);
  EXPECT_THAT(OnlyFinding("overlaps"), AllOf(HasSubstr("worker-0 from " + files_[0] + ":3"),
                                             HasSubstr("worker-1 from " + files_[0] + ":6")));
}

TEST_F(HistoryTest, APartitionThatIsOwnedLateShowsWhereAllAreKnown) {
  Write("a.events", A(99'000).Acquired(61'001, "p-0", 1, 1).Lease(62'000, 99'000));
  ExpectClean();
  EXPECT_THAT(OnlyFinding("gaps", {"--partitions", "1"}),
              HasSubstr("p-0: not yet owned, for 60001.000 ms, from 1.000000 s to 61.001000 s"));
}

TEST_F(HistoryTest, AGapNamesTheLinesOnItsBothSides) {
  Write("a.events", A(90'000).Acquired(1'010, "p-0", 1, 1).Released(2'000, "p-0"));
  Write("b.events", B(90'000).Acquired(4'001, "p-0", 1, 2));
  EXPECT_THAT(OnlyFinding("gaps", {"--max-gap", "2s"}),
              HasSubstr(fmt::format("from {}:4 to {}:3", files_[0], files_[1])));
}

TEST_F(HistoryTest, OneTokenOfTwoOwners) {
  Write("a.events", A().Acquired(1'010, "p-0", 2, 5).Released(2'000, "p-0"));
  Write("b.events", B().Acquired(2'100, "p-0", 2, 5));
  OnlyFinding("token_regressions");
}

TEST_F(HistoryTest, OneTokenTwiceOfOneOwner) {
  Write("a.events",
        A().Acquired(1'010, "p-0", 2, 5).Released(2'000, "p-0").Acquired(2'100, "p-0", 2, 5));
  OnlyFinding("token_regressions");
}

TEST_F(HistoryTest, AGrantUnderAnEpochThatWasGainedAfterAGreaterOne) {
  Write("b.events", B().Leads(1'200, 3));
  Write("a.events", A().Leads(1'100, 4));
  // Whoever was stopped may learn late that it was elected; but then nobody heeds it.
  ExpectClean();
  Write("c.events", Log("worker-2", 8, 1'000, 9'000).Acquired(1'300, "p-0", 3, 1));
  EXPECT_THAT(OnlyFinding("epoch_regressions"),
              HasSubstr("though epoch 4 had been gained before, by worker-0"));
}

TEST_F(HistoryTest, AGrantUnderAnEpochThatNobodyHadGainedYet) {
  Write("a.events", A().Leads(1'100, 4));
  Write("b.events", B().Acquired(1'099, "p-0", 4, 1));
  EXPECT_THAT(OnlyFinding("epoch_regressions"),
              HasSubstr("though epoch 4 was gained only then, by worker-0"));
}

TEST_F(HistoryTest, AMissingLogOfALeaderIsNoted) {
  Write("a.events", A().Acquired(1'100, "p-0", 4, 1));
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 0);
  EXPECT_THAT(judged.json["notes"], ElementsAre(HasSubstr("nobody in these logs gained epoch 4")));
}

// A process that opens a log that nobody else has open knows that its predecessor is gone.
TEST_F(HistoryTest, AProcessStartedAgainOnItsLogEndsTheClaimsOfItsPredecessor) {
  const auto log = [](bool alone) {
    return Log()
        .Opened(900, "boot", 0, true)
        .Raw(A(9'000).Acquired(1'010, "p-0", 1, 1).text())
        .Opened(2'000, "boot", 0, alone)
        .Begin("worker-0", 7, 2'100)
        .Lease(2'100, 9'000)
        .Acquired(2'200, "p-0", 2, 2);
  };
  Write("a.events", log(true));
  ExpectClean();
  Write("a.events", log(false));
  files_.pop_back();
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 1);
  EXPECT_THAT(judged.json["overlaps"], SizeIs(1)) << judged.output;
}

TEST_F(HistoryTest, WhoWasSaidToBeGoneButGoesOnStillHolds) {
  Write("a.events",
        A().Raw("{\"t\":1005000000,\"event\":\"gone\"}\n").Acquired(1'010, "p-0", 1, 1));
  Write("b.events", B().Acquired(2'000, "p-0", 1, 2));
  const Judged judged = Check();
  EXPECT_THAT(judged.json["overlaps"], SizeIs(1)) << judged.output;
  EXPECT_THAT(judged.json["anomalies"], ElementsAre(HasSubstr("seen to be gone")));
}

TEST_F(HistoryTest, TwoProcessesOnOneIdAreSeenThoughTheyShareALog) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).text() +
                        Log("worker-0", 7, 2'000, 9'000).Acquired(2'500, "p-0", 2, 2).text() +
                        // Incarnation 5 lives on.
                        Log("worker-0", 5, 1'000, 1'000)
                            .Lease(2'600, 9'000)
                            .text()
                            .substr(Log("worker-0", 5, 1'000, 1'000).text().size()));
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 1);
  EXPECT_THAT(judged.json["overlaps"], SizeIs(1)) << judged.output;
  EXPECT_THAT(
      judged.json["anomalies"],
      ::testing::Contains(HasSubstr("acts as incarnation 5, though incarnation 7 has begun")));
}

TEST_F(HistoryTest, ClocksOfSeveralMachinesAreComparedWithinTheirError) {
  // The second machine was booted 100 s after the first.
  Write("a.events", Log()
                        .Opened(100'500, "boot-a", 1'000'000, true)
                        .Raw(Log("worker-0", 5, 101'000, 120'000)
                                 .Acquired(102'000, "p-0", 1, 1)
                                 .Released(105'000, "p-0")
                                 .text()));
  Write("b.events",
        Log()
            .Opened(500, "boot-b", 1'100'000, true)
            .Raw(Log("worker-1", 6, 1'000, 20'000).Acquired(4'900, "p-0", 1, 2).text()));
  const Judged refused = Check();
  EXPECT_EQ(refused.status, 2) << refused.output;
  EXPECT_THAT(refused.output, AllOf(HasSubstr(files_[0] + ":1 and " + files_[1] + ":1 count time"),
                                    HasSubstr("--clock-error")));
  EXPECT_THAT(OnlyFinding("overlaps", {"--clock-error", "99ms"}), HasSubstr("for 100.000 ms"));
  const Judged doubtful = Check({"--clock-error", "100ms"});
  EXPECT_EQ(doubtful.status, 0) << doubtful.output;
  EXPECT_THAT(doubtful.json["doubtful"], ElementsAre(HasSubstr("for 100.000 ms")));
}

TEST_F(HistoryTest, AMachineThatWasBootedAgainIsOnAnotherClock) {
  Write("a.events",
        Log()
            .Opened(500'000, "boot-1", 1'000'000, true)
            .Raw(Log("worker-0", 5, 501'000, 520'000).Acquired(502'000, "p-0", 1, 1).text())
            .Opened(20'000, "boot-2", 1'500'000, true)
            .Raw(Log("worker-0", 6, 21'000, 40'000).Acquired(22'000, "p-0", 2, 2).text()));
  EXPECT_EQ(Check().status, 2);
  ExpectClean({"--clock-error", "100ms"});
}

TEST_F(HistoryTest, ALogThatBeginsAmidALifeIsAFindingAndJudgedOnce) {
  const std::string whole = A().Acquired(1'010, "p-0", 1, 1).Lease(1'500, 9'000).text();
  const std::size_t cut = whole.find('\n', whole.find("lease")) + 1;
  Write("a.events", whole.substr(cut));
  EXPECT_THAT(OnlyFinding("anomalies"), HasSubstr("has no beginning in this log"));
  // Its older part in front, all is well.
  const std::string all = folder_->File("all.events");
  WriteFile(all, whole);
  EXPECT_EQ(Run({all}).status, 0);
}

TEST_F(HistoryTest, OfTwoThatShareALogOneMayBeKilledWithinALine) {
  Write("both.events",
        A(5'000).text() + "{\"t\":1020000000,\"eve" + B().Acquired(1'030, "p-0", 1, 1).text());
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 0) << judged.output;
  EXPECT_EQ(judged.json["torn_lines"], 1);
  EXPECT_EQ(judged.json["workers"], 2);
}

TEST_F(HistoryTest, TimeThatRunsBackwardsIsToldOnce) {
  Write("a.events", A().Acquired(1'500, "p-0", 1, 1).Lease(1'200, 10'500).Lease(1'300, 11'000));
  EXPECT_THAT(OnlyFinding("anomalies"), HasSubstr("time ran backwards, from 1.500000 s"));
}

TEST_F(HistoryTest, LineEndingsOfOtherSystemsAndBlankLinesAreNoFinding) {
  std::string log = A().Acquired(1'010, "p-0", 1, 1).text();
  for (std::size_t at = 0; (at = log.find('\n', at)) != std::string::npos; at += 2) {
    log.insert(at, "\r");
  }
  Write("a.events", "\xef\xbb\xbf" + log + "\r\n\n");
  ExpectClean();
}

TEST_F(HistoryTest, WhatTheDiskLeftOfALogIsBroken) {
  using namespace std::string_literals;
  Write("a.events", A().Raw("\0\0\0\0\n"s).Acquired(1'010, "p-0", 1, 1));
  OnlyFinding("broken_lines");
}

TEST_F(HistoryTest, NamesInALogDoNotSpeakToTheTerminal) {
  Write("a.events", A().Acquired(1'010, "\\u001b[2Jp", 1, 1).Released(1'020, "\\u001b[2Jq"));
  const Judged judged = Run(files_);
  EXPECT_EQ(judged.status, 1);
  EXPECT_THAT(judged.output, AllOf(HasSubstr(R"(\x1b[2Jq)"), Not(HasSubstr("\x1b"))));
}

TEST_F(HistoryTest, StandardInputIsALogToo) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1).Released(3'000, "p-0"));
  const std::string b = B().Acquired(2'999, "p-0", 1, 2).text();
  const std::string input = folder_->File("input");
  const std::string output = folder_->File("output");
  WriteFile(input, b);
  const auto process =
      StartProcess({.argv = {"/bin/sh", "-c", "exec \"$0\" check-history - \"$1\" < \"$2\"",
                             PARTI_BINARY, files_[0], input},
                    .stdout_file = output,
                    .stderr_file = output});
  const auto exit = process->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 1) << ReadFile(output);
  EXPECT_THAT(ReadFile(output), HasSubstr("worker-1 from stdin:3"));
}

TEST_F(HistoryTest, ALogGivenTwiceIsReadOnceAndACopyIsNamed) {
  Write("a.events", A().Acquired(1'010, "p-0", 1, 1));
  files_.push_back(folder_->path() + "/./a.events");
  ExpectClean();
  EXPECT_THAT(Check().json["notes"].dump(), HasSubstr("was given twice, and read once"));
  Write("copy.events", A().Acquired(1'010, "p-0", 1, 1));
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 1);
  EXPECT_THAT(judged.json["notes"].dump(), HasSubstr("was one log given twice, as a copy?"));
}

TEST_F(HistoryTest, MistakesAreToldApartFromFindings) {
  const std::string good = Write("a.events", A().text());
  const std::string empty = Write("empty.events", "");
  const std::string other = Write("other.txt", "one\ntwo\n");
  const std::string folder = folder_->path();
  const auto mistake = [&](std::vector<std::string> arguments, const std::string& what) {
    const Judged judged = Run(std::move(arguments));
    EXPECT_EQ(judged.status, 2) << judged.output;
    EXPECT_THAT(judged.output, HasSubstr(what));
  };
  mistake({good, folder + "/none.events"}, "none.events: can't be read: No such file");
  mistake({folder}, "can't be read: Is a directory; give the logs in it, as");
  const std::string packed = Write("a.gz", "\x1f\x8b\x08 and so on");
  mistake({good, packed}, "is compressed; try: gzip -dc " + packed + " | parti check-history -");
  mistake({good, "--clock-error", "soon"}, "--clock-error");
  mistake({good, "--clock-error", "1s"}, "doesn't say on which clock");
  mistake({good, other}, "not one of its 2 lines is an event");
  mistake({empty}, "nothing to judge");
  mistake({}, "FILE is required");
  mistake({good, "--max-gap", "soon"}, "--max-gap");
  mistake({good, "--partitions", "0"}, "--partitions");
  EXPECT_EQ(Run({good, empty}).status, 0);
  EXPECT_THAT(Run({"--help"}).output, AllOf(HasSubstr("Exit status"), HasSubstr("--max-gap")));
}

// What is real is clean; what is clean and then falsified is not.
TEST_F(HistoryTest, TheLogsOfARealGroupAreCleanUntilOneLineIsChanged) {
  Cluster cluster({.partitions = 6});
  const std::size_t a = cluster.Start("a");
  const std::size_t b = cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  cluster.group().Kill(a);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  ASSERT_EQ(cluster.Finish(), "");
  std::string log = ReadFile(cluster.group().EventFile(a));
  Write("a.events", log);
  Write("b.events", ReadFile(cluster.group().EventFile(b)));
  ExpectClean({"--partitions", "6"});

  // The killed one is given a lease for ever.
  const std::string last_lease = R"("event":"lease")";
  const std::size_t line = log.rfind(last_lease);
  const std::size_t until = log.find(R"("until":)", line) + 8;
  log.replace(until, log.find('}', until) - until, "9000000000000000000");
  files_.erase(files_.begin());
  Write("a2.events", log);
  const Judged judged = Check({"--partitions", "6"});
  EXPECT_EQ(judged.status, 1) << judged.output;
  EXPECT_THAT(judged.json["overlaps"], Not(IsEmpty()));
}

// No speed is asserted, but it has to come to an end.
TEST_F(HistoryTest, AMillionLinesAreJudged) {
  constexpr int kWorkers = 10;
  constexpr int kLines = 100'000;  // of each
  for (int w = 0; w < kWorkers; ++w) {
    std::ofstream file(files_.emplace_back(folder_->File(fmt::format("w{}.events", w))));
    const std::string worker = fmt::format(R"("worker":"worker-{}","incarnation":1)", w);
    file << fmt::format(R"({{"t":1,"event":"started",{}}})", worker) << "\n";
    for (long long i = 1; i < kLines; ++i) {
      const long long t = i * 1'000'000;
      if (i % 4 == 1) {
        file << fmt::format(R"({{"t":{},"event":"lease",{},"until":{}}})", t, worker,
                            t + 1'000'000'000);
      } else {
        file << fmt::format(
            R"({{"t":{},"event":"{}",{},"epoch":1,"version":{},"partition":"p-{}"}})", t,
            i % 4 == 3 ? "released" : "acquired", worker, i, w * 100 + (i / 4) % 100);
        // Every second claim is given up; the others are kept and renewed.
        if (i % 4 == 0) {
          file << "\n"
               << fmt::format(R"({{"t":{},"event":"released",{},"partition":"p-{}"}})", t, worker,
                              w * 100 + (i / 4) % 100);
        }
      }
      file << "\n";
    }
  }
  const Judged judged = Check();
  EXPECT_EQ(judged.status, 0) << judged.output.substr(0, 2000);
  EXPECT_GE(judged.json["lines"], 1'000'000);
}

}  // namespace
}  // namespace parti::test
