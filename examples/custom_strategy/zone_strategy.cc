#include "zone_strategy.h"

#include <algorithm>
#include <map>
#include <string>

namespace {

bool IsIn(const parti::WorkerInfo& worker, const std::string& zone) {
  const auto label = worker.labels.find("zone");
  return label != worker.labels.end() && label->second == zone;
}

// Shares `partitions` out among `workers`: none gets more than its part rounded up. Only what is
// above that, or has no owner among them, moves.
void ShareOut(const std::vector<std::size_t>& partitions, const std::vector<std::int32_t>& workers,
              const parti::AssignmentInput& input, std::vector<std::int32_t>& owners) {
  const std::size_t most = (partitions.size() + workers.size() - 1) / workers.size();
  std::map<std::int32_t, std::size_t> counts;
  for (const std::int32_t worker : workers) counts[worker] = 0;

  std::vector<std::size_t> homeless;
  for (const std::size_t partition : partitions) {
    const auto owner = counts.find(input.previous_owner[partition]);
    if (owner != counts.end() && owner->second < most) {
      owners[partition] = owner->first;
      ++owner->second;
    } else {
      homeless.push_back(partition);
    }
  }
  for (const std::size_t partition : homeless) {
    const auto least = std::min_element(counts.begin(), counts.end(),
                                        [](auto& a, auto& b) { return a.second < b.second; });
    owners[partition] = least->first;
    ++least->second;
  }
}

}  // namespace

absl::StatusOr<std::vector<std::int32_t>> ZoneStrategy::Assign(
    const parti::AssignmentInput& input) const {
  // Ordered maps, and no chance or clock: the same input gives the same output in every process.
  std::map<std::string, std::vector<std::size_t>> zones;
  for (std::size_t i = 0; i < input.partitions.size(); ++i) {
    zones[input.partitions[i].keys.front()].push_back(i);
  }
  std::vector<std::int32_t> owners(input.partitions.size(), parti::kUnassigned);
  for (const auto& [zone, partitions] : zones) {
    std::vector<std::int32_t> here;
    std::vector<std::int32_t> everywhere;
    for (std::size_t i = 0; i < input.workers.size(); ++i) {
      everywhere.push_back(static_cast<std::int32_t>(i));
      if (IsIn(input.workers[i], zone)) here.push_back(static_cast<std::int32_t>(i));
    }
    ShareOut(partitions, here.empty() ? everywhere : here, input, owners);
  }
  return owners;
}
