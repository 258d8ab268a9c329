// A strategy that keeps work near its data: a partition whose first key is a zone goes to a worker
// whose label `zone` is the same; where there is none, to any. Who has it keeps it, as long as that
// leaves the counts even.
#ifndef EXAMPLES_CUSTOM_STRATEGY_ZONE_STRATEGY_H_
#define EXAMPLES_CUSTOM_STRATEGY_ZONE_STRATEGY_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "parti/strategy.h"

class ZoneStrategy : public parti::AssignmentStrategy {
 public:
  std::string_view name() const override { return "zone"; }
  absl::StatusOr<std::vector<std::int32_t>> Assign(
      const parti::AssignmentInput& input) const override;
};

#endif  // EXAMPLES_CUSTOM_STRATEGY_ZONE_STRATEGY_H_
