// Precise schedules: each sets up the one situation in which a rule of the protocol is all that
// keeps a promise. Chance finds most of them too rarely to be a test.
#ifndef PARTI_TEST_SIMULATION_SCHEDULES_H_
#define PARTI_TEST_SIMULATION_SCHEDULES_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "internal/core/rules.h"
#include "test/simulation/history.h"
#include "test/simulation/verdict.h"

namespace parti::simulation {

struct Played {
  bool set_up = false;  // the situation did arise with this seed
  std::optional<Violation> violation;
};

struct Schedule {
  std::string_view name;
  std::string_view what;           // one line for people
  std::optional<core::Rule> rule;  // the one that is all that keeps a promise there
  // The seed decides what the schedule leaves to chance: which ids the workers get.
  Played (*play)(std::uint64_t seed, History* history);
  // Another that would keep it, too: only with both off the promise breaks.
  std::optional<core::Rule> behind = std::nullopt;
};

const std::vector<Schedule>& Schedules();
const Schedule* FindSchedule(std::string_view name);  // null: there is none of that name
const Schedule* FindSchedule(core::Rule rule);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_SCHEDULES_H_
