// Reads a group's buckets from NATS, and keeps reading them. It only reads: nothing is written, and
// no bucket is created.
//
//   auto reader = GroupReader::Create(options);
//   absl::Status status = (*reader)->Await(std::chrono::seconds(5), stop);  // all was read
//   JudgeGroup((*reader)->snapshot(), …);
//   (*reader)->Pump(std::chrono::seconds(1));                          // what came meanwhile
//
// How old a record is, is told without comparing two machines' clocks: what stood when it was read
// first, by the server's own clock, which stamped both the record and the beginning of the reading;
// what came later, from its arrival.
//
// Thread safety: one thread, except Wake.
#ifndef PARTI_CLI_GROUP_SNAPSHOT_READER_H_
#define PARTI_CLI_GROUP_SNAPSHOT_READER_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/core/event.h"
#include "internal/kv/nats_kv.h"
#include "parti/cli/group_snapshot.h"

namespace parti::cli {

class GroupReader {
 public:
  // `options`: its sinks and create_buckets are set here. InvalidArgument if they can't work.
  static absl::StatusOr<std::unique_ptr<GroupReader>> Create(kv::NatsKvOptions options);
  ~GroupReader();
  GroupReader(const GroupReader&) = delete;
  GroupReader& operator=(const GroupReader&) = delete;

  // Waits until all four buckets were read. Unavailable, NotFound, PermissionDenied, …: why not.
  // Cancelled: `stop` said so; it is asked whenever something comes, and after Wake.
  absl::Status Await(std::chrono::milliseconds timeout, const std::function<bool()>& stop);

  // Takes in what came, for `time` at most. True as soon as something did, or Wake was called.
  bool Pump(std::chrono::milliseconds time);

  // All four buckets are being watched, and were read to their ends.
  bool Complete() const;
  // Why it isn't complete; OK if nothing is known.
  absl::Status Problem();

  // With `now` set.
  const GroupSnapshot& snapshot();

  // Compare-and-set of a key; for the commands that give orders.
  core::KvAnswer Put(wire::Bucket bucket, const std::string& key, std::uint64_t expected,
                     const std::string& value, std::chrono::milliseconds timeout);
  core::KvAnswer Get(wire::Bucket bucket, const std::string& key,
                     std::chrono::milliseconds timeout);

  // Ends a Pump that waits. From any thread, also from a signal's.
  void Wake();

 private:
  GroupReader() = default;
  struct Watch {
    core::WatchId id = 0;  // 0: not open
    bool ended = false;
    LocalNanos opened = 0;
    std::map<std::string, wire::Entry> snapshot = {};  // until it ended
  };
  void Push(core::Event event);
  void Handle(core::Event event);
  void OpenMissing();
  void EndSnapshot(std::size_t bucket, const core::WatchSnapshotEnd& end);
  core::KvAnswer AwaitAnswer(core::RequestId request, std::chrono::milliseconds timeout);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<core::Event> events_;
  bool woken_ = false;
  absl::Status problem_;

  bool connected_ = false;
  std::uint64_t next_id_ = 1;
  std::array<Watch, wire::kBucketCount> watches_;
  std::map<core::RequestId, core::KvAnswer> answers_;
  GroupSnapshot snapshot_;
  std::unique_ptr<kv::NatsKv> kv_;  // last: it goes first, and calls Push until then
};

}  // namespace parti::cli

#endif  // PARTI_CLI_GROUP_SNAPSHOT_READER_H_
