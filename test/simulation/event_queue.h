// What is going to happen, in the order of true time; of two things at one instant, the one that
// was planned first.
#ifndef PARTI_TEST_SIMULATION_EVENT_QUEUE_H_
#define PARTI_TEST_SIMULATION_EVENT_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "internal/core/time.h"

namespace parti::simulation {

using core::Nanos;

class EventQueue {
 public:
  Nanos now() const { return now_; }
  bool empty() const { return heap_.empty(); }
  Nanos next_time() const { return heap_.front().time; }
  std::uint64_t steps() const { return steps_; }

  // A time in the past means now.
  void At(Nanos time, std::function<void()> what) {
    heap_.push_back({std::max(time, now_), sequence_++, std::move(what)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(Nanos delay, std::function<void()> what) { At(now_ + delay, std::move(what)); }

  // The queue must not be empty.
  void RunNext() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Planned next = std::move(heap_.back());
    heap_.pop_back();
    now_ = next.time;
    ++steps_;
    next.what();
  }

  // Time passes though nothing happens.
  void AdvanceTo(Nanos time) { now_ = std::max(now_, time); }

 private:
  struct Planned {
    Nanos time;
    std::uint64_t sequence;
    std::function<void()> what;
  };
  static bool Later(const Planned& a, const Planned& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }

  std::vector<Planned> heap_;
  Nanos now_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_EVENT_QUEUE_H_
