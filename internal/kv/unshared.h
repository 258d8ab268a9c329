// Errors that cross threads.
#ifndef PARTI_INTERNAL_KV_UNSHARED_H_
#define PARTI_INTERNAL_KV_UNSHARED_H_

#include <string>

#include "absl/status/status.h"

namespace parti::kv {

// A copy that shares no memory. Copies of an absl::Status count references within Abseil's library,
// where the thread sanitizer can't see it, and would report a race at each error that is freed by
// another thread than made it.
inline absl::Status Unshared(const absl::Status& status) {
  return status.ok() ? absl::OkStatus()
                     : absl::Status(status.code(), std::string(status.message()));
}

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_UNSHARED_H_
