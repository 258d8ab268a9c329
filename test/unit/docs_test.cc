// The documentation says what the code does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "parti/config.h"

namespace parti {
namespace {

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(std::string(PARTI_SOURCE_DIR) + "/" + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The cells of a table's row, without blanks and back quotes.
std::vector<std::string> Cells(const std::string& row) {
  std::vector<std::string> cells;
  std::istringstream stream(row.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    std::erase_if(cell, [](char c) { return c == ' ' || c == '`'; });
    cells.push_back(cell);
  }
  return cells;
}

bool IsRowOf(const std::string& line, const std::string& setting) {
  return line.rfind("| `" + setting + "`", 0) == 0;
}

TEST(DocsTest, EverySettingIsDocumentedWithItsDefaults) {
  const std::vector<std::string> lines = Lines("docs/configuration.md");
  ASSERT_FALSE(lines.empty());
  const Config standard;
  const Config fast = Config::Preset("fast").value();
  for (const std::string& name : Config::FieldNames()) {
    SCOPED_TRACE(name);
    const auto row = std::find_if(lines.begin(), lines.end(),
                                  [&](const std::string& line) { return IsRowOf(line, name); });
    ASSERT_NE(row, lines.end()) << "docs/configuration.md has no row for it";
    auto header = row;
    while (header->rfind("| setting", 0) != 0) --header;
    const auto cells = Cells(*row);
    const std::string written = standard.Get(name).value();
    if (!written.empty()) {
      EXPECT_EQ(cells[1], written);
    }
    const bool has_fast_column = Cells(*header)[2] == "fast";
    const bool fast_differs = fast.Get(name).value() != written;
    EXPECT_TRUE(has_fast_column || !fast_differs);
    if (has_fast_column) {
      EXPECT_EQ(cells[2], fast_differs ? fast.Get(name).value() : "");
    }
  }
}

}  // namespace
}  // namespace parti
