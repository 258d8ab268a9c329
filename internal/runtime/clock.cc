#include "internal/runtime/clock.h"

#include <cstdlib>
#include <ctime>

namespace parti::runtime {

core::Nanos BootNow() {
  timespec now{};
  // Time that stands still would keep every lease alive.
  if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) std::abort();
  return static_cast<core::Nanos>(now.tv_sec) * core::kSecond + now.tv_nsec;
}

}  // namespace parti::runtime
