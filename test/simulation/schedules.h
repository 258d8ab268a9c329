// Precise schedules: each sets up the one situation in which a rule of the protocol is all that
// keeps a promise. Chance finds most of them too rarely to be a test.
#ifndef PARTI_TEST_SIMULATION_SCHEDULES_H_
#define PARTI_TEST_SIMULATION_SCHEDULES_H_

#include <cstdint>
#include <optional>

#include "internal/core/rules.h"
#include "test/simulation/history.h"
#include "test/simulation/verdict.h"

namespace parti::simulation {

struct Played {
  bool set_up = false;  // the situation did arise with this seed
  std::optional<Violation> violation;
};

// True for the rules that have one.
bool HasSchedule(core::Rule rule);
// The seed decides what the schedule leaves to chance: which ids the workers get.
Played PlaySchedule(core::Rule rule, std::uint64_t seed, History* history);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_SCHEDULES_H_
