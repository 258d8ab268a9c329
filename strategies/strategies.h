// The strategies that come with Parti.
#ifndef PARTI_STRATEGIES_STRATEGIES_H_
#define PARTI_STRATEGIES_STRATEGIES_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "parti/export.h"
#include "parti/strategy.h"

namespace parti {

// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016; arXiv:1608.01350).
// A worker that joins or leaves moves about 1/n of the partitions; no worker gets more than
// ceil(load_factor × its share), none less than floor(its share / load_factor), and none goes
// without whose share is at least one.
struct ConsistentHashOptions {
  int virtual_nodes = 150;    // per unit of capacity, 1 … 10000
  double load_factor = 1.10;  // 1.0 … 10.0
};
PARTI_EXPORT std::shared_ptr<const AssignmentStrategy> MakeConsistentHash(
    ConsistentHashOptions options = {});

// Counts differ by at most one (per unit of capacity); what is already well placed stays.
PARTI_EXPORT std::shared_ptr<const AssignmentStrategy> MakeRoundRobin();

// "consistent-hash" or "round-robin"; InvalidArgument lists the names.
PARTI_EXPORT absl::StatusOr<std::shared_ptr<const AssignmentStrategy>> MakeStrategy(
    std::string_view name);
PARTI_EXPORT std::vector<std::string_view> StrategyNames();

}  // namespace parti

#endif  // PARTI_STRATEGIES_STRATEGIES_H_
