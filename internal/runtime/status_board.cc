#include "internal/runtime/status_board.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/kv/unshared.h"

namespace parti::runtime {
namespace {

// Far enough for anyone, near enough that adding it to a clock can't overflow.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24 * 365);

auto DeadlineIn(std::chrono::milliseconds timeout) {
  return std::chrono::steady_clock::now() +
         std::clamp(timeout, std::chrono::milliseconds(0), kLongestWait);
}

// Of a leader: what its own state says of the calculator's.
std::string CalculatorName(State state) {
  const bool busy =
      state == State::kScaling || state == State::kRebalancing || state == State::kEmergency;
  return busy ? std::string(StateName(state)) : "Idle";
}

}  // namespace

void StatusBoard::BeginLife(Life life) {
  const std::lock_guard lock(mutex_);
  life_ = std::move(life);
  began_ = true;
  ++lives_;
  lease_until_ = 0;
  assignment_ = {};
  changed_.notify_all();
}

void StatusBoard::SetState(State state) {
  const std::lock_guard lock(mutex_);
  if (state == state_) return;
  state_ = state;
  state_since_ = BootNow();
  ++entered_[static_cast<std::size_t>(state)];
  changed_.notify_all();
}

void StatusBoard::SetLeader(bool leader, std::uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  leader_ = leader;
  epoch_ = epoch;
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

void StatusBoard::SetError(std::string_view message) {
  const std::lock_guard lock(mutex_);
  ++errors_;
  last_error_ = message;
  last_error_at_ = BootNow();
}

void StatusBoard::SetConnected(bool connected, std::string server) {
  const std::lock_guard lock(mutex_);
  connected_ = connected;
  connection_since_ = BootNow();
  if (!server.empty()) server_ = std::move(server);
}

void StatusBoard::SetLease(core::Nanos until) {
  const std::lock_guard lock(mutex_);
  lease_until_ = until;
}

void StatusBoard::SetOwned(std::size_t partitions) {
  const std::lock_guard lock(mutex_);
  owned_ = partitions;
}

void StatusBoard::SetStarted() {
  const std::lock_guard lock(mutex_);
  started_ = true;
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
  connected_ = false;
  lease_until_ = 0;
  owned_ = 0;
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
  return kv::Unshared(fatal_);
}

void StatusBoard::Fill(WorkerStatus* status) const {
  const std::lock_guard lock(mutex_);
  const core::Nanos now = BootNow();
  const auto since = [now](core::Nanos then) {
    return std::chrono::milliseconds((now - then) / core::kMillisecond);
  };
  status->worker_id = life_.worker;
  status->incarnation = life_.incarnation;
  status->lives = lives_;
  status->state = state_;
  status->in_state = since(state_since_);
  if (lease_until_ == core::kNever) {
    status->lease_left = std::chrono::milliseconds::max();
  } else if (lease_until_ > now) {
    // Rounded up: 0 is for a lease that is over.
    status->lease_left =
        std::chrono::milliseconds((lease_until_ - now - 1) / core::kMillisecond + 1);
  }
  status->stopping = stopping_;
  status->leader = leader_;
  status->epoch = leader_ ? epoch_ : 0;
  status->calculator = leader_ ? CalculatorName(state_) : "";
  status->connected = connected_;
  status->server = server_;
  if (connection_since_ != 0) status->connection_age = since(connection_since_);
  status->assignment_epoch = assignment_.epoch;
  status->assignment_version = assignment_.version;
  status->partitions = status->lease_left.count() > 0 ? owned_ : 0;
  status->errors = errors_;
  status->last_error = last_error_;
  if (errors_ > 0) status->last_error_age = since(last_error_at_);
}

void StatusBoard::Fill(HealthFacts* facts) const {
  const std::lock_guard lock(mutex_);
  facts->started = started_;
  facts->ended = ended_;
  facts->fatal = std::string(fatal_.message());
  const core::Nanos busy_since = busy_since_.load(std::memory_order_relaxed);
  facts->loop_stuck = busy_since == 0 ? 0 : BootNow() - busy_since;
}

absl::Status StatusBoard::WaitForLife(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const bool settled = changed_.wait_until(
      lock, DeadlineIn(timeout), [this] { return began_ || stopping_ || ended_ || !fatal_.ok(); });
  if (!fatal_.ok()) return kv::Unshared(fatal_);
  if (stopping_ || ended_) return absl::CancelledError("Stop was called before an id was claimed");
  if (began_) return absl::OkStatus();
  if (settled) return absl::InternalError("the worker ended without a reason");
  const std::string trouble = last_error_.empty() ? "" : fmt::format(": {}", last_error_);
  return absl::DeadlineExceededError(fmt::format(
      "no worker id was claimed within {} ms (state {}){}; it goes on trying, until Stop",
      timeout.count(), StateName(state_), trouble));
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
