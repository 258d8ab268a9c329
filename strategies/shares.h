// What every strategy here begins with: a checked input and each worker's share of the load.
#ifndef PARTI_STRATEGIES_SHARES_H_
#define PARTI_STRATEGIES_SHARES_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "parti/strategy.h"

namespace parti::strategies {

// InvalidArgument unless there is one previous owner (or kUnassigned) per partition.
absl::Status CheckInput(const AssignmentInput& input);

// partitions × capacity / total capacity is `whole` + `rest` / total, exactly.
struct Share {
  std::int64_t capacity = 0;  // 0 … kMaxCapacity
  std::int64_t whole = 0;
  std::int64_t rest = 0;
  std::int64_t Ceiling() const { return whole + (rest > 0 ? 1 : 0); }
};

// Larger capacities count as this, so that no product overflows.
inline constexpr std::int64_t kMaxCapacity = 1'000'000'000;

// Per worker. Empty if no worker has any capacity: then nothing can be assigned.
std::vector<Share> Shares(const AssignmentInput& input);

// The worker that holds partition `p` at present, or kUnassigned.
std::int32_t Holder(const AssignmentInput& input, std::size_t p);

}  // namespace parti::strategies

#endif  // PARTI_STRATEGIES_SHARES_H_
