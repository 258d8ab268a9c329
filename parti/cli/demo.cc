#include "parti/cli/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parti/cli/demo_story.h"
#include "parti/cli/demo_summary.h"
#include "parti/cli/demo_view.h"
#include "parti/cli/nats_server.h"
#include "parti/cli/temp_folder.h"
#include "parti/cli/terminal.h"
#include "parti/cli/worker_group.h"

namespace parti::cli {
namespace {

struct DemoOptions {
  int workers = 4;
  int partitions = 24;
  std::uint64_t seed = 1;
  std::string strategy = "round-robin";
  std::string keep;
  bool json = false;
  bool plain = false;
};

constexpr std::chrono::milliseconds kFrameEvery(100);
constexpr std::chrono::milliseconds kStopWithin(5000);
constexpr std::chrono::milliseconds kPause(500);
constexpr std::chrono::milliseconds kPauseForWatchers(2000);
// Every line that bears an older time has surely been read; see Observer::Judge.
constexpr std::int64_t kLogDelay = 300'000'000;

volatile std::sig_atomic_t interrupted = 0;

class CatchInterrupts {
 public:
  CatchInterrupts() {
    struct sigaction action {};
    action.sa_handler = [](int signal) { interrupted = signal; };
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~CatchInterrupts() {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
  }
  CatchInterrupts(const CatchInterrupts&) = delete;
  CatchInterrupts& operator=(const CatchInterrupts&) = delete;
};

// Shows the story as it goes: as a live view, or as plain lines.
class Stage {
 public:
  Stage(const WorkerGroup* group, bool live) : group_(group), began_(BootNanos()) {
    if (live) screen_.emplace();
  }

  double Seconds() const { return static_cast<double>(BootNanos() - began_) / 1e9; }

  void Say(const std::string& text) {
    story_.push_back(fmt::format("{:6.2f} s  {}", Seconds(), text));
    if (!screen_.has_value()) WriteAll(story_.back() + "\n");
  }

  void Now(const std::string& text) { now_ = text; }

  void Frame() {
    const auto time = std::chrono::steady_clock::now();
    if (!screen_.has_value() || time - drawn_ < kFrameEvery) return;
    drawn_ = time;
    screen_->Draw(Render(Picture(), GetTerminalSize()));
  }

  const std::vector<std::string>& story() const { return story_; }
  void Close() { screen_.reset(); }

 private:
  DemoPicture Picture() {
    const Observer& observer = group_->observer();
    const std::int64_t time = BootNanos();
    DemoPicture picture{.seconds = Seconds(),
                        .holders = observer.HoldersAt(time),
                        .story = story_,
                        .now = now_,
                        .overlaps = observer.Judge(time - kLogDelay).overlaps.size()};
    for (const Holder& holder : picture.holders) {
      picture.version = std::max(picture.version, holder.token.version);
    }
    longest_lease_.resize(group_->size());
    for (std::size_t i = 0; i < group_->size(); ++i) {
      const ProcessView view = observer.View(i);
      picture.epoch = std::max(picture.epoch, view.epoch);
      const double left = std::max(0.0, static_cast<double>(view.until - time) / 1e6);
      longest_lease_[i] = std::max(longest_lease_[i], left);
      picture.rows.push_back({.label = view.worker.empty() ? group_->name(i) : view.worker,
                              .status = StatusOf(i),
                              .leader = view.leader && group_->Running(i),
                              .state = view.state,
                              .lease_left_ms = view.stopped ? 0 : left,
                              .lease_ms = longest_lease_[i]});
    }
    for (std::size_t i = 0; i < picture.rows.size(); ++i) {
      if (group_->Running(i)) continue;
      for (std::size_t j = i + 1; j < picture.rows.size(); ++j) {
        if (picture.rows[j].label == picture.rows[i].label) {
          picture.rows[i].status = RowStatus::kReplaced;
        }
      }
    }
    return picture;
  }

  RowStatus StatusOf(std::size_t worker) const {
    if (!group_->Running(worker)) {
      return group_->exit(worker)->signal != 0 ? RowStatus::kKilled : RowStatus::kLeft;
    }
    const std::vector<std::size_t> living = group_->Living();
    const bool stays = std::find(living.begin(), living.end(), worker) != living.end();
    return stays ? RowStatus::kRuns : RowStatus::kLeaving;
  }

