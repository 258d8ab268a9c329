#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "internal/wire/printable.h"
#include "parti/cli/history.h"

namespace parti::cli {
namespace {

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string Counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

// Names come from files: nothing in them may speak to the terminal.
std::string HistoryText(const HistoryReport& report, std::size_t limit) {
  std::string text = fmt::format(
      "{}, {}: {} in {}, {}, {}, {} of leaders, {:.1f} s\n", Counted(report.files, "log"),
      Counted(report.lines, "line"), Counted(report.workers, "worker"),
      report.lives == 1 ? "1 life" : fmt::format("{} lives", report.lives),
      Counted(report.partitions, "partition"), Counted(report.claims, "claim"),
      Counted(report.terms, "term"), Seconds(report.to - report.from));
  text += fmt::format("gaps between owners: {}, p50 {:.3f} s, p99 {:.3f} s, max {:.3f} s\n\n",
                      report.gaps.size(), Seconds(Percentile(report.gaps, 50)),
                      Seconds(Percentile(report.gaps, 99)), Seconds(Percentile(report.gaps, 100)));
  for (const HistoryKind& kind : report.kinds) {
    text += fmt::format("{:>8}  {}{}\n", kind.found.size(), kind.title,
                        kind.counts ? "" : " (told, but no finding)");
    for (std::size_t i = 0; i < std::min(limit, kind.found.size()); ++i) {
      text += fmt::format("            {}\n", wire::Printable(kind.found[i]));
    }
    if (kind.found.size() > limit) {
      text += fmt::format("            … and {} more; --json has all\n", kind.found.size() - limit);
    }
  }
  if (report.torn > 0) {
    text += fmt::format("note: {} cut short, as by a SIGKILL\n", Counted(report.torn, "line"));
  }
  for (const std::string& note : report.notes) {
    text += fmt::format("note: {}\n", wire::Printable(note));
  }
  text += report.findings() == 0 ? "\nclean: nothing found\n"
                                 : fmt::format("\n{}\n", Counted(report.findings(), "finding"));
  return text;
}

std::string HistoryJson(const HistoryReport& report) {
  nlohmann::ordered_json json;
  json["clean"] = report.findings() == 0;
  json["findings"] = report.findings();
  json["logs"] = report.files;
  json["lines"] = report.lines;
  json["torn_lines"] = report.torn;
  json["workers"] = report.workers;
  json["lives"] = report.lives;
  json["partitions"] = report.partitions;
  json["claims"] = report.claims;
  json["terms"] = report.terms;
  json["clocks"] = report.clocks;
  json["from"] = report.from;
  json["to"] = report.to;
  json["mode"] = report.fast ? "fast" : "exclusive";
  json["gap"] = {{"count", report.gaps.size()},
                 {"p50_ns", Percentile(report.gaps, 50)},
                 {"p99_ns", Percentile(report.gaps, 99)},
                 {"max_ns", Percentile(report.gaps, 100)},
                 {"bound_ns", std::chrono::nanoseconds(report.max_gap).count()}};
  for (const HistoryKind& kind : report.kinds) json[kind.name] = kind.found;
  json["notes"] = report.notes;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace parti::cli
