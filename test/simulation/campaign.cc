#include "test/simulation/campaign.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "internal/core/rules.h"
#include "test/simulation/provoke.h"
#include "test/simulation/retell.h"
#include "test/simulation/run.h"
#include "test/simulation/schedules.h"
#include "test/simulation/shrink.h"

namespace parti::simulation {
namespace {

using SteadyClock = std::chrono::steady_clock;

// From this many seeds on, a campaign in which too little happened proves nothing and fails.
constexpr std::uint64_t kJudgeTallyFrom = 500;
constexpr std::size_t kHistoryLines = 120;
constexpr std::uint64_t kScheduleSeeds = 5;
constexpr std::chrono::milliseconds kTerminalPeriod{200};
constexpr std::chrono::milliseconds kLogPeriod{30000};

// For the last words of a run that dies of a failed assertion.
thread_local std::uint64_t t_seed = 0;

void OnDeath(int signal) {
  char text[128];
  const auto end = fmt::format_to_n(text, sizeof(text) - 1,
                                    "\nseed {} died of signal {}: sim --seed {} --story\n", t_seed,
                                    signal, t_seed);
  [[maybe_unused]] const auto ignored = write(STDERR_FILENO, text, end.size);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

// Ctrl-C: the seeds under way are finished, and what was found is summed up.
volatile std::sig_atomic_t g_stop = 0;

void OnInterrupt(int signal) {
  g_stop = 1;
  std::signal(signal, SIG_DFL);  // a second one ends it at once
}

struct Sum {
  std::mutex mutex;
  Tally tally;
  std::uint64_t done = 0;
  std::uint64_t steps = 0;
  core::Nanos simulated = 0;
  core::Nanos slowest_settling = 0;
  std::uint64_t slowest_seed = 0;
  std::optional<std::uint64_t> failed;                       // the lowest
  std::map<std::string, std::vector<std::uint64_t>> broken;  // invariant -> seeds
};

class Campaign {
 public:
  explicit Campaign(const CampaignOptions& options) : options_(options), next_(options.first) {}

  int Run() {
    if (!SetRules()) return 2;
    if (options_.schedule == "list") return List();
    if (!options_.schedule.empty()) return PlayOne();
    if (options_.story) return Tell(options_.first, true);
    if (options_.shrink) return ShrinkAndTell(options_.first);
    std::signal(SIGABRT, OnDeath);
    std::signal(SIGSEGV, OnDeath);
    std::signal(SIGINT, OnInterrupt);
    std::signal(SIGTERM, OnInterrupt);
    if (const int code = PlayAll(); code != 0) return code;
    start_ = SteadyClock::now();
    shown_ = start_;
    std::vector<std::thread> threads;
    for (int i = 0; i < std::max(1, options_.jobs); ++i) {
      threads.emplace_back([this] { Work(); });
    }
    for (std::thread& thread : threads) thread.join();
    if (terminal_) fmt::print("\r\033[K");
    if (g_stop != 0) fmt::print("interrupted after {} of {} seeds\n", sum_.done, options_.seeds);
    Summarise();
    if (sum_.failed) {
      Tell(*sum_.failed, false);
      if (!options_.keep_going && !options_.no_shrink) ShrinkAndTell(*sum_.failed);
      return 1;
    }
    if (g_stop != 0) return 130;
    return TooLittleHappened() ? 1 : TellStories();
  }

 private:
  static std::optional<core::Rule> RuleNamed(const std::string& name) {
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(core::Rule::kCount); ++i) {
      const auto rule = static_cast<core::Rule>(i);
      if (core::RuleName(rule) == name) return rule;
    }
    fmt::print(stderr, "no rule is called {}; there are:", name);
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(core::Rule::kCount); ++i) {
      fmt::print(stderr, " {}", core::RuleName(static_cast<core::Rule>(i)));
    }
    fmt::print(stderr, "\n");
    return std::nullopt;
  }

  bool SetRules() {
    for (const std::string& name : options_.off) {
      const std::optional<core::Rule> rule = RuleNamed(name);
      if (!rule) return false;
      core::SetRule(*rule, false);
    }
    if (options_.provoke.empty()) return true;
    provoked_ = RuleNamed(options_.provoke);
    return provoked_.has_value();
  }

  Scenario Draw(std::uint64_t seed) const {
    return provoked_ ? Provoke(*provoked_, seed) : DrawScenario(seed);
  }

  void Work() {
    for (;;) {
      const std::uint64_t seed = next_.fetch_add(1);
      if (seed >= options_.first + options_.seeds) return;
      if (g_stop != 0 || (failed_.load() && !options_.keep_going)) return;
      t_seed = seed;
      History history(History::Keep::kHash);
      const Outcome outcome = simulation::Run(Draw(seed), &history);
      Record(seed, outcome);
    }
  }

