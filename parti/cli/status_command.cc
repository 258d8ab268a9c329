#include "parti/cli/status_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "parti/cli/group_arguments.h"
#include "parti/cli/group_snapshot_reader.h"
#include "parti/cli/interrupt.h"
#include "parti/cli/status_model.h"
#include "parti/cli/status_text.h"
#include "parti/cli/terminal.h"

namespace parti::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// The four buckets are read side by side, so that a moment's picture may not fit together: what
// looks wrong is looked at again for this long before it is said.
constexpr milliseconds kLookAgain(500);
constexpr milliseconds kRefresh(500);
constexpr milliseconds kLeastBetweenFrames(100);

constexpr const char* kDescription =
    "Shows a group: who leads, who lives, who owns what, what is wrong, and a verdict in the first "
    "line. It only reads.";

constexpr const char* kFooter = R"(Examples:
  parti status
      the group "parti" on nats://127.0.0.1:4222
  parti status --prefix orders --watch
      redrawn as it changes, until Ctrl-C; without a terminal, a page for each change
  parti status --json | jq -r .summary
      one object; docs/operations.md describes it
  parti status --quiet || page-somebody
      for probes: the first line and the exit status

A planned move (a worker joins, leaves, is drained; the list changes) is healthy as long as it makes
progress within --patience. A worker that died is not, until its partitions have other owners. That
one died shows when its lease is over: NATS tells of no death before.

Exit status: 0 healthy, 1 not healthy, 2 it can't be told (no server, no bucket, no permission, an
unreadable leader record) or a mistake in the options.)";

struct Arguments {
  WorkerArguments group;
  std::string timeout = "5s";
  std::string patience = "60s";
  bool json = false;
  bool watch = false;
  bool quiet = false;
  bool all = false;
  bool partitions = false;
};

std::string WallClock() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

class StatusRun {
 public:
  StatusRun(const Arguments& arguments, Group group, milliseconds timeout, milliseconds patience)
      : arguments_(arguments),
        group_(std::move(group)),
        timeout_(timeout),
        judge_{.prefix = group_.prefix,
               .server = group_.server,
               .patience_ms = patience.count(),
               .list_partitions = arguments.partitions} {}

  int Run() {
    absl::StatusOr<std::unique_ptr<GroupReader>> reader = GroupReader::Create(group_.kv);
    if (!reader.ok()) {
      fmt::print(stderr, "parti: {}\nTry: parti status --help\n",
                 OneLine(std::string(reader.status().message())));
      return kUsageStatus;
    }
    reader_ = *std::move(reader);
    interrupt_.Listen([this] { reader_->Wake(); });
    return arguments_.watch ? Watch() : Once();
  }

 private:
  bool Interrupted() const { return interrupt_.signal() != 0; }

  int Once() {
    const absl::Status ready = reader_->Await(timeout_, [this] { return Interrupted(); });
    if (Interrupted()) return 128 + interrupt_.signal();
    GroupStatus status = ready.ok() ? LookTwice() : CannotTell(Explain(ready, group_), judge_);
    if (Interrupted()) return 128 + interrupt_.signal();
    Print(std::move(status), {.colour = StdoutIsTerminal(), .columns = Columns()});
    return exit_;
  }

  GroupStatus LookTwice() {
    const auto end = Clock::now() + kLookAgain;
    GroupStatus status = JudgeGroup(reader_->snapshot(), judge_);
    while (status.verdict != Verdict::kHealthy && Clock::now() < end && !Interrupted()) {
      reader_->Pump(milliseconds(50));
      status = JudgeGroup(reader_->snapshot(), judge_);
    }
    return status;
  }

  std::size_t Columns() const {
    return StdoutIsTerminal() ? static_cast<std::size_t>(GetTerminalSize().columns) : 0;
  }

  int Watch() {
    std::optional<LiveScreen> screen;
    const bool live = StdoutIsTerminal() && !arguments_.json && !arguments_.quiet;
    if (live) screen.emplace();
    reader_->Await(timeout_, [this] { return Interrupted(); }).IgnoreError();
    std::string last;
    while (!Interrupted() && !broken_) {
      const auto drawn = Clock::now();
      GroupStatus status = Present();
      if (live) {
        Draw(*screen, std::move(status));
      } else if (std::string now = StatusSignature(status); now != last) {
        last = std::move(now);
        Print(std::move(status), {});
      }
      // Nothing but the passing of time for a while, or news; news come together.
      reader_->Pump(kRefresh);
      while (!Interrupted() && Clock::now() - drawn < kLeastBetweenFrames) {
        reader_->Pump(kLeastBetweenFrames);
      }
    }
    return Interrupted() || broken_ ? 0 : exit_;
  }

