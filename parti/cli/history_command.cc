#include "parti/cli/history_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

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
    R"(Give it the logs of all workers that ever ran in the group, together: an overlap takes two. A log may be
of a worker that was started again and appended to it, or of several workers. Times are CLOCK_BOOTTIME,
which the processes of one machine share; logs of different machines can't be compared.

What counts as a finding:
  two owners at once        a claim lasts from `acquired` to `released`, `lost` or the last `until` of
                            its life's lease, whichever is first
  nobody's for too long     longer than --max-gap, after somebody had it; while no worker runs, too
  tokens, epochs, versions, incarnations going down; an epoch or a worker id that two have
  acting after the lease    claiming, or extending a lease, when it had run out
  what else no correct worker does, such as giving up what it didn't hold
  broken lines              but not a last line that a SIGKILL cut short

A worker that is killed holds until its lease has run out, as far as a log can tell. If it is started again
under its identity before that, it gets its id back at once, which looks like an id borne twice, unless
whoever saw the old process end appends to the old log
  {"t":NANOSECONDS,"event":"gone"}              (CLOCK_BOOTTIME, as of /proc/uptime)

Examples:
  parti check-history /var/log/orders/*.events
  parti check-history --max-gap 5s --partitions 24 a.events b.events
      p-0 … p-23 are all there are: one that nobody ever owned shows
  parti check-history --json logs/* | jq .overlaps

Exit status: 0 clean, 1 something was found, 2 a file that can't be read or a mistake in the options.)";

struct Arguments {
  std::vector<std::string> files;
  std::string max_gap = "60s";
  bool fast = false;
  bool json = false;
  int partitions = 0;
};

int Fail(const absl::Status& status) {
  fmt::print(stderr, "parti: {}\nTry: parti check-history --help\n", std::string(status.message()));
  return kCannotTell;
}

int Run(const Arguments& arguments) {
  const auto max_gap = ParseDuration("--max-gap", arguments.max_gap);
  if (!max_gap.ok()) return Fail(max_gap.status());
  HistoryOptions options{.max_gap = *max_gap, .fast = arguments.fast};
  if (arguments.partitions > 0) options.partitions = arguments.partitions;
  History history(options);
  for (const std::string& file : arguments.files) {
    if (absl::Status read = history.AddFile(file); !read.ok()) return Fail(read);
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
  command->add_option("FILE", arguments->files, "Event logs, all of one group")
      ->required()
      ->type_name("");
  command
      ->add_option("--max-gap", arguments->max_gap,
                   "How long a partition may be nobody's: the lease and then some, or as long as "
                   "faults were meant to last")
      ->type_name("TIME")
      ->capture_default_str();
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
