// The one way into the loop thread: events from NATS callbacks, hooks and the application.
#ifndef PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_
#define PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_

#include <condition_variable>
#include <mutex>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "internal/core/event.h"
#include "internal/core/time.h"

namespace parti::runtime {

// Something that the KV says a person should know. Unavailable: it may pass by itself. Any other
// code: somebody has to act.
struct KvTrouble {
  absl::Status status;
};

using Incoming = std::variant<core::Event, KvTrouble>;

// Thread safety: Push and Close from any thread, Wait from one. The length is bounded by what core
// asks for: requests and hooks are answered once, and a watch is read as fast as core takes it.
class EventQueue {
 public:
  // Dropped after Close.
  void Push(Incoming incoming);

  // Returns everything pushed so far; waits for the first until `deadline` (CLOCK_BOOTTIME; in a
  // machine that was suspended meanwhile, up to the remaining time later).
  std::vector<Incoming> Wait(core::Nanos deadline);

  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable pushed_;
  std::vector<Incoming> events_;
  bool closed_ = false;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_