  const WorkerGroup* const group_;
  const std::int64_t began_;
  std::optional<LiveScreen> screen_;
  std::chrono::steady_clock::time_point drawn_;
  std::vector<std::string> story_;
  std::string now_;
  std::vector<double> longest_lease_;
};

WorkerGroupOptions GroupOptions(const DemoOptions& options, const std::string& url,
                                const std::string& folder) {
  return {
      .url = url,
      .folder = folder,
      .partitions = options.partitions,
      .strategy = options.strategy,
      // The demo owns its server, so that nobody else's claims can stand in the buckets.
      .settings = {"assume_new_group=true", fmt::format("max_workers={}", options.workers + 1)}};
}

int Play(const DemoOptions& options, const std::string& url, const std::string& folder) {
  WorkerGroup group(GroupOptions(options, url, folder));
  const bool live = !options.plain && StdoutIsTerminal();
  Stage stage(&group, live);
  stage.Say(fmt::format("nats-server on {}; {} partitions, {}", url, options.partitions,
                        options.strategy));
  DemoStory story(&group,
                  {.workers = options.workers,
                   .seed = options.seed,
                   .pause = live ? kPauseForWatchers : kPause},
                  {.say = [&](const std::string& text) { stage.Say(text); },
                   .now = [&](const std::string& text) { stage.Now(text); },
                   .tick = [&] { return stage.Frame(), interrupted == 0; }});
  story.Run();
  DemoSummary summary{.workers = options.workers,
                      .partitions = options.partitions,
                      .strategy = options.strategy,
                      .steps = story.steps(),
                      .unowned = story.unowned(),
                      .seconds = stage.Seconds(),
                      .failure = story.failure()};
  group.StopAll(kStopWithin);
  stage.Close();
  if (interrupted != 0) {
    WriteAll(fmt::format("interrupted by signal {}\n", static_cast<int>(interrupted)));
    return 128 + static_cast<int>(interrupted);
  }
  summary.verdict = group.observer().Judge(BootNanos());
  WriteAll("\n" + SummaryTable(summary));
  if (options.json) WriteAll(SummaryJson(summary) + "\n");
  return summary.Ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

int RunDemo(const DemoOptions& options) {
  const CatchInterrupts catching;
  const auto fail = [](const absl::Status& status) {
    fmt::print(stderr, "parti demo: {}\n", std::string(status.message()));
    return EXIT_FAILURE;
  };
  std::unique_ptr<TempFolder> temporary;
  std::string folder = options.keep;
  if (folder.empty()) {
    auto created = TempFolder::Create("demo");
    if (!created.ok()) return fail(created.status());
    temporary = *std::move(created);
    folder = temporary->path();
  } else {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail(absl::InternalError(fmt::format("{}: {}", folder, error.message())));
    if (!std::filesystem::is_empty(folder, error)) {
      return fail(absl::FailedPreconditionError(
          fmt::format("--keep {}: the folder is not empty; name another one", folder)));
    }
  }
  auto server = NatsServer::Start({});
  if (!server.ok()) return fail(server.status());
  return Play(options, (*server)->url(), folder);
}

}  // namespace

void AddDemoCommand(CLI::App& app, std::function<int()>* action) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* demo = app.add_subcommand(
      "demo", "Show a group of worker processes on a private NATS server, in about 20 seconds");
  demo->add_option("--workers", options->workers, "Workers at the start")
      ->check(CLI::Range(3, 50))
      ->capture_default_str();
  demo->add_option("--partitions", options->partitions, "Partitions that they share")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  demo->add_option("--strategy", options->strategy, "As for parti worker")->capture_default_str();
  demo->add_option("--seed", options->seed, "Chooses who leaves and who dies")
      ->capture_default_str();
  demo->add_option("--keep", options->keep, "Write the event logs into this folder and keep them");
  demo->add_flag("--json", options->json, "End with the summary as one line of JSON");
  demo->add_flag("--plain", options->plain, "Plain lines also on a terminal");
  demo->callback([options, action] { *action = [options] { return RunDemo(*options); }; });
}

}  // namespace parti::cli
