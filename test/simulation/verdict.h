// The first broken promise of a world.
#ifndef PARTI_TEST_SIMULATION_VERDICT_H_
#define PARTI_TEST_SIMULATION_VERDICT_H_

#include <optional>
#include <string>
#include <utility>

#include "internal/core/time.h"

namespace parti::simulation {

struct Violation {
  core::Nanos time = 0;  // true time
  std::string invariant;
  std::string what;
};

class Verdict {
 public:
  // Only the first counts: what follows it is its consequence.
  void Broken(core::Nanos time, std::string invariant, std::string what) {
    if (!violation_) violation_ = {time, std::move(invariant), std::move(what)};
  }
  bool good() const { return !violation_.has_value(); }
  const std::optional<Violation>& violation() const { return violation_; }

 private:
  std::optional<Violation> violation_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_VERDICT_H_
