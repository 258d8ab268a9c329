#include "internal/runtime/status_board.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/runtime/unshared.h"

namespace parti::runtime {
namespace {

// Far enough for anyone, near enough that adding it to a clock can't overflow.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24 * 365);

auto DeadlineIn(std::chrono::milliseconds timeout) {
  return std::chrono::steady_clock::now() +
         std::clamp(timeout, std::chrono::milliseconds(0), kLongestWait);
}

}  // namespace

void StatusBoard::BeginLife(Life life) {
  const std::lock_guard lock(mutex_);
  life_ = std::move(life);
  began_ = true;
  assignment_ = {};
  changed_.notify_all();
}

void StatusBoard::SetState(State state) {
  const std::lock_guard lock(mutex_);
  if (state == state_) return;
  state_ = state;
  ++entered_[static_cast<std::size_t>(state)];
  changed_.notify_all();
}

void StatusBoard::SetLeader(bool leader) {
  const std::lock_guard lock(mutex_);
  leader_ = leader;
}

void StatusBoard::SetAssignment(Assignment assignment) {
  const std::lock_guard lock(mutex_);
  assignment_ = std::move(assignment);
}

void StatusBoard::SetFatal(absl::Status status) {
  const std::lock_guard lock(mutex_);
  if (!fatal_.ok()) return;
  fatal_ = std::move(status);
  changed_.notify_all();
}

bool StatusBoard::SetStopping() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  return !std::exchange(stopping_, true);
}

void StatusBoard::SetEnded() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  leader_ = false;
  changed_.notify_all();
}

StatusBoard::Life StatusBoard::life() const {
  const std::lock_guard lock(mutex_);
  return life_;
}

State StatusBoard::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

bool StatusBoard::leader() const {
  const std::lock_guard lock(mutex_);
  return leader_;
}

bool StatusBoard::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

Assignment StatusBoard::assignment() const {
  const std::lock_guard lock(mutex_);
  return assignment_;
}

absl::Status StatusBoard::fatal() const {
  const std::lock_guard lock(mutex_);
  return Unshared(fatal_);
}

absl::Status StatusBoard::WaitForLife(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const bool settled = changed_.wait_until(
      lock, DeadlineIn(timeout), [this] { return began_ || stopping_ || ended_ || !fatal_.ok(); });
  if (!fatal_.ok()) return Unshared(fatal_);
  if (stopping_ || ended_) return absl::CancelledError("Stop was called before an id was claimed");
  if (began_) return absl::OkStatus();
  if (settled) return absl::InternalError("the worker ended without a reason");
  return absl::DeadlineExceededError(
      fmt::format("no worker id was claimed within {} ms (state {}); it goes on trying, until Stop",
                  timeout.count(), StateName(state_)));
}

bool StatusBoard::WaitForState(State state, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const std::uint64_t& entered = entered_[static_cast<std::size_t>(state)];
  const std::uint64_t before = entered;
  const auto reached = [&] { return state_ == state || entered != before; };
  changed_.wait_until(lock, DeadlineIn(timeout), [&] { return reached() || ended_; });
  return reached();
}

}  // namespace parti::runtime
