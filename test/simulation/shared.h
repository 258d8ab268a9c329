// What all parts of one simulated world share.
#ifndef PARTI_TEST_SIMULATION_SHARED_H_
#define PARTI_TEST_SIMULATION_SHARED_H_

#include <functional>

#include "internal/core/effect.h"
#include "test/simulation/event_queue.h"
#include "test/simulation/history.h"
#include "test/simulation/random.h"
#include "test/simulation/scenario.h"
#include "test/simulation/tally.h"
#include "test/simulation/verdict.h"

namespace parti::simulation {

class Process;

struct Shared {
  Shared(const Scenario& scenario_in, History* history_in)
      : scenario(scenario_in), history(*history_in), random(scenario_in.seed) {}

  // A copy: its faults end when the world heals.
  Scenario scenario;
  History& history;
  EventQueue queue;
  Random random;
  Tally tally;
  Verdict verdict;
  // Whoever records what processes do; called before an effect is carried out.
  std::function<void(const Process&, const core::Effect&)> on_effect;
  Nanos last_fault = 0;  // when the last thing went wrong, as far as is known by now

  Nanos now() const { return queue.now(); }
  bool exclusive() const { return scenario.settings.mode == wire::Mode::kExclusive; }
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_SHARED_H_
