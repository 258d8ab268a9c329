#include "parti/cli/history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "parti/cli/event_line.h"

namespace parti::cli {
namespace {

constexpr std::size_t kReadAtOnce = 1 << 20;
// A line of `parti worker` has some hundred bytes; this much without a newline is no event log.
constexpr std::size_t kLongestLine = 16 << 20;

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

Observer MakeObserver(const std::optional<int>& partitions) {
  if (!partitions.has_value()) return Observer();
  std::vector<std::string> ids;
  for (int i = 0; i < *partitions; ++i) ids.push_back(fmt::format("p-{}", i));
  return Observer(std::move(ids));
}

std::string NameOf(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot > 0) name.resize(dot);
  return name;
}

// What a write that a kill broke off looks like.
bool IsCutShort(std::string_view line) {
  constexpr std::string_view kBegin = "{\"t\":";
  const std::size_t common = std::min(line.size(), kBegin.size());
  return line.substr(0, common) == kBegin.substr(0, common) && !line.ends_with('}');
}

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

History::History(const HistoryOptions& options)
    : options_(options), observer_(MakeObserver(options.partitions)) {}

absl::Status History::AddFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto unreadable = [&](int error) {
    return absl::NotFoundError(fmt::format("{}: can't be read: {}", path, std::strerror(error)));
  };
  if (fd < 0) return unreadable(errno);
  Log log{.name = NameOf(path)};
  if (++names_[log.name] > 1) log.name = path;
  const auto buffer = std::make_unique<char[]>(kReadAtOnce);
  std::string pending;
  int error = 0;
  while (true) {
    const ssize_t got = read(fd, buffer.get(), kReadAtOnce);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    pending.append(buffer.get(), static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      AddLine(log, std::string_view(pending).substr(begin, end - begin), /*whole=*/true);
    }
    pending.erase(0, begin);
    if (pending.size() > kLongestLine) {
      close(fd);
      return absl::InvalidArgumentError(
          fmt::format("{} line {}: longer than {} MiB; is it an event log of `parti worker "
                      "--events`?",
                      path, log.lines + 1, kLongestLine >> 20));
    }
  }
  close(fd);
  if (error != 0) return unreadable(error);
  if (!pending.empty()) AddLine(log, pending, /*whole=*/false);
  return Finish(log);
}

absl::Status History::AddText(const std::string& name, std::string_view text) {
  Log log{.name = name};
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    AddLine(log, text.substr(begin, end - begin), /*whole=*/true);
  }
  if (begin < text.size()) AddLine(log, text.substr(begin), /*whole=*/false);
  return Finish(log);
}

void History::AddLine(Log& log, std::string_view line, bool whole) {
  ++log.lines;
  ++lines_;
  const absl::StatusOr<EventLine> event = ParseEventLine(line);
  if (!log.doubtful.empty()) {
    // Its process ended within the line: that is said, or the next process of this log begins, on
    // a line of its own and without a worker id yet.
    if (event.ok() && (event->kind == EventKind::kGone ||
                       (event->kind == EventKind::kState && event->worker.empty()))) {
      ++torn_;
    } else {
      broken_lines_.push_back(log.doubtful);
    }
    log.doubtful.clear();
  }
  if (event.ok()) return AddEvent(log, *event);
  std::string what =
      fmt::format("{} line {}: {}", log.name, log.lines, std::string(event.status().message()));
  if (!IsCutShort(line)) {
    broken_lines_.push_back(std::move(what));
  } else if (whole) {
    log.doubtful = std::move(what);
  } else {
    ++torn_;
  }
}

void History::AddEvent(Log& log, const EventLine& event) {
  ++log.events;
  from_ = std::min(from_, event.t);
  to_ = std::max(to_, event.t);
  if (event.kind == EventKind::kAcquired) {
    ++claims_;
    claimed_.insert(event.partition);
  }
  if (event.worker.empty() && event.kind == EventKind::kGone) {
    for (const auto& [worker, process] : log.processes) observer_.AddEvent(process, event);
    return;
  }
  // What a worker without an id yet says concerns nobody's claims.
  if (event.worker.empty() && event.kind == EventKind::kState) return;
  // A line that bears no id is of the newest life.
  if (!event.worker.empty()) log.newest = event.worker;
  auto process = log.processes.find(log.newest);
  if (process == log.processes.end()) {
    const std::string name =
        log.newest.empty() ? log.name : fmt::format("{} ({})", log.name, log.newest);
    process = log.processes.emplace(log.newest, observer_.AddProcess(name)).first;
  }
  observer_.AddEvent(process->second, event);
}

absl::Status History::Finish(Log& log) {
  ++files_;
  if (!log.doubtful.empty()) broken_lines_.push_back(std::exchange(log.doubtful, {}));
  if (log.events == 0 && log.lines > 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not one of its {} lines is an event; is it an event log of `parti worker "
                    "--events`?",
                    log.name, log.lines));
  }
  if (log.lines == 0) notes_.push_back(log.name + " is empty");
  return absl::OkStatus();
}

HistoryReport History::Judge() const {
  const Verdict verdict = observer_.Judge(to_);
  HistoryReport report{.kinds = {},
                       .notes = notes_,
                       .files = files_,
                       .lines = lines_,
                       .torn = torn_,
                       .partitions = observer_.partitions().size(),
                       .claims = claims_,
                       .terms = observer_.leaderships().size(),
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
    overlaps.found.push_back(
        fmt::format("{}: {} and {} for {}", overlap.partition, observer_.View(overlap.first).name,
                    observer_.View(overlap.second).name, Span(overlap.from, overlap.to)));
  }
  const std::int64_t longest = std::chrono::nanoseconds(options_.max_gap).count();
  HistoryKind gaps{"gaps", fmt::format("nobody's for more than {} s", Seconds(longest))};
  for (const Gap& gap : verdict.gaps) {
    report.gaps.push_back(gap.to - gap.from);
    if (gap.to - gap.from <= longest) continue;
    gaps.found.push_back(fmt::format("{}: for {}{}", gap.partition, Span(gap.from, gap.to),
                                     gap.to == to_ ? ", where the logs end" : ""));
  }
  std::sort(report.gaps.begin(), report.gaps.end());
  std::size_t never = 0;
  for (const std::string& partition : verdict.unowned) {
    if (claimed_.contains(partition)) continue;
    ++never;
    if (to_ - report.from > longest) {
      gaps.found.push_back(
          fmt::format("{}: never owned, for {}", partition, Span(report.from, to_)));
    }
  }
  if (never > 0) report.notes.push_back(fmt::format("partitions that were never owned: {}", never));

  report.kinds.push_back(std::move(overlaps));
  report.kinds.push_back(std::move(gaps));
  report.kinds.push_back(
      {"token_regressions", "fencing tokens that went down", true, verdict.token_regressions});
  report.kinds.push_back(
      {"epoch_regressions", "epochs gained twice or going down", true, verdict.epoch_regressions});
  report.kinds.push_back(
      {"version_regressions", "versions that went down", true, verdict.version_regressions});
  report.kinds.push_back({"incarnation_regressions", "incarnations that went down", true,
                          verdict.incarnation_regressions});
  report.kinds.push_back(
      {"id_conflicts", "worker ids borne twice at once", true, verdict.id_conflicts});
  report.kinds.push_back(
      {"after_lease", "acting after the lease had ended", true, verdict.after_lease});
  report.kinds.push_back(
      {"anomalies", "what else no correct worker does", true, verdict.anomalies});
  report.kinds.push_back({"broken_lines", "lines that can't be read", true, broken_lines_});
  return report;
}

}  // namespace parti::cli
