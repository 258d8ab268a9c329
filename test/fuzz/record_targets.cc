// The decoders of the records. What they read, they can write and read again; what they refuse,
// they refuse with an error of a bounded size.
//
// An input that begins with 'z' is compressed first: no fuzzer makes a zstd frame by chance.
#include <zstd.h>

#include <string>

#include "internal/wire/limits.h"
#include "internal/wire/pack.h"
#include "internal/wire/records.h"
#include "test/fuzz/targets.h"

namespace parti::fuzz {
namespace {

// An error names a partition at most, and an explanation.
constexpr std::size_t kMaxErrorBytes = 4 * wire::kMaxPartitionIdBytes;

std::string Compressed(std::string_view plain) {
  std::string frame(ZSTD_compressBound(plain.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), 3));
  return frame;
}

std::string ValueOf(Input input) {
  const std::string_view text = TextOf(input);
  return text.starts_with('z') ? Compressed(text.substr(1)) : std::string(text);
}

template <typename Record, typename Decode>
void RoundTrip(const std::string& value, Decode decode) {
  const absl::StatusOr<Record> record = decode(value, wire::BuildVersion());
  if (!record.ok()) {
    Require(record.status().message().size() <= kMaxErrorBytes, "an endless error");
    return;
  }
  // Once: a reason may be cut when it is written. From then on nothing changes.
  const absl::StatusOr<Record> again = decode(wire::Encode(*record), wire::BuildVersion());
  Require(again.ok(), "what was read can't be read again once it is written");
  const absl::StatusOr<Record> third = decode(wire::Encode(*again), wire::BuildVersion());
  Require(third.ok() && *third == *again, "reading and writing changes a record");
  if constexpr (!std::is_same_v<Record, wire::Heartbeat>) {
    Require(*again == *record, "reading and writing changes a record");
  }
}

// What an older build makes of it: never more than the record says.
void CheckLease(const std::string& value, std::int64_t lease_ms) {
  Require(wire::LeaseOfUnreadable(value) == lease_ms, "the lease is told differently");
}

}  // namespace

void FuzzClaim(Input input) {
  const std::string value = ValueOf(input);
  RoundTrip<wire::Claim>(value, wire::DecodeClaim);
  const auto claim = wire::DecodeClaim(value);
  if (claim.ok()) CheckLease(value, claim->lease_ms);
}

void FuzzLeader(Input input) {
  RoundTrip<wire::Leader>(ValueOf(input), [](std::string_view bytes, int newest) {
    return wire::DecodeLeader(bytes, newest);
  });
}

void FuzzHeartbeat(Input input) {
  const std::string value = ValueOf(input);
  RoundTrip<wire::Heartbeat>(value, wire::DecodeHeartbeat);
  const auto heartbeat = wire::DecodeHeartbeat(value);
  if (heartbeat.ok()) CheckLease(value, heartbeat->lease_ms);
}

void FuzzDoc(Input input) {
  const std::string value = ValueOf(input);
  RoundTrip<wire::Doc>(value, wire::DecodeDoc);
  const auto doc = wire::DecodeDoc(value);
  if (doc.ok()) {
    const std::int64_t lease_ms = wire::LeaseOfUnreadable(value);
    Require(lease_ms == doc->life_lease_ms, "the lease is told differently");
  }
}

void FuzzControl(Input input) { RoundTrip<wire::Control>(ValueOf(input), wire::DecodeControl); }

void FuzzReport(Input input) { RoundTrip<wire::Report>(ValueOf(input), wire::DecodeReport); }

void FuzzUnpack(Input input) {
  const std::string_view text = TextOf(input);
  std::string scratch;
  const auto plain = wire::Unpack(text, &scratch);
  if (plain.ok()) Require(plain->size() <= wire::kMaxDecodedBytes, "more than a record may be");
  // Nor does the memory that was tried for what is refused exceed the limit by more than a chunk.
  Require(scratch.capacity() <= 4 * wire::kMaxDecodedBytes, "memory for what is refused");
  const std::int64_t lease_ms = wire::LeaseOfUnreadable(text);
  Require(lease_ms >= 0 && lease_ms <= wire::kMaxLeaseMs, "an endless lease");
  const std::string packed = wire::Pack(std::string(text));
  if (text.starts_with("\x28\xb5\x2f\xfd")) return;  // no record begins so
  std::string again;
  const auto back = wire::Unpack(packed, &again);
  Require(back.ok() && *back == text, "packing changes a value");
}

}  // namespace parti::fuzz
