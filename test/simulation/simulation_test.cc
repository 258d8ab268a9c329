#include <gtest/gtest.h>

#include "test/simulation/run.h"

namespace parti::simulation {
namespace {

TEST(Simulation, SeedsKeepEveryPromise) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    History history(History::Keep::kHash);
    const Outcome outcome = RunSeed(seed, &history);
    ASSERT_FALSE(outcome.violation) << "seed " << seed << ": " << outcome.violation->invariant
                                    << ": " << outcome.violation->what;
  }
}

}  // namespace
}  // namespace parti::simulation
