#include "internal/runtime/clock.h"

#include <ctime>

namespace parti::runtime {

core::Nanos BootNow() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<core::Nanos>(now.tv_sec) * core::kSecond + now.tv_nsec;
}

}  // namespace parti::runtime
