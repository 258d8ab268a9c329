#include "test/simulation/shrink.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "test/simulation/run.h"

namespace parti::simulation {
namespace {

using core::kMillisecond;
using core::kSecond;

constexpr int kSeedsEach = 15;     // per smaller world
constexpr int kMostTries = 1'500;  // in all

// Takes something away; false: there was nothing to take.
using Cut = std::function<bool(Scenario*)>;

template <typename T>
bool Clear(T* value) {
  if (*value == T{}) return false;
  *value = T{};
  return true;
}

void CutFaults(std::vector<Cut>* cuts) {
  for (std::size_t i = 0; i < kStrikes; ++i) {
    cuts->push_back([i](Scenario* s) { return Clear(&s->weights[i]); });
  }
  cuts->push_back([](Scenario* s) { return Clear(&s->network.refuse); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.lose_request); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.lose_answer); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.land_late); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.document_late); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.slow); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.partial_scan); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.watch_stall); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.watch_break); });
  cuts->push_back([](Scenario* s) { return Clear(&s->network.skip_superseded); });
  cuts->push_back([](Scenario* s) { return Clear(&s->hooks.slow); });
  cuts->push_back([](Scenario* s) { return Clear(&s->hooks.stuck); });
  cuts->push_back([](Scenario* s) { return Clear(&s->hooks.fail_acquire); });
  cuts->push_back([](Scenario* s) { return Clear(&s->strategy_faults.slow); });
  cuts->push_back([](Scenario* s) { return Clear(&s->strategy_faults.fail); });
  cuts->push_back([](Scenario* s) { return Clear(&s->listing_fails); });
  cuts->push_back([](Scenario* s) { return Clear(&s->mid_step); });
  cuts->push_back([](Scenario* s) { return Clear(&s->lurk); });
}

std::vector<Cut> Cuts(Nanos failed_at) {
  std::vector<Cut> cuts;
  // Faults that come after the failure, or nearly all of those before.
  cuts.push_back([failed_at](Scenario* s) {
    const Nanos shorter = failed_at + kSecond;
    if (shorter >= s->chaos) return false;
    s->chaos = shorter;
    return true;
  });
  cuts.push_back([](Scenario* s) {
    if (s->chaos <= 2 * kSecond) return false;
    s->chaos /= 2;
    return true;
  });
  cuts.push_back([](Scenario* s) {
    if (s->partitions <= 1) return false;
    s->partitions = (s->partitions + 1) / 2;
    return !s->tight_docs;
  });
  cuts.push_back([](Scenario* s) {
    if (s->workers <= 1) return false;
    --s->workers;
    s->workers_max = std::min(s->workers_max, s->workers + 2);
    return !s->few_ids;
  });
  cuts.push_back([](Scenario* s) { return Clear(&s->clocks_drift); });
  cuts.push_back([](Scenario* s) { return Clear(&s->capacities_differ); });
  cuts.push_back([](Scenario* s) { return Clear(&s->settings_differ); });
  cuts.push_back([](Scenario* s) { return Clear(&s->modes_differ); });
  cuts.push_back([](Scenario* s) { return Clear(&s->two_builds); });
  cuts.push_back([](Scenario* s) { return Clear(&s->control_stays); });
  cuts.push_back([](Scenario* s) { return Clear(&s->start_spread); });
  cuts.push_back([](Scenario* s) {
    if (!s->leases_differ) return false;
    s->leases_differ = false;
    s->lease_max = s->settings.lease;
    return true;
  });
  CutFaults(&cuts);
  return cuts;
}

std::optional<Violation> Fails(const Scenario& scenario) {
  History history(History::Keep::kHash);
  return Run(scenario, &history).violation;
}

}  // namespace

std::optional<Shrunk> Shrink(const Scenario& scenario) {
  const std::optional<Violation> first = Fails(scenario);
  if (!first) return std::nullopt;
  Shrunk best{scenario, 0};
  Nanos failed_at = first->time;
  const auto try_one = [&](Scenario smaller) {
    for (int i = 0; i < kSeedsEach && best.tries < kMostTries; ++i) {
      smaller.seed = scenario.seed + static_cast<std::uint64_t>(i);
      ++best.tries;
      const std::optional<Violation> violation = Fails(smaller);
      if (!violation || violation->invariant != first->invariant) continue;
      best.scenario = smaller;
      failed_at = violation->time;
      return true;
    }
    return false;
  };
  for (bool smaller = true; smaller && best.tries < kMostTries;) {
    smaller = false;
    for (const Cut& cut : Cuts(failed_at)) {
      Scenario candidate = best.scenario;
      while (cut(&candidate) && try_one(candidate)) {
        smaller = true;
        candidate = best.scenario;
      }
    }
  }
  return best;
}

}  // namespace parti::simulation
