// Event logs of a group, as files, and what the observer finds in them: `parti check-history`.
//
//   History history({.max_gap = std::chrono::seconds(60)});
//   for (const std::string& file : files) {
//     if (absl::Status read = history.AddFile(file); !read.ok()) …
//   }
//   const HistoryReport report = history.Judge();
//   std::cout << HistoryText(report);
//   return report.findings() == 0 ? 0 : 1;
//
// A file is the log of one process, or of several one after the other (a worker that is started
// again appends to its log), or of several at once: its lines are told apart by the worker id that
// each bears. Torn lines, as a SIGKILL leaves them, are counted apart from broken ones.
//
// Thread safety: none.
#ifndef PARTI_CLI_HISTORY_H_
#define PARTI_CLI_HISTORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "parti/cli/observer.h"

namespace parti::cli {

struct HistoryOptions {
  // Nobody may own a partition for this long; more is a finding.
  std::chrono::milliseconds max_gap = std::chrono::seconds(60);
  // The group runs in mode=fast, where overlaps may happen: they are told, and are no finding.
  bool fast = false;
  // p-0 … p-(N-1) are all there are, as for `parti worker`. None: those that are ever claimed.
  std::optional<int> partitions = {};
};

// One kind of finding, and what was found. The text of each says what, who, when and how long.
struct HistoryKind {
  std::string name;    // as in JSON: "overlaps"
  std::string title;   // for people: "two owners at once"
  bool counts = true;  // as a finding
  std::vector<std::string> found = {};
};

struct HistoryReport {
  std::vector<HistoryKind> kinds;
  std::vector<std::string> notes;  // no findings, but worth knowing

  std::size_t files = 0;
  std::size_t lines = 0;
  std::size_t torn = 0;
  std::size_t workers = 0;  // ids
  std::size_t lives = 0;
  std::size_t partitions = 0;
  std::size_t claims = 0;
  std::size_t terms = 0;  // of leaders
  std::int64_t from = 0;  // the first line, CLOCK_BOOTTIME, ns
  std::int64_t to = 0;    // the last line
  std::chrono::milliseconds max_gap{0};
  bool fast = false;
  std::vector<std::int64_t> gaps;  // of any length, sorted, ns

  std::size_t findings() const;
};

// The value below which `percent` of the sorted values lie, by nearest rank; 0 if there are none.
std::int64_t Percentile(const std::vector<std::int64_t>& sorted, int percent);

// At most `limit` findings of each kind are spelled out.
std::string HistoryText(const HistoryReport& report, std::size_t limit = 10);
// One object, with every finding.
std::string HistoryJson(const HistoryReport& report);

class History {
 public:
  explicit History(const HistoryOptions& options);

  // NotFound, PermissionDenied and the like name the file; InvalidArgument: it holds lines, and not
  // one of them is an event.
  absl::Status AddFile(const std::string& path);

  // The same for lines that are at hand; `name` is for people. A last line without its newline is
  // torn.
  absl::Status AddText(const std::string& name, std::string_view text);

  HistoryReport Judge() const;

 private:
  struct Log {  // one file
    std::string name;
    std::map<std::string, std::size_t, std::less<>> processes = {};  // by worker id
    std::string newest = {};  // the worker id that a line bore last
    std::size_t lines = 0;
    std::size_t events = 0;
    std::string doubtful = {};  // a line cut short: torn, if a new process follows
  };

  void AddLine(Log& log, std::string_view line, bool whole);
  void AddEvent(Log& log, const EventLine& event);
  absl::Status Finish(Log& log);

  const HistoryOptions options_;
  Observer observer_;
  std::vector<std::string> broken_lines_;
  std::vector<std::string> notes_;
  std::map<std::string, int> names_;
  std::size_t files_ = 0;
  std::size_t lines_ = 0;
  std::size_t torn_ = 0;
  std::size_t claims_ = 0;
  std::unordered_set<std::string> claimed_;  // partitions
  std::int64_t from_ = kEndOfTime;
  std::int64_t to_ = 0;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_HISTORY_H_
