// The simulator's claims, written as the event logs that real workers write and judged by the same
// checker as those: `parti check-history`. Times are the simulator's true time, so that machines
// whose clocks drift apart share one clock for the judge.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "internal/core/rules.h"
#include "parti/cli/history.h"
#include "parti/state.h"
#include "test/simulation/chaos.h"
#include "test/simulation/process.h"
#include "test/simulation/run.h"
#include "test/simulation/world.h"

namespace parti::simulation {
namespace {

using ::testing::IsEmpty;

constexpr std::uint64_t kSeeds = 60;
constexpr std::uint64_t kSeedsUnspoilt = 1'500;
constexpr std::uint64_t kSeedsUntilBroken = 2'000;
constexpr core::Nanos kRest = 20 * core::kSecond;

// A log for each process of a world.
class EventLogs {
 public:
  explicit EventLogs(World* world) : world_(*world) {
    world->shared().on_effect = [this](const Process& process, const core::Effect& effect) {
      NoteTheGone();
      Write(process, effect);
    };
  }

  cli::HistoryReport Judge() {
    NoteTheGone();
    cli::History history({.max_gap = std::chrono::hours(1)});
    for (const auto& [number, text] : logs_) {
      const Process& process = *world_.processes()[static_cast<std::size_t>(number)];
      EXPECT_TRUE(history.AddText(fmt::format("{}#{}", process.name(), number), text).ok());
    }
    return history.Judge();
  }

 private:
  // Whoever is killed says nothing more; but before anyone acts on it, it is gone.
  void NoteTheGone() {
    for (const auto& process : world_.processes()) {
      if (process->exists() || !gone_.insert(process->number()).second) continue;
      if (logs_.contains(process->number())) Line(*process, "gone", "");
    }
  }

  void Write(const Process& process, const core::Effect& effect) {
    if (const auto* life = std::get_if<core::LifeBegan>(&effect)) {
      lives_[process.number()] = *life;
      Line(process, "started", "");
    } else if (const auto* lease = std::get_if<core::LeaseUntil>(&effect)) {
      Line(process, "lease",
           fmt::format(R"(,"until":{})", process.clock().TrueTimeOf(lease->until)));
    } else if (const auto* claim = std::get_if<core::Claim>(&effect)) {
      for (const OwnedPartition& p : claim->partitions) {
        held_[{process.number(), p.id}] = lives_[process.number()];
        Grant(process, "acquired", p);
      }
    } else if (const auto* released = std::get_if<core::Released>(&effect)) {
      for (const OwnedPartition& p : released->partitions) {
        Grant(process, released->lost ? "lost" : "released", p);
      }
    } else if (const auto* leader = std::get_if<core::LeadershipChanged>(&effect)) {
      Line(process, "leader",
           fmt::format(R"(,"epoch":{},"gained":{})", leader->epoch, leader->gained));
    } else if (const auto* state = std::get_if<core::StateChanged>(&effect)) {
      Line(process, "state", fmt::format(R"(,"state":"{}")", StateName(state->to)));
    } else if (std::holds_alternative<core::Stopped>(effect)) {
      Line(process, "stopped", "");
    }
  }

  // In the name of the life that had it: a loss may be written when the next one has begun.
  void Grant(const Process& process, std::string_view event, const OwnedPartition& partition) {
    Line(process, held_[{process.number(), partition.id}], event,
         fmt::format(R"(,"epoch":{},"version":{},"partition":"{}")", partition.token.epoch,
                     partition.token.version, partition.id));
  }

  void Line(const Process& process, std::string_view event, std::string_view more) {
    Line(process, event == "gone" ? core::LifeBegan{} : lives_[process.number()], event, more);
  }

  void Line(const Process& process, const core::LifeBegan& life, std::string_view event,
            std::string_view more) {
    std::string& log = logs_[process.number()];
    log += fmt::format(R"({{"t":{},"event":"{}","worker":"{}","incarnation":{}{}}})", world_.now(),
                       event, life.worker, life.incarnation, more);
    log += "\n";
  }

