#include "test/chaos/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "parti/cli/history.h"

namespace parti::chaos {
namespace {

constexpr std::size_t kShown = 20;

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string Row(const std::string& kind, const std::string& faults,
                std::vector<std::int64_t> gaps) {
  std::sort(gaps.begin(), gaps.end());
  return fmt::format("{:<16} {:>7} {:>7} {:>9.3f} {:>9.3f} {:>9.3f}\n", kind, faults, gaps.size(),
                     Seconds(cli::Percentile(gaps, 50)), Seconds(cli::Percentile(gaps, 99)),
                     Seconds(cli::Percentile(gaps, 100)));
}

}  // namespace

void AddGaps(const std::vector<cli::Gap>& gaps, const std::vector<Deed>& deeds,
             ChaosReport* report) {
  for (const cli::Gap& gap : gaps) {
    // Deeds are in the order of time.
    const auto after =
        std::upper_bound(deeds.begin(), deeds.end(), gap.from,
                         [](std::int64_t t, const Deed& deed) { return t < deed.began; });
    const std::string kind = after == deeds.begin() ? "none" : std::prev(after)->kind;
    report->gaps[kind].push_back(gap.to - gap.from);
  }
}

std::string ReportText(const ChaosReport& report) {
  std::string text = fmt::format(
      "{}, {:.1f} min, seed {}\n\n{:<16} {:>7} {:>7} {:>9} {:>9} {:>9}\n", report.servers,
      report.minutes, report.seed, "fault", "times", "gaps", "p50 s", "p99 s", "max s");
  std::size_t faults = 0;
  std::vector<std::int64_t> all;
  for (const auto& [kind, times] : report.faults) {
    faults += times;
    const auto gaps = report.gaps.find(kind);
    const bool any = gaps != report.gaps.end();
    text += Row(kind, fmt::format("{}", times), any ? gaps->second : std::vector<std::int64_t>{});
    if (any) all.insert(all.end(), gaps->second.begin(), gaps->second.end());
  }
  if (const auto none = report.gaps.find("none"); none != report.gaps.end()) {
    text += Row("(cold start)", "", none->second);
  }
  text += Row("all", fmt::format("{}", faults), all);
  text += fmt::format(
      "\n{} worker processes, {} claims, {} terms of leaders\n"
      "register: {} writes got through; {} were refused for an older token, {} for another write "
      "that "
      "had come first\n",
      report.processes, report.claims, report.terms, report.writes, report.refused,
      report.overtaken);
  for (const std::string& what : report.skipped) text += "SKIPPED: " + what + "\n";
  text += fmt::format("violations: {}\n", report.violations.size());
  for (std::size_t i = 0; i < std::min(kShown, report.violations.size()); ++i) {
    text += "  " + report.violations[i] + "\n";
  }
  if (report.violations.size() > kShown) text += "  …\n";
  return text;
}

}  // namespace parti::chaos
