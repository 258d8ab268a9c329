// How partitions are shared out: a pure function from workers and partitions to owners.
//
// A strategy sees indices, not strings, so that a hundred thousand partitions cost milliseconds and
// a custom one is ten lines:
//
//   class FirstTakesAll : public parti::AssignmentStrategy {
//    public:
//     std::string_view name() const override { return "first-takes-all"; }
//     absl::StatusOr<std::vector<std::int32_t>> Assign(
//         const parti::AssignmentInput& input) const override {
//       return std::vector<std::int32_t>(input.partitions.size(), 0);
//     }
//   };
//
// Only the leader calls it, on a thread of its own, one call at a time. It must be deterministic:
// the same input gives the same output in every process, or partitions move at each change of
// leader.
#ifndef PARTI_STRATEGY_H_
#define PARTI_STRATEGY_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "parti/export.h"
#include "parti/partition.h"

namespace parti {

struct WorkerInfo {
  std::string id;
  // Relative share of the load, at least 1 here (a worker with capacity 0 is not offered).
  std::int64_t capacity = 1;
  std::map<std::string, std::string> labels;
};

inline constexpr std::int32_t kUnassigned = -1;

// The spans are valid during the call only.
struct AssignmentInput {
  std::span<const WorkerInfo> workers;    // sorted by id, ids distinct; never empty
  std::span<const Partition> partitions;  // sorted by id, ids distinct
  // Per partition: the index in `workers` of its present owner, or kUnassigned.
  std::span<const std::int32_t> previous_owner;
};

class PARTI_EXPORT AssignmentStrategy {
 public:
  virtual ~AssignmentStrategy() = default;

  // The name used in logs and on the command line.
  virtual std::string_view name() const = 0;

  // Per partition its owner's index in `input.workers`, or kUnassigned. A result of another size,
  // an index out of range or an error leaves the standing assignment as it is, and is reported.
  virtual absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const = 0;
};

}  // namespace parti

#endif  // PARTI_STRATEGY_H_
