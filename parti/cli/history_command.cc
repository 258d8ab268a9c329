#include "parti/cli/history_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "internal/wire/printable.h"
#include "parti/cli/history.h"
#include "parti/cli/worker_options.h"

namespace parti::cli {
namespace {

constexpr int kFound = 1;
constexpr int kCannotTell = 2;

constexpr const char* kDescription =
    "Judges the event logs that `parti worker --events FILE` wrote: whether any partition was "
    "owned "
    "twice, or by nobody for too long, and whether tokens, epochs, versions, incarnations and "
    "leases went as they must. It reads files only, and shares no code with what wrote them.";

constexpr const char* kFooter =
    R"(Give it the logs of all workers that ever ran in the group, and of no other group, together: an overlap
takes two. A log may be of a worker that was started again and appended to it, or of several workers. A
rotated log is one log, oldest part first: cat a.events.2 a.events.1 a.events | parti check-history -

What counts as a finding:
  two owners at once        a claim lasts from `acquired` to `released`, `lost` or the last `until` of
                            its life's lease, whichever is first; who says nothing more may be dead, but
                            holds until then all the same: nobody could know
  nobody's for too long     longer than --max-gap, after somebody had it; while no worker runs, too; with
                            --partitions also before anybody had it
  tokens that don't rise from claim to claim of a partition
  epochs gained twice, granted under before they were gained, or gained after a greater one and granted
                            under all the same
  versions, incarnations going down; a worker id that two bear at once
  acting after the lease    claiming, or extending a lease, when it had run out
  what else no correct worker does, such as giving up what it didn't hold, speaking for a life that is
                            over, or a log that begins amid a life
  broken lines              but not one that a SIGKILL cut short
Each names its lines, as FILE:LINE.

Clocks: times are CLOCK_BOOTTIME, which the processes of one machine share until it boots, and a log says
which one it is on. Logs of several machines or boots are compared by their wall clocks, if you say by how
much those may be apart: --clock-error. What that error could explain is told as doubtful, and is no
finding; and no overlap between machines that is shorter can show. So take the true bound, and don't be
generous: 100ms under NTP in one network. Between the workers of one machine nothing is lost.

A worker that is killed holds until its lease has run out, as far as others can tell. If it is started
again under its identity before that, it gets its id back at once. That is well if the old process is gone:
the new one says so when it opens the same log and nobody else has it open ("alone"); otherwise whoever saw
the old one end may append to its log
  {"t":NANOSECONDS,"event":"gone"}              (CLOCK_BOOTTIME, as of /proc/uptime; in a log of several
                                                workers with "worker":"ID")
Without that, it looks like an id borne twice.

Examples:
  parti check-history /var/log/orders/*.events
  parti check-history --max-gap 5s --partitions 24 a.events b.events
      p-0 … p-23 are all there are: one that nobody ever owned shows
  parti check-history --clock-error 100ms host1/*.events host2/*.events
  parti check-history --json logs/* | jq .overlaps

Exit status: 0 clean, 1 something was found, 2 a file that can't be read or judged, or a mistake in the
options.)";

struct Arguments {
  std::vector<std::string> files;
  std::string max_gap = "60s";
  std::string clock_error;
  bool fast = false;
  bool json = false;
  int partitions = 0;
};

int Fail(const absl::Status& status) {
  fmt::print(stderr, "parti: {}\nTry: parti check-history --help\n",
             wire::Printable(std::string(status.message())));
  return kCannotTell;
}

// How far reading has come, on a line of the terminal that ends up empty.
class Progress {
 public:
  ~Progress() { Clear(); }

  void Show(const std::string& file, std::uint64_t done, std::uint64_t size) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < kEvery) return;
    shown_ = now;
    visible_ = true;
    const std::string share = size > 0 ? fmt::format(" of {}", size >> 20) : "";
    fmt::print(stderr, "\r\x1b[Kreading {}: {}{} MiB", file, done >> 20, share);
    std::fflush(stderr);
  }
  void Clear() {
    if (visible_) fmt::print(stderr, "\r\x1b[K");
    visible_ = false;
  }

 private:
  static constexpr std::chrono::milliseconds kEvery{500};
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
  bool visible_ = false;
};

int Run(const Arguments& arguments) {
  const auto max_gap = ParseDuration("--max-gap", arguments.max_gap);
  if (!max_gap.ok()) return Fail(max_gap.status());
  HistoryOptions options{.max_gap = *max_gap, .fast = arguments.fast};
  if (arguments.partitions > 0) options.partitions = arguments.partitions;
  if (!arguments.clock_error.empty()) {
    const auto error = ParseDuration("--clock-error", arguments.clock_error);
    if (!error.ok()) return Fail(error.status());
    options.clock_error = *error;
  }
  Progress progress;
  if (isatty(STDERR_FILENO) != 0) {
    options.progress = [&progress](const std::string& file, std::uint64_t done,
                                   std::uint64_t size) { progress.Show(file, done, size); };
  }
  History history(options);
  for (const std::string& file : arguments.files) {
    const absl::Status read = history.AddFile(file);
    progress.Clear();
    if (!read.ok()) return Fail(read);
  }
  const HistoryReport report = history.Judge();
  if (report.lives == 0) {
    return Fail(absl::InvalidArgumentError(
        fmt::format("no worker's life is in {}: nothing to judge",
                    arguments.files.size() == 1 ? arguments.files.front() : "these files")));
  }
  const std::string text = arguments.json ? HistoryJson(report) + "\n" : HistoryText(report);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return kCannotTell;
  }
  return report.findings() == 0 ? 0 : kFound;
}

}  // namespace

void AddHistoryCommand(CLI::App& app, std::function<int()>* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("check-history", kDescription);
  command->footer(kFooter);
  command->add_option("FILE", arguments->files, "Event logs, all of one group; - is standard input")
      ->required()
      ->type_name("");
  command
      ->add_option("--max-gap", arguments->max_gap,
                   "How long a partition may be nobody's: the lease and then some, or as long as "
                   "faults were meant to last")
      ->type_name("TIME")
      ->capture_default_str();
  command
      ->add_option("--clock-error", arguments->clock_error,
                   "By how much the wall clocks of the machines may be apart, for logs of several "
                   "[only logs of one clock]")
      ->type_name("TIME");
  command
      ->add_option(
          "-n,--partitions", arguments->partitions,
          fmt::format("p-0 … p-(N-1) are all there are, N from 1 to {} [those that the logs "
                      "name]",
                      kMaxPartitions))
      ->type_name("N")
      ->check(CLI::Range(1, kMaxPartitions));
  command->add_flag(
      "--fast", arguments->fast,
      "The group runs in mode=fast, which promises less: overlaps are told, and are no "
      "finding");
  command->add_flag("--json", arguments->json, "One JSON object, with every finding");
  command->callback([arguments, action] { *action = [arguments] { return Run(*arguments); }; });
}

}  // namespace parti::cli
