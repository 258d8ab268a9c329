// The demo as a user runs it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "test/support/support.h"

namespace parti::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Command lines of processes that mention `word`.
std::vector<std::string> ProcessesThatMention(const std::string& word) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string command = ReadFile(entry.path().string() + "/cmdline");
    if (command.find(word) != std::string::npos) found.push_back(command);
  }
  return found;
}

class DemoTest : public ::testing::Test {
 protected:
  std::unique_ptr<Process> StartDemo(std::vector<std::string> more) {
    std::vector<std::string> argv = {PARTI_BINARY, "demo", "--plain"};
    argv.insert(argv.end(), more.begin(), more.end());
    // Its temporary folders within ours: one that is killed can't remove them.
    return StartProcess({.argv = argv,
                         .environment = {{"TMPDIR", folder_->path()}},
                         .stdout_file = output_,
                         .stderr_file = output_});
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  const std::string output_ = folder_->File("output");
  // Longer than the deadline of one step: a failed step shall be told by the demo itself.
  static constexpr std::chrono::seconds kWholeStory{240};
};

TEST_F(DemoTest, TheStoryEndsWithNothingOwnedTwiceAndNothingUnowned) {
  const auto demo = StartDemo({"--json"});
  const auto exit = demo->Wait(kWholeStory);
  ASSERT_TRUE(exit.has_value()) << ReadFile(output_);
  ASSERT_TRUE(exit->ok()) << exit->ToString() << "\n" << ReadFile(output_);

  const auto lines = ReadLines(output_);
  const auto summary = nlohmann::json::parse(lines.back(), nullptr, false);
  ASSERT_TRUE(summary.is_object()) << ReadFile(output_);
  EXPECT_EQ(summary["overlaps"], 0);
  EXPECT_EQ(summary["unowned"], 0);
  EXPECT_EQ(summary["token_regressions"], 0);
  EXPECT_EQ(summary["anomalies"], 0) << ReadFile(output_);
  ASSERT_GE(summary["steps"].size(), 5U);
  for (const auto& step : summary["steps"]) {
    EXPECT_GE(step["ms"].get<double>(), 0) << step;
    EXPECT_GT(step["moved"].get<int>(), 0) << step;
    EXPECT_GT(step["least"].get<int>(), 0) << step;
  }
  EXPECT_EQ(summary["steps"][0]["moved"], summary["partitions"]);
}

TEST_F(DemoTest, CtrlCEndsItAndAllItsProcesses) {
  const std::string logs = folder_->File("logs");
  const auto demo = StartDemo({"--keep", logs});
  ASSERT_TRUE(WaitFor([&] { return ReadFile(output_).find("all owned") != std::string::npos; }))
      << ReadFile(output_);
  ASSERT_TRUE(demo->Signal(SIGINT).ok());
  const auto exit = demo->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 128 + SIGINT) << ReadFile(output_);
  EXPECT_TRUE(WaitFor([&] { return ProcessesThatMention(logs).empty(); }));
  EXPECT_TRUE(std::filesystem::exists(logs + "/w0.events"));
}

TEST_F(DemoTest, ADemoThatIsKilledLeavesNoWorkersBehind) {
  const std::string logs = folder_->File("logs");
  const auto demo = StartDemo({"--keep", logs});
  ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(logs + "/w0.events"); }));
  demo->Kill();
  EXPECT_TRUE(WaitFor([&] { return ProcessesThatMention(logs).empty(); }));
}

TEST_F(DemoTest, RefusesAFolderThatIsInUse) {
  WriteFile(folder_->File("something"), "");
  const auto demo = StartDemo({"--keep", folder_->path()});
  const auto exit = demo->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 1);
  EXPECT_THAT(ReadFile(output_), HasSubstr("not empty"));
}

}  // namespace
}  // namespace parti::test
