#include "internal/runtime/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "internal/kv/unshared.h"
#include "internal/runtime/clock.h"
#include "internal/runtime/process.h"
#include "internal/runtime/settings.h"
#include "internal/wire/printable.h"

namespace parti::runtime {
namespace {

// Core bounds its stop by stop_timeout itself; this is for the loop to give up on core.
constexpr core::Nanos kStopMargin = 2 * core::kSecond;

template <typename Kind>
const Kind* As(const Incoming& incoming) {
  const core::Event* event = std::get_if<core::Event>(&incoming);
  return event == nullptr ? nullptr : std::get_if<Kind>(event);
}

}  // namespace

Loop::Loop(core::Settings settings, KvFactory kv_factory, World world)
    : settings_(std::move(settings)),
      kv_factory_(std::move(kv_factory)),
      world_(world),
      meter_(world.recorder) {}

void Loop::Run() {
  if (Connect()) Work();
  End();
}

// Waits for a server, for as long as it takes. False: stopped meanwhile, or refused. Core begins
// only after that, because the server says how large a doc may be.
bool Loop::Connect() {
  EventQueue* const queue = world_.queue;
  absl::StatusOr<std::unique_ptr<kv::Kv>> kv = kv_factory_(
      [queue](core::Event event) { queue->Push(std::move(event)); },
      [queue](const absl::Status& status) { queue->Push(KvTrouble{kv::Unshared(status)}); });
  if (!kv.ok()) {
    Do(core::Report{core::Severity::kFatal, kv.status()});
    return false;
  }
  kv_ = *std::move(kv);
  while (true) {
    for (Incoming& incoming : queue->Wait(core::kNever)) {
      if (As<core::StopRequested>(incoming) != nullptr) return false;
      if (const KvTrouble* trouble = std::get_if<KvTrouble>(&incoming); trouble != nullptr) {
        const bool may_pass = absl::IsUnavailable(trouble->status);
        Do(core::Report{may_pass ? core::Severity::kWarning : core::Severity::kFatal,
                        trouble->status});
        if (!may_pass) return false;
        continue;
      }
      before_start_.push_back(std::move(incoming));
    }
    const bool connected =
        std::any_of(before_start_.begin(), before_start_.end(), [](const Incoming& incoming) {
          const auto* changed = As<core::ConnectionChanged>(incoming);
          return changed != nullptr && changed->connected;
        });
    if (connected) return true;
  }
}

void Loop::Work() {
  settings_.max_doc_bytes = MaxDocBytes(kv_->MaxValueBytes());
  // Now, not when the settings were made: the application may have forked since (daemon(3)), and
  // whose life this becomes must not count as gone with its parent.
  settings_.process = OwnProcess();
  worker_ = std::make_unique<core::Worker>(settings_, &environment_);
  Deliver(core::Start{});
  for (const Incoming& incoming : std::exchange(before_start_, {})) Take(incoming);
  world_.planner->List();
  while (!stopped_) {
    world_.board->SetBusy(false);
    const std::vector<Incoming> arrived =
        world_.queue->Wait(std::min({worker_->NextDeadline(), stop_deadline_, list_again_at_}));
    world_.board->SetBusy(true);
    for (const Incoming& incoming : arrived) Take(incoming);
    const core::Nanos now = BootNow();
    if (now >= worker_->NextDeadline()) Deliver(core::Tick{});
    if (now >= stop_deadline_) OnStopDeadline();
    if (now >= list_again_at_) {
      list_again_at_ = core::kNever;
      world_.planner->List();
    }
    world_.ownership->Collect();
  }
}

void Loop::Take(const Incoming& incoming) {
  if (const KvTrouble* trouble = std::get_if<KvTrouble>(&incoming); trouble != nullptr) {
    OnKvTrouble(trouble->status);
    return;
  }
  const auto& event = std::get<core::Event>(incoming);
  const auto* done = std::get_if<core::AcquireDone>(&event);
  if (done == nullptr || done->status.ok()) return Deliver(event);
  if (GivesBack(*done)) return;
  Deliver(event);
  // Only now: core may notice first that the lease is over, and call all lost.
  giving_back_.erase({done->partition, done->token});
}

// Owns() was true while on_acquire ran, so other threads may be at work. Before core hears that it
// failed, and with it the leader, Owns() turns false and on_release returns: until then on_acquire
// still runs, for all that core knows. False: nothing has to end first, or it has.
bool Loop::GivesBack(const core::AcquireDone& failed) {
  const OwnedPartition partition{failed.partition, failed.token};
  if (giving_back_.contains(partition)) return false;
  // Without its claim, it already is in the hands of on_release or on_lost.
  if (stopped_ || !world_.hooks->has_on_release() || !world_.ownership->Claims(partition)) {
    return false;
  }
  world_.ownership->Unclaim({&partition.id, 1});
  SetOwned();
  giving_back_.insert(partition);
  world_.hooks->GiveBack(failed, BootNow() + settings_.release_timeout / 5 * 4);
  return true;
}

// on_release runs, or waits, for these already; what is asked of the hooks now comes after it.
std::vector<OwnedPartition> Loop::WithoutGivenBack(std::vector<OwnedPartition> partitions) const {
  std::erase_if(partitions, [this](const OwnedPartition& partition) {
    return giving_back_.contains(partition);
  });
  return partitions;
}

// A worker that never joined can't, as long as it isn't permitted to. One that did goes on until
// its lease ends: it may pass, or somebody may act in time.
void Loop::OnKvTrouble(const absl::Status& status) {
  if (absl::IsUnavailable(status)) {
    Do(core::Report{core::Severity::kWarning, status});
  } else if (absl::IsPermissionDenied(status) && world_.board->life().worker.empty()) {
    Do(core::Report{core::Severity::kFatal, status});
    stopped_ = true;
  } else {
    Do(core::Report{core::Severity::kError, status});
  }
}

void Loop::Deliver(const core::Event& event) {
  if (stopped_) return;
  if (std::holds_alternative<core::StopRequested>(event)) {
    stop_deadline_ = BootNow() + settings_.stop_timeout + kStopMargin;
  }
  if (const auto* broken = std::get_if<core::WatchBroken>(&event)) {
    meter_.Broke(broken->watch);
    LogBrokenWatch(broken->reason);
  }
  if (const auto* answer = std::get_if<core::KvAnswer>(&event)) meter_.Answered(*answer);
  if (const auto* changed = std::get_if<core::ConnectionChanged>(&event)) {
    OnConnection(changed->connected);
  }
  if (std::holds_alternative<core::PartitionsFailed>(event)) OnListingFailed();
  if (std::holds_alternative<core::PartitionsListed>(event)) list_backoff_ = 0;

  effects_.clear();
  worker_->On(event, BootNow(), &effects_);
  for (const core::Effect& effect : effects_) {
    std::visit([this](const auto& one) { Do(one); }, effect);
  }
}

void Loop::OnConnection(bool connected) {
  world_.board->SetConnected(connected, kv_->Server());
  world_.recorder->Set(Metric::kConnected, connected ? 1 : 0);
}

void Loop::SetOwned() {
  world_.board->SetOwned(world_.ownership->size());
  world_.recorder->Set(Metric::kPartitionsOwned, static_cast<double>(world_.ownership->size()));
}

// What fails is tried again for ever: seldom enough to read, often enough to see. Numbers don't
// count: each try of a watch has its own.
bool Loop::SaidLately(std::string text) {
  constexpr core::Nanos kSayAgainAfter = 60 * core::kSecond;
  constexpr std::size_t kMaxRemembered = 100;
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  const core::Nanos now = BootNow();
  if (said_.size() >= kMaxRemembered) said_.clear();
  const auto [said, first] = said_.try_emplace(std::move(text), now);
  if (!first && now < said->second + kSayAgainAfter) return true;
  said->second = now;
  return false;
}

void Loop::LogBrokenWatch(const std::string& reason) {
  if (SaidLately(reason)) return;
  Log(LogLevel::kInfo, "watch broke and is opened again: " + reason);
}

void Loop::OnListingFailed() {
  list_backoff_ = std::clamp(2 * list_backoff_, world_.list_backoff_min, world_.list_backoff_max);
  list_again_at_ = BootNow() + list_backoff_;
}

void Loop::OnStopDeadline() {
  if (stopped_) return;
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
  for (const Metric gauge : {Metric::kConnected, Metric::kLeader, Metric::kPartitionsOwned}) {
    world_.recorder->Set(gauge, 0);
  }
  world_.board->SetBusy(false);
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
  if (world_.logger == nullptr) return;
  try {
    world_.logger->Log(level, wire::Printable(message));
  } catch (...) {
    // There is nowhere to tell it.
  }
}

}  // namespace parti::runtime
