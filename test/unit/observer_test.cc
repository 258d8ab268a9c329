// Histories made by hand, right and wrong, for the observer to judge.
#include "parti/cli/observer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "parti/cli/log_tail.h"

namespace parti::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The logs of a few processes over the partitions p-0 and p-1.
class ObserverTest : public ::testing::Test {
 protected:
  ObserverTest() : observer_({"p-0", "p-1"}) {}

  std::size_t Process(const std::string& name) { return observer_.AddProcess(name); }

  // A process in its first life, with a lease until `until`.
  std::size_t Member(const std::string& name, std::int64_t until) {
    const std::size_t process = Process(name);
    Started(process, 1, name, process + 1);
    Lease(process, 1, until);
    return process;
  }

  void Started(std::size_t process, std::int64_t t, const std::string& worker,
               std::uint64_t incarnation) {
    Add(process, R"({{"t":{},"event":"started","worker":"{}","incarnation":{}}})", t, worker,
        incarnation);
  }
  void Lease(std::size_t process, std::int64_t t, std::int64_t until) {
    Add(process, R"({{"t":{},"event":"lease","until":{}}})", t, until);
  }
  void Acquired(std::size_t process, std::int64_t t, const std::string& partition,
                std::uint64_t epoch, std::uint64_t version) {
    Add(process, R"({{"t":{},"event":"acquired","partition":"{}","epoch":{},"version":{}}})", t,
        partition, epoch, version);
  }
  void Released(std::size_t process, std::int64_t t, const std::string& partition) {
    Add(process, R"({{"t":{},"event":"released","partition":"{}"}})", t, partition);
  }
  void Lost(std::size_t process, std::int64_t t, const std::string& partition) {
    Add(process, R"({{"t":{},"event":"lost","partition":"{}"}})", t, partition);
  }
  void Leader(std::size_t process, std::int64_t t, bool gained, std::uint64_t epoch) {
    Add(process, R"({{"t":{},"event":"leader","gained":{},"epoch":{}}})", t, gained, epoch);
  }
  void Stopped(std::size_t process, std::int64_t t) {
    Add(process, R"({{"t":{},"event":"stopped"}})", t);
  }

  template <typename... Args>
  void Add(std::size_t process, fmt::format_string<Args...> format, Args&&... args) {
    observer_.AddLine(process, fmt::format(format, std::forward<Args>(args)...));
  }

  Observer observer_;
};

TEST_F(ObserverTest, AnHandOverInOrderIsClean) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(a, 10, "p-1", 1, 1);
  Released(a, 50, "p-1");
  Acquired(b, 60, "p-1", 1, 2);

  const Verdict verdict = observer_.Judge(100);
  EXPECT_TRUE(verdict.Exclusive());
  EXPECT_THAT(verdict.unowned, IsEmpty());
  EXPECT_THAT(verdict.anomalies, IsEmpty());
  EXPECT_THAT(verdict.broken_lines, IsEmpty());
  ASSERT_THAT(verdict.gaps, SizeIs(1));
  EXPECT_EQ(verdict.gaps[0].partition, "p-1");
  EXPECT_EQ(verdict.gaps[0].from, 50);
  EXPECT_EQ(verdict.gaps[0].to, 60);
}

TEST_F(ObserverTest, TwoHoldersAtOnceAreAnOverlap) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 40, "p-0", 1, 2);
  Released(a, 45, "p-0");

  const Verdict verdict = observer_.Judge(100);
  ASSERT_THAT(verdict.overlaps, SizeIs(1));
  EXPECT_EQ(verdict.overlaps[0].partition, "p-0");
  EXPECT_EQ(verdict.overlaps[0].from, 40);
  EXPECT_EQ(verdict.overlaps[0].to, 45);
  EXPECT_FALSE(verdict.Exclusive());
  EXPECT_THAT(verdict.Describe(), HasSubstr("overlaps: 1"));
}

TEST_F(ObserverTest, OverlapsDoNotDependOnTheOrderInWhichLogsAreRead) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(b, 40, "p-0", 1, 2);
  Acquired(a, 10, "p-0", 1, 1);
  EXPECT_THAT(observer_.Judge(100).overlaps, SizeIs(1));
  EXPECT_THAT(observer_.Judge(100).token_regressions, IsEmpty());
}

