#include "parti/cli/worker_group.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <thread>
#include <utility>

namespace parti::cli {
namespace {

std::vector<std::string> PartitionIds(int count) {
  std::vector<std::string> ids;
  ids.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) ids.push_back(fmt::format("p-{}", i));
  return ids;
}

}  // namespace

std::int64_t BootNanos() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

WorkerGroup::WorkerGroup(WorkerGroupOptions options)
    : options_(std::move(options)), observer_(PartitionIds(options_.partitions)) {}

std::string WorkerGroup::EventFile(std::size_t worker) const {
  return fmt::format("{}/{}.events", options_.folder, workers_[worker].name);
}

std::string WorkerGroup::ErrorFile(std::size_t worker) const {
  return fmt::format("{}/{}.err", options_.folder, workers_[worker].name);
}

absl::StatusOr<std::size_t> WorkerGroup::Spawn(const std::string& name,
                                               const std::vector<std::string>& settings,
                                               const SpawnOptions& more) {
  const std::string events = fmt::format("{}/{}.events", options_.folder, name);
  const std::string errors = fmt::format("{}/{}.err", options_.folder, name);
  ProcessOptions process_options{
      .argv = {more.binary.empty() ? options_.binary : more.binary, "worker", "--server",
               more.url.empty() ? options_.url : more.url, "--prefix", options_.prefix,
               "--partitions", fmt::format("{}", options_.partitions), "--preset", options_.preset,
               "--events", events},
      .environment = more.environment,
      .stdout_file = errors,
      .stderr_file = errors};
  std::vector<std::string>& argv = process_options.argv;
  if (!options_.strategy.empty()) {
    argv.insert(argv.end(), {"--strategy", options_.strategy});
  }
  for (const auto* list : {&options_.settings, &settings}) {
    for (const std::string& setting : *list) argv.insert(argv.end(), {"--set", setting});
  }
  argv.insert(argv.end(), more.arguments.begin(), more.arguments.end());
  absl::StatusOr<std::unique_ptr<Process>> process = Process::Start(process_options);
  if (!process.ok()) return process.status();
  workers_.push_back({.name = name, .process = *std::move(process), .tail = LogTail(events)});
  return observer_.AddProcess(name, events);
}

void WorkerGroup::Poll() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Member& member = workers_[i];
    const auto sink = [this, i](std::string_view line) { observer_.AddLine(i, line); };
    if (member.exit.has_value()) continue;
    NoticeEnd(i);
    if (member.exit.has_value()) {
      member.tail.Finish(sink,
                         [this, i](std::string_view line) { observer_.AddLastLine(i, line); });
    } else {
      member.tail.Poll(sink);
    }
  }
}

void WorkerGroup::NoticeEnd(std::size_t worker) {
  Member& member = workers_[worker];
  member.exit = member.process->Wait(std::chrono::milliseconds(0));
  if (member.exit.has_value()) member.seen_gone = BootNanos();
}

void WorkerGroup::Terminate(std::size_t worker) {
  workers_[worker].told_to_end = true;
  workers_[worker].process->Signal(SIGTERM).IgnoreError();
}

void WorkerGroup::Kill(std::size_t worker) {
  workers_[worker].told_to_end = true;
  workers_[worker].process->Kill();
  Poll();
}

void WorkerGroup::Pause(std::size_t worker) {
  workers_[worker].paused = true;
  workers_[worker].process->Signal(SIGSTOP).IgnoreError();
}

void WorkerGroup::Resume(std::size_t worker) {
  workers_[worker].paused = false;
  workers_[worker].process->Signal(SIGCONT).IgnoreError();
}

void WorkerGroup::CountAsGone(std::size_t worker) {
  if (workers_[worker].exit.has_value()) observer_.ProcessGone(worker, workers_[worker].seen_gone);
}

void WorkerGroup::StopAll(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].paused) Resume(i);
    if (Running(i)) Terminate(i);
  }
  for (Member& member : workers_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (!member.process->Wait(std::max(left, std::chrono::milliseconds(0))).has_value()) {
      member.process->Kill();
    }
  }
  Poll();
}

bool WorkerGroup::AllEnded() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Member& member) { return member.exit.has_value(); });
}

std::vector<std::size_t> WorkerGroup::Living() const {
  std::vector<std::size_t> living;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const Member& member = workers_[i];
    if (!member.exit.has_value() && !member.told_to_end && !member.paused && !member.aside) {
      living.push_back(i);
    }
  }
  return living;
}

std::optional<std::size_t> WorkerGroup::Leader() const {
  std::optional<std::size_t> leader;
  std::uint64_t epoch = 0;
  for (const std::size_t i : Living()) {
    const ProcessView view = observer_.View(i);
    if (!view.leader || view.epoch < epoch) continue;
    leader = i;
    epoch = view.epoch;
  }
  return leader;
}

std::string WorkerGroup::WhyUnsettled(std::chrono::milliseconds quiet) const {
  const std::int64_t now = BootNanos();
  const std::vector<std::size_t> living = Living();
  for (const Holder& holder : observer_.HoldersAt(now)) {
    if (!holder.process.has_value()) return fmt::format("{} is unowned", holder.partition);
    if (std::find(living.begin(), living.end(), *holder.process) == living.end()) {
      return fmt::format("{} is held by {}, which is leaving or gone", holder.partition,
                         name(*holder.process));
    }
  }
  int leaders = 0;
  for (const std::size_t i : living) {
    const ProcessView view = observer_.View(i);
    if (view.state != "Stable") return fmt::format("{} is in state {}", name(i), view.state);
    if (view.until <= now) return fmt::format("{} has no lease", name(i));
    if (view.leader) ++leaders;
  }
  if (leaders != 1) return fmt::format("{} leaders", leaders);
  const std::int64_t still = now - observer_.last_change();
  if (still < std::chrono::nanoseconds(quiet).count()) return "partitions were moving just now";
  return {};
}

std::string WorkerGroup::UnexpectedEnd() const {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const Member& member = workers_[i];
    if (!member.exit.has_value() || member.told_to_end) continue;
    return fmt::format("{} ended by itself: {}\n{}", member.name, member.exit->ToString(),
                       ErrorTail(i));
  }
  return {};
}

std::string WorkerGroup::ErrorTail(std::size_t worker, std::size_t lines) const {
  std::ifstream file(ErrorFile(worker));
  std::deque<std::string> tail;
  for (std::string line; std::getline(file, line);) {
    tail.push_back(std::move(line));
    if (tail.size() > lines) tail.pop_front();
  }
  std::string text;
  for (const std::string& line : tail) text += fmt::format("    {}\n", line);
  return text;
}

std::string WorkerGroup::Describe() const {
  const std::int64_t now = BootNanos();
  const std::vector<Holder> holders = observer_.HoldersAt(now);
  std::string text;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const ProcessView view = observer_.View(i);
    const auto owned = std::count_if(holders.begin(), holders.end(),
                                     [i](const Holder& holder) { return holder.process == i; });
    const std::string how =
        workers_[i].exit.has_value() ? workers_[i].exit->ToString() : std::string("runs");
    text += fmt::format("  {}: {}, state {}", name(i), how, view.state);
    if (view.lives > 0) {
      text += fmt::format(", {} in life {} ({} lives), lease for {} ms, {} owned{}", view.worker,
                          view.incarnation, view.lives, (view.until - now) / 1'000'000, owned,
                          view.leader ? ", leads" : "");
    }
    text += "\n" + ErrorTail(i, 4);
  }
  return text;
}

}  // namespace parti::cli
