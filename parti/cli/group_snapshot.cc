#include "parti/cli/group_snapshot.h"

#include <utility>

namespace parti::cli {
namespace {

template <typename T>
using Decoder = absl::StatusOr<T> (*)(std::string_view, int);

template <typename T>
Seen<T> Read(const wire::Entry& entry, LocalNanos since, Decoder<T> decode) {
  return {.revision = entry.revision,
          .since = since,
          .record = decode(entry.value, wire::BuildVersion())};
}

template <typename T>
void Put(std::map<std::string, Seen<T>>& records, const wire::Entry& entry, LocalNanos since,
         Decoder<T> decode) {
  if (entry.deleted) {
    records.erase(entry.key);
  } else {
    records.insert_or_assign(entry.key, Read(entry, since, decode));
  }
}

template <typename T>
void Put(std::optional<Seen<T>>& record, const wire::Entry& entry, LocalNanos since,
         Decoder<T> decode) {
  record.reset();
  if (!entry.deleted) record = Read(entry, since, decode);
}

}  // namespace

void GroupSnapshot::Take(wire::Bucket bucket, const wire::Entry& entry, LocalNanos since) {
  switch (bucket) {
    case wire::Bucket::kStableId:
      return Put<wire::Claim>(claims, entry, since, wire::DecodeClaim);
    case wire::Bucket::kHeartbeat:
      return Put<wire::Heartbeat>(heartbeats, entry, since, wire::DecodeHeartbeat);
    case wire::Bucket::kAssignment:
      return Put<wire::Doc>(docs, entry, since, wire::DecodeDoc);
    case wire::Bucket::kElection:
      if (entry.key == wire::kLeaderKey) {
        Put<wire::Leader>(leader, entry, since, wire::DecodeLeader);
      } else if (entry.key == wire::kControlKey) {
        Put<wire::Control>(control, entry, since, wire::DecodeControl);
      } else if (entry.key == wire::kReportKey) {
        Put<wire::Report>(report, entry, since, wire::DecodeReport);
      } else if (entry.deleted) {
        strangers.erase(entry.key);
      } else {
        strangers[entry.key] = entry.revision;
      }
      return;
  }
}

void GroupSnapshot::Clear(wire::Bucket bucket) {
  switch (bucket) {
    case wire::Bucket::kStableId:
      return claims.clear();
    case wire::Bucket::kHeartbeat:
      return heartbeats.clear();
    case wire::Bucket::kAssignment:
      return docs.clear();
    case wire::Bucket::kElection:
      leader.reset();
      control.reset();
      report.reset();
      strangers.clear();
      return;
  }
}

}  // namespace parti::cli