TEST_F(ObserverTest, ReleaseAndAcquireAtOneInstantDoNotOverlap) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Released(a, 40, "p-0");
  Acquired(b, 40, "p-0", 1, 2);
  EXPECT_THAT(observer_.Judge(100).overlaps, IsEmpty());
}

TEST_F(ObserverTest, AnInstantWithinAnothersClaimOverlaps) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 40, "p-0", 1, 2);
  Released(b, 40, "p-0");
  EXPECT_THAT(observer_.Judge(100).overlaps, SizeIs(1));
}

TEST_F(ObserverTest, OneLongClaimOverlapsEachShortOneUnderIt) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto t = static_cast<std::int64_t>(20 + 10 * i);
    Acquired(b, t, "p-0", 1, 2 + i);
    Released(b, t + 5, "p-0");
  }
  EXPECT_THAT(observer_.Judge(100).overlaps, SizeIs(3));
}

TEST_F(ObserverTest, AKilledProcessHoldsUntilItsLastLease) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 99, "p-0", 2, 2);
  EXPECT_THAT(observer_.Judge(500).overlaps, SizeIs(1));
}

TEST_F(ObserverTest, ASuccessorAfterTheLeaseOfTheKilledIsClean) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 100, "p-0", 2, 2);
  EXPECT_TRUE(observer_.Judge(500).Exclusive());
}

TEST_F(ObserverTest, LeasesExtendClaimsWhileTheLifeLasts) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Lease(a, 50, 200);
  Acquired(b, 150, "p-0", 2, 2);
  EXPECT_THAT(observer_.Judge(500).overlaps, SizeIs(1));
}

TEST_F(ObserverTest, TheLeaseOfALaterLifeDoesNotExtendClaimsOfTheEarlier) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Started(a, 120, "a", 7);
  Lease(a, 121, 900);
  Acquired(b, 130, "p-0", 2, 2);
  const Verdict verdict = observer_.Judge(500);
  EXPECT_TRUE(verdict.Exclusive()) << verdict.Describe();
  EXPECT_THAT(verdict.anomalies, IsEmpty());
}

TEST_F(ObserverTest, ANewLifeDoesNotEndTheClaimsOfTheOldBeforeItsLease) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Started(a, 50, "a", 7);
  Acquired(b, 60, "p-0", 2, 2);
  const Verdict verdict = observer_.Judge(500);
  EXPECT_THAT(verdict.overlaps, SizeIs(1));
  EXPECT_THAT(verdict.anomalies, ElementsAre(HasSubstr("new life")));
}

TEST_F(ObserverTest, ALossMayBeReportedByTheLifeThatFollows) {
  const auto a = Member("a", 100);
  Acquired(a, 10, "p-0", 1, 1);
  Started(a, 120, "a", 7);
  Lost(a, 130, "p-0");
  EXPECT_THAT(observer_.Judge(500).anomalies, IsEmpty());
}

TEST_F(ObserverTest, AReapedProcessHoldsNothing) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  observer_.ProcessGone(a, 30);
  Acquired(b, 40, "p-0", 2, 2);
  EXPECT_TRUE(observer_.Judge(500).Exclusive());
}

TEST_F(ObserverTest, WhoOpensALogAloneEndsWhatThoseBeforeHeld) {
  for (const bool alone : {true, false}) {
    Observer observer({"p-0", "p-1"});
    std::swap(observer, observer_);
    const auto a = Member("a", 100);
    const auto b = Member("b", 1000);
    Acquired(a, 10, "p-0", 1, 1);
    Add(a, R"({{"t":30,"event":"opened","alone":{}}})", alone);
    Acquired(b, 40, "p-0", 2, 2);
    EXPECT_EQ(observer_.Judge(500).overlaps.empty(), alone);
  }
}

TEST_F(ObserverTest, TokensOfAPartitionRise) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 2, 5);
  Released(a, 20, "p-0");
  Acquired(b, 30, "p-0", 1, 9);
  const Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.token_regressions, ElementsAre(HasSubstr("p-0: (1, 9) of b")));
  EXPECT_FALSE(verdict.Exclusive());
}

TEST_F(ObserverTest, ATokenThatWentDownHidesNoOther) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  std::int64_t t = 10;
  for (const std::uint64_t version : std::initializer_list<std::uint64_t>{5, 3, 4}) {
    const auto owner = version == 3 ? b : a;
    Acquired(owner, t, "p-0", 1, version);
    Released(owner, t + 5, "p-0");
    t += 10;
  }
  EXPECT_THAT(observer_.Judge(100).token_regressions, SizeIs(2));
}