  void Record(std::uint64_t seed, const Outcome& outcome) {
    const std::lock_guard<std::mutex> lock(sum_.mutex);
    ++sum_.done;
    sum_.tally.Add(outcome.tally);
    sum_.steps += outcome.steps;
    sum_.simulated += outcome.simulated;
    if (outcome.settled_after > sum_.slowest_settling) {
      sum_.slowest_settling = outcome.settled_after;
      sum_.slowest_seed = seed;
    }
    if (outcome.violation) {
      failed_ = true;
      sum_.broken[outcome.violation->invariant].push_back(seed);
      sum_.failed = std::min(seed, sum_.failed.value_or(seed));
    }
    Show(outcome.violation ? fmt::format("seed {} broke a promise: {}\n  {}\n", seed,
                                         outcome.violation->invariant, outcome.violation->what)
                           : "");
  }

  // What was found is told at once, how far it is now and then.
  void Show(const std::string& news) {
    const auto now = SteadyClock::now();
    if (news.empty() && now - shown_ < (terminal_ ? kTerminalPeriod : kLogPeriod)) return;
    shown_ = now;
    if (terminal_) fmt::print("\r\033[K");
    if (options_.keep_going) fmt::print("{}", news);
    if (news.empty() || terminal_) {
      fmt::print("{} of {} seeds, {:.0f} a second{}", sum_.done, options_.seeds, Rate(),
                 terminal_ ? " " : "\n");
    }
    std::fflush(stdout);
  }

  double Rate() const {
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start_).count();
    return static_cast<double>(sum_.done) / std::max(seconds, 1e-9);
  }

  void Summarise() const {
    fmt::print(
        "{} seeds from {}, {:.0f} a second ({} at a time), {:.1f} simulated hours, {} steps\n",
        sum_.done, options_.first, Rate(), std::max(1, options_.jobs),
        static_cast<double>(sum_.simulated) / 3.6e12, sum_.steps);
    const auto print = [this](std::size_t begin, std::size_t end) {
      std::string line = "  ";
      for (std::size_t i = begin; i < end; ++i) {
        const auto count = static_cast<Count>(i);
        std::string item =
            fmt::format("{} {}{}", CountName(count), sum_.tally[count], i + 1 < end ? ", " : "");
        if (line.size() + item.size() > 100) {
          fmt::print("{}\n", line);
          line = "  ";
        }
        line += item;
      }
      fmt::print("{}\n", line);
    };
    fmt::print("faults:\n");
    print(0, kFirstConsequence);
    fmt::print("what came of them:\n");
    print(kFirstConsequence, kCounts);
    for (const auto& [invariant, seeds] : sum_.broken) {
      fmt::print("broken in {} seeds, {} …: {}\n", seeds.size(),
                 fmt::join(seeds.begin(),
                           seeds.begin() +
                               static_cast<std::ptrdiff_t>(std::min<std::size_t>(seeds.size(), 6)),
                           " "),
                 invariant);
    }
    fmt::print("slowest to settle: seed {}, {:.1f} s after its last fault\n", sum_.slowest_seed,
               static_cast<double>(sum_.slowest_settling) / 1e9);
  }

  bool TooLittleHappened() const {
    if (options_.seeds < kJudgeTallyFrom) return false;
    bool too_little = false;
    for (std::size_t i = 0; i < kCounts; ++i) {
      const auto count = static_cast<Count>(i);
      // Nothing is expected of these, or too little.
      if (count == Count::kErrorReport || count == Count::kFatalReport ||
          count == Count::kClaimAfterLapse) {
        continue;
      }
      const std::uint64_t floor =
          i < kFirstConsequence ? options_.seeds / 50 : options_.seeds / 100;
      if (sum_.tally[count] >= floor) continue;
      fmt::print("too few to prove anything: {} {}\n", CountName(count), sum_.tally[count]);
      too_little = true;
    }
    return too_little;
  }

  static int List() {
    for (const Schedule& schedule : Schedules()) {
      fmt::print("{:<28} {}\n", schedule.name, schedule.what);
    }
    return 0;
  }

  int PlayOne() const {
    const Schedule* schedule = FindSchedule(options_.schedule);
    if (schedule == nullptr) {
      fmt::print(stderr, "no schedule is called {}; --schedule list tells which there are\n",
                 options_.schedule);
      return 2;
    }
    return TellSchedule(*schedule, options_.first);
  }

