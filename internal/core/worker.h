// One worker of a group, as a deterministic state machine: a member that claims an id, keeps a
// lease and applies assignments, and a candidate that leads when it is elected.
//
//   core::Worker worker(settings, &environment);
//   std::vector<core::Effect> effects;
//   worker.On(core::Start{}, now, &effects);
//   … carry `effects` out, feed what comes of them back in, and a Tick at worker.NextDeadline() …
//
// It starts no thread, reads no clock and draws no random number: the same events at the same times
// give the same effects. The protocol is docs/protocol.md; rules [1] to [8] are named where they
// are enforced.
//
// Thread safety: none; one thread calls it.
#ifndef PARTI_INTERNAL_CORE_WORKER_H_
#define PARTI_INTERNAL_CORE_WORKER_H_

#include <memory>
#include <vector>

#include "internal/core/effect.h"
#include "internal/core/environment.h"
#include "internal/core/event.h"
#include "internal/core/settings.h"
#include "internal/core/time.h"

namespace parti::core {

class Worker {
 public:
  // `environment` must outlive the worker.
  Worker(Settings settings, Environment* environment);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Takes one event at time `now` and appends what is to be done to `effects`. `now` never goes
  // back between calls. Deadlines that `now` has reached are worked off by any event.
  void On(const Event& event, Nanos now, std::vector<Effect>* effects);

  // When On must be called again at the latest; kNever if only an event can move it.
  Nanos NextDeadline() const;

  // For status and logs.
  State state() const;
  bool is_leader() const;
  bool stopped() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_WORKER_H_