TEST_F(ObserverTest, OneTokenTwiceIsARegressionAfterARelease) {
  const auto a = Member("a", 1000);
  Acquired(a, 10, "p-0", 2, 5);
  Released(a, 20, "p-0");
  Acquired(a, 30, "p-0", 2, 5);
  EXPECT_THAT(observer_.Judge(100).token_regressions, SizeIs(1));
}

TEST_F(ObserverTest, OneTokenForTwoLivesIsARegression) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 2, 5);
  Released(a, 20, "p-0");
  Acquired(b, 30, "p-0", 2, 5);
  EXPECT_THAT(observer_.Judge(100).token_regressions, SizeIs(1));
}

TEST_F(ObserverTest, ALifeMayKeepOrRaiseItsToken) {
  const auto a = Member("a", 1000);
  Acquired(a, 10, "p-0", 2, 5);
  Acquired(a, 20, "p-0", 2, 5);
  Acquired(a, 30, "p-0", 3, 6);
  const Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.token_regressions, IsEmpty());
  EXPECT_EQ(observer_.HoldersAt(100)[0].token.epoch, 3u);
}

TEST_F(ObserverTest, AnEpochBelongsToOneLeader) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Leader(a, 10, true, 3);
  Leader(b, 20, true, 3);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions, ElementsAre(HasSubstr("epoch 3")));
}

TEST_F(ObserverTest, EpochsOfAProcessRise) {
  const auto a = Member("a", 1000);
  Leader(a, 10, true, 4);
  Leader(a, 20, false, 4);
  Leader(a, 30, true, 3);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions, SizeIs(1));
}

TEST_F(ObserverTest, NobodyGrantsUnderAnEpochWhenAGreaterOneWasGainedBeforeIt) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Leader(b, 20, true, 6);
  Leader(a, 10, true, 5);
  Acquired(a, 30, "p-0", 5, 1);  // its owner looked at the fence before
  // It learns now only that it was elected long ago.
  Leader(a, 40, true, 7);
  Leader(b, 41, true, 8);
  Leader(b, 50, false, 8);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions, IsEmpty());
  const auto c = Member("c", 1000);
  Leader(c, 45, true, 4);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions, IsEmpty());
  Acquired(b, 46, "p-1", 4, 1);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions,
              ElementsAre(HasSubstr("though epoch 5 had been gained before, by a (a:3)")));
}

TEST_F(ObserverTest, NobodyGrantsUnderAnEpochBeforeItIsGained) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(b, 19, "p-0", 3, 1);
  EXPECT_THAT(observer_.Judge(100).unknown_epochs, ElementsAre(3));
  Leader(a, 20, true, 3);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions,
              ElementsAre(HasSubstr("though epoch 3 was gained only then, by a (a:3)")));
  EXPECT_THAT(observer_.Judge(100).unknown_epochs, IsEmpty());
  Acquired(b, 20, "p-1", 3, 1);
  EXPECT_THAT(observer_.Judge(100).epoch_regressions, SizeIs(1));
}

TEST_F(ObserverTest, LinesBelongToTheLifeThatTheyName) {
  const auto a = Member("worker-0", 50);  // incarnation 1
  Acquired(a, 10, "p-0", 1, 1);
  Started(a, 60, "worker-0", 7);
  Lease(a, 61, 900);
  // The life before goes on, which is another process on the same id.
  Add(a, R"({{"t":62,"event":"lease","worker":"worker-0","incarnation":1,"until":800}})");
  Add(a, R"({{"t":70,"event":"acquired","worker":"worker-0","incarnation":7,"partition":"p-0",)"
         R"("epoch":2,"version":2}})");
  const Verdict verdict = observer_.Judge(500);
  EXPECT_THAT(verdict.overlaps, SizeIs(1));
  EXPECT_THAT(verdict.anomalies,
              ElementsAre(HasSubstr("acts as incarnation 1, though incarnation 7 has begun")));
}

