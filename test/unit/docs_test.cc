// The documentation says what the code does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "parti/config.h"
#include "parti/config_fields.h"
#include "parti/metrics.h"
#include "parti/partition_for.h"

namespace parti {
namespace {

using ::testing::StartsWith;

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

// The table row of a setting and the titles of its columns.
struct Row {
  std::vector<std::string> titles;
  std::vector<std::string> cells;
  const std::string& At(const std::string& title) const {
    static const std::string none;
    const auto found = std::find(titles.begin(), titles.end(), title);
    const auto index = static_cast<std::size_t>(found - titles.begin());
    return found == titles.end() || index >= cells.size() ? none : cells[index];
  }
};

std::optional<Row> RowOf(const std::vector<std::string>& lines, const std::string& setting) {
  const auto row = std::find_if(lines.begin(), lines.end(),
                                [&](const std::string& line) { return IsRowOf(line, setting); });
  if (row == lines.end()) return std::nullopt;
  auto header = row;
  while (header->rfind("| setting", 0) != 0) {
    if (header == lines.begin()) return std::nullopt;
    --header;
  }
  return Row{Cells(*header), Cells(*row)};
}

// As people write it: 1h, 90s, 100ms, 0.
std::string HumanDuration(std::int64_t millis) {
  const std::vector<std::pair<std::int64_t, const char*>> units = {
      {3600'000, "h"}, {1000, "s"}, {1, "ms"}};
  if (millis == 0) return "0";
  if (millis == 365LL * 24 * 3600'000) return "365d";
  for (const auto& [size, unit] : units) {
    if (millis % size == 0) return std::to_string(millis / size) + unit;
  }
  return "";
}

// What the range's cell has to begin with; empty for what has no range.
std::string RangeOf(const ConfigField& field) {
  if (std::holds_alternative<bool Config::*>(field.member)) return "true,false";
  if (std::holds_alternative<Mode Config::*>(field.member)) return "exclusive,fast";
  if (std::holds_alternative<Storage Config::*>(field.member)) return "memory,file";
  const bool is_duration = std::holds_alternative<Config::Millis Config::*>(field.member);
  const auto show = [&](std::int64_t value) {
    return is_duration ? HumanDuration(value) : std::to_string(value);
  };
  return show(field.min) + "…" + show(field.max);
}

TEST(DocsTest, EverySettingIsDocumentedWithItsDefaultsAndRange) {
  const std::vector<std::string> lines = Lines("docs/configuration.md");
  ASSERT_FALSE(lines.empty());
  const Config standard;
  const Config fast = Config::Preset("fast").value();
  for (const std::string& name : Config::FieldNames()) {
    SCOPED_TRACE(name);
    const std::optional<Row> row = RowOf(lines, name);
    ASSERT_TRUE(row) << "docs/configuration.md has no row for it";
    const std::string written = standard.Get(name).value();
    if (!written.empty()) {
      EXPECT_EQ(row->At("default"), written);
    }
    const bool fast_differs = fast.Get(name).value() != written;
    EXPECT_EQ(row->At("fast"), fast_differs ? fast.Get(name).value() : "");
    EXPECT_THAT(row->At("range"), StartsWith(RangeOf(*FindConfigField(name))));
    EXPECT_GT(row->cells.back().size(), 30U) << "what is it, and when is it to be changed?";
  }
}

TEST(DocsTest, EveryRowOfASettingsTableIsASetting) {
  bool in_table = false;
  int rows = 0;
  for (const std::string& line : Lines("docs/configuration.md")) {
    if (line.rfind("| setting |", 0) == 0) in_table = true;
    if (line.empty()) in_table = false;
    if (!in_table || line.rfind("| `", 0) != 0) continue;
    const std::size_t end = line.find('`', 3);
    EXPECT_NE(FindConfigField(line.substr(3, end - 3)), nullptr) << line;
    ++rows;
  }
  EXPECT_EQ(static_cast<std::size_t>(rows), Config::FieldNames().size());
}

// --- docs/api.md ---

std::string RowOf(const MetricInfo& info) {
  std::string labels;
  for (const MetricLabel& label : info.labels) {
    labels += (labels.empty() ? "`" : "; `") + std::string(label.name) + "`: ";
    for (std::size_t i = 0; i < label.values.size(); ++i) {
      labels += (i == 0 ? "" : ", ") + std::string(label.values[i]);
    }
  }
  return "| `" + std::string(info.name) + "` | " + std::string(MetricTypeName(info.type)) + " | " +
         labels + " | " + std::string(info.help) + " |";
}

TEST(DocsTest, TheTableOfMetricsIsTheCodes) {
  std::vector<std::string> written;
  for (const std::string& line : Lines("docs/api.md")) {
    if (line.rfind("| `parti_", 0) == 0) written.push_back(line);
  }
  std::vector<std::string> expected;
  for (const MetricInfo& info : AllMetrics()) expected.push_back(RowOf(info));
  std::string all;
  for (const std::string& row : expected) all += row + "\n";
  EXPECT_EQ(written, expected) << "it should be:\n" << all;
}

TEST(DocsTest, TheVectorsOfPartitionForHold) {
  int vectors = 0;
  for (const std::string& line : Lines("docs/api.md")) {
    if (line.rfind("| `\"", 0) != 0) continue;
    const std::size_t end = line.find("\"` | `", 4);
    ASSERT_NE(end, std::string::npos) << line;
    const std::string key = line.substr(4, end - 4);
    const std::vector<std::string> cells = Cells(line.substr(end + 3));
    ASSERT_EQ(cells.size(), 4U) << line;
    const std::uint64_t hash = std::stoull(cells[0], nullptr, 16);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::int32_t n = std::vector<std::int32_t>{24, 1000, 2147483647}[i];
      EXPECT_EQ(std::to_string(PartitionFor(key, n)), cells[i + 1]) << line;
      EXPECT_EQ(std::to_string(hash % static_cast<std::uint64_t>(n)), cells[i + 1]) << line;
    }
    ++vectors;
  }
  EXPECT_GE(vectors, 5);
}

// What stands between `// [name]` and `// [end]`, less its indentation.
void AddRegions(const std::string& path, std::set<std::string>* regions) {
  std::optional<std::string> region;
  std::size_t indentation = 0;
  for (const std::string& line : Lines(path)) {
    const std::size_t begin = line.find("// [");
    if (begin != std::string::npos && line.find_first_not_of(' ') == begin && line.back() == ']') {
      if (region && line.substr(begin) == "// [end]") regions->insert(*region);
      const bool opens = !region;
      region.reset();
      if (opens) region = "";
      indentation = begin;
    } else if (region) {
      *region += (line.size() > indentation ? line.substr(indentation) : "") + "\n";
    }
  }
}

TEST(DocsTest, EveryBlockOfCodeInTheApiDocIsCompiledSomewhere) {
  std::set<std::string> regions;
  AddRegions("test/unit/api_examples_test.cc", &regions);
  AddRegions("test/unit/prometheus_test.cc", &regions);
  std::optional<std::string> block;
  std::size_t blocks = 0;
  for (const std::string& line : Lines("docs/api.md")) {
    if (block && line == "```") {
      EXPECT_TRUE(regions.count(*block)) << "no test holds this block:\n" << *block;
      block.reset();
      ++blocks;
    } else if (block) {
      *block += line + "\n";
    } else if (line.rfind("```", 0) == 0) {
      EXPECT_EQ(line, "```cpp");
      block = "";
    }
  }
  EXPECT_EQ(blocks, regions.size()) << "a region that the doc doesn't show";
}

// Every test that docs/testing.md names exists, and so does every story.
TEST(DocsTest, TestsThatAreNamedExist) {
  std::set<std::string> exist;
  const std::regex declared(R"(^TEST(?:_F|_P)?\((\w+), ?(\w+)\)|^TEST(?:_F|_P)?\((\w+),$)");
  const std::filesystem::path root(PARTI_SOURCE_DIR);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "test")) {
    if (entry.path().extension() == ".txt") exist.insert(entry.path().stem());
    if (entry.path().extension() != ".cc") continue;
    std::string suite;  // of a declaration that goes on in the next line
    for (const std::string& line : Lines(std::filesystem::relative(entry.path(), root))) {
      std::smatch match;
      if (!suite.empty()) {
        const std::size_t from = line.find_first_not_of(' ');
        exist.insert(suite + "." + line.substr(from, line.find(')') - from));
        suite.clear();
      } else if (std::regex_search(line, match, declared)) {
        if (match[3].matched) suite = match[3];
        if (match[1].matched) exist.insert(match[1].str() + "." + match[2].str());
      }
    }
  }
  int named = 0;
  const std::regex name("`(\\w+Test\\.\\w+|[0-9]{2}-[a-z-]+)`");
  for (const std::string& line : Lines("docs/testing.md")) {
    for (std::sregex_iterator it(line.begin(), line.end(), name), end; it != end; ++it) {
      EXPECT_TRUE(exist.contains((*it)[1])) << (*it)[1] << " is no test";
      ++named;
    }
  }
  EXPECT_GT(named, 80);
}

}  // namespace
}  // namespace parti
