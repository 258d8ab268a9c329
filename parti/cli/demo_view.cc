#include "parti/cli/demo_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace parti::cli {
namespace {

// Distinct on dark and on light ground.
constexpr std::array kColours = {39, 208, 70, 170, 220, 44, 203, 141, 106, 179};
constexpr std::array<std::string_view, 5> kShades = {" ", "░", "▒", "▓", "█"};
constexpr std::array<std::string_view, 9> kEighths = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
constexpr int kLabelColumns = 11;
constexpr int kLeaseCells = 8;
constexpr int kRightColumns = 5 + 1 + kLeaseCells + 1 + 18;  // count, lease bar, state

std::string Colour(std::size_t process) {
  return fmt::format("\x1b[38;5;{}m", kColours[process % kColours.size()]);
}

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kGreen = "\x1b[32m";

// Cuts to `columns` code points; the texts cut here hold no escapes and no wide characters.
std::string Cut(std::string_view text, int columns) {
  std::size_t bytes = 0;
  for (int i = 0; i < columns && bytes < text.size(); ++i) {
    ++bytes;
    while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) ++bytes;
  }
  return std::string(text.substr(0, bytes));
}

std::string LeaseBar(double left, double whole) {
  const double part = whole <= 0 ? 0 : std::clamp(left / whole, 0.0, 1.0);
  int eighths = static_cast<int>(part * kLeaseCells * 8 + 0.5);
  std::string bar;
  for (int i = 0; i < kLeaseCells; ++i) {
    const int here = std::clamp(eighths, 0, 8);
    bar += kEighths[static_cast<std::size_t>(here)];
    eighths -= here;
  }
  return bar;
}

// How partitions map to columns: some columns per partition, or some partitions per column.
struct Grid {
  std::size_t per_column = 1;
  int width = 1;  // columns of one cell
  std::size_t cells = 0;
};

Grid MakeGrid(std::size_t partitions, int columns) {
  const auto room = static_cast<std::size_t>(std::max(columns, 8));
  if (partitions * 2 <= room) return {.per_column = 1, .width = 2, .cells = partitions};
  const std::size_t per_column = (partitions + room - 1) / room;
  return {
      .per_column = per_column, .width = 1, .cells = (partitions + per_column - 1) / per_column};
}

// One row of cells: those partitions for which `holds` is true.
template <typename Holds>
std::string Cells(const std::vector<Holder>& holders, const Grid& grid, const Holds& holds) {
  std::string cells;
  for (std::size_t cell = 0; cell < grid.cells; ++cell) {
    const std::size_t begin = cell * grid.per_column;
    const std::size_t end = std::min(begin + grid.per_column, holders.size());
    std::size_t held = 0;
    for (std::size_t i = begin; i < end; ++i) held += holds(holders[i]) ? 1U : 0U;
    if (held == 0) {
      cells += grid.width == 2 ? "· " : "·";
      continue;
    }
    const std::size_t shade = std::max<std::size_t>(1, held * 4 / (end - begin));
    cells += kShades[shade];
    if (grid.width == 2) cells += "▌";
  }
  return cells;
}

std::string_view StatusText(const DemoRow& row) {
  switch (row.status) {
    case RowStatus::kRuns:
      return row.state;
    case RowStatus::kLeaving:
      return "leaving";
    case RowStatus::kLeft:
      return "left";
    case RowStatus::kKilled:
      return "killed";
    case RowStatus::kReplaced:
      break;
  }
  return "";
}

std::string RowLine(const DemoPicture& picture, std::size_t process, const Grid& grid, bool wide) {
  const DemoRow& row = picture.rows[process];
  const bool runs = row.status == RowStatus::kRuns || row.status == RowStatus::kLeaving;
  const auto holds = [process](const Holder& holder) { return holder.process == process; };
  const auto owned = std::count_if(picture.holders.begin(), picture.holders.end(), holds);
  const std::string colour = runs ? Colour(process) : std::string(kDim);
  std::string line = fmt::format("{}{}{:<{}}{} {}{}{}", colour, row.leader ? "★ " : "  ",
                                 Cut(row.label, kLabelColumns - 3), kLabelColumns - 3, kReset,
                                 colour, Cells(picture.holders, grid, holds), kReset);
  if (!wide) return line;
  const bool killed = row.status == RowStatus::kKilled;
  line += fmt::format("{:>4}  {}{}{} {}{}{}", owned, killed ? kRed : kGreen,
                      LeaseBar(row.lease_left_ms, row.lease_ms), kReset, killed ? kRed : kDim,
                      Cut(StatusText(row), 17), kReset);
  return line;
}

}  // namespace

std::string Render(const DemoPicture& picture, TerminalSize size) {
  const bool wide = size.columns >= kLabelColumns + kRightColumns + 8;
  const int room = size.columns - kLabelColumns - (wide ? kRightColumns : 0);
  const Grid grid = MakeGrid(picture.holders.size(), room);
  std::vector<std::string> lines;
  const auto running = std::count_if(picture.rows.begin(), picture.rows.end(), [](const auto& row) {
    return row.status == RowStatus::kRuns || row.status == RowStatus::kLeaving;
  });
  lines.push_back(fmt::format(
      "{}{}{}", kBold,
      Cut(fmt::format("parti   {} workers · {} partitions · epoch {} · version {} · {:.1f} s",
                      running, picture.holders.size(), picture.epoch, picture.version,
                      picture.seconds),
          size.columns),
      kReset));
  lines.emplace_back();
  for (std::size_t i = 0; i < picture.rows.size(); ++i) {
    if (picture.rows[i].status == RowStatus::kReplaced) continue;
    lines.push_back(RowLine(picture, i, grid, wide));
  }
  const auto free = [](const Holder& holder) { return !holder.process.has_value(); };
  const auto unowned = std::count_if(picture.holders.begin(), picture.holders.end(), free);
  lines.push_back(fmt::format("{}{:<{}}{}{}{}", unowned > 0 ? kRed : kDim, "  unowned",
                              kLabelColumns, Cells(picture.holders, grid, free),
                              wide ? fmt::format("{:>4}", unowned) : std::string(), kReset));
  lines.emplace_back();
  const std::string found = Cut(
      fmt::format("observer: overlaps {}, unowned {}", picture.overlaps, unowned), size.columns);
  lines.push_back(fmt::format("{}{}{}", picture.overlaps > 0 ? kRed : kGreen, found, kReset));
  lines.emplace_back();

  // The story gets what room is left, newest last.
  const auto rows = static_cast<std::size_t>(std::max(size.rows, 1));
  const std::size_t left = rows > lines.size() + 1 ? rows - lines.size() - 1 : 0;
  const std::size_t first = picture.story.size() > left ? picture.story.size() - left : 0;
  for (std::size_t i = first; i < picture.story.size(); ++i) {
    lines.push_back(Cut(picture.story[i], size.columns));
  }
  lines.push_back(fmt::format("{}{}{}", kBold, Cut(picture.now, size.columns), kReset));
  if (lines.size() > rows) lines.resize(rows);

  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) text += (i > 0 ? "\n" : "") + lines[i];
  return text;
}

}  // namespace parti::cli
