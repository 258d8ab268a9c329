// What kind of world a seed makes: its workers, their settings, and how much goes wrong.
#ifndef PARTI_TEST_SIMULATION_SCENARIO_H_
#define PARTI_TEST_SIMULATION_SCENARIO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "internal/core/settings.h"
#include "internal/core/time.h"
#include "parti/strategy.h"

namespace parti::simulation {

using core::Nanos;

// What happens to requests, answers and watches. Probabilities are per request, per message or per
// watch; zero everywhere is a network with nothing but latency.
struct NetworkFaults {
  Nanos latency_min = core::kMillisecond;
  Nanos latency_extra = 0;  // mean of an exponential addition
  double slow = 0;          // a way that takes `slow_mean` longer
  Nanos slow_mean = 0;
  double lose_request = 0;
  double lose_answer = 0;
  double land_late = 0;  // the answer is lost, and the request is carried out after its timeout
  Nanos late_mean = 0;
  Nanos late_max = 0;
  double document_late = 0;  // the same, for documents alone
  double refuse = 0;
  double partial_scan = 0;
  double watch_stall = 0;
  double watch_break = 0;
  double skip_superseded = 0;  // a watch leaves out what was overwritten meanwhile
};

struct HookFaults {
  Nanos typical = 0;  // mean duration
  double slow = 0;
  Nanos slow_mean = 0;
  double stuck = 0;
  Nanos stuck_max = 0;
  double fail_acquire = 0;
};

struct StrategyFaults {
  Nanos typical = core::kMillisecond;
  double slow = 0;
  Nanos slow_mean = 0;
  double fail = 0;
};

// Faults that strike now and then.
enum class Strike : std::uint8_t {
  kCrash,
  kReboot,
  kPause,
  kLeave,
  kJoin,
  kTwin,
  kCut,
  kOutage,
  kFreezeServer,
  kStallWatches,
  kBreakWatches,
  kDeleteKey,
  kGarbage,
  kWipeOne,
  kWipeAll,
  kRollBack,
  kChangePartitions,
  kAskRebalance,
  kControl,
  kCount
};
inline constexpr std::size_t kStrikes = static_cast<std::size_t>(Strike::kCount);
std::string_view StrikeName(Strike strike);

struct Scenario {
  std::uint64_t seed = 0;
  std::string profile = "calm";

  core::Settings settings;  // of every worker, but for identity and process
  bool leases_differ = false;
  Nanos lease_max = 0;  // the largest of any worker; 0: settings.lease
  std::string strategy = "round-robin";
  // Instead of `strategy`, where a schedule says itself who gets what.
  std::shared_ptr<const AssignmentStrategy> scripted;
  int workers = 3;
  int workers_max = 6;
  int partitions = 10;
  int processes_per_host = 1;
  bool clocks_drift = false;
  bool capacities_differ = false;
  bool identity_is_exclusive = false;
  bool settings_differ = false;  // timeouts, windows and intervals, from worker to worker
  bool modes_differ = false;     // now and then a process of the other mode tries to join
  bool few_ids = false;          // fewer worker ids than processes, at times
  // Two builds: the first workers speak wire version 1 only; who starts after `upgraded_at`, and
  // some before, speak 2 as well.
  bool two_builds = false;
  Nanos upgraded_at = 0;
  Nanos start_spread = 0;      // the first workers start within this time
  bool control_stays = false;  // people's last wishes are in force when all is calm again
  bool tight_docs = false;     // a doc has hardly room for a worker's share
  Nanos listing_delay = core::kMillisecond;
  double listing_fails = 0;

  Nanos chaos = 0;  // how long faults strike
  Nanos strike_mean = 0;
  double aim_at_leader = 0.4;
  std::array<double, kStrikes> weights{};
  double mid_step = 0;  // a crash or pause strikes between two effects of one step
  double lurk = 0;      // at moments that matter (see chaos.h) something strikes on purpose
  NetworkFaults network;
  HookFaults hooks;
  StrategyFaults strategy_faults;

  bool has(Strike strike) const { return weights[static_cast<std::size_t>(strike)] > 0; }
  Nanos longest_lease() const { return lease_max > 0 ? lease_max : settings.lease; }

  // Within this time after the last fault everything is owned, balanced and at rest.
  Nanos SettleBound() const;
  // At rest means: nothing moved for this long.
  Nanos QuietTime() const;
};

Scenario DrawScenario(std::uint64_t seed);

// One line for people.
std::string Describe(const Scenario& scenario);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_SCENARIO_H_
