// What a worker owns, and the fencing token that comes with each partition.
#ifndef PARTI_ASSIGNMENT_H_
#define PARTI_ASSIGNMENT_H_

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace parti {

// Fencing token of a grant (M. Kleppmann, "How to do distributed locking", 2016): the leader's
// epoch and the version of the rebalance that granted the partition. For one partition, a later
// grant has a greater token. A store that remembers the greatest token it has seen and refuses
// smaller ones rejects the late write of a worker that was paused in the middle of its work.
struct FencingToken {
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  friend auto operator<=>(const FencingToken&, const FencingToken&) = default;
};

// A partition that this worker was granted.
struct OwnedPartition {
  std::string id;  // Partition::Id()
  FencingToken token;
  friend auto operator<=>(const OwnedPartition&, const OwnedPartition&) = default;
};

// A snapshot of the assignment that a worker applied. Partitions are sorted by id.
struct Assignment {
  std::uint64_t epoch = 0;    // 0: none was applied yet in this life
  std::uint64_t version = 0;  // of the rebalance that wrote it
  std::vector<OwnedPartition> partitions;
};

}  // namespace parti

#endif  // PARTI_ASSIGNMENT_H_