TEST_F(ObserverTest, WhoIsGoneSaysNothingMore) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  observer_.ProcessGone(a, 30);
  Acquired(a, 40, "p-0", 1, 1);
  Acquired(b, 50, "p-0", 1, 2);
  const Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.anomalies, ElementsAre(HasSubstr("after its process was seen to be gone")));
  EXPECT_THAT(verdict.overlaps, SizeIs(1));
}

TEST_F(ObserverTest, WhoHasStoppedActsNoMore) {
  const auto a = Member("a", 1000);
  Stopped(a, 30);
  Lease(a, 40, 2000);
  EXPECT_THAT(observer_.Judge(100).anomalies, ElementsAre(HasSubstr("said that it had stopped")));
}

TEST_F(ObserverTest, ALogThatBeginsAmidALifeIsToldOnceAndJudged) {
  const auto a = Process("a");
  const auto b = Member("b", 1000);
  for (int t : {10, 20}) {
    Add(a, R"({{"t":{},"event":"lease","worker":"w","incarnation":4,"until":{}}})", t, t + 100);
  }
  Add(a, R"({{"t":30,"event":"acquired","worker":"w","incarnation":4,"partition":"p-0",)"
         R"("epoch":1,"version":1}})");
  Acquired(b, 40, "p-0", 1, 2);
  const Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.anomalies, ElementsAre(HasSubstr("has no beginning in this log")));
  EXPECT_THAT(verdict.overlaps, SizeIs(1));
}

TEST_F(ObserverTest, ASuccessorInTheSameLogDoesNotLeaveAtOnce) {
  const auto a = Process("a");
  const auto b = Process("b");
  Started(a, 10, "worker-0", 5);
  Lease(a, 11, 30);
  Add(a, R"({{"t":15,"event":"state","state":"Shutdown"}})");
  Stopped(a, 16);
  Started(a, 20, "worker-0", 6);
  Lease(a, 21, 200);
  Acquired(a, 22, "p-0", 1, 1);
  Released(a, 23, "p-0");
  Started(b, 50, "worker-0", 7);
  EXPECT_THAT(observer_.Judge(300).id_conflicts, SizeIs(1));
}

TEST_F(ObserverTest, WhatTheErrorOfTheClocksCouldExplainIsDoubtful) {
  observer_.SetClockError(5);
  const auto a = observer_.AddProcess("a", "", 1);
  const auto b = observer_.AddProcess("b", "", 2);
  for (const auto process : {a, b}) {
    Started(process, 1, process == a ? "a" : "b", 1);
    Lease(process, 1, 1000);
  }
  Acquired(a, 10, "p-0", 1, 2);
  Released(a, 45, "p-0");
  Acquired(b, 40, "p-0", 1, 3);
  Acquired(b, 40, "p-1", 1, 4);
  Acquired(a, 50, "p-1", 1, 5);
  Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.overlaps, SizeIs(1));
  EXPECT_EQ(verdict.overlaps.front().partition, "p-1");
  EXPECT_THAT(verdict.doubtful, ElementsAre(HasSubstr("p-0")));
  observer_.SetClockError(4);
  verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.overlaps, SizeIs(2));
  EXPECT_THAT(verdict.doubtful, IsEmpty());
}

TEST_F(ObserverTest, AnOverlapIsExplainedByTheLinesThatShowIt) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 40, "p-0", 1, 2);
  Released(b, 60, "p-0");
  const Verdict verdict = observer_.Judge(500);
  ASSERT_THAT(verdict.overlaps, SizeIs(1));
  EXPECT_THAT(observer_.Explain(verdict.overlaps.front()),
              HasSubstr("a from a:3 to the end of its lease (a:2), its last line at 0.000000 s; "
                        "b from b:3 to b:4"));
}

TEST_F(ObserverTest, TheLastLineOfWhoWasKilledMayBeTorn) {
  const auto a = Member("a", 1000);
  observer_.AddLastLine(a, R"({"t":10,"event":"acq)");
  EXPECT_THAT(observer_.Judge(100).broken_lines, IsEmpty());
  observer_.AddLastLine(a,
                        R"({"t":10,"event":"acquired","partition":"p-0","epoch":1,"version":1})");
  EXPECT_TRUE(observer_.HoldersAt(20)[0].process.has_value());
}

