// Worlds in which one rule of the protocol matters more often than in most: for showing that
// without the rule a promise breaks.
#ifndef PARTI_TEST_SIMULATION_PROVOKE_H_
#define PARTI_TEST_SIMULATION_PROVOKE_H_

#include <cstdint>

#include "internal/core/rules.h"
#include "test/simulation/scenario.h"

namespace parti::simulation {

Scenario Provoke(core::Rule rule, std::uint64_t seed);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_PROVOKE_H_
