// Time as core sees it: a number that the caller hands in. Core reads no clock.
#ifndef PARTI_INTERNAL_CORE_TIME_H_
#define PARTI_INTERNAL_CORE_TIME_H_

#include <cstdint>
#include <limits>

namespace parti::core {

// Nanoseconds on the worker's own clock (CLOCK_BOOTTIME in the real world), or a span of them. Two
// workers' readings are never compared.
using Nanos = std::int64_t;

inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000 * kMillisecond;
inline constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_TIME_H_
