// The judge of the register on histories made wrong by hand, and short runs of the whole: one that
// has to be clean, and one with a worker that breaks the rules, which has to be seen.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "test/chaos/register_judge.h"
#include "test/chaos/report.h"
#include "test/chaos/servers.h"
#include "test/support/support.h"

namespace parti::chaos {
namespace {

using test::kDeadline;
using test::ReadFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// --- The judge ---

// "a" has p under (1, 1) from 10 to 50, "b" under (1, 2) from 60 to its lease's end at 100.
constexpr const char* kLogOfA = R"({"t":1,"event":"started","worker":"worker-0","incarnation":1}
{"t":2,"event":"lease","until":200}
{"t":10,"event":"acquired","partition":"p","epoch":1,"version":1}
{"t":50,"event":"released","partition":"p"}
)";
constexpr const char* kLogOfB = R"({"t":1,"event":"started","worker":"worker-1","incarnation":2}
{"t":2,"event":"lease","until":100}
{"t":60,"event":"acquired","partition":"p","epoch":1,"version":2}
)";

class RegisterJudgeTest : public ::testing::Test {
 public:
  RegisterJudgeTest() {
    judge_.AddLog("a", kLogOfA);
    judge_.AddLog("b", kLogOfB);
  }

  // A write whose owner last saw at `asked` that it owns.
  RegisterJudgeTest& Write(const std::string& writer, std::uint64_t version, std::int64_t asked,
                           std::uint64_t count = 0) {
    const std::uint64_t sequence = entries_.size() + 1;
    entries_.push_back({.partition = "p",
                        .sequence = sequence,
                        .token = {1, version},
                        .count = count == 0 ? sequence : count,
                        .writer = writer,
                        .asked = asked,
                        .sent = asked + 1});
    return *this;
  }
  std::vector<std::string> Judge() const { return judge_.Judge(entries_); }

  RegisterJudge judge_;
  std::vector<RegisterEntry> entries_;
};

TEST_F(RegisterJudgeTest, WritesOfOneOwnerAfterTheOtherAreClean) {
  Write("a", 1, 11).Write("a", 1, 49).Write("b", 2, 61).Write("b", 2, 99);
  EXPECT_THAT(Judge(), IsEmpty());
}

TEST_F(RegisterJudgeTest, AWriteOfAnOwnerThatWasAskedInTimeMayArriveLate) {
  Write("a", 1, 50).Write("b", 2, 61);
  EXPECT_THAT(Judge(), IsEmpty());
}

TEST_F(RegisterJudgeTest, AnOlderTokenAfterANewerOneIsAViolation) {
  Write("a", 1, 11).Write("b", 2, 61).Write("a", 1, 49);
  EXPECT_THAT(Judge(),
              ElementsAre(AllOf(HasSubstr("write 3 of p, a under (1, 1)"),
                                HasSubstr("got through after write 2 of b under (1, 2)"))));
}

TEST_F(RegisterJudgeTest, ATokenThatTheWriterNeverHadIsAViolation) {
  Write("a", 1, 11).Write("a", 2, 49);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("never had that token")));
}

TEST_F(RegisterJudgeTest, OneTokenOfTwoWritersIsAViolation) {
  Write("a", 1, 11).Write("b", 1, 61);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("also a's"), HasSubstr("never had that token")));
}

TEST_F(RegisterJudgeTest, AWriterThatBelievedToOwnAfterItsReleaseIsAViolation) {
  Write("a", 1, 51);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("after its claim had ended")));
}

TEST_F(RegisterJudgeTest, AWriterThatBelievedToOwnAfterItsLeaseIsAViolation) {
  Write("b", 2, 101);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("after its claim had ended")));
}

TEST_F(RegisterJudgeTest, AWriteBeforeTheGrantIsAViolation) {
  Write("a", 1, 5);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("before it had the token")));
}

TEST_F(RegisterJudgeTest, AnAppendThatWasOverwrittenUnseenIsAViolation) {
  Write("a", 1, 11, 1).Write("a", 1, 12, 1).Write("b", 2, 61, 2);
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("counts 1 appends where there are 2")));
}

TEST_F(RegisterJudgeTest, AClaimEndsWithTheLifeThatHadIt) {
  judge_.AddLog("c", R"({"t":1,"event":"started","worker":"worker-2","incarnation":3}
{"t":2,"event":"lease","until":20}
{"t":3,"event":"acquired","partition":"p","epoch":2,"version":3}
{"t":30,"event":"started","worker":"worker-2","incarnation":4}
{"t":31,"event":"lease","until":90}
)");
  entries_.push_back({.partition = "p",
                      .sequence = 1,
                      .token = {2, 3},
                      .count = 1,
                      .writer = "c",
                      .asked = 40,
                      .sent = 41});
  EXPECT_THAT(Judge(), ElementsAre(HasSubstr("after its claim had ended")));
}

TEST(RegisterTest, AnEntryIsReadAsItWasWritten) {
  const RegisterEntry entry{.token = {3, 7}, .count = 9, .writer = "w1-2", .asked = 5, .sent = 6};
  const auto read = Decode(Encode(entry));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->token, entry.token);
  EXPECT_EQ(read->count, 9u);
  EXPECT_EQ(read->writer, "w1-2");
  for (const char* bad : {"", "7", "{}", R"({"epoch":"x","version":1})"}) {
    EXPECT_FALSE(Decode(bad).ok()) << bad;
  }
}