  // Before the seeds: histories that chance won't find. In worlds that are provoked, or where a
  // rule is off, seeds are what is asked for.
  int PlayAll() const {
    if (provoked_ || !options_.off.empty() || options_.keep_going) return 0;
    for (const Schedule& schedule : Schedules()) {
      bool set_up = false;
      for (std::uint64_t seed = 1; seed <= kScheduleSeeds; ++seed) {
        History history(History::Keep::kHash);
        const Played played = schedule.play(seed, &history);
        set_up = set_up || played.set_up;
        if (!played.violation) continue;
        TellSchedule(schedule, seed);
        fmt::print("schedule {} broke a promise: {}\n  {}\nreplay: sim --schedule {} --seed {}\n",
                   schedule.name, played.violation->invariant, played.violation->what,
                   schedule.name, seed);
        return 1;
      }
      if (set_up) continue;
      fmt::print("schedule {}: its situation did not arise with any of {} seeds\n", schedule.name,
                 kScheduleSeeds);
      return 1;
    }
    return 0;
  }

  // After the seeds: what no judge minds may still be told otherwise than it is written down.
  int TellStories() const {
    if (provoked_ || !options_.off.empty()) return 0;
    for (const std::string& name : StoriesIn(options_.stories)) {
      const auto otherwise = ToldOtherwise(StoryPath(options_.stories, name));
      if (!otherwise) continue;
      fmt::print(
          "story {} goes otherwise than it is written down\n  {}\nIf that is as it should be, "
          "PARTI_REWRITE_STORIES=1 simulation_test writes it down anew.\n",
          name, *otherwise);
      return 1;
    }
    return 0;
  }

  int TellSchedule(const Schedule& schedule, std::uint64_t seed) const {
    History history(options_.verbose ? History::Keep::kTraffic : History::Keep::kFacts);
    const Played played = schedule.play(seed, &history);
    fmt::print("{}: {}\n", schedule.name, schedule.what);
    for (const History::Line& line : history.lines()) fmt::print("{}\n", History::Render(line));
    if (!played.set_up) fmt::print("the situation did not arise\n");
    if (!played.violation) return 0;
    fmt::print("\nbroke a promise: {}\n  {}\n", played.violation->invariant,
               played.violation->what);
    return 1;
  }

  // The smallest world that still breaks the promise of this seed.
  int ShrinkAndTell(std::uint64_t seed) const {
    const std::optional<Shrunk> shrunk = Shrink(Draw(seed));
    if (!shrunk) {
      fmt::print("seed {} breaks no promise: there is nothing to shrink\n", seed);
      return 0;
    }
    fmt::print("\nshrunk, after {} smaller worlds: a world with less in it that fails alike\n",
               shrunk->tries);
    TellScenario(shrunk->scenario, false);
    fmt::print("replay: sim --seed {} --shrink{}\n", seed, Switches());
    return 1;
  }

  std::string Switches() const {
    std::string switches;
    for (const std::string& rule : options_.off) switches += fmt::format(" --off {}", rule);
    if (provoked_) switches += fmt::format(" --provoke {}", options_.provoke);
    return switches;
  }

  // The seed once more, with its history kept.
  int Tell(std::uint64_t seed, bool whole) const {
    const int code = TellScenario(Draw(seed), whole);
    if (code != 0) fmt::print("replay: sim --seed {} --story{}\n", seed, Switches());
    return code;
  }

  int TellScenario(const Scenario& scenario, bool whole) const {
    History history(options_.verbose ? History::Keep::kTraffic : History::Keep::kFacts);
    const Outcome outcome = simulation::Run(scenario, &history);
    fmt::print("{}\n", Describe(scenario));
    const std::vector<History::Line>& lines = history.lines();
    std::size_t begin = 0;
    if (!whole && lines.size() > kHistoryLines) {
      begin = lines.size() - kHistoryLines;
      fmt::print("… {} lines before\n", begin);
    }
    for (std::size_t i = begin; i < lines.size(); ++i) {
      fmt::print("{}\n", History::Render(lines[i]));
    }
    if (!outcome.violation) {
      fmt::print("seed {} kept every promise; history {:016x}\n", scenario.seed, outcome.hash);
      return 0;
    }
    fmt::print("\nseed {} broke a promise at {:.6f} s: {}\n  {}\n", scenario.seed,
               static_cast<double>(outcome.violation->time) / 1e9, outcome.violation->invariant,
               outcome.violation->what);
    return 1;
  }

  const CampaignOptions& options_;
  const bool terminal_ = isatty(STDOUT_FILENO) != 0;
  std::atomic<std::uint64_t> next_;
  std::atomic<bool> failed_ = false;
  std::optional<core::Rule> provoked_;
  Sum sum_;
  SteadyClock::time_point start_;
  SteadyClock::time_point shown_;
};

}  // namespace

int RunCampaign(const CampaignOptions& options) { return Campaign(options).Run(); }

}  // namespace parti::simulation
