// The one clock that leases are judged by.
#ifndef PARTI_INTERNAL_RUNTIME_CLOCK_H_
#define PARTI_INTERNAL_RUNTIME_CLOCK_H_

#include "internal/core/time.h"

namespace parti::runtime {

// CLOCK_BOOTTIME in ns: it runs on while the machine is suspended, so a lease lapses then too. Wall
// clocks jump, and CLOCK_MONOTONIC stops in a suspended machine. About 30 ns, no system call.
core::Nanos BootNow();

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_CLOCK_H_
