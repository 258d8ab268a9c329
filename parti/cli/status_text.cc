#include "parti/cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "internal/wire/printable.h"

namespace parti::cli {
namespace {

// Unasked, no more workers than this are told of one by one: those that need attention first.
constexpr std::size_t kManyWorkers = 60;
constexpr std::size_t kNamesShown = 12;

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kGreen = "\x1b[1;32m";

// What records say may hold anything, also what would command the terminal: a '?' for each such
// character, so that columns stay columns.
std::string Printable(std::string_view text, std::size_t columns) {
  std::string clean;
  for (std::size_t count = 0; !text.empty() && (columns == 0 || count < columns); ++count) {
    const wire::Glyph glyph = wire::FirstGlyph(text);
    clean += glyph.printable ? text.substr(0, glyph.bytes) : "?";
    text.remove_prefix(glyph.bytes);
  }
  return clean;
}

class Page {
 public:
  explicit Page(const TextOptions& options) : options_(options) {}

  void Line(std::string_view text, std::string_view colour = {}) {
    ++lines_;
    if (options_.rows > 0 && lines_ > options_.rows) return;
    const std::string clean = Printable(text, options_.columns);
    if (options_.colour && !colour.empty()) {
      text_ += fmt::format("{}{}{}\n", colour, clean, kReset);
    } else {
      text_ += clean + "\n";
    }
  }
  // Broken at spaces into lines that fit, the later ones indented.
  void Paragraph(std::string_view text, std::size_t indent, std::string_view colour = {}) {
    const std::size_t width = options_.columns == 0 ? 0 : std::max(options_.columns, indent + 20);
    const std::string margin(indent, ' ');
    std::string rest(text);
    bool first = true;
    while (width > 0 && rest.size() + (first ? 0 : indent) > width) {
      const std::size_t room = width - (first ? 0 : indent);
      const std::size_t space = rest.rfind(' ', room);
      if (space == std::string::npos || space < indent + 1) break;
      Line((first ? "" : margin) + rest.substr(0, space), colour);
      rest = rest.substr(space + 1);
      first = false;
    }
    Line((first ? "" : margin) + rest, colour);
  }
  // How many more lines there is room for.
  std::size_t Room() const {
    if (options_.rows == 0) return SIZE_MAX;
    return options_.rows > lines_ ? options_.rows - lines_ : 0;
  }
  std::string Take() { return std::move(text_); }

 private:
  const TextOptions& options_;
  std::string text_;
  std::size_t lines_ = 0;
};

std::string_view ColourOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHealthy:
      return kGreen;
    case Verdict::kUnhealthy:
      return kRed;
    case Verdict::kUnknown:
      return kYellow;
  }
  return {};
}

std::string LeaderLine(const GroupStatus& status) {
  if (!status.leader) return "leader      none";
  const LeaderStatus& leader = *status.leader;
  const char* const note = leader.released ? " (resigned)" : leader.alive ? "" : " (not alive)";
  return fmt::format("leader      {}{}, epoch {}, renewed {} ago", leader.worker, note,
                     leader.epoch, TextOfAge(leader.renewed_ms));
}

std::string CalculatorLine(const GroupStatus& status) {
  if (!status.report) return "calculator  not known: no leader has reported";
  const ReportStatus& report = *status.report;
  std::string line = fmt::format("calculator  {}; version {}", report.state, report.version);
  if (!report.cause.empty()) line += fmt::format(": {}", report.cause);
  line += fmt::format("; {} ago", TextOfAge(report.age_ms));
  if (!report.current) line += fmt::format(" (of an earlier leader, epoch {})", report.epoch);
  return line;
}

std::string PartitionsLine(const PartitionCounts& counts) {
  std::vector<std::string> parts = {fmt::format("{} owned", counts.owned)};
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, what));
  };
  add(counts.granted, "arriving");
  add(counts.releasing, "being released");
  add(counts.waiting, "waiting for a lease to end");
  add(counts.contested, "WITH TWO OWNERS");
  if (counts.total) add(counts.unowned, "without an owner");
  return fmt::format("partitions  {}: {}",
                     counts.total ? std::to_string(*counts.total) : "number not known",
                     fmt::join(parts, ", "));
}

