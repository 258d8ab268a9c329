// What the demo counts, and how its live view is drawn.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "parti/cli/demo_summary.h"
#include "parti/cli/demo_view.h"

namespace parti::cli {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kNobody = 99;

std::vector<Holder> Held(const std::vector<std::size_t>& owners) {
  std::vector<Holder> holders;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    Holder holder{.partition = fmt::format("p-{}", i)};
    if (owners[i] != kNobody) holder.process = owners[i];
    holders.push_back(holder);
  }
  return holders;
}

TEST(DemoSummaryTest, CountsChangedOwners) {
  EXPECT_EQ(CountMoved(Held({0, 1, kNobody}), Held({0, 2, 1})), 2);
}

TEST(DemoSummaryTest, AtAColdStartEverythingMoves) {
  EXPECT_EQ(LeastMoves(Held({kNobody, kNobody, kNobody}), Held({0, 1, 0})), 3);
}

TEST(DemoSummaryTest, AJoinMovesTheNewcomersShare) {
  EXPECT_EQ(LeastMoves(Held({0, 0, 0, 0, 1, 1, 1}), Held({0, 0, 0, 2, 2, 1, 1})), 2);
}

TEST(DemoSummaryTest, ALeaveMovesWhatTheLeaverHeld) {
  EXPECT_EQ(LeastMoves(Held({0, 0, 0, 1, 1, 2}), Held({0, 0, 0, 1, 1, 1})), 1);
}

TEST(DemoSummaryTest, WhatTwoWorkersSwappedNeedNotHaveMoved) {
  const auto before = Held({0, 0, 1, 1});
  const auto after = Held({1, 0, 0, 1});
  EXPECT_EQ(CountMoved(before, after), 2);
  EXPECT_EQ(LeastMoves(before, after), 0);
}

TEST(DemoSummaryTest, OnlyAStoryThatEndedWellIsOk) {
  DemoSummary summary;
  EXPECT_TRUE(summary.Ok());
  summary.unowned = 1;
  EXPECT_FALSE(summary.Ok());
  summary.unowned = 0;
  summary.failure = "it broke off";
  EXPECT_FALSE(summary.Ok());
  summary.failure.clear();
  summary.verdict.overlaps.push_back({.partition = "p-0"});
  EXPECT_FALSE(summary.Ok());
  EXPECT_THAT(SummaryTable(summary), HasSubstr("overlaps 1"));
}

TEST(DemoSummaryTest, TheJsonIsOneLineWithWhatScriptsNeed) {
  DemoSummary summary;
  summary.steps = {{.name = "a \"join\"\n", .ms = 12.34, .moved = 4, .least = 4},
                   {.name = "kill", .ms = 1, .moved = 1, .least = 1, .new_leader_ms = 7.0}};
  const std::string text = SummaryJson(summary);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["overlaps"], 0);
  EXPECT_EQ(json["unowned"], 0);
  EXPECT_EQ(json["steps"][0]["moved"], 4);
  EXPECT_FALSE(json["steps"][0].contains("new_leader_ms"));
  EXPECT_EQ(json["steps"][1]["new_leader_ms"], 7.0);
}

std::vector<std::string> VisibleLines(const std::string& frame) {
  const std::string text = std::regex_replace(frame, std::regex("\x1b\\[[0-9;]*m"), "");
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  return lines;
}

std::size_t Columns(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

DemoPicture SomePicture(std::size_t partitions) {
  DemoPicture picture{.seconds = 1.5, .epoch = 2, .version = 7, .now = "waiting"};
  std::vector<std::size_t> owners(partitions);
  for (std::size_t i = 0; i < partitions; ++i) owners[i] = i % 4 == 3 ? kNobody : i % 4;
  picture.holders = Held(owners);
  for (int i = 0; i < 3; ++i) {
    picture.rows.push_back({.label = fmt::format("worker-{}", i),
                            .leader = i == 1,
                            .state = "Stable",
                            .lease_left_ms = 500,
                            .lease_ms = 1000});
  }
  for (int i = 0; i < 50; ++i) picture.story.push_back(fmt::format("  {} s  news", i));
  return picture;
}

TEST(DemoViewTest, FitsAnyTerminal) {
  for (const std::size_t partitions : {1U, 24U, 100U, 5000U}) {
    for (const TerminalSize size : {TerminalSize{200, 60}, {80, 24}, {40, 10}, {24, 5}}) {
      const auto lines = VisibleLines(Render(SomePicture(partitions), size));
      EXPECT_LE(lines.size(), static_cast<std::size_t>(size.rows));
      for (const std::string& line : lines) {
        EXPECT_LE(Columns(line), static_cast<std::size_t>(size.columns)) << line;
      }
    }
  }
}

TEST(DemoViewTest, ShowsLeaderLeaseAndTheNewestNews) {
  const auto lines = VisibleLines(Render(SomePicture(8), {100, 20}));
  EXPECT_THAT(lines[0], HasSubstr("epoch 2 · version 7"));
  EXPECT_THAT(lines[3], ::testing::StartsWith("★ worker-1"));
  EXPECT_THAT(lines[3], HasSubstr("████"));
  EXPECT_THAT(lines[2], Not(HasSubstr("★")));
  EXPECT_THAT(lines[lines.size() - 2], HasSubstr("49 s"));
  EXPECT_EQ(lines.back(), "waiting");
}

TEST(DemoViewTest, AReplacedProcessIsNotShown) {
  DemoPicture picture = SomePicture(8);
  picture.rows[0].status = RowStatus::kReplaced;
  EXPECT_THAT(VisibleLines(Render(picture, {100, 20})), Each(Not(HasSubstr("worker-0"))));
}

}  // namespace
}  // namespace parti::cli
