#include "strategies/strategies.h"

#include <fmt/format.h>

namespace parti {
namespace {

const std::vector<std::shared_ptr<const AssignmentStrategy>>& All() {
  static const std::vector<std::shared_ptr<const AssignmentStrategy>> strategies = {
      MakeConsistentHash(), MakeRoundRobin()};
  return strategies;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const AssignmentStrategy>> MakeStrategy(std::string_view name) {
  for (const auto& strategy : All()) {
    if (strategy->name() == name) return strategy;
  }
  return absl::InvalidArgumentError(fmt::format("unknown strategy \"{}\": there are {}", name,
                                                fmt::join(StrategyNames(), " and ")));
}

std::vector<std::string_view> StrategyNames() {
  std::vector<std::string_view> names;
  for (const auto& strategy : All()) names.push_back(strategy->name());
  return names;
}

}  // namespace parti
