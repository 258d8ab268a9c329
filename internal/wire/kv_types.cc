#include "internal/wire/kv_types.h"

namespace parti::wire {

std::string_view BucketName(Bucket bucket) {
  switch (bucket) {
    case Bucket::kStableId:
      return "stableid";
    case Bucket::kElection:
      return "election";
    case Bucket::kHeartbeat:
      return "heartbeat";
    case Bucket::kAssignment:
      return "assignment";
  }
  return "?";
}

std::string_view KvCodeName(KvCode code) {
  switch (code) {
    case KvCode::kOk:
      return "ok";
    case KvCode::kConflict:
      return "conflict";
    case KvCode::kNotFound:
      return "not found";
    case KvCode::kUnknown:
      return "unknown";
    case KvCode::kRefused:
      return "refused";
  }
  return "?";
}

}  // namespace parti::wire
