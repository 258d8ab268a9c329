// A machine's clock: it has a reading of its own and runs a little too fast or too slow.
#ifndef PARTI_TEST_SIMULATION_CLOCK_H_
#define PARTI_TEST_SIMULATION_CLOCK_H_

#include "internal/core/time.h"

namespace parti::simulation {

using core::Nanos;

class Clock {
 public:
  Clock(Nanos offset, int rate_ppm) : offset_(offset), rate_ppm_(rate_ppm) {}

  // What the clock shows at a true time (at least 0).
  Nanos At(Nanos true_time) const {
    return offset_ + true_time + true_time / 1'000'000 * rate_ppm_ +
           true_time % 1'000'000 * rate_ppm_ / 1'000'000;
  }

  // The earliest true time, not before 0, at which the clock shows `reading` or more.
  Nanos TrueTimeOf(Nanos reading) const {
    const Nanos elapsed = reading - offset_;
    if (elapsed <= 0) return 0;
    Nanos time = elapsed / (1'000'000 + rate_ppm_) * 1'000'000 +
                 elapsed % (1'000'000 + rate_ppm_) * 1'000'000 / (1'000'000 + rate_ppm_);
    while (At(time) < reading) ++time;
    while (time > 0 && At(time - 1) >= reading) --time;
    return time;
  }

  int rate_ppm() const { return rate_ppm_; }

  // The largest deviation from true time, either way, with which no two clocks' rates differ by
  // more than `drift_ppm`: (1 + x) / (1 - x) = 1 + drift, so x is a little less than half of it.
  static int LargestDeviation(int drift_ppm) {
    return static_cast<int>(std::int64_t{drift_ppm} * 1'000'000 / (2'000'000 + drift_ppm));
  }

 private:
  Nanos offset_;
  int rate_ppm_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_CLOCK_H_
