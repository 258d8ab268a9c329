#include "internal/runtime/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "internal/runtime/clock.h"
#include "internal/runtime/settings.h"

namespace parti::runtime {
namespace {

constexpr core::Nanos kConnectBackoffMin = 50 * core::kMillisecond;
constexpr core::Nanos kConnectBackoffMax = core::kSecond;
constexpr core::Nanos kListBackoffMin = 200 * core::kMillisecond;
constexpr core::Nanos kListBackoffMax = 30 * core::kSecond;
// Core bounds its stop by stop_timeout itself; this is for the loop to give up on core.
constexpr core::Nanos kStopMargin = 2 * core::kSecond;

bool IsStop(const core::Event& event) { return std::holds_alternative<core::StopRequested>(event); }

}  // namespace

bool IsFinal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

Loop::Loop(core::Settings settings, KvFactory kv_factory, World world)
    : settings_(std::move(settings)), kv_factory_(std::move(kv_factory)), world_(world) {}

void Loop::Run() {
  if (Connect()) Work();
  End();
}

// False: stopped meanwhile, or refused.
bool Loop::Connect() {
  core::Nanos backoff = kConnectBackoffMin;
  std::string last_error;
  while (!world_.board->stopping()) {
    absl::StatusOr<std::unique_ptr<kv::Kv>> kv =
        kv_factory_([queue = world_.queue](core::Event event) { queue->Push(std::move(event)); });
    if (kv.ok()) {
      kv_ = *std::move(kv);
      settings_.max_doc_bytes = MaxDocBytes(kv_->MaxValueBytes());
      return true;
    }
    if (IsFinal(kv.status())) {
      Do(core::Report{core::Severity::kFatal, kv.status()});
      return false;
    }
    // Waiting for a server may take hours: say so when the reason changes, not each time.
    if (std::string error(kv.status().message()); error != last_error) {
      Do(core::Report{core::Severity::kWarning, kv.status()});
      last_error = std::move(error);
    }
    const std::vector<core::Event> events = world_.queue->Wait(BootNow() + backoff);
    if (std::any_of(events.begin(), events.end(), IsStop)) return false;
    backoff = std::min(2 * backoff, kConnectBackoffMax);
  }
  return false;
}

void Loop::Work() {
  worker_ = std::make_unique<core::Worker>(settings_, &environment_);
  Deliver(core::Start{});
  world_.planner->List();
  while (!stopped_) {
    const std::vector<core::Event> events =
        world_.queue->Wait(std::min({worker_->NextDeadline(), stop_deadline_, list_again_at_}));
    for (const core::Event& event : events) {
      if (stopped_) return;
      Deliver(event);
    }
    const core::Nanos now = BootNow();
    if (!stopped_ && now >= worker_->NextDeadline()) Deliver(core::Tick{});
    if (!stopped_ && now >= stop_deadline_) OnStopDeadline();
    if (now >= list_again_at_) {
      list_again_at_ = core::kNever;
      world_.planner->List();
    }
    world_.ownership->Collect();
  }
}

void Loop::Deliver(const core::Event& event) {
  if (IsStop(event) && stop_deadline_ == core::kNever) {
    stop_deadline_ = BootNow() + settings_.stop_timeout + kStopMargin;
  }
  if (std::holds_alternative<core::PartitionsFailed>(event)) OnListingFailed();
  if (std::holds_alternative<core::PartitionsListed>(event)) list_backoff_ = 0;

  effects_.clear();
  worker_->On(event, BootNow(), &effects_);
  for (const core::Effect& effect : effects_) {
    std::visit([this](const auto& one) { Do(one); }, effect);
  }
}

void Loop::OnListingFailed() {
  list_backoff_ = std::clamp(2 * list_backoff_, kListBackoffMin, kListBackoffMax);
  list_again_at_ = BootNow() + list_backoff_;
}

void Loop::OnStopDeadline() {
  Do(core::Report{
      core::Severity::kError,
      absl::DeadlineExceededError(fmt::format(
          "the worker did not leave the group within stop_timeout ({} ms); its claims end with its "
          "lease",
          settings_.stop_timeout / core::kMillisecond))});
  stopped_ = true;
}

// Whatever way it ended: claims nothing, talks to nobody, and says so.
void Loop::End() {
  world_.ownership->UnclaimAll();
  world_.queue->Close();
  if (kv_) kv_->Shutdown();
  worker_.reset();
  kv_.reset();
  if (const State state = world_.board->state(); state != State::kShutdown) {
    Do(core::StateChanged{state, State::kShutdown});
  }
  Observe([](OwnershipObserver& observer) { observer.OnStopped(BootNow()); });
  world_.board->SetEnded();
}

void Loop::Observe(const std::function<void(OwnershipObserver&)>& call) {
  if (world_.observer == nullptr) return;
  try {
    call(*world_.observer);
  } catch (const std::exception& exception) {
    Log(LogLevel::kError, fmt::format("the ownership observer threw: {}", exception.what()));
  } catch (...) {
    Log(LogLevel::kError, "the ownership observer threw");
  }
}

void Loop::Log(LogLevel level, std::string_view message) {
  if (world_.logger != nullptr) world_.logger->Log(level, message);
}

}  // namespace parti::runtime
