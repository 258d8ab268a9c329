#include "test/chaos/chaos.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "test/chaos/register.h"
#include "test/chaos/register_judge.h"

namespace parti::chaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick(20);
constexpr milliseconds kQuiet(200);
constexpr milliseconds kCalm(2'000);  // each has told the others what it knows
constexpr std::int64_t kProgressEvery = 1'000'000'000;
constexpr std::int64_t kJudgeEvery = 10'000'000'000;
// What was logged by then is in the logs, also of who was stopped in between.
constexpr std::int64_t kSurelyRead = 10'000'000'000;
constexpr std::chrono::seconds kRegisterTimeout(60);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

absl::StatusOr<ChaosReport> ChaosRun::Run() {
  if (absl::Status begun = Begin(); !begun.ok()) return begun;
  began_ = cli::BootNanos();
  ends_ = began_ + static_cast<std::int64_t>(options_.minutes * 60e9);
  if (Settle(kQuiet, "at the start")) Torment();
  ChaosReport report;
  report.seed = options_.seed;
  Judge(&report);
  return report;
}

absl::Status ChaosRun::Begin() {
  const auto version = VersionOf(options_.server_binary);
  if (!version.ok()) return version.status();
  version_ = *version;
  if (options_.cluster > 1) {
    if (!MayReplicate(version_)) {
      return absl::FailedPreconditionError(
          fmt::format("--cluster {} needs nats-server 2.9.21 or newer, for before that "
                      "compare-and-set doesn't hold on replicated streams; {} is {}",
                      options_.cluster, options_.server_binary, version_));
    }
    replicas_ = options_.cluster;
  }
  auto servers =
      Servers::Start(options_.server_binary, options_.cluster, options_.folder, network_);
  if (!servers.ok()) return servers.status();
  servers_ = *std::move(servers);
  client_ = std::make_unique<NatsClient>(servers_->urls());

  // A cluster takes a moment to choose its leaders.
  FencedRegister reg(client_.get(), prefix_ + "-register");
  const auto end = std::chrono::steady_clock::now() + kRegisterTimeout;
  absl::Status created = reg.Create(replicas_);
  while (!created.ok() && std::chrono::steady_clock::now() < end && !options_.interrupted()) {
    std::this_thread::sleep_for(milliseconds(100));
    created = reg.Create(replicas_);
  }
  if (!created.ok()) return created;

  auto crew = Crew::Create({.binary = options_.worker_binary,
                            .folder = options_.folder,
                            .prefix = prefix_,
                            .preset = options_.preset,
                            .places = options_.workers,
                            .partitions = options_.partitions,
                            .replicas = replicas_,
                            .broken = options_.broken},
                           servers_.get(), network_);
  if (!crew.ok()) return crew.status();
  crew_ = *std::move(crew);
  for (Place place = 0; place < crew_->size(); ++place) {
    if (absl::Status started = crew_->Start(place); !started.ok()) return started;
  }
  nemesis_ = std::make_unique<Nemesis>(
      crew_.get(), servers_.get(), network_, client_.get(),
      NemesisOptions{.seed = options_.seed, .prefix = prefix_, .only = options_.only});
  if (nemesis_->kinds().empty()) {
    return absl::InvalidArgumentError("--only names no kind of fault that there is here");
  }
  deeds_.open(options_.folder + "/faults.log");
  for (const std::string& what : nemesis_->skipped()) options_.say("SKIPPED: " + what);
  return absl::OkStatus();
}

std::int64_t ChaosRun::Left() const { return ends_ - cli::BootNanos(); }

void ChaosRun::Tick() {
  std::this_thread::sleep_for(kTick);
  nemesis_->Tick();
  crew_->group().Poll();
  TellDeeds();
  ShowProgress();
}

void ChaosRun::TellDeeds() {
  for (; told_ < nemesis_->deeds().size(); ++told_) {
    const Deed& deed = nemesis_->deeds()[told_];
    const std::string line =
        fmt::format("{:8.2f} s  {:<14} {}", Seconds(deed.began - began_), deed.kind, deed.what);
    options_.say(line);
    deeds_ << fmt::format("{:.6f} {}", Seconds(deed.began), line) << std::endl;
  }
}

void ChaosRun::ShowProgress() {
  const std::int64_t now = cli::BootNanos();
  if (now - shown_ < kProgressEvery) return;
  shown_ = now;
  const cli::Observer& observer = crew_->group().observer();
  const auto holders = observer.HoldersAt(now);
  const auto owned = std::count_if(holders.begin(), holders.end(), [](const cli::Holder& holder) {
    return holder.process.has_value();
  });
  options_.progress(fmt::format(
      "{:.0f} s left, {} faults, {} of {} partitions owned, {} violations",
      std::max(0.0, Seconds(Left())), nemesis_->deeds().size(), owned, holders.size(), seen_));
}

// What the logs show already, so that nobody waits for half an hour. The verdict is that of the
// end.
bool ChaosRun::SawViolation() {
  const std::int64_t now = cli::BootNanos();
  if (now - judged_ < kJudgeEvery) return seen_ > 0;
  judged_ = now;
  const cli::Verdict verdict = crew_->group().observer().Judge(now - kSurelyRead);
  seen_ = verdict.overlaps.size() + verdict.token_regressions.size() +
          verdict.epoch_regressions.size() + verdict.after_lease.size();
  if (seen_ > 0) options_.say("a violation: the run ends here");
  return seen_ > 0;
}

// Faults one at a time or a few at once; mostly the group may settle in between.
void ChaosRun::Torment() {
  std::mt19937_64 random(options_.seed ^ 0x9e3779b97f4a7c15ULL);
  while (Left() > 0 && !options_.interrupted() && violations_.empty() && !SawViolation()) {
    const std::uint64_t die = random() % 10;
    const std::uint64_t faults = die < 6 ? 1 : die < 9 ? 2 : 4;
    for (std::uint64_t i = 0; i < faults; ++i) {
      nemesis_->Strike();
      if (nemesis_->wants_calm()) break;
      const std::int64_t until =
          cli::BootNanos() + static_cast<std::int64_t>(random() % 1000) * 1'000'000;
      while (cli::BootNanos() < until && !options_.interrupted()) Tick();
    }
    while (!nemesis_->quiet() && !options_.interrupted()) Tick();
    if (!nemesis_->failure().empty()) return Violation(nemesis_->failure());
    const bool rest = random() % 10 < 7;
    if (nemesis_->wants_calm()) {
      // Until it is noticed, all look well.
      if (Settle(kCalm, "before all buckets are emptied") && nemesis_->StrikeTheCalm()) {
        Settle(kQuiet, "after all buckets were emptied", nemesis_->deeds().back().began);
      }
    } else if (rest) {
      Settle(kQuiet, "between faults");
    } else {
      const std::int64_t until =
          cli::BootNanos() + static_cast<std::int64_t>(random() % 1500) * 1'000'000;
      while (cli::BootNanos() < until && !options_.interrupted()) Tick();
    }
    if (const std::string ended = crew_->group().UnexpectedEnd(); !ended.empty()) {
      return Violation("a worker ended by itself: " + ended);
    }
  }
}

bool ChaosRun::LedSince(std::int64_t t) const {
  const auto& terms = crew_->group().observer().leaderships();
  return std::any_of(terms.begin(), terms.end(), [t](const auto& term) { return term.t > t; });
}

bool ChaosRun::Settle(milliseconds quiet, const std::string& when, std::int64_t led_since) {
  const auto end = std::chrono::steady_clock::now() + options_.settle;
  std::string why;
  while (!options_.interrupted()) {
    Tick();
    why = LedSince(led_since) ? crew_->group().WhyUnsettled(quiet) : "nobody has come to lead";
    if (why.empty()) return true;
    if (std::chrono::steady_clock::now() < end) continue;
    Violation(fmt::format("not settled within {} s {}: {}\n{}", options_.settle.count(), when, why,
                          crew_->group().Describe()));
    return false;
  }
  return false;
}

void ChaosRun::Judge(ChaosReport* report) {
  nemesis_->EndAll();
  // Twins are on their way out, servers may still be choosing leaders.
  if (violations_.empty() && !options_.interrupted())
    Settle(milliseconds(1000), "after the last fault");
  const std::int64_t now = cli::BootNanos();
  report->minutes = Seconds(now - began_) / 60;
  report->servers = fmt::format("{} × nats-server {}", servers_->size(), version_);
  if (options_.broken.empty()) {
    crew_->StopAll();
  } else {
    for (Place place = 0; place < crew_->size(); ++place) {
      if (crew_->Runs(place)) crew_->Kill(place);
    }
  }
  const cli::Verdict settled = crew_->group().observer().Judge(now);
  JudgeLogs(settled, report);
  JudgeRegister(report);
  for (const Deed& deed : nemesis_->deeds()) ++report->faults[deed.kind];
  AddGaps(settled.gaps, nemesis_->deeds(), report);
  report->skipped = nemesis_->skipped();
  report->processes = crew_->group().size();
  report->terms = crew_->group().observer().leaderships().size();
  report->violations = violations_;
}

void ChaosRun::JudgeLogs(const cli::Verdict& settled, ChaosReport* report) {
  cli::Verdict verdict = crew_->group().observer().Judge(cli::BootNanos());
  const auto take = [this](const std::string& kind, const std::vector<std::string>& found) {
    for (const std::string& what : found) Violation(kind + ": " + what);
  };
  for (const cli::Overlap& overlap : verdict.overlaps) {
    Violation(fmt::format("two owners: {} of {} and {} for {:.3f} ms from {:.6f} s",
                          overlap.partition, crew_->group().name(overlap.first),
                          crew_->group().name(overlap.second),
                          Seconds(overlap.to - overlap.from) * 1e3, Seconds(overlap.from)));
  }
  take("token", verdict.token_regressions);
  take("epoch", verdict.epoch_regressions);
  if (!nemesis_->versions_forgotten()) take("version", verdict.version_regressions);
  if (!nemesis_->ids_forgotten()) {
    take("id", verdict.id_conflicts);
    take("incarnation", verdict.incarnation_regressions);
  }
  take("after a lease", verdict.after_lease);
  take("anomaly", verdict.anomalies);
  take("broken line", verdict.broken_lines);
  if (seen_ > 0 && violations_.empty()) Violation("seen while running, and not in the end");
  if (!options_.interrupted()) take("unowned in the end", settled.unowned);
  for (std::size_t i = 0; i < crew_->group().size(); ++i) {
    const auto& exit = crew_->group().exit(i);
    // SIGKILL is the nemesis's, or of the end.
    if (!exit.has_value() || exit->ok() || exit->signal == SIGKILL) continue;
    // Told to go before it had come so far as to hear.
    const bool began = !ReadFile(crew_->group().EventFile(i)).empty();
    if (exit->signal == SIGTERM && !began) continue;
    Violation(fmt::format("{} ended with {}:\n{}", crew_->group().name(i), exit->ToString(),
                          crew_->group().ErrorTail(i)));
  }
  for (std::size_t i = 0; i < crew_->group().size(); ++i) {
    std::ifstream log(crew_->group().EventFile(i));
    for (std::string line; std::getline(log, line);) {
      if (line.find("\"acquired\"") != std::string::npos) ++report->claims;
    }
  }
}

void ChaosRun::JudgeRegister(ChaosReport* report) {
  for (std::size_t node = 0; node < servers_->size(); ++node) {
    if (absl::Status up = servers_->Restart(node); !up.ok()) Violation(std::string(up.message()));
  }
  FencedRegister reg(client_.get(), prefix_ + "-register");
  const auto end = std::chrono::steady_clock::now() + kRegisterTimeout;
  auto contents = reg.ReadAll();
  while (!contents.ok() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(200));
    contents = reg.ReadAll();
  }
  if (!contents.ok()) {
    return Violation("the register can't be read: " + std::string(contents.status().message()));
  }
  RegisterJudge judge;
  for (std::size_t i = 0; i < crew_->group().size(); ++i) {
    judge.AddLog(crew_->group().name(i), ReadFile(crew_->group().EventFile(i)));
    std::ifstream refusals(crew_->group().EventFile(i) + ".register");
    for (std::string line; std::getline(refusals, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object()) continue;
      ++(json.contains("conflict") ? report->overtaken : report->refused);
      if (json.value("still_owned", false)) {
        Violation("register: refused, and still its owner as it believes: " + line);
      }
    }
  }
  report->writes = contents->entries.size();
  for (const std::string& what : contents->broken) Violation("register: " + what);
  for (const std::string& what : judge.Judge(contents->entries)) Violation("register: " + what);
  if (contents->entries.empty()) Violation("register: nobody ever wrote to it");
}

}  // namespace parti::chaos
