#include "strategies/shares.h"

#include <fmt/format.h>

#include <algorithm>

namespace parti::strategies {
namespace {

std::int64_t Capacity(const WorkerInfo& worker) {
  return std::clamp<std::int64_t>(worker.capacity, 0, kMaxCapacity);
}

}  // namespace

absl::Status CheckInput(const AssignmentInput& input) {
  if (input.previous_owner.size() != input.partitions.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} previous owners for {} partitions: give one for each",
                    input.previous_owner.size(), input.partitions.size()));
  }
  return absl::OkStatus();
}

std::vector<Share> Shares(const AssignmentInput& input) {
  std::int64_t total = 0;
  for (const WorkerInfo& worker : input.workers) total += Capacity(worker);
  std::vector<Share> shares;
  if (total == 0) return shares;
  shares.reserve(input.workers.size());
  for (const WorkerInfo& worker : input.workers) {
    const std::int64_t capacity = Capacity(worker);
    // At most 2^31 partitions, as owners are counted, times 10^9 fits.
    const std::int64_t product = static_cast<std::int64_t>(input.partitions.size()) * capacity;
    shares.push_back({capacity, product / total, product % total});
  }
  return shares;
}

std::int32_t Holder(const AssignmentInput& input, std::size_t p) {
  const std::int32_t holder = input.previous_owner[p];
  const bool known = holder >= 0 && static_cast<std::size_t>(holder) < input.workers.size();
  return known ? holder : kUnassigned;
}

}  // namespace parti::strategies
