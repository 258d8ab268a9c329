// What `parti check-history` finds, in words.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "parti/cli/history.h"

namespace parti::cli {
namespace {

constexpr std::size_t kEpochsNamed = 5;

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string Span(std::int64_t from, std::int64_t to) {
  return fmt::format("{:.3f} ms, from {:.6f} s to {:.6f} s", Seconds(to - from) * 1e3,
                     Seconds(from), Seconds(to));
}

}  // namespace

std::int64_t Percentile(const std::vector<std::int64_t>& sorted, int percent) {
  if (sorted.empty()) return 0;
  const std::size_t rank = (sorted.size() * static_cast<std::size_t>(percent) + 99) / 100;
  return sorted[std::min(sorted.size(), std::max<std::size_t>(rank, 1)) - 1];
}

std::size_t HistoryReport::findings() const {
  std::size_t count = 0;
  for (const HistoryKind& kind : kinds) count += kind.counts ? kind.found.size() : 0;
  return count;
}

HistoryReport History::Judge() const {
  Verdict verdict = observer_.Judge(to_);
  HistoryReport report{.kinds = {},
                       .notes = notes_,
                       .files = files_,
                       .lines = lines_,
                       .torn = torn_,
                       .partitions = observer_.partitions().size(),
                       .claims = claims_,
                       .terms = observer_.leaderships().size(),
                       .clocks = clocks_.size(),
                       .from = std::min(from_, to_),
                       .to = to_,
                       .max_gap = options_.max_gap,
                       .fast = options_.fast,
                       .gaps = {}};
  std::set<std::string> workers;
  for (std::size_t i = 0; i < observer_.processes(); ++i) {
    const ProcessView view = observer_.View(i);
    report.lives += view.lives;
    if (!view.worker.empty()) workers.insert(view.worker);
  }
  report.workers = workers.size();

  HistoryKind overlaps{"overlaps", "two owners at once", !options_.fast};
  for (const Overlap& overlap : verdict.overlaps) {
    overlaps.found.push_back(observer_.Explain(overlap));
  }
  report.kinds.push_back(std::move(overlaps));
  ReportGaps(verdict, &report);
  const auto take = [&report](const char* name, const char* title,
                              std::vector<std::string>& found) {
    report.kinds.push_back({name, title, true, std::move(found)});
  };
  take("token_regressions", "fencing tokens that didn't rise", verdict.token_regressions);
  take("epoch_regressions", "epochs gained twice, or granted under out of order",
       verdict.epoch_regressions);
  take("version_regressions", "versions that went down", verdict.version_regressions);
  take("incarnation_regressions", "incarnations that didn't rise", verdict.incarnation_regressions);
  take("id_conflicts", "worker ids borne twice at once", verdict.id_conflicts);
  take("after_lease", "acting after the lease had ended", verdict.after_lease);
  take("anomalies", "what else no correct worker does", verdict.anomalies);
  std::vector<std::string> broken = broken_lines_;
  take("broken_lines", "lines that can't be read", broken);
  if (clocks_.size() > 1) {
    report.kinds.push_back({"doubtful", "within the clocks' error: neither shown nor refuted",
                            false, std::move(verdict.doubtful)});
  }
  ReportNotes(verdict, &report);
  return report;
}

void History::ReportGaps(const Verdict& verdict, HistoryReport* report) const {
  std::chrono::nanoseconds bound = options_.max_gap;
  // Between clocks, a gap may be shorter than it looks.
  if (clocks_.size() > 1) bound += options_.clock_error.value_or(std::chrono::milliseconds(0));
  const std::int64_t longest = bound.count();
  HistoryKind gaps{"gaps", fmt::format("nobody's for more than {} s", Seconds(longest))};
  for (const Gap& gap : verdict.gaps) {
    report->gaps.push_back(gap.to - gap.from);
    if (gap.to - gap.from <= longest) continue;
    gaps.found.push_back(
        fmt::format("{}: for {}: from {} {}", gap.partition, Span(gap.from, gap.to), gap.after,
                    gap.before.empty() ? "to where the logs end" : "to " + gap.before));
  }
  if (options_.partitions.has_value()) {
    for (const std::string& partition : observer_.partitions()) {
      const auto first = first_claim_.find(partition);
      const std::int64_t to = first == first_claim_.end() ? to_ : first->second;
      if (to - report->from <= longest) continue;
      gaps.found.push_back(fmt::format(
          "{}: {}, for {}", partition,
          first == first_claim_.end() ? "never owned" : "not yet owned", Span(report->from, to)));
    }
  }
  std::sort(report->gaps.begin(), report->gaps.end());
  report->kinds.push_back(std::move(gaps));
}

void History::ReportNotes(const Verdict& verdict, HistoryReport* report) const {
  const auto never = std::count_if(
      observer_.partitions().begin(), observer_.partitions().end(),
      [this](const std::string& partition) { return !first_claim_.contains(partition); });
  if (never > 0)
    report->notes.push_back(fmt::format("partitions that were never owned: {}", never));
  if (!verdict.unknown_epochs.empty()) {
    std::string epochs;
    std::size_t named = 0;
    for (const std::uint64_t epoch : verdict.unknown_epochs) {
      if (++named > kEpochsNamed) break;
      epochs += fmt::format("{}{}", epochs.empty() ? "" : ", ", epoch);
    }
    if (named > kEpochsNamed) epochs += ", …";
    report->notes.push_back(fmt::format(
        "nobody in these logs gained epoch {}, under which partitions were granted: the log of a "
        "leader, and perhaps of an owner, is missing",
        epochs));
  }
  if (clocks_.size() > 1) {
    report->notes.push_back(fmt::format(
        "{} clocks, compared by wall time: between them, an overlap of up to {} ms doesn't show",
        clocks_.size(), options_.clock_error->count()));
  }
}

}  // namespace parti::cli