TEST_F(ObserverTest, AVersionBelowWhatAnEarlierEpochHadReachedIsSeen) {
  const auto a = Member("a", 100);
  const auto b = Member("b", 100);
  Acquired(a, 10, "p-0", 1, 6);
  Acquired(b, 20, "p-1", 2, 6);  // the new leader carries on with its predecessor's plan
  EXPECT_THAT(observer_.Judge(100).version_regressions, IsEmpty());
  Acquired(b, 30, "p-1", 3, 5);
  EXPECT_THAT(
      observer_.Judge(100).version_regressions,
      ElementsAre("epoch 3 granted under version 5 (b:4), but epoch 1 had reached 6 (a:3)"));
}

TEST_F(ObserverTest, AGapIsAFindingOnlyWhereItIsTooLong) {
  const auto a = Member("a", 100);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(a, 10, "p-1", 1, 1);
  Released(a, 20, "p-0");
  Acquired(a, 50, "p-0", 1, 2);
  Verdict verdict = observer_.Judge(60);
  EXPECT_EQ(verdict.Describe(), "");
  verdict.longest_gap = 30;
  EXPECT_EQ(verdict.Describe(), "");
  verdict.longest_gap = 29;
  EXPECT_THAT(verdict.Describe(), HasSubstr("p-0: nobody's"));
}

TEST_F(ObserverTest, IncarnationsOfAnIdRise) {
  const auto a = Process("a");
  Started(a, 10, "worker-0", 5);
  Started(a, 20, "worker-0", 5);
  EXPECT_THAT(observer_.Judge(100).incarnation_regressions,
              ElementsAre(HasSubstr("incarnation 5")));
}

TEST_F(ObserverTest, TwoProcessesMustNotBearOneIdAtOnce) {
  const auto a = Process("a");
  const auto b = Process("b");
  Started(a, 10, "worker-0", 5);
  Lease(a, 11, 100);
  Started(b, 50, "worker-0", 6);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, ElementsAre(HasSubstr("at once")));
}

TEST_F(ObserverTest, AnIdIsFreeFromWhenItsWorkerShutsDownAndHoldsNothing) {
  const auto a = Process("a");
  const auto b = Process("b");
  const auto c = Process("c");
  Started(a, 10, "worker-0", 5);
  Lease(a, 11, 100);
  Acquired(a, 20, "p-0", 1, 1);
  Add(a, R"({{"t":30,"event":"state","state":"Shutdown"}})");
  Released(a, 40, "p-0");
  Started(b, 50, "worker-0", 6);
  Stopped(a, 60);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, ElementsAre());
  // But not while it holds something.
  Started(c, 35, "worker-0", 6);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, Contains(HasSubstr("at once")));
}

TEST_F(ObserverTest, AnIdIsFreeFromWhenItsWorkerHeldNothingAndThenStopped) {
  const auto a = Process("a");
  const auto b = Process("b");
  Started(a, 10, "worker-0", 5);
  Lease(a, 11, 100);
  Acquired(a, 20, "p-0", 1, 1);
  Released(a, 40, "p-0");  // and says `left`, whose answer takes its time
  Started(b, 50, "worker-0", 6);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, SizeIs(1));
  Stopped(a, 60);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, IsEmpty());
  const auto c = Process("c");
  Started(c, 39, "worker-0", 6);
  EXPECT_THAT(observer_.Judge(200).id_conflicts, Contains(HasSubstr("borne by a:1 and c:1")));
}

TEST_F(ObserverTest, AnIdPassesOnWhenItsLifeHasStopped) {
  const auto a = Process("a");
  const auto b = Process("b");
  Started(a, 10, "worker-0", 5);
  Lease(a, 11, 100);
  Stopped(a, 40);
  Started(b, 50, "worker-0", 6);
  EXPECT_TRUE(observer_.Judge(200).Exclusive());
}

TEST_F(ObserverTest, ReportsWhatIsUnowned) {
  const auto a = Member("a", 100);
  Acquired(a, 10, "p-1", 1, 1);
  EXPECT_THAT(observer_.Judge(50).unowned, ElementsAre("p-0"));
  EXPECT_THAT(observer_.Judge(100).unowned, ElementsAre("p-0", "p-1"));
  EXPECT_THAT(observer_.Judge(150).gaps, SizeIs(1));
}

