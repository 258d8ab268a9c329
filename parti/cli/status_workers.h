// Who is in the group, from claims, heartbeats and assignments: the first step of JudgeGroup.
#ifndef PARTI_CLI_STATUS_WORKERS_H_
#define PARTI_CLI_STATUS_WORKERS_H_

#include <string>
#include <vector>

#include "parti/cli/group_snapshot.h"
#include "parti/cli/status_model.h"

namespace parti::cli {

// All that the buckets know of one worker id; what isn't there is null.
struct WorkerRecords {
  const Seen<wire::Claim>* claim = nullptr;
  const Seen<wire::Heartbeat>* heartbeat = nullptr;
  const Seen<wire::Doc>* doc = nullptr;

  // The assignment is that of the life that the heartbeat shows.
  bool same_life() const;
  // The heartbeat shows a later life than the assignment names.
  bool newer_life() const;
  // The worker has applied the newest assignment.
  bool applied() const;
};

struct Member {
  WorkerStatus status;
  WorkerRecords records;
};

// By id, numbers in their order. Without counts of partitions.
std::vector<Member> ReadMembers(const GroupSnapshot& snapshot);

// What is wrong with single records.
std::vector<Finding> FindBadRecords(const GroupSnapshot& snapshot,
                                    const std::vector<Member>& members);

}  // namespace parti::cli

#endif  // PARTI_CLI_STATUS_WORKERS_H_