std::string OrdersLine(const ControlStatus& control) {
  std::vector<std::string> parts;
  if (control.orders.paused) parts.emplace_back("paused");
  if (!control.orders.drained.empty()) {
    std::vector<std::string> drained = control.orders.drained;
    parts.push_back("drained " + TextOfList(drained, kNamesShown));
  }
  if (!control.orders.pins.empty()) {
    std::vector<std::string> pins;
    for (const wire::Pin& pin : control.orders.pins) {
      pins.push_back(fmt::format("{} to {}", pin.partition, pin.worker));
    }
    parts.push_back("pinned " + TextOfList(pins, kNamesShown));
  }
  if (parts.empty()) return {};
  return fmt::format("orders      {}{}", fmt::join(parts, "; "),
                     control.confirmed ? "" : " (not carried out yet)");
}

std::string StateText(const WorkerStatus& worker) {
  if (worker.life != Life::kLive) return std::string(LifeName(worker.life));
  std::string text = worker.state.empty() ? "live" : worker.state;
  if (worker.drained) text += ", drained";
  return text;
}

std::string AssignmentText(const WorkerStatus& worker) {
  if (worker.doc_revision == 0) return "none";
  if (worker.behind) {
    return fmt::format(
        "{}, has {}", worker.doc_revision,
        worker.applied_revision == 0 ? "none" : std::to_string(worker.applied_revision));
  }
  return std::to_string(worker.doc_revision);
}

std::string LabelsText(const WorkerStatus& worker) {
  std::string text;
  for (const auto& [name, value] : worker.labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value);
  }
  return text;
}

// A table whose columns are as wide as what is in them.
using Row = std::array<std::string, 12>;

std::vector<std::string> Align(const std::vector<Row>& rows) {
  std::array<std::size_t, 12> widths{};
  const auto width = [](const std::string& cell) {
    return static_cast<std::size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths[i] == 0) continue;
      const std::string blanks(widths[i] - width(row[i]), ' ');
      const bool number = i >= 4 && i <= 9;
      line += number ? blanks + row[i] : row[i] + blanks;
      line += i == 0 ? " " : "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  return lines;
}

Row WorkerRow(const WorkerStatus& worker) {
  const auto count = [](std::size_t n) { return n == 0 ? "-" : std::to_string(n); };
  return {worker.leader ? "*" : "",
          worker.id,
          Printable(worker.identity, 32),
          StateText(worker),
          worker.silent_ms ? TextOfAge(*worker.silent_ms) : "-",
          worker.lease_ms > 0 ? TextOfAge(worker.lease_ms) : "-",
          std::to_string(worker.capacity),
          count(worker.owned + worker.granted),
          count(worker.releasing),
          count(worker.refused),
          AssignmentText(worker),
          Printable(LabelsText(worker), 60)};
}

bool IsPast(const WorkerStatus& worker) {
  return worker.life == Life::kLeft || worker.life == Life::kDead || worker.life == Life::kGone;
}

bool NeedsAttention(const WorkerStatus& worker) {
  return worker.life != Life::kLive || worker.behind || worker.drained || worker.leader ||
         worker.releasing > 0 || worker.refused > 0;
}

std::string_view ColourOf(const WorkerStatus& worker) {
  if (IsPast(worker)) return kDim;
  if (worker.life != Life::kLive && worker.life != Life::kJoining) return kRed;
  if (worker.behind || worker.releasing > 0 || worker.refused > 0 || worker.drained) return kYellow;
  return {};
}

void Workers(const GroupStatus& status, const TextOptions& options, Page* page) {
  std::vector<const WorkerStatus*> shown;
  std::vector<std::string> past;
  for (const WorkerStatus& worker : status.workers) {
    if (IsPast(worker) && !options.all_workers) {
      past.push_back(fmt::format("{} ({})", worker.id, LifeName(worker.life)));
    } else {
      shown.push_back(&worker);
    }
  }
  std::size_t most = options.all_workers ? SIZE_MAX : kManyWorkers;
  // Some lines of the rest of the page are worth more than the last of many workers.
  if (options.rows > 0) most = std::min(most, page->Room() > 6 ? page->Room() - 6 : 1);
  const std::size_t living = shown.size();
  if (shown.size() > most) {
    std::stable_sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) {
      return NeedsAttention(*a) > NeedsAttention(*b);
    });
    shown.resize(most);
  }
  if (!shown.empty()) {
    std::vector<Row> rows = {{"", "worker", "identity", "state", "heard", "lease", "cap", "owns",
                              "releasing", "refused", "assignment", "labels"}};
    for (const WorkerStatus* worker : shown) rows.push_back(WorkerRow(*worker));
    const auto labelled = [](const Row& row) { return !row.back().empty(); };
    if (!std::any_of(rows.begin() + 1, rows.end(), labelled)) rows.front().back().clear();
    const std::vector<std::string> lines = Align(rows);
    page->Line("");
    page->Line(lines.front(), kBold);
    for (std::size_t i = 0; i < shown.size(); ++i) page->Line(lines[i + 1], ColourOf(*shown[i]));
  }
  if (living > shown.size()) {
    page->Line(fmt::format("  … and {} more workers (--all shows them)", living - shown.size()),
               kDim);
  }
  if (!past.empty()) {
    page->Line(fmt::format("  no longer here: {}", TextOfList(past, kNamesShown)), kDim);
  }
}

