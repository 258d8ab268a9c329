#include "test/simulation/provoke.h"

#include "test/simulation/random.h"

namespace parti::simulation {
namespace {

using core::kMillisecond;
using core::kSecond;
using core::Rule;

double& Weight(Scenario* scenario, Strike strike) {
  return scenario->weights[static_cast<std::size_t>(strike)];
}

// Few workers, few partitions, short elections and long lives: leaders change, the rest stays.
Scenario Small(std::uint64_t seed) {
  Random random(seed ^ 0x70726f766f6b65ULL);
  Scenario s;
  s.seed = seed;
  s.profile = "provoked";
  s.strategy = random.Chance(0.5) ? "round-robin" : "consistent-hash";
  s.workers = random.Int(3, 4);
  s.workers_max = s.workers + 2;
  s.partitions = random.Int(2, 6);
  s.clocks_drift = true;
  s.chaos = 25 * kSecond;
  s.strike_mean = 1'000 * kMillisecond;
  s.aim_at_leader = 0.7;
  core::Settings& c = s.settings;
  c.lease = random.Between(1'500, 6'000) * kMillisecond;
  c.heartbeat_interval = c.lease / 6;
  c.election_ttl = random.Between(300, 900) * kMillisecond;
  c.debounce = 20 * kMillisecond;
  c.debounce_cap = 100 * kMillisecond;
  c.cold_start_window = 200 * kMillisecond;
  c.planned_scale_window = 50 * kMillisecond;
  c.rebalance_cooldown = 100 * kMillisecond;
  c.release_timeout = 3 * kSecond;
  c.request_timeout = 150 * kMillisecond;
  s.network.latency_min = kMillisecond;
  s.network.latency_extra = 5 * kMillisecond;
  Weight(&s, Strike::kPause) = 0.7;
  Weight(&s, Strike::kCut) = 0.2;
  Weight(&s, Strike::kChangePartitions) = 1.5;
  Weight(&s, Strike::kAskRebalance) = 0.5;
  Weight(&s, Strike::kJoin) = 0.8;
  Weight(&s, Strike::kLeave) = 0.6;
  return s;
}

void LateWrites(Scenario* s) {
  s->network.document_late = 0.3;
  s->network.late_mean = 1'500 * kMillisecond;
  s->network.late_max = 10 * kSecond;
}

void SlowWatches(Scenario* s) {
  s->network.slow = 0.2;
  s->network.slow_mean = 400 * kMillisecond;
}

}  // namespace

Scenario Provoke(Rule rule, std::uint64_t seed) {
  Scenario s = Small(seed);
  switch (rule) {
    case Rule::kReadAfterFence:
    case Rule::kRewriteForeign:
      LateWrites(&s);
      SlowWatches(&s);
      return s;
    case Rule::kFirstGrantWaits:
      Weight(&s, Strike::kWipeOne) = 0.5;
      Weight(&s, Strike::kWipeAll) = 0.3;
      return s;
    case Rule::kUnreadableHoldsAll:
      Weight(&s, Strike::kGarbage) = 1;
      Weight(&s, Strike::kDeleteKey) = 0.5;
      return s;
    default:
      return DrawScenario(seed);  // shown often enough by any world
  }
}

}  // namespace parti::simulation
