// Calls functions at given times, on one thread of its own.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_INTERNAL_KV_TIMERS_H_
#define PARTI_INTERNAL_KV_TIMERS_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace parti::kv {

class Timers {
 public:
  using Clock = std::chrono::steady_clock;
  // Names a timer until it fires or is cancelled.
  using Id = std::pair<Clock::time_point, std::uint64_t>;

  Timers();
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // After Stop the function is dropped.
  Id At(Clock::time_point time, std::function<void()> call);
  Id After(std::chrono::nanoseconds delay, std::function<void()> call);

  // The call may be under way already, or over.
  void Cancel(const Id& id);

  // No call begins after it; waits for the one under way. Idempotent, not from a call.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Id, std::function<void()>> calls_;
  std::uint64_t next_id_ = 1;
  bool stopping_ = false;
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_TIMERS_H_
