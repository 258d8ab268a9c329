// Judges a worker's health from its status: the definition of parti::WorkerHealth.
#ifndef PARTI_INTERNAL_RUNTIME_HEALTH_H_
#define PARTI_INTERNAL_RUNTIME_HEALTH_H_

#include <string>

#include "internal/core/time.h"
#include "parti/status.h"

namespace parti::runtime {

// What a WorkerStatus doesn't tell.
struct HealthFacts {
  bool started = false;        // Start was called
  bool ended = false;          // the loop has ended
  std::string fatal;           // why the worker can't go on; empty: it can
  core::Nanos lease = 0;       // heartbeat_ttl
  core::Nanos loop_stuck = 0;  // for how long the loop has been at one event; 0: it waits
};

WorkerHealth JudgeHealth(const WorkerStatus& status, const HealthFacts& facts);

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_HEALTH_H_
