// What a single field may hold. Encoding keeps to these and decoding refuses what exceeds them, so
// that no record that a healthy worker writes is unreadable to another.
#ifndef PARTI_INTERNAL_WIRE_LIMITS_H_
#define PARTI_INTERNAL_WIRE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace parti::wire {

// Every JSON library keeps integers exact up to here.
inline constexpr std::uint64_t kMaxExactInteger = (std::uint64_t{1} << 53) - 1;

inline constexpr std::size_t kMaxNameBytes = 1024;         // identities, worker ids, label names
inline constexpr std::size_t kMaxTextBytes = 4096;         // label values, reasons
inline constexpr std::size_t kMaxPartitionIdBytes = 8192;  // 16 keys of 128 bytes, all escaped
inline constexpr std::size_t kMaxLabels = 256;
inline constexpr std::int64_t kMaxCapacity = 1'000'000;

// The encoder cuts a reason here. A byte that isn't UTF-8 becomes three, so that the result still
// fits kMaxTextBytes.
inline constexpr std::size_t kMaxReasonBytes = 1024;

// More refusals than this wait for a later heartbeat: the leader first takes back those named.
inline constexpr std::size_t kMaxRefusals = 10'000;

// What people may ask of the leader: as many drained workers as there can be ids, and pins.
inline constexpr std::size_t kMaxDrained = 100'000;
inline constexpr std::size_t kMaxPins = 100'000;

// JSON values in a record: bounds the memory that decoding takes.
inline constexpr std::size_t kMaxSmallRecordValues = 100'000;
inline constexpr std::size_t kMaxDocValues = 4'000'000;
inline constexpr int kMaxDepth = 8;

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_LIMITS_H_
