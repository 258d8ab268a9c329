// What the loop thread last said about itself, for whoever asks or waits.
#ifndef PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_
#define PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "internal/core/time.h"
#include "internal/runtime/clock.h"
#include "internal/runtime/health.h"
#include "parti/assignment.h"
#include "parti/state.h"
#include "parti/status.h"

namespace parti::runtime {

// Thread safety: every method from any thread.
class StatusBoard {
 public:
  struct Life {
    std::string worker;
    std::uint64_t incarnation = 0;
  };

  // --- Written by the loop, and by Stop ---
  void BeginLife(Life life);
  void SetState(State state);
  void SetLeader(bool leader, std::uint64_t epoch);
  void SetAssignment(Assignment assignment);
  // Why the worker can't go on. The first one counts.
  void SetFatal(absl::Status status);
  void SetError(std::string_view message);  // a warning or an error, for people
  void SetConnected(bool connected, std::string server);
  void SetLease(core::Nanos until);  // CLOCK_BOOTTIME; 0: none runs
  void SetOwned(std::size_t partitions);
  void SetStarted();
  bool SetStopping();  // true the first time
  // The loop has ended: nothing changes any more.
  void SetEnded();

  // --- Read by anyone ---
  Life life() const;
  State state() const;
  bool leader() const;
  bool stopping() const;
  Assignment assignment() const;
  absl::Status fatal() const;

  // Lock-free: the loop takes up events, or waits for some.
  void SetBusy(bool busy) { busy_since_.store(busy ? BootNow() : 0, std::memory_order_relaxed); }

  // What the board knows of these, as of now.
  void Fill(WorkerStatus* status) const;
  void Fill(HealthFacts* facts) const;

  // OK once a life began; else why there is none: the fatal reason, Cancelled when stopping, or
  // DeadlineExceeded.
  absl::Status WaitForLife(std::chrono::milliseconds timeout) const;

  // True if the state is the present one, or is entered within `timeout`, however briefly.
  bool WaitForState(State state, std::chrono::milliseconds timeout) const;

 private:
  static constexpr std::size_t kStates = static_cast<std::size_t>(State::kShutdown) + 1;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Life life_;
  bool began_ = false;
  std::uint64_t lives_ = 0;
  State state_ = State::kInit;
  std::array<std::uint64_t, kStates> entered_{};  // how often
  core::Nanos state_since_ = BootNow();
  bool leader_ = false;
  std::uint64_t epoch_ = 0;
  core::Nanos lease_until_ = 0;
  std::size_t owned_ = 0;
  bool connected_ = false;
  core::Nanos connection_since_ = 0;
  std::string server_;
  std::uint64_t errors_ = 0;
  std::string last_error_;
  core::Nanos last_error_at_ = 0;
  std::atomic<core::Nanos> busy_since_{0};
  bool started_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  Assignment assignment_;
  absl::Status fatal_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_
