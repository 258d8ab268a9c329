#include "test/simulation/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "test/simulation/chaos.h"
#include "test/simulation/world.h"

namespace parti::simulation {
namespace {

constexpr core::Nanos kLook = 200 * core::kMillisecond;

// What must not change any more once the group is at rest.
struct Movement {
  std::uint64_t documents = 0;
  std::uint64_t claims = 0;
  std::uint64_t leaders = 0;
  friend bool operator==(const Movement&, const Movement&) = default;
};

Movement Observe(World& world) {
  return {world.kv().documents(), world.claims().changes(), world.kv().leader_changes()};
}

// Waits until everything is owned and balanced and nothing moves for the scenario's quiet time.
void Settle(World* world, const Scenario& scenario) {
  std::string missing = "nothing was looked at";
  for (;;) {
    const auto late = [&] {
      return world->now() > world->shared().last_fault + scenario.SettleBound();
    };
    const auto settled = [&] {
      std::optional<std::string> unsettled = world->Unsettled();
      if (!unsettled) unsettled = world->Misreported();
      if (unsettled) missing = *unsettled;
      return !unsettled.has_value();
    };
    while (world->verdict().good() && !settled() && !late()) world->RunFor(kLook);
    if (!world->verdict().good()) return;
    if (!settled()) {
      world->shared().verdict.Broken(
          world->now(), "the group settles once faults have stopped",
          fmt::format("{:.1f} s after the last fault: {}",
                      static_cast<double>(world->now() - world->shared().last_fault) / 1e9,
                      missing));
      return;
    }
    const core::Nanos since = world->now();
    const Movement before = Observe(*world);
    while (world->verdict().good() && Observe(*world) == before && settled() &&
           world->now() < since + scenario.QuietTime()) {
      world->RunFor(kLook);
    }
    if (!world->verdict().good() || world->now() >= since + scenario.QuietTime()) return;
    if (late()) {
      world->shared().verdict.Broken(world->now(), "nothing moves once the group has settled",
                                     missing);
      return;
    }
  }
}

}  // namespace

Outcome Run(const Scenario& scenario, History* history) {
  World world(scenario, history);
  Chaos chaos(&world);
  chaos.Begin();
  world.RunUntil(scenario.chaos);
  if (world.verdict().good()) {
    chaos.End();
    Settle(&world, scenario);
  }
  Outcome outcome;
  outcome.violation = world.verdict().violation();
  outcome.tally = world.shared().tally;
  outcome.hash = history->hash();
  outcome.steps = world.shared().queue.steps();
  outcome.simulated = world.now();
  outcome.settled_after =
      std::max<core::Nanos>(0, world.now() - scenario.QuietTime() - world.shared().last_fault);
  return outcome;
}

}  // namespace parti::simulation
