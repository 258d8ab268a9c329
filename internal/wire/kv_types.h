// The vocabulary of the KV seam, shared by core (which asks), internal/kv (which does it on NATS)
// and the simulator (which does it in memory).
#ifndef PARTI_INTERNAL_WIRE_KV_TYPES_H_
#define PARTI_INTERNAL_WIRE_KV_TYPES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace parti::wire {

enum class Bucket { kStableId = 0, kElection = 1, kHeartbeat = 2, kAssignment = 3 };
inline constexpr int kBucketCount = 4;
std::string_view BucketName(Bucket bucket);  // "stableid", "election", "heartbeat", "assignment"

// The newest message of one key. `deleted`: it is a delete or purge marker, and `value` is empty.
struct Entry {
  std::string key;
  std::uint64_t revision = 0;
  bool deleted = false;
  std::string value;
  // When the server stored it, in ns by the server's own clock; 0: not known. For people to read:
  // nothing is decided by it.
  std::int64_t stored_at = 0;
};

// One incarnation of a bucket's stream, and how far it has got.
struct StreamState {
  std::uint64_t stream_id = 0;  // creation time in ns: another one means it was recreated
  std::uint64_t last_seq = 0;
  // Of a watch: nothing stands between what its snapshot showed and last_seq (it was removed, or
  // has expired), so that it can't get there and needn't. Of an answer: the stream is empty.
  bool last_seq_gone = false;
};

// What became of a request.
enum class KvCode {
  kOk,
  kConflict,  // compare-and-set: the key's last revision is another one; nothing was written
  kNotFound,  // get: the key has no message at all (a delete marker is an Entry, not this)
  kUnknown,   // no answer in time, or the connection failed: a write may have been made, may land
              // later, or never
  kRefused,   // the server answered with an error: nothing was written and a retry won't help soon
};
std::string_view KvCodeName(KvCode code);

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_KV_TYPES_H_
