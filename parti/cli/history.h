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
// again appends to its log), or of several at once: its lines are told apart by the worker id and
// incarnation that each bears. Torn lines, as a SIGKILL leaves them, are counted apart from broken
// ones. Each finding names the lines that show it, as "a.events:12".
//
// Files are read line by line; what is kept are the claims, lives and terms, not the lines.
//
// Thread safety: none.
#ifndef PARTI_CLI_HISTORY_H_
#define PARTI_CLI_HISTORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/event_line.h"
#include "parti/cli/observer.h"

namespace parti::cli {

struct HistoryOptions {
  // Nobody may own a partition for this long; more is a finding.
  std::chrono::milliseconds max_gap = std::chrono::seconds(60);
  // The group runs in mode=fast, where overlaps may happen: they are told, and are no finding.
  bool fast = false;
  // p-0 … p-(N-1) are all there are, as for `parti worker`, from the first line on. None: those
  // that are ever claimed, from their first claim on.
  std::optional<int> partitions = {};
  // By how much the wall clocks of several machines, or of several boots of one, may differ. None:
  // logs whose lines count time on different clocks are refused.
  std::optional<std::chrono::milliseconds> clock_error = {};
  // Called now and then while a file is read: its name, the bytes read so far and of all, the
  // latter 0 if they aren't known.
  std::function<void(const std::string&, std::uint64_t, std::uint64_t)> progress = {};
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
  std::size_t terms = 0;   // of leaders
  std::size_t clocks = 0;  // that lines name
  std::int64_t from = 0;   // the first line, ns; CLOCK_BOOTTIME or, with a clock error, since 1970
  std::int64_t to = 0;     // the last line
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

  // "-" is standard input. NotFound: it can't be read. InvalidArgument: it holds lines, and not one
  // of them is an event; it is compressed; its clock is another than that of the logs before, and
  // no clock error was given.
  absl::Status AddFile(const std::string& path);

  // The same for lines that are at hand; `name` is for people. A last line without its newline is
  // torn.
  absl::Status AddText(const std::string& name, std::string_view text);

  HistoryReport Judge() const;

 private:
  struct Clock {
    std::size_t index = 0;
    std::string place;  // the line that named it first
  };
  struct Log {  // one file
    std::string name;
    // By the number of the clock and the worker id.
    std::map<std::pair<std::size_t, std::string>, std::size_t> processes = {};
    std::size_t clock = 0;    // that the lines are on now; 0: none was named
    std::int64_t shift = 0;   // from it to the time that is judged
    std::string newest = {};  // the worker id that a line bore last
    std::size_t lines = 0;
    std::size_t events = 0;
    std::string doubtful = {};  // a line cut short: torn, if a new process follows
  };

  absl::Status ReadAll(int fd, std::uint64_t size, Log& log);
  void AddLine(Log& log, std::string_view line, bool whole);
  void SettleDoubt(Log& log, const absl::StatusOr<EventLine>& next);
  void AddEvent(Log& log, EventLine event);
  bool SetClock(Log& log, const EventLine& opened);
  void NoteStarted(const Log& log, const EventLine& event);
  std::size_t ProcessOf(Log& log, const std::string& worker);
  absl::Status Finish(Log& log);

  void ReportGaps(const Verdict& verdict, HistoryReport* report) const;
  void ReportNotes(const Verdict& verdict, HistoryReport* report) const;

  const HistoryOptions options_;
  Observer observer_;
  std::vector<std::string> broken_lines_;
  std::vector<std::string> notes_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> files_read_;  // device and inode
  std::map<std::string, Clock> clocks_;                           // by boot id
  std::string mixed_;  // why the clocks don't fit together
  std::map<std::tuple<std::string, std::uint64_t, std::int64_t>, std::string> started_;
  std::size_t files_ = 0;
  std::size_t lines_ = 0;
  std::size_t torn_ = 0;
  std::size_t claims_ = 0;
  std::map<std::string, std::int64_t> first_claim_;  // by partition
  std::int64_t from_ = kEndOfTime;
  std::int64_t to_ = 0;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_HISTORY_H_
