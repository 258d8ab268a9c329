// The core's environment in the real world.
#ifndef PARTI_INTERNAL_RUNTIME_ENVIRONMENT_H_
#define PARTI_INTERNAL_RUNTIME_ENVIRONMENT_H_

#include <cstdint>
#include <random>

#include "internal/core/environment.h"
#include "internal/runtime/process.h"

namespace parti::runtime {

// Random bits come from the operating system each time: nonces must differ between processes that
// were forked, or machines that were cloned, from one image. They are drawn a few times a second.
class RealEnvironment : public core::Environment {
 public:
  std::uint64_t RandomBits() override {
    return (static_cast<std::uint64_t>(device_()) << 32) | device_();
  }
  bool ProcessIsGone(const wire::ProcessId& process) override {
    return runtime::ProcessIsGone(process);
  }

 private:
  std::random_device device_;
  static_assert(std::random_device::min() == 0 && std::random_device::max() == 0xffff'ffff);
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_ENVIRONMENT_H_
