// The two things core cannot know by itself, handed in so that a seed replays any history.
#ifndef PARTI_INTERNAL_CORE_ENVIRONMENT_H_
#define PARTI_INTERNAL_CORE_ENVIRONMENT_H_

#include <cstdint>

#include "internal/wire/records.h"

namespace parti::core {

class Environment {
 public:
  virtual ~Environment() = default;

  // 64 uniformly distributed bits, for nonces and jitter.
  virtual std::uint64_t RandomBits() = 0;

  // True only if that process certainly exists no more: same boot and pid namespace as ours, and no
  // process with that pid and start time. In doubt: false.
  virtual bool ProcessIsGone(const wire::ProcessId& process) = 0;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_ENVIRONMENT_H_
