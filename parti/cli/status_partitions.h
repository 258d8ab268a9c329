// Who owns what, from the assignments and what the workers have applied of them: the second step of
// JudgeGroup.
#ifndef PARTI_CLI_STATUS_PARTITIONS_H_
#define PARTI_CLI_STATUS_PARTITIONS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "parti/cli/group_snapshot.h"
#include "parti/cli/status_model.h"
#include "parti/cli/status_workers.h"

namespace parti::cli {

// The partitions that assignments tell of. Keeps views of the snapshot's records.
class PartitionLedger {
 public:
  // Also counts for each member what it owns, was granted, and so on.
  explicit PartitionLedger(std::vector<Member>* members);

  // With the report's word on the list; `report` may be null.
  PartitionCounts Counts(const wire::Report* report) const;
  // Every partition known by name.
  std::vector<PartitionStatus> List(const wire::Report* report) const;
  // Partitions in the assignments of two living workers: "p-1 (worker-0 and worker-2)".
  const std::vector<std::string>& contested() const { return contested_; }
  // Partition → "worker-1: why", of those given back.
  const std::map<std::string, std::string>& refusals() const { return refusals_; }
  // Held by each worker whose life is not over but who doesn't live, in the members' order.
  const std::vector<std::size_t>& waiting() const { return waiting_; }
  // Assigned to lives that are over: the leader has yet to clean that up.
  std::size_t leftovers() const { return leftovers_; }

 private:
  struct Entry {
    PartitionState state = PartitionState::kUnowned;
    const Member* owner = nullptr;
    const Member* from = nullptr;
    FencingToken token = {};
  };
  enum class Standing { kOver, kWaiting, kAlive };
  static Standing StandingOf(const Member& member);
  void Take(Member& member, std::size_t number);
  void TakeOwned(Member& member, Standing standing, std::size_t number);
  void TakeReleasing(Member& member, Standing standing, std::size_t number);

  std::unordered_map<std::string_view, Entry> entries_;
  std::vector<std::string> contested_;
  std::map<std::string, std::string> refusals_;
  std::vector<std::size_t> waiting_;
  std::size_t leftovers_ = 0;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_STATUS_PARTITIONS_H_
