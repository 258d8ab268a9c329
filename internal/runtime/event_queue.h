// The one way into the loop thread: events from NATS callbacks, hooks and the application.
#ifndef PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_
#define PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_

#include <condition_variable>
#include <mutex>
#include <vector>

#include "internal/core/event.h"
#include "internal/core/time.h"

namespace parti::runtime {

// Thread safety: Push and Close from any thread, Wait from one. The length is bounded by what core
// asks for: requests and hooks are answered once, and a watch is read as fast as core takes it.
class EventQueue {
 public:
  // Dropped after Close.
  void Push(core::Event event);

  // Returns everything pushed so far; waits for the first until `deadline` (CLOCK_BOOTTIME; in a
  // machine that was suspended meanwhile, up to the remaining time later).
  std::vector<core::Event> Wait(core::Nanos deadline);

  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable pushed_;
  std::vector<core::Event> events_;
  bool closed_ = false;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_EVENT_QUEUE_H_
