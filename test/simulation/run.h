// One seed, from its first moment to its verdict.
#ifndef PARTI_TEST_SIMULATION_RUN_H_
#define PARTI_TEST_SIMULATION_RUN_H_

#include <cstdint>
#include <optional>

#include "test/simulation/history.h"
#include "test/simulation/scenario.h"
#include "test/simulation/tally.h"
#include "test/simulation/verdict.h"

namespace parti::simulation {

struct Outcome {
  std::optional<Violation> violation;
  Tally tally;
  std::uint64_t hash = 0;         // of the whole history
  std::uint64_t steps = 0;        // events carried out
  core::Nanos settled_after = 0;  // true time from the last fault to rest
  core::Nanos simulated = 0;
};

Outcome Run(const Scenario& scenario, History* history);

inline Outcome RunSeed(std::uint64_t seed, History* history) {
  return Run(DrawScenario(seed), history);
}

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RUN_H_
