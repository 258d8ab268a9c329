// Where the list of partitions comes from.
#ifndef PARTI_PARTITION_SOURCE_H_
#define PARTI_PARTITION_SOURCE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "parti/export.h"
#include "parti/partition.h"

namespace parti {

// Every worker lists at its start and at each refresh, and should see the same list, for any of
// them may become the leader, whose list counts. Called on a thread of the Manager, where the
// strategy runs too, one call at a time: no hook delays it.
class PARTI_EXPORT PartitionSource {
 public:
  virtual ~PartitionSource() = default;

  // The partitions, ids distinct, any order. An error leaves the list of before in force; it is
  // reported and listing is retried.
  virtual absl::StatusOr<std::vector<Partition>> List() = 0;
};

// A list that never changes.
class PARTI_EXPORT StaticPartitionSource : public PartitionSource {
 public:
  explicit StaticPartitionSource(std::vector<Partition> partitions)
      : partitions_(std::move(partitions)) {}
  absl::StatusOr<std::vector<Partition>> List() override { return partitions_; }

 private:
  std::vector<Partition> partitions_;
};

}  // namespace parti

#endif  // PARTI_PARTITION_SOURCE_H_
