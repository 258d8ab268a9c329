// What the loop thread last said about itself, for whoever asks or waits.
#ifndef PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_
#define PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "parti/assignment.h"
#include "parti/state.h"

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
  void SetLeader(bool leader);
  void SetAssignment(Assignment assignment);
  // Why the worker can't go on. The first one counts.
  void SetFatal(absl::Status status);
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
  State state_ = State::kInit;
  std::array<std::uint64_t, kStates> entered_{};  // how often
  bool leader_ = false;
  bool stopping_ = false;
  bool ended_ = false;
  Assignment assignment_;
  absl::Status fatal_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_STATUS_BOARD_H_
