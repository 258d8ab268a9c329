// Makes a failing world smaller: fewer workers, fewer partitions, fewer kinds of fault, a shorter
// time.
//
// A change of the scenario changes what chance makes of it, so each smaller world is tried with
// some seeds; the first of them that breaks the same promise is taken. What is left when nothing
// can be taken away any more is what the failure needs.
#ifndef PARTI_TEST_SIMULATION_SHRINK_H_
#define PARTI_TEST_SIMULATION_SHRINK_H_

#include <optional>

#include "test/simulation/scenario.h"

namespace parti::simulation {

struct Shrunk {
  Scenario scenario;  // fails
  int tries = 0;      // how many worlds were looked at
};

// None: the scenario doesn't fail. Takes some seconds at most; the same scenario always shrinks to
// the same one.
std::optional<Shrunk> Shrink(const Scenario& scenario);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_SHRINK_H_