TEST_F(ObserverTest, WhatACorrectWorkerDoesNotWriteIsAnAnomaly) {
  const auto a = Process("a");
  Acquired(a, 5, "p-0", 1, 1);  // before any life
  Started(a, 10, "a", 1);
  Acquired(a, 11, "p-0", 1, 1);  // before any lease
  Lease(a, 12, 20);
  Lease(a, 30, 40);              // extended after it had run out
  Released(a, 31, "p-1");        // never held
  Acquired(a, 32, "x-9", 1, 2);  // no such partition
  Lease(a, 31, 60);              // time ran backwards
  Stopped(a, 33);                // still holding
  const Verdict verdict = observer_.Judge(100);
  EXPECT_THAT(verdict.anomalies,
              ElementsAre(HasSubstr("before the first life"), HasSubstr("didn't hold"),
                          HasSubstr("no partition"), HasSubstr("backwards"),
                          HasSubstr("without giving up 2")));
  EXPECT_THAT(verdict.after_lease,
              ElementsAre(HasSubstr("without a running lease"), HasSubstr("was extended")));
}

TEST_F(ObserverTest, AClaimWithoutALeaseCoversNothing) {
  const auto a = Process("a");
  const auto b = Member("b", 1000);
  Started(a, 10, "a", 7);
  Acquired(a, 20, "p-0", 1, 1);
  Acquired(b, 30, "p-0", 1, 2);
  EXPECT_THAT(observer_.Judge(100).overlaps, IsEmpty());
}

TEST_F(ObserverTest, ClaimsAfterTheTimeJudgedAreLeftOut) {
  const auto a = Member("a", 1000);
  const auto b = Member("b", 1000);
  Acquired(a, 10, "p-0", 1, 1);
  Acquired(b, 40, "p-0", 1, 2);
  EXPECT_THAT(observer_.Judge(39).overlaps, IsEmpty());
}

TEST_F(ObserverTest, GarbageIsReportedAndSkipped) {
  const auto a = Member("a", 1000);
  for (const char* line :
       {"", "}{", "[]", "7", R"({"t":1})", R"({"t":-1,"event":"stopped"})",
        R"({"t":1,"event":"acquired","partition":7,"epoch":1,"version":1})",
        R"({"t":99999999999999999999,"event":"stopped"})", R"({"t":1,"event":"danced"})",
        R"({"t":10,"event":"acquired","partition":"p-0","epoch":1,"vers)"}) {
    observer_.AddLine(a, line);
  }
  Acquired(a, 20, "p-0", 1, 1);
  const Verdict verdict = observer_.Judge(100);
  ASSERT_THAT(verdict.broken_lines, SizeIs(10));
  EXPECT_THAT(verdict.broken_lines.back(), HasSubstr("a:12: "));
  EXPECT_TRUE(observer_.HoldersAt(100)[0].process.has_value());
}

TEST_F(ObserverTest, ShowsWhereAProcessStands) {
  const auto a = Member("a", 1000);
  Leader(a, 10, true, 3);
  Add(a, R"({{"t":20,"event":"state","state":"Stable"}})");
  ProcessView view = observer_.View(a);
  EXPECT_EQ(view.worker, "a");
  EXPECT_TRUE(view.leader);
  EXPECT_EQ(view.epoch, 3u);
  EXPECT_EQ(view.state, "Stable");
  EXPECT_EQ(view.until, 1000);
  Leader(a, 30, false, 3);
  Stopped(a, 40);
  view = observer_.View(a);
  EXPECT_FALSE(view.leader);
  EXPECT_TRUE(view.stopped);
}

TEST(LogTailTest, HandsOverWholeLinesAndTheTornOneAtTheEnd) {
  const std::string path = ::testing::TempDir() + "log_tail_test.log";
  std::remove(path.c_str());
  LogTail tail(path);
  std::vector<std::string> lines;
  const auto sink = [&](std::string_view line) { lines.emplace_back(line); };
  tail.Poll(sink);
  EXPECT_THAT(lines, IsEmpty());

  std::ofstream file(path, std::ios::app);
  file << "one\ntwo\nthr" << std::flush;
  tail.Poll(sink);
  EXPECT_THAT(lines, ElementsAre("one", "two"));
  file << "ee\nfo" << std::flush;
  tail.Poll(sink);
  EXPECT_THAT(lines, ElementsAre("one", "two", "three"));
  tail.Finish(sink, sink);
  EXPECT_THAT(lines, ElementsAre("one", "two", "three", "fo"));
  std::remove(path.c_str());
}

}  // namespace
}  // namespace parti::cli
