// Reading logs. history_report.cc makes of it what people read.
#include "parti/cli/history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "parti/cli/event_line.h"

namespace parti::cli {
namespace {

constexpr std::size_t kReadAtOnce = 1 << 20;
// A line of `parti worker` has some hundred bytes; this much without a newline is no event log.
constexpr std::size_t kLongestLine = 16 << 20;

// How the lines of `parti worker` begin.
constexpr std::string_view kBegin = "{\"t\":";

Observer MakeObserver(const std::optional<int>& partitions) {
  if (!partitions.has_value()) return Observer();
  std::vector<std::string> ids;
  for (int i = 0; i < *partitions; ++i) ids.push_back(fmt::format("p-{}", i));
  return Observer(std::move(ids));
}

bool Begins(std::string_view line) {
  const std::size_t common = std::min(line.size(), kBegin.size());
  return line.substr(0, common) == kBegin.substr(0, common);
}

// What a write that a kill broke off looks like.
bool IsCutShort(std::string_view line) { return Begins(line) && !line.ends_with('}'); }

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// The program that unpacks what begins so; empty if it isn't packed.
std::string_view UnpackerOf(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b")) return "gzip -dc";
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return "zstd -dc";
  if (bytes.starts_with("\xfd"
                        "7zXZ"))
    return "xz -dc";
  if (bytes.starts_with("BZh")) return "bzip2 -dc";
  return {};
}

// Closes what isn't standard input.
class File {
 public:
  explicit File(const std::string& path)
      : fd_(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ > STDIN_FILENO) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Unreadable(const std::string& name, int error) {
  return absl::NotFoundError(
      fmt::format("{}: can't be read: {}{}", name, std::strerror(error),
                  error == EISDIR ? fmt::format("; give the logs in it, as {}/*", name) : ""));
}

}  // namespace

History::History(const HistoryOptions& options)
    : options_(options), observer_(MakeObserver(options.partitions)) {
  observer_.SetClockError(
      std::chrono::nanoseconds(options.clock_error.value_or(std::chrono::milliseconds(0))).count());
}

absl::Status History::AddFile(const std::string& path) {
  Log log{.name = path == "-" ? "stdin" : path};
  const File file(path);
  struct stat info {};
  if (file.fd() < 0 || fstat(file.fd(), &info) != 0) return Unreadable(log.name, errno);
  if (S_ISREG(info.st_mode) && !files_read_.emplace(info.st_dev, info.st_ino).second) {
    notes_.push_back(log.name + " was given twice, and read once");
    return absl::OkStatus();
  }
  const auto size = S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  if (absl::Status read = ReadAll(file.fd(), size, log); !read.ok()) return read;
  return Finish(log);
}

absl::Status History::ReadAll(int fd, std::uint64_t size, Log& log) {
  const auto buffer = std::make_unique<char[]>(kReadAtOnce);
  std::string pending;
  std::uint64_t done = 0;
  while (true) {
    const ssize_t got = read(fd, buffer.get(), kReadAtOnce);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unreadable(log.name, errno);
    if (got == 0) break;
    pending.append(buffer.get(), static_cast<std::size_t>(got));
    const std::string_view unpacker = done == 0 ? UnpackerOf(pending) : std::string_view();
    if (!unpacker.empty()) {
      return absl::InvalidArgumentError(fmt::format(
          "{} is compressed; try: {} {} | parti check-history -", log.name, unpacker, log.name));
    }
    done += static_cast<std::uint64_t>(got);
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      AddLine(log, std::string_view(pending).substr(begin, end - begin), /*whole=*/true);
    }
    pending.erase(0, begin);
    if (pending.size() > kLongestLine) {
      return absl::InvalidArgumentError(
          fmt::format("{}:{}: longer than {} MiB; is it an event log of `parti worker --events`?",
                      log.name, log.lines + 1, kLongestLine >> 20));
    }
    if (!mixed_.empty()) break;
    if (options_.progress) options_.progress(log.name, done, size);
  }
  if (!pending.empty() && mixed_.empty()) AddLine(log, pending, /*whole=*/false);
  return absl::OkStatus();
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
  if (IsBlank(line)) return;
  absl::StatusOr<EventLine> event = ParseEventLine(line);
  SettleDoubt(log, event);
  if (event.ok()) return AddEvent(log, *std::move(event));
  std::string what =
      fmt::format("{}:{}: {}", log.name, log.lines, std::string(event.status().message()));
  // Of several processes that share a file one was killed within a line, and another went on there.
  const std::size_t last = line.rfind(kBegin);
  if (Begins(line) && last != std::string_view::npos && last > 0) {
    absl::StatusOr<EventLine> second = ParseEventLine(line.substr(last));
    if (second.ok()) {
      ++torn_;
      return AddEvent(log, *std::move(second));
    }
  }
  if (!IsCutShort(line)) {
    broken_lines_.push_back(std::move(what));
  } else if (whole) {
    log.doubtful = std::move(what);
  } else {
    ++torn_;
  }
}

// A line that was cut short is torn, and no finding, if its process ended within it: that is said,
// or the next process of this log begins, on a line of its own and without a worker id yet.
void History::SettleDoubt(Log& log, const absl::StatusOr<EventLine>& next) {
  if (log.doubtful.empty()) return;
  if (next.ok() && (next->kind == EventKind::kGone || next->kind == EventKind::kOpened ||
                    (next->kind == EventKind::kState && next->worker.empty()))) {
    ++torn_;
  } else {
    broken_lines_.push_back(log.doubtful);
  }
  log.doubtful.clear();
}

void History::AddEvent(Log& log, EventLine event) {
  if (event.kind == EventKind::kOpened && !SetClock(log, event)) return;
  if (options_.clock_error.has_value() && log.clock == 0 && mixed_.empty()) {
    mixed_ = fmt::format(
        "{}:{}: doesn't say on which clock its times are; give such logs without --clock-error",
        log.name, log.lines);
  }
  if (!mixed_.empty()) return;
  event.t += log.shift;
  if (event.kind == EventKind::kLease &&
      event.until < kEndOfTime - std::max<std::int64_t>(log.shift, 0)) {
    event.until += log.shift;
  }
  ++log.events;
  from_ = std::min(from_, event.t);
  to_ = std::max(to_, event.t);
  if (event.kind == EventKind::kOpened ||
      (event.kind == EventKind::kGone && event.worker.empty())) {
    const bool ends = event.kind == EventKind::kGone || event.alone;
    for (const auto& [key, process] : log.processes) {
      if (ends) observer_.ProcessGone(process, event.t);
    }
    return;
  }
  // What a worker without an id yet says concerns nobody's claims.
  if (event.worker.empty() &&
      (event.kind == EventKind::kState || event.kind == EventKind::kStopped)) {
    return;
  }
  // A line that bears no id is of the newest life.
  if (!event.worker.empty()) log.newest = event.worker;
  if (event.kind == EventKind::kAcquired) {
    ++claims_;
    const auto first = first_claim_.try_emplace(event.partition, event.t).first;
    first->second = std::min(first->second, event.t);
  }
  if (event.kind == EventKind::kStarted) NoteStarted(log, event);
  observer_.AddEvent(ProcessOf(log, log.newest), event, log.lines);
}

// A worker id of one log is one process to the observer; after another boot of the machine it is
// another, for its times are on another clock.
std::size_t History::ProcessOf(Log& log, const std::string& worker) {
  const auto key = std::make_pair(log.clock, worker);
  const auto process = log.processes.find(key);
  if (process != log.processes.end()) return process->second;
  const std::size_t added =
      observer_.AddProcess(worker.empty() ? "a worker" : worker, log.name, log.clock);
  log.processes.emplace(key, added);
  return added;
}

bool History::SetClock(Log& log, const EventLine& opened) {
  if (opened.clock.empty()) return true;
  const auto [clock, is_new] = clocks_.try_emplace(
      opened.clock, Clock{clocks_.size() + 1, fmt::format("{}:{}", log.name, log.lines)});
  if (clocks_.size() > 1 && !options_.clock_error.has_value() && mixed_.empty()) {
    const Clock& other = std::find_if(clocks_.begin(), clocks_.end(), [&](const auto& entry) {
                           return entry.first != opened.clock;
                         })->second;
    mixed_ = fmt::format(
        "{} and {}:{} count time on different clocks: they are of two machines, or of two boots of "
        "one. Judge them apart, or say by how much their wall clocks may differ, as --clock-error "
        "100ms",
        other.place, log.name, log.lines);
  }
  if (!mixed_.empty()) return false;
  log.clock = clock->second.index;
  if (options_.clock_error.has_value()) log.shift = opened.wall - opened.t;
  return true;
}

// The beginning of a life happens once.
void History::NoteStarted(const Log& log, const EventLine& event) {
  const std::string place = fmt::format("{}:{}", log.name, log.lines);
  const auto [first, is_new] =
      started_.try_emplace({event.worker, event.incarnation, event.t}, place);
  if (is_new) return;
  notes_.push_back(fmt::format("{} and {} are one line: was one log given twice, as a copy?",
                               first->second, place));
}

absl::Status History::Finish(Log& log) {
  if (!mixed_.empty()) return absl::InvalidArgumentError(mixed_);
  ++files_;
  if (!log.doubtful.empty()) broken_lines_.push_back(std::exchange(log.doubtful, {}));
  if (log.lines == 0) {
    notes_.push_back(log.name + " is empty");
  } else if (log.events == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not one of its {} lines is an event; is it an event log of `parti worker "
                    "--events`?",
                    log.name, log.lines));
  }
  return absl::OkStatus();
}

}  // namespace parti::cli