TEST(ChaosReportTest, AGapIsPutDownToTheFaultBeforeIt) {
  ChaosReport report;
  AddGaps({{"p", 5, 6}, {"p", 10, 13}, {"p", 25, 40}, {"q", 29, 31}},
          {{"kill-worker", "", 10}, {"cut-worker", "", 20}, {"twin", "", 30}}, &report);
  EXPECT_EQ(report.gaps["none"], std::vector<std::int64_t>{1});
  EXPECT_EQ(report.gaps["kill-worker"], std::vector<std::int64_t>{3});
  EXPECT_EQ(report.gaps["cut-worker"], (std::vector<std::int64_t>{15, 2}));
}

TEST(ChaosServersTest, OnlyServersWhoseCasHoldsReplicate) {
  for (const char* old : {"2.9.10", "2.9.20", "1.4.1"}) EXPECT_FALSE(MayReplicate(old)) << old;
  for (const char* fit : {"2.9.21", "2.10.0", "3.0.0"}) EXPECT_TRUE(MayReplicate(fit)) << fit;
}

// --- The whole ---

class ChaosTest : public ::testing::Test {
 protected:
  std::unique_ptr<test::Process> Start(std::vector<std::string> more) {
    std::vector<std::string> argv = {PARTI_CHAOS};
    argv.insert(argv.end(), more.begin(), more.end());
    return test::StartProcess({.argv = argv,
                               .environment = {{"TMPDIR", folder_->path()}},
                               .stdout_file = output_,
                               .stderr_file = output_});
  }
  std::string Output() const { return ReadFile(output_); }

  const std::unique_ptr<test::TempDir> folder_ = test::MakeTempDir();
  const std::string output_ = folder_->File("output");
  static constexpr std::chrono::minutes kWholeRun{5};
};

TEST_F(ChaosTest, AShortRunIsClean) {
  const auto run = Start({"--minutes", "0.2", "--seed", "3"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_TRUE(exit->ok()) << Output();
  EXPECT_THAT(Output(), HasSubstr("violations: 0"));
  EXPECT_THAT(Output(), Not(HasSubstr("register: 0 writes")));
}

TEST_F(ChaosTest, WithoutNamespacesItRunsAndSaysWhatIsSkipped) {
  const auto run = Start({"--minutes", "0.1", "--seed", "4", "--no-namespaces"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_TRUE(exit->ok()) << Output();
  EXPECT_THAT(Output(), AllOf(HasSubstr("SKIPPED: namespaces"), HasSubstr("violations: 0")));
}

TEST_F(ChaosTest, AllBucketsMayBeDeletedOrEmptiedAtOnceAndTokensRiseOn) {
  const auto run =
      Start({"--minutes", "0.2", "--seed", "5", "--only", "wipe-buckets,purge-buckets"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_TRUE(exit->ok()) << Output();
  EXPECT_THAT(Output(),
              AllOf(HasSubstr("wipe-buckets"), HasSubstr("0 were refused for an older token"),
                    HasSubstr("violations: 0")));
}

TEST_F(ChaosTest, AWorkerThatWorksOnAfterItsClaimsHaveEndedIsSeen) {
  // What moves partitions, again and again.
  const auto run = Start({"--minutes", "0.4", "--seed", "5", "--break", "claims", "--only",
                          "restart-worker,cut-worker,cut-leader,cut-subset"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_EQ(exit->code, 1) << Output();
  EXPECT_THAT(Output(), AllOf(HasSubstr("register: write"), HasSubstr("got through after write"),
                              HasSubstr("the logs are in")));
}

TEST_F(ChaosTest, AWorkerThatHeedsTokensButNotTheEndOfItsClaimsIsSeen) {
  const auto run = Start({"--minutes", "0.3", "--seed", "5", "--break", "lease"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_EQ(exit->code, 1) << Output();
  EXPECT_THAT(Output(), AllOf(HasSubstr("register: write"), HasSubstr("after its claim had ended"),
                              Not(HasSubstr("got through after write"))));
}

// Who is stopped between reading and writing goes on when a newer owner has written.
TEST_F(ChaosTest, AStaleWriteThatNoCompareAndSetKeptOutIsSeen) {
  const auto run = Start(
      {"--minutes", "0.3", "--seed", "5", "--break", "cas", "--only", "pause-worker,pause-leader"});
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_EQ(exit->code, 1) << Output();
  EXPECT_THAT(Output(), HasSubstr("got through after write"));
}

class ChaosSignalTest : public ChaosTest, public ::testing::WithParamInterface<int> {};

TEST_P(ChaosSignalTest, CtrlCOrAClosedTerminalStopsItAndLeavesNothingBehind) {
  const auto run = Start({"--minutes", "60", "--seed", "6"});
  ASSERT_TRUE(test::WaitFor([&] { return Output().find(" s  ") != std::string::npos; }))
      << Output();
  ASSERT_TRUE(run->Signal(GetParam()).ok());
  const auto exit = run->Wait(kWholeRun);
  ASSERT_TRUE(exit.has_value()) << Output();
  EXPECT_EQ(exit->code, 128 + GetParam()) << Output();
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_->path())) {
    if (entry.path() != output_) left.push_back(entry.path());
  }
  EXPECT_THAT(left, IsEmpty());
  // Every process of the run has the folder's name among its arguments.
  EXPECT_TRUE(test::WaitFor([&] {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      const std::string command = ReadFile(entry.path().string() + "/cmdline");
      if (command.find(folder_->path()) != std::string::npos) return false;
    }
    return true;
  })) << "processes are left";
}

INSTANTIATE_TEST_SUITE_P(Signals, ChaosSignalTest, ::testing::Values(SIGINT, SIGHUP));

TEST_F(ChaosTest, MistakesAreTold) {
  const auto run = Start({"--cluster", "2"});
  const auto exit = run->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 2) << Output();
  EXPECT_THAT(Output(), HasSubstr("--cluster"));
}

}  // namespace
}  // namespace parti::chaos