  World& world_;
  std::map<int, std::string> logs_;
  std::map<int, core::LifeBegan> lives_;
  std::map<std::pair<int, std::string>, core::LifeBegan> held_;
  std::set<int> gone_;
};

const std::vector<std::string>& Found(const cli::HistoryReport& report, const std::string& kind) {
  static const std::vector<std::string> none;
  for (const cli::HistoryKind& one : report.kinds) {
    if (one.name == kind) return one.found;
  }
  ADD_FAILURE() << kind;
  return none;
}

// What the checker makes of one seed, whatever the simulator's own judges say.
cli::HistoryReport Check(std::uint64_t seed) {
  const Scenario scenario = DrawScenario(seed);
  History history(History::Keep::kHash);
  World world(scenario, &history);
  EventLogs logs(&world);
  Chaos chaos(&world);
  chaos.Begin();
  world.RunUntil(scenario.chaos);
  chaos.End();
  world.RunFor(kRest);
  return logs.Judge();
}

bool IsExclusive(std::uint64_t seed) {
  return DrawScenario(seed).settings.mode == wire::Mode::kExclusive;
}

TEST(EventLogsTest, TheCheckerFindsNoTwoOwnersInSimulatedHistories) {
  std::size_t claims = 0;
  std::size_t lives = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (!IsExclusive(seed)) continue;
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const cli::HistoryReport report = Check(seed);
    // Ids and epochs may be forgotten where buckets are wiped; owners may not. (A lease may seem to
    // be extended after its end: the simulator stops processes between a decision and its
    // execution.)
    for (const char* kind : {"overlaps", "anomalies", "broken_lines"}) {
      EXPECT_THAT(Found(report, kind), IsEmpty()) << kind;
    }
    claims += report.claims;
    lives += report.lives;
  }
  EXPECT_GT(claims, 1000u);
  EXPECT_GT(lives, 200u);
}

// Where nobody meddles with the buckets, no process is stopped between two effects of one step and
// no hook hangs until its worker gives up, there is nothing at all to find.
bool IsUnspoilt(const Scenario& scenario) {
  for (const Strike strike : {Strike::kDeleteKey, Strike::kGarbage, Strike::kWipeOne,
                              Strike::kWipeAll, Strike::kRollBack}) {
    if (scenario.has(strike)) return false;
  }
  return scenario.mid_step == 0 && scenario.hooks.stuck == 0;
}

TEST(EventLogsTest, TheCheckerFindsNothingWhereNobodyMeddlesWithTheBuckets) {
  std::size_t claims = 0;
  std::size_t terms = 0;
  for (std::uint64_t seed = 1; seed <= kSeedsUnspoilt; ++seed) {
    if (!IsExclusive(seed) || !IsUnspoilt(DrawScenario(seed))) continue;
    const cli::HistoryReport report = Check(seed);
    EXPECT_EQ(report.findings(), 0u) << "seed " << seed << "\n" << cli::HistoryText(report);
    claims += report.claims;
    terms += report.terms;
  }
  EXPECT_GT(claims, 1000u);
  EXPECT_GT(terms, 100u);
}

TEST(EventLogsTest, TheCheckerFindsTwoOwnersWhereARuleIsMissing) {
  core::SetRule(core::Rule::kGrantOnlyFree, false);
  std::size_t overlaps = 0;
  for (std::uint64_t seed = 1; seed <= kSeedsUntilBroken && overlaps == 0; ++seed) {
    if (IsExclusive(seed)) overlaps += Found(Check(seed), "overlaps").size();
  }
  core::SetRule(core::Rule::kGrantOnlyFree, true);
  EXPECT_GT(overlaps, 0u);
}

}  // namespace
}  // namespace parti::simulation
