#include "parti/cli/control_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "parti/cli/control_orders.h"
#include "parti/cli/group_arguments.h"
#include "parti/cli/group_snapshot_reader.h"
#include "parti/cli/interrupt.h"
#include "parti/cli/status_model.h"
#include "parti/cli/status_text.h"

namespace parti::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kConfirmed = 0;
constexpr int kNotConfirmed = 1;
constexpr milliseconds kConnectTimeout(5'000);
constexpr milliseconds kWriteTimeout(2'000);
// An answer that the leader's next plan may take back is not taken for its last word.
constexpr milliseconds kLastWord(2'000);
// What is asked for may be there already when the records that tell of it are not.
constexpr milliseconds kLook(200);

struct Arguments {
  WorkerArguments group;
  Order order;
  std::string timeout = "60s";
  bool no_wait = false;
  bool json = false;
};

class ControlRun {
 public:
  ControlRun(const Arguments& arguments, Group group, milliseconds timeout)
      : arguments_(arguments),
        order_(arguments.order),
        group_(std::move(group)),
        timeout_(timeout),
        judge_{.prefix = group_.prefix, .server = group_.server, .list_partitions = true} {}

  int Run() {
    absl::StatusOr<std::unique_ptr<GroupReader>> reader = GroupReader::Create(group_.kv);
    if (!reader.ok()) return Fail(reader.status());
    reader_ = *std::move(reader);
    interrupt_.Listen([this] { reader_->Wake(); });
    const absl::Status ready =
        reader_->Await(std::min(timeout_, kConnectTimeout), [this] { return Interrupted(); });
    if (Interrupted()) return 128 + interrupt_.signal();
    if (!ready.ok()) return Fail(Explain(ready, group_));
    const absl::StatusOr<bool> changed = Give();
    if (Interrupted()) return 128 + interrupt_.signal();
    if (!changed.ok()) return Fail(changed.status());
    given_ = *changed;
    if (arguments_.no_wait) {
      return End(kConfirmed, given_ ? fmt::format("{}: ordered; whether it is done shows in `parti "
                                                  "status`",
                                                  TextOfOrder(order_))
                                    : fmt::format("{}: so ordered already", TextOfOrder(order_)));
    }
    return Wait();
  }

 private:
  bool Interrupted() const { return interrupt_.signal() != 0; }

  // Nothing was ordered.
  int Fail(const absl::Status& status) const {
    const std::string text = OneLine(std::string(status.message()));
    if (arguments_.json) {
      Print(kUsageStatus, text);
    } else {
      fmt::print(stderr, "parti: {}\n", text);
    }
    return kUsageStatus;
  }

  int End(int exit, const std::string& text) const {
    if (arguments_.json) {
      Print(exit, text);
    } else {
      fmt::print(exit == kConfirmed ? stdout : stderr, "{}{}\n",
                 exit == kConfirmed ? "" : "parti: ", OneLine(text));
    }
    return exit;
  }

  void Print(int exit, const std::string& text) const {
    const nlohmann::json object = {{"schema", 1},
                                   {"order", TextOfOrder(order_)},
                                   {"changed", given_},
                                   {"recorded", revision_ != 0},
                                   {"confirmed", exit == kConfirmed && !arguments_.no_wait},
                                   {"exit_status", exit},
                                   {"text", text}};
    fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

  // Reads the orders, changes them, and writes them by compare-and-set. False: so ordered already.
  absl::StatusOr<bool> Give() {
    const auto end = Clock::now() + timeout_;
    while (true) {
      const core::KvAnswer read =
          reader_->Get(wire::Bucket::kElection, std::string(wire::kControlKey), kWriteTimeout);
      if (Interrupted()) return absl::CancelledError("interrupted");
      wire::Control control;
      if (read.code == wire::KvCode::kOk && !read.entry.deleted) {
        absl::StatusOr<wire::Control> found = wire::DecodeControl(read.entry.value);
        if (!found.ok()) {
          return absl::FailedPreconditionError(fmt::format(
              "the group's orders can't be read: {}; delete the key `control` of the election "
              "bucket (docs/operations.md) and give them again",
              std::string(found.status().message())));
        }
        control = *std::move(found);
      } else if (read.code != wire::KvCode::kOk && read.code != wire::KvCode::kNotFound) {
        if (read.code == wire::KvCode::kUnknown && Clock::now() < end) continue;
        const bool refused = read.code == wire::KvCode::kRefused;
        return absl::UnavailableError(
            fmt::format("can't read the group's orders: {}{}", read.error,
                        refused ? "; docs/operations.md lists what giving orders needs" : ""));
      }
      const absl::StatusOr<bool> changed =
          ApplyOrder(order_, JudgeGroup(reader_->snapshot(), judge_), &control);
      if (!changed.ok()) return changed;
      const std::uint64_t standing = read.code == wire::KvCode::kOk ? read.entry.revision : 0;
      if (!*changed) {
        // Nothing was ever ordered: nothing to wait for.
        revision_ = standing;
        return false;
      }
      const absl::StatusOr<bool> written = Write(standing, wire::Encode(control));
      if (!written.ok()) return written;
      if (*written) return true;
      if (Clock::now() >= end) {
        return absl::AbortedError("others change the group's orders all the time: try again");
      }
    }
  }

  // False: somebody else was faster, or there was no answer: read again.
  absl::StatusOr<bool> Write(std::uint64_t standing, std::string value) {
    const core::KvAnswer answer = reader_->Put(
        wire::Bucket::kElection, std::string(wire::kControlKey), standing, value, kWriteTimeout);
    switch (answer.code) {
      case wire::KvCode::kOk:
        revision_ = answer.revision;
        return true;
      case wire::KvCode::kConflict:
      case wire::KvCode::kNotFound:
      case wire::KvCode::kUnknown:
        return false;
      case wire::KvCode::kRefused:
        return absl::PermissionDeniedError(
            fmt::format("the server refused the order: {}; docs/operations.md lists what giving "
                        "orders needs",
                        answer.error));
    }
    return false;
  }

  int Wait() {
    const auto began = Clock::now();
    auto refused = Clock::time_point::max();  // since when
    Progress progress;
    std::string said;
    while (true) {
      const GroupSnapshot& snapshot = reader_->snapshot();
      progress = CheckProgress(order_, revision_, snapshot, JudgeGroup(snapshot, judge_));
      if (!reader_->Complete()) {
        progress = {.text = "the connection to NATS is lost: " +
                            std::string(reader_->Problem().message())};
      }
      if (progress.confirmed) {
        ClearProgress(said);
        return End(kConfirmed, given_ ? progress.text : "as before: " + progress.text);
      }
      const auto now = Clock::now();
      refused = progress.refused ? std::min(refused, now) : Clock::time_point::max();
      const bool last_word = progress.refused && now - refused >= kLastWord;
      if (last_word || Interrupted() || now - began >= timeout_) break;
      Show(progress.text, now - began, &said);
      const auto until = now + kLook;
      while (!Interrupted() && Clock::now() < until) reader_->Pump(kLook);
    }
    ClearProgress(said);
    const std::string why =
        Interrupted()      ? "interrupted"
        : progress.refused ? "it can't be done now"
                           : fmt::format("no confirmation within {}", TextOfAge(timeout_.count()));
    return End(kNotConfirmed,
               fmt::format("{}: {}: {}. The order stands, and any leader obeys it as soon as it "
                           "can; `{}` takes it back",
                           TextOfOrder(order_), why, progress.text, UndoOfOrder(order_)));
  }

  // On a terminal one line that changes, else a line for each change.
  void Show(const std::string& text, Clock::duration passed, std::string* said) const {
    if (arguments_.json) return;
    const std::string line = OneLine(text);
    if (isatty(STDERR_FILENO) == 1) {
      fmt::print(stderr, "\r\x1b[K{} … {:.0f} s", line,
                 std::chrono::duration<double>(passed).count());
      std::fflush(stderr);
    } else if (line != *said) {
      fmt::print(stderr, "{}\n", line);
    }
    *said = line;
  }
  void ClearProgress(const std::string& said) const {
    if (!said.empty() && isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\x1b[K");
  }

  const Arguments& arguments_;
  const Order& order_;
  const Group group_;
  const milliseconds timeout_;
  const JudgeOptions judge_;
  Interrupt interrupt_;  // before the reader's threads
  std::unique_ptr<GroupReader> reader_;
  std::uint64_t revision_ = 0;  // of the record that bears the order
  bool given_ = false;          // it wasn't there before
};

int Run(const Arguments& arguments) {
  const auto fail = [&](const absl::Status& status) {
    fmt::print(stderr, "parti: {}\n", std::string(status.message()));
    return kUsageStatus;
  };
  absl::StatusOr<Group> group = ResolveGroup(arguments.group);
  if (!group.ok()) return fail(group.status());
  const auto timeout = ParseDuration("--timeout", arguments.timeout);
  if (!timeout.ok()) return fail(timeout.status());
  return ControlRun(arguments, *std::move(group), *timeout).Run();
}

constexpr const char* kExits =
    "\n\nExit status: 0 confirmed by the leader (with --no-wait: recorded), 1 not confirmed; the "
    "order stands all the same, 2 nothing was ordered: a mistake, or the group can't be reached.";

struct Kind {
  OrderKind kind;
  const char* name;
  const char* description;
  const char* footer;
};

constexpr Kind kKinds[] = {
    {OrderKind::kDrain, "drain",
     "Takes a worker's partitions away from it, in order, and gives it none, until `parti "
     "undrain`: before maintenance. The process goes on running, may lead, and keeps its id; the "
     "order outlives leaders and restarts of the worker.",
     "Examples:\n"
     "  parti drain worker-3                   waits until worker-3 owns nothing\n"
     "  parti drain worker-3 --timeout 5m      release hooks may take long"},
    {OrderKind::kUndrain, "undrain", "Gives a drained worker partitions again.",
     "Example:\n  parti undrain worker-3"},
    {OrderKind::kPause, "pause",
     "Keeps every partition that has a living owner where it is, until `parti resume`: workers "
     "that join get nothing, capacities and lists may change without moves. What loses its owner "
     "(a worker dies, leaves or is drained) is taken over all the same, and pins are obeyed.",
     "Example:\n  parti pause && deploy-all && parti resume"},
    {OrderKind::kResume, "resume", "Ends a pause: partitions are shared out as ever.",
     "Example:\n  parti resume"},
    {OrderKind::kPin, "pin",
     "Moves a partition to a worker and keeps it there, until `parti unpin`. While that worker is "
     "away or drained the partition goes where it would without the pin.",
     "Examples:\n"
     "  parti pin orders-7 worker-2\n"
     "  parti status --partitions              names them all"},
    {OrderKind::kUnpin, "unpin", "Lets a pinned partition go where it would without the pin.",
     "Example:\n  parti unpin orders-7"},
};

void AddControlCommand(CLI::App& app, const Kind& kind, std::function<int()>* action) {
  auto arguments = std::make_shared<Arguments>();
  arguments->order.kind = kind.kind;
  CLI::App* command = app.add_subcommand(kind.name, kind.description);
  command->footer(std::string(kind.footer) + kExits);
  const bool worker = kind.kind == OrderKind::kDrain || kind.kind == OrderKind::kUndrain ||
                      kind.kind == OrderKind::kPin;
  const bool partition = kind.kind == OrderKind::kPin || kind.kind == OrderKind::kUnpin;
  if (partition) {
    command->add_option("partition", arguments->order.partition, "The partition's id, as in status")
        ->required()
        ->type_name("PARTITION");
  }
  if (worker) {
    command->add_option("worker", arguments->order.worker, "The worker's id, such as worker-3")
        ->required()
        ->type_name("WORKER");
    command->add_flag("--force", arguments->order.force,
                      "Record it also where it makes no sense as things are: for a worker or "
                      "partition that isn't known, or the last worker");
  }
  AddGroupOptions(command, &arguments->group);
  command->add_option("--timeout", arguments->timeout, "How long to wait for the leader to do it")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_flag("--no-wait", arguments->no_wait, "Record the order and return");
  command->add_flag("--json", arguments->json, "The outcome as one JSON object");
  command->callback([arguments, action] { *action = [arguments] { return Run(*arguments); }; });
}

}  // namespace

void AddControlCommands(CLI::App& app, std::function<int()>* action) {
  for (const Kind& kind : kKinds) AddControlCommand(app, kind, action);
}

}  // namespace parti::cli
