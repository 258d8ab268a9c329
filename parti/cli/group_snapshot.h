// What stood in a group's four buckets at one moment, decoded, and how old each record was.
//
// Nothing here talks to a server; GroupReader (group_snapshot_reader.h) fills one, tests write
// theirs by hand, and JudgeGroup (status_model.h) makes sense of it.
//
// Thread safety: a value type.
#ifndef PARTI_CLI_GROUP_SNAPSHOT_H_
#define PARTI_CLI_GROUP_SNAPSHOT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "internal/wire/kv_types.h"
#include "internal/wire/records.h"

namespace parti::cli {

// Nanoseconds of this machine's CLOCK_BOOTTIME.
using LocalNanos = std::int64_t;

template <typename T>
struct Seen {
  std::uint64_t revision = 0;
  // When the server stored it, put on this machine's clock. Told by the server's own clock for
  // what stood already when it was read, by its arrival for what came later.
  LocalNanos since = 0;
  absl::StatusOr<T> record = absl::UnknownError("not read");  // an error: unreadable, and why

  bool readable() const { return record.ok(); }
  const T* get() const { return record.ok() ? &*record : nullptr; }
  std::int64_t AgeMs(LocalNanos now) const { return now > since ? (now - since) / 1'000'000 : 0; }
};

// Deleted keys are not there.
struct GroupSnapshot {
  LocalNanos now = 0;
  std::map<std::string, Seen<wire::Claim>> claims;  // by worker id, as the next two
  std::map<std::string, Seen<wire::Heartbeat>> heartbeats;
  std::map<std::string, Seen<wire::Doc>> docs;
  std::optional<Seen<wire::Leader>> leader;
  std::optional<Seen<wire::Control>> control;
  std::optional<Seen<wire::Report>> report;
  std::map<std::string, std::uint64_t> strangers;  // other keys of the election bucket

  // Takes a key's newest value, or notes that it is deleted.
  void Take(wire::Bucket bucket, const wire::Entry& entry, LocalNanos since);
  // Forgets what was read of a bucket.
  void Clear(wire::Bucket bucket);
};

}  // namespace parti::cli

#endif  // PARTI_CLI_GROUP_SNAPSHOT_H_
