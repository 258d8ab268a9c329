// The records in the four KV buckets, and their bytes.
//
// Values are JSON objects with a wire version `v`; from kCompressFromBytes on, zstd frames of the
// same. Everything read is untrusted: decoding checks types, ranges and sizes and never trusts a
// length. 64-bit numbers that may exceed 2^53 (nonces, stream ids) travel as hexadecimal strings.
//
//   bucket       key        record      written by
//   stableid     worker id  Claim       the worker, once per life
//   election     "leader"   Leader      the leader; a challenger
//   election     "control"  Control     people, through the command
//   election     "report"   Report      the leader, for people
//   heartbeat    worker id  Heartbeat   the worker; the leader, to evict
//   assignment   worker id  Doc         the leader
#ifndef PARTI_INTERNAL_WIRE_RECORDS_H_
#define PARTI_INTERNAL_WIRE_RECORDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "parti/assignment.h"

namespace parti::wire {

// A build reads every version from kOldestWireVersion up to its newest, and writes the one that the
// group has agreed on (docs/upgrades.md). Only a change that older builds would misread makes a new
// version; unknown fields are ignored, so adding one doesn't.
inline constexpr int kOldestWireVersion = 1;
inline constexpr int kWireVersion = 1;  // the newest that these records describe
// The newest that this program speaks: kWireVersion. In a translation unit of its own, so that a
// test program can be a newer build.
int BuildVersion();
// A larger one in a record is malformed.
inline constexpr int kMaxWireVersion = 1'000'000;

inline constexpr std::size_t kCompressFromBytes = 64 * 1024;
// A record that would decode to more than this is refused unread (decompression bombs).
inline constexpr std::size_t kMaxDecodedBytes = 64 * 1024 * 1024;
// Longest lease that a record may claim. A larger one is malformed: it would hold a partition
// hostage.
inline constexpr std::int64_t kMaxLeaseMs = 24LL * 3600 * 1000;

enum class Mode { kExclusive, kFast };
std::string_view ModeName(Mode mode);  // "exclusive", "fast"

// Identifies an operating system process: two equal ones are the same process, and whoever shares
// boot id and pid namespace with it can tell that it is gone.
struct ProcessId {
  std::string boot_id;              // /proc/sys/kernel/random/boot_id; empty: unknown
  std::uint64_t pid_namespace = 0;  // inode of /proc/self/ns/pid
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// Who holds, or last held, a worker id.
struct Claim {
  std::string identity;  // the application's name for this process, stable over restarts
  std::uint64_t incarnation = 0;
  std::uint64_t nonce = 0;
  std::int64_t lease_ms = 0;
  ProcessId process;
  friend bool operator==(const Claim&, const Claim&) = default;
};

// Who leads, and what the group has agreed on. (epoch, nonce) is the fence. Its own layout is that
// of version 1 for good, fields may only be added: so every build, however old, can tell that a
// group has left it behind.
struct Leader {
  std::uint64_t epoch = 0;
  std::uint64_t nonce = 0;
  std::string holder;  // worker id
  std::uint64_t renewals = 0;
  bool released = false;  // the holder resigned: no need to wait for it
  Mode mode = Mode::kExclusive;
  int wire_version = 1;  // the group's: what all other records are written in
  // Identities of the streams that the leader's picture rests on; 0: not confirmed yet. A successor
  // that finds another one knows that the bucket was recreated.
  std::uint64_t assignment_stream = 0;
  std::uint64_t heartbeat_stream = 0;
  // The holder's newest heartbeat sent before this record was: its life's nonce and its number.
  // Whoever received this record at some moment knows that this heartbeat, and so its lease, began
  // earlier.
  std::uint64_t holder_nonce = 0;
  std::uint64_t holder_beat = 0;
  friend bool operator==(const Leader&, const Leader&) = default;
};

enum class HeartbeatKind {
  kLive,
  kLeft,     // written by the worker as its last value: it holds nothing
  kEvicted,  // the tombstone, written by a leader
};

// A partition whose acquire hook failed: the worker gives it back.
struct Refusal {
  std::string partition;
  FencingToken token;
  std::string reason;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

struct Heartbeat {
  HeartbeatKind kind = HeartbeatKind::kLive;
  std::uint64_t incarnation = 0;  // the life
  std::uint64_t nonce = 0;        // the life's
  std::uint64_t number = 0;       // within the life, from 1
  std::int64_t lease_ms = 0;
  std::uint64_t applied_revision = 0;  // the doc applied last in this life; 0: none
  std::uint64_t applied_nonce = 0;
  std::uint64_t highest_epoch = 0;  // highest epoch the worker has seen
  std::int64_t capacity = 1;        // 0: gives no work to this worker
  std::string state;
  std::map<std::string, std::string> labels;
  std::vector<Refusal> refused;
  int speaks = 1;  // the newest wire version of the sender's build
  // Tombstone only: the revision it replaced (0: the key was absent), and the evicting epoch.
  std::uint64_t replaced_revision = 0;
  std::uint64_t evicting_epoch = 0;
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// The assignment of one worker. Its identity is its KV revision together with `nonce`.
struct Doc {
  std::uint64_t epoch = 0;    // of the leader that wrote it
  std::uint64_t nonce = 0;    // of that leader's epoch
  std::uint64_t version = 0;  // of the rebalance
  std::uint64_t life_incarnation = 0;
  std::uint64_t life_nonce = 0;
  std::int64_t life_lease_ms = 0;
  std::vector<OwnedPartition> owned;   // sorted by id
  std::vector<std::string> releasing;  // sorted; disjoint from owned
  // Stands in for a doc that could not be read: what the life named here holds is not known, so it
  // holds everything until it is over.
  bool unknown = false;
  friend bool operator==(const Doc&, const Doc&) = default;
};

// What people want of the leader. Written by CAS, by whoever wants something; never by a worker.
// Nothing of ownership rests on it.
struct Pin {
  std::string partition;
  std::string worker;
  friend bool operator==(const Pin&, const Pin&) = default;
};
struct Control {
  bool paused = false;               // nothing that has an owner is moved by plan
  std::vector<std::string> drained;  // worker ids that get no partitions; sorted
  std::vector<Pin> pins;             // sorted by partition, one each
  friend bool operator==(const Control&, const Control&) = default;
};

// What the leader tells about its work, for status commands. Written by CAS when it changes, a few
// times a second at most. Nothing of ownership rests on it: who owns what is in the docs.
struct Report {
  std::uint64_t epoch = 0;
  std::uint64_t nonce = 0;
  std::string leader;                  // worker id
  std::string state;                   // of the calculator: Idle, Scaling, Rebalancing, Emergency
  std::uint64_t version = 0;           // of the plan
  std::string cause;                   // of the plan
  bool listed = false;                 // the partition list is known
  std::uint64_t partitions = 0;        // in the list
  std::uint64_t unassigned = 0;        // of those: in nobody's `owned`
  std::vector<std::string> sample;     // some of the unassigned, sorted; at most kReportSample
  std::uint64_t control_revision = 0;  // the newest revision of Control that was read; 0: none
  bool control_settled = false;        // and everything that it asks for is so
  std::vector<std::string>
      problems;  // what of Control can't be done and why; at most kReportSample
  friend bool operator==(const Report&, const Report&) = default;
};
inline constexpr std::size_t kReportSample = 100;
// The keys of the election bucket.
inline constexpr std::string_view kLeaderKey = "leader";
inline constexpr std::string_view kControlKey = "control";
inline constexpr std::string_view kReportKey = "report";

// `version`: which to write, kOldestWireVersion to BuildVersion().
std::string Encode(const Claim& record, int version = kOldestWireVersion);
std::string Encode(const Leader& record);
std::string Encode(const Heartbeat& record, int version = kOldestWireVersion);
std::string Encode(const Doc& record, int version = kOldestWireVersion);
std::string Encode(const Control& record);
std::string Encode(const Report& record);

// InvalidArgument: malformed, says what and where. Unimplemented: a wire version above `newest`.
// ResourceExhausted: larger than kMaxDecodedBytes.
absl::StatusOr<Claim> DecodeClaim(std::string_view bytes, int newest = BuildVersion());
absl::StatusOr<Leader> DecodeLeader(std::string_view bytes, int newest = BuildVersion());
absl::StatusOr<Heartbeat> DecodeHeartbeat(std::string_view bytes, int newest = BuildVersion());
absl::StatusOr<Doc> DecodeDoc(std::string_view bytes, int newest = BuildVersion());
absl::StatusOr<Control> DecodeControl(std::string_view bytes, int newest = BuildVersion());
absl::StatusOr<Report> DecodeReport(std::string_view bytes, int newest = BuildVersion());

// What a claim, heartbeat or doc that couldn't be decoded tells of its lease all the same, in ms:
// the field keeps its name and place in every version. 0 if it tells nothing.
std::int64_t LeaseOfUnreadable(std::string_view bytes);

// Upper bound of the bytes that one more partition adds to an encoded Doc, before compression.
std::size_t DocBytesPerPartition(std::string_view partition_id);
// Upper bound of an encoded Doc without partitions.
inline constexpr std::size_t kDocBaseBytes = 512;

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_RECORDS_H_
