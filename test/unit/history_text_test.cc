// A history's findings, as they are printed: partitions may be called anything.
#include "parti/cli/history.h"

#include <gtest/gtest.h>

#include <string>

namespace parti::cli {
namespace {

TEST(HistoryTextTest, FindingsCommandNoTerminal) {
  HistoryReport report;
  report.kinds.push_back({.name = "overlaps", .title = "two owners", .found = {"p-\x1b[2J\n: a"}});
  report.notes = {"b\u009b"};
  const std::string text = HistoryText(report);
  EXPECT_NE(text.find("p-\\x1b[2J\\n: a\n"), std::string::npos) << text;
  EXPECT_NE(text.find("note: b\\u009b\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace parti::cli
