// The simulator's one source of chance: a stream of numbers that depends on its seed alone.
#ifndef PARTI_TEST_SIMULATION_RANDOM_H_
#define PARTI_TEST_SIMULATION_RANDOM_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "internal/core/time.h"

namespace parti::simulation {

using core::Nanos;

// SplitMix64 (Steele, Lea, Flood, 2014). Not the standard library's distributions: their output may
// differ from one library to the next, and a seed has to mean the same history everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Bits() >> 11) * 0x1.0p-53; }

  bool Chance(double probability) { return probability > 0 && Unit() < probability; }

  // Uniform in [0, limit); 0 when `limit` is 0.
  std::uint64_t Below(std::uint64_t limit) { return limit == 0 ? 0 : Bits() % limit; }
  std::size_t Index(std::size_t size) { return static_cast<std::size_t>(Below(size)); }

  // Uniform in [low, high].
  Nanos Between(Nanos low, Nanos high) {
    return low >= high
               ? low
               : low + static_cast<Nanos>(Below(static_cast<std::uint64_t>(high - low) + 1));
  }
  int Int(int low, int high) { return static_cast<int>(Between(low, high)); }

  Nanos Exponential(Nanos mean) {
    return static_cast<Nanos>(-std::log(1.0 - Unit()) * static_cast<double>(mean));
  }

  // A stream of its own, so that a draw here doesn't shift what is drawn there.
  Random Fork() { return Random(Bits()); }

 private:
  std::uint64_t state_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RANDOM_H_