void Findings(const GroupStatus& status, Page* page) {
  // The first lines have said the worst, with its advice.
  const bool said = status.verdict != Verdict::kHealthy && !status.findings.empty() &&
                    status.headline.find(status.findings.front().text) != std::string::npos;
  const std::vector<Finding> rest(status.findings.begin() + (said ? 1 : 0), status.findings.end());
  if (rest.empty()) return;
  page->Line("");
  for (const Finding& finding : rest) {
    const bool error = finding.severity == Severity::kError;
    const bool warning = finding.severity == Severity::kWarning;
    page->Paragraph(fmt::format("{:<8} {}", SeverityName(finding.severity), finding.text), 9,
                    error     ? kRed
                    : warning ? kYellow
                              : kDim);
    if (!finding.advice.empty() && !(error && finding.advice == status.advice)) {
      page->Paragraph(fmt::format("         -> {}", finding.advice), 12, kDim);
    }
  }
}

std::string PartitionLine(const PartitionStatus& one, const GroupStatus& status) {
  std::string line = fmt::format("  {:<24} {:<10}", one.id, PartitionStateName(one.state));
  switch (one.state) {
    case PartitionState::kMoving:
      line += fmt::format(" {} -> {}", one.from, one.owner);
      break;
    case PartitionState::kContested:
      line += fmt::format(" {} and {}", one.from, one.owner);
      break;
    default:
      if (!one.owner.empty()) line += " " + one.owner;
  }
  if (!one.owner.empty()) {
    line += fmt::format("  ({}, {})", one.token.epoch, one.token.version);
  }
  const auto refusal = status.refusals.find(one.id);
  if (refusal != status.refusals.end()) line += fmt::format("  given back by {}", refusal->second);
  return line;
}

void Partitions(const GroupStatus& status, Page* page) {
  if (!status.listed) return;
  page->Line("");
  page->Line("  partition                state      owner  (epoch, version)", kBold);
  for (const PartitionStatus& one : status.partition_list) {
    page->Line(PartitionLine(one, status),
               one.state == PartitionState::kOwned ? std::string_view() : kYellow);
  }
  const auto listed = static_cast<std::uint64_t>(
      std::count_if(status.partition_list.begin(), status.partition_list.end(),
                    [](const auto& one) { return one.state == PartitionState::kUnowned; }));
  if (status.partitions.unowned > listed) {
    page->Line(fmt::format("  … and {} without an owner, whose names only the leader knows",
                           status.partitions.unowned - listed),
               kDim);
  }
}

}  // namespace

std::string OneLine(std::string_view text) { return Printable(text, 0); }

std::string StatusText(const GroupStatus& status, const TextOptions& options) {
  Page page(options);
  page.Paragraph(status.headline, 2, ColourOf(status.verdict));
  if (!status.advice.empty()) page.Paragraph("  -> " + status.advice, 5);
  const bool nothing_read = status.workers.empty() && !status.leader && !status.report;
  if (status.verdict == Verdict::kUnknown && nothing_read) return page.Take();
  page.Line("");
  page.Line(fmt::format(
      "group       {} on {}{}", status.prefix, status.server,
      status.leader ? fmt::format(", {} mode", wire::ModeName(status.leader->mode)) : ""));
  page.Line(LeaderLine(status));
  page.Line(CalculatorLine(status));
  page.Line(PartitionsLine(status.partitions));
  if (status.control) {
    if (const std::string orders = OrdersLine(*status.control); !orders.empty()) {
      page.Paragraph(orders, 12);
    }
  }
  if (options.rows > 0) {
    // On a screen what is wrong mustn't be pushed off by many workers.
    Findings(status, &page);
    Workers(status, options, &page);
  } else {
    Workers(status, options, &page);
    Findings(status, &page);
  }
  Partitions(status, &page);
  if (!status.workers.empty()) {
    page.Line("");
    page.Line("heard: the time since NATS stored the newest heartbeat, by the server's own clock",
              kDim);
  }
  return page.Take();
}

}  // namespace parti::cli