  // The group as it is, or as it was when it could last be read.
  GroupStatus Present() {
    if (reader_->Complete()) {
      complete_at_ = Clock::now();
      return JudgeGroup(reader_->snapshot(), judge_);
    }
    const absl::Status problem = reader_->Problem();
    absl::Status why =
        Explain(problem.ok() ? absl::UnavailableError("no answer from NATS yet") : problem, group_);
    if (!complete_at_) return CannotTell(why, judge_);
    // A watch that is rebuilt is no news.
    GroupStatus status = JudgeGroup(reader_->snapshot(), judge_);
    const auto since = std::chrono::duration_cast<milliseconds>(Clock::now() - *complete_at_);
    if (since < milliseconds(1'000)) return status;
    status.verdict = Verdict::kUnknown;
    status.headline = fmt::format("can't tell: {}; what follows is as it was {} ago",
                                  std::string(why.message()), TextOfAge(since.count()));
    status.advice.clear();
    return status;
  }

  void Draw(LiveScreen& screen, GroupStatus status) {
    const TerminalSize size = GetTerminalSize();
    const TextOptions options{.colour = true,
                              .all_workers = arguments_.all,
                              .columns = static_cast<std::size_t>(size.columns),
                              .rows = static_cast<std::size_t>(size.rows)};
    std::string frame = StatusText(status, options);
    if (!frame.empty() && frame.back() == '\n') frame.pop_back();
    screen.Draw(frame);
  }

  void Print(GroupStatus status, TextOptions options) {
    exit_ = static_cast<int>(status.verdict);
    options.all_workers = arguments_.all;
    std::string text;
    if (arguments_.json) {
      status.time = WallClock();
      text = StatusJson(status) + "\n";
    } else if (arguments_.quiet) {
      text = OneLine(status.headline) + "\n";
    } else {
      if (arguments_.watch) text = fmt::format("---- {}\n", WallClock());
      text += StatusText(status, options);
    }
    broken_ =
        std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0;
  }

  const Arguments& arguments_;
  const Group group_;
  const milliseconds timeout_;
  const JudgeOptions judge_;
  std::unique_ptr<GroupReader> reader_;
  Interrupt interrupt_;  // its thread uses the reader
  std::optional<Clock::time_point> complete_at_;
  int exit_ = kUsageStatus;
  bool broken_ = false;  // nobody reads what is printed
};

int Run(const Arguments& arguments) {
  const auto fail = [](const absl::Status& status) {
    fmt::print(stderr, "parti: {}\nTry: parti status --help\n",
               OneLine(std::string(status.message())));
    return kUsageStatus;
  };
  absl::StatusOr<Group> group = ResolveGroup(arguments.group);
  if (!group.ok()) return fail(group.status());
  const auto timeout = ParseDuration("--timeout", arguments.timeout);
  if (!timeout.ok()) return fail(timeout.status());
  const auto patience = ParseDuration("--patience", arguments.patience);
  if (!patience.ok()) return fail(patience.status());
  return StatusRun(arguments, *std::move(group), *timeout, *patience).Run();
}

}  // namespace

void AddStatusCommand(CLI::App& app, std::function<int()>* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("status", kDescription);
  command->footer(kFooter);
  AddGroupOptions(command, &arguments->group);
  command->add_option("--timeout", arguments->timeout, "How long to wait for NATS")
      ->type_name("TIME")
      ->capture_default_str();
  command
      ->add_option("--patience", arguments->patience,
                   "How long a planned move may go without progress and count as healthy")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_flag("-w,--watch", arguments->watch, "Go on showing it, until Ctrl-C");
  CLI::Option* json = command->add_flag("--json", arguments->json,
                                        "One JSON object; with --watch one a line, at each change");
  command->add_flag("-q,--quiet", arguments->quiet, "The verdict's line only")->excludes(json);
  command->add_flag("--partitions", arguments->partitions, "Every partition with its state");
  command->add_flag("-a,--all", arguments->all,
                    "Every worker, however many, and those that are gone");
  command->callback([arguments, action] { *action = [arguments] { return Run(*arguments); }; });
}

}  // namespace parti::cli
