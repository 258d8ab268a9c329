#include "parti/cli/demo_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

namespace parti::cli {
namespace {

double Round(double value) { return std::round(value * 10) / 10; }

}  // namespace

int CountMoved(const std::vector<Holder>& before, const std::vector<Holder>& after) {
  int moved = 0;
  for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    if (before[i].process != after[i].process) ++moved;
  }
  return moved;
}

int LeastMoves(const std::vector<Holder>& before, const std::vector<Holder>& after) {
  std::map<std::size_t, int> gains;
  for (const Holder& holder : after) {
    if (holder.process.has_value()) ++gains[*holder.process];
  }
  for (const Holder& holder : before) {
    if (holder.process.has_value()) --gains[*holder.process];
  }
  // Every partition owned at the end by a worker that had fewer was moved to it.
  int least = 0;
  for (const auto& [worker, gain] : gains) least += std::max(0, gain);
  return least;
}

bool DemoSummary::Ok() const { return failure.empty() && verdict.Exclusive() && unowned == 0; }

std::string SummaryTable(const DemoSummary& summary) {
  std::string text = fmt::format("{:<34} {:>9} {:>12} {:>7} {:>7}\n", "step", "all owned",
                                 "new leader", "moved", "least");
  for (const DemoStep& step : summary.steps) {
    const std::string leader =
        step.new_leader_ms.has_value() ? fmt::format("{:.0f} ms", *step.new_leader_ms) : "";
    text += fmt::format("{:<34} {:>6.0f} ms {:>12} {:>7} {:>7}\n", step.name, step.ms, leader,
                        step.moved, step.least);
  }
  const Verdict& verdict = summary.verdict;
  text +=
      fmt::format("\nobserver, from the event logs of all workers:\n  overlaps {}, unowned {}, ",
                  verdict.overlaps.size(), summary.unowned);
  text += fmt::format("token regressions {}, epoch regressions {}\n",
                      verdict.token_regressions.size(), verdict.epoch_regressions.size());
  if (!verdict.Exclusive() || !verdict.after_lease.empty() || !verdict.anomalies.empty() ||
      !verdict.broken_lines.empty()) {
    text += verdict.Describe();
  }
  if (!summary.failure.empty()) text += fmt::format("\nfailed: {}\n", summary.failure);
  return text;
}

std::string SummaryJson(const DemoSummary& summary) {
  nlohmann::ordered_json json;
  json["ok"] = summary.Ok();
  json["workers"] = summary.workers;
  json["partitions"] = summary.partitions;
  if (!summary.strategy.empty()) json["strategy"] = summary.strategy;
  json["seconds"] = Round(summary.seconds);
  json["overlaps"] = summary.verdict.overlaps.size();
  json["unowned"] = summary.unowned;
  json["token_regressions"] = summary.verdict.token_regressions.size();
  json["epoch_regressions"] = summary.verdict.epoch_regressions.size();
  json["id_conflicts"] = summary.verdict.id_conflicts.size();
  json["after_lease"] = summary.verdict.after_lease.size();
  json["anomalies"] = summary.verdict.anomalies.size();
  json["broken_lines"] = summary.verdict.broken_lines.size();
  json["steps"] = nlohmann::ordered_json::array();
  for (const DemoStep& step : summary.steps) {
    nlohmann::ordered_json entry{
        {"name", step.name}, {"ms", Round(step.ms)}, {"moved", step.moved}, {"least", step.least}};
    if (step.new_leader_ms.has_value()) entry["new_leader_ms"] = Round(*step.new_leader_ms);
    json["steps"].push_back(std::move(entry));
  }
  if (!summary.failure.empty()) json["failure"] = summary.failure;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace parti::cli
