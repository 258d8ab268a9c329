#include "test/simulation/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/wire/kv_types.h"
#include "test/simulation/world.h"

namespace parti::simulation {
namespace {

// Core that calls for itself again and again at one instant would hang the real loop.
constexpr int kMaxStepsAtOnce = 20'000;

constexpr int kMaxPlansASecond = 50;

std::string Names(const std::vector<OwnedPartition>& partitions) {
  std::string names;
  for (const OwnedPartition& partition : partitions) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", partition.id);
  }
  return names;
}

std::string Names(const std::vector<std::string>& partitions) {
  std::string names;
  for (const std::string& partition : partitions) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", partition);
  }
  return names;
}

}  // namespace

// Carries out one effect, as the runtime would, and tells the judges.
class EffectRunner {
 public:
  explicit EffectRunner(Process* process)
      : p_(*process), w_(process->world_), s_(process->shared_), n_(process->number_) {}

  void operator()(const core::KvGet& get) {
    CheckRequest(get.request, get.timeout);
    w_.network().Get(&p_, get);
  }
  void operator()(core::KvPut& put) {
    CheckRequest(put.request, put.timeout);
    w_.network().Put(&p_, std::move(put));
  }
  void operator()(const core::KvInfo& info) {
    CheckRequest(info.request, info.timeout);
    w_.network().Info(&p_, info);
  }
  void operator()(const core::OpenWatch& open) { w_.network().Open(&p_, open); }
  void operator()(const core::CloseWatch& close) { w_.network().Close(&p_, close); }

  void operator()(const core::LifeBegan& life) {
    Fact(1, [&] { return fmt::format("is {}, incarnation {}", life.worker, life.incarnation); });
    w_.claims().LifeBegan(n_, life);
    w_.rules().LifeBegan(n_);
  }
  void operator()(const core::LeaseUntil& lease) {
    s_.history.Traffic(s_.now(), p_.name_, 2, [&] {
      return fmt::format("lease for {:.3f} s more",
                         static_cast<double>(lease.until - p_.clock_now()) / 1e9);
    });
    w_.claims().Lease(n_, lease.until);
  }
  void operator()(const core::Claim& claim) {
    Fact(3 + claim.version * 64 + claim.partitions.size(), [&] {
      return fmt::format("claims {} ({}, {})", Names(claim.partitions), claim.epoch, claim.version);
    });
    w_.claims().Claim(n_, claim);
    w_.rules().Claim(n_, claim);
  }
  void operator()(const core::Unclaim& unclaim) {
    const bool any = unclaim.all ? w_.claims().Claimed(n_) : !unclaim.partitions.empty();
    if (any) {
      Fact(4 + unclaim.partitions.size() * 64, [&] {
        return fmt::format("gives up its claim to {}",
                           unclaim.all ? "everything" : Names(unclaim.partitions));
      });
    }
    w_.claims().Unclaim(n_, unclaim);
    if (unclaim.all) w_.rules().GaveAllUp(n_);
  }
  void operator()(const core::RunRelease& hook) {
    CheckDeadline(hook);
    w_.claims().RunRelease(n_, hook);
    p_.hooks_.Queue(hook);
  }
  void operator()(const core::RunLost& hook) {
    Fact(5, [&] { return fmt::format("lost {}: {}", Names(hook.partitions), hook.reason); });
    w_.claims().RunLost(n_, hook);
    w_.kv().Lost(n_);
    p_.hooks_.Queue(hook);
  }
  void operator()(const core::RunAcquire& hook) {
    w_.claims().RunAcquire(n_, hook);
    p_.hooks_.Queue(hook);
  }
  void operator()(const core::Released& released) {
    Fact(6 + released.partitions.size() * 64, [&] {
      return fmt::format("{} {}", released.lost ? "has drained after the loss of" : "released",
                         Names(released.partitions));
    });
  }
  void operator()(const core::AssignmentChanged& change) {
    if (change.assignment.epoch != 0) w_.rules().Changed(n_);
  }
  void operator()(const core::StateChanged& change) {
    p_.state_ = change.to;
    Fact(7 + 64 * static_cast<std::uint64_t>(change.to),
         [&] { return fmt::format("{} -> {}", StateName(change.from), StateName(change.to)); });
  }
  void operator()(const core::LeadershipChanged& change) {
    p_.leads_ = change.gained;
    p_.epoch_ = change.epoch;
    Fact(8 + change.epoch * 64, [&] {
      return fmt::format("{} of epoch {}", change.gained ? "is leader" : "is no longer leader",
                         change.epoch);
    });
  }
  void operator()(const core::Report& report) {
    if (report.severity == core::Severity::kError) s_.tally.Add(Count::kErrorReport);
    if (absl::IsResourceExhausted(report.status)) s_.tally.Add(Count::kIdsExhausted);
    if (report.severity == core::Severity::kFatal) {
      s_.tally.Add(Count::kFatalReport);
      p_.gives_up_ = true;
    }
    Fact(9, [&] {
      constexpr const char* kNames[] = {"says", "warns", "reports an error", "refuses to go on"};
      return fmt::format("{}: {}", kNames[static_cast<int>(report.severity)],
                         std::string(report.status.message()));
    });
  }
  void operator()(const core::RebalanceNote& note) {
    const bool planned = note.phase == core::RebalanceNote::Phase::kPlanned;
    if (planned) {
      w_.kv().Planned(n_, note);
      w_.rules().Planned(n_, note, p_.step_time_);
    } else {
      w_.rules().Settled(n_, note);
    }
    Fact(10 + note.version * 64, [&] {
      if (!planned) return fmt::format("rebalance ({}, {}) settled", note.epoch, note.version);
      return fmt::format("plans ({}, {}): {} of {} partitions move, {} workers; {}", note.epoch,
                         note.version, note.moved, note.partitions, note.workers, note.cause);
    });
  }
  void operator()(const core::HeartbeatNote& note) { Check(note); }
  void operator()(const core::ElectionNote&) {}
  void operator()(const core::EvictionNote& note) { w_.rules().Evicted(n_, note); }
  void operator()(const core::MalformedNote&) { s_.tally.Add(Count::kMalformedNote); }
  void operator()(const core::RunStrategy& run) { RunStrategy(run); }
  void operator()(const core::Stopped&) {
    Fact(11, [] { return std::string("stopped"); });
    w_.claims().Stopped(n_);
    w_.claims().Gone(n_);
    w_.network().Gone(p_);
    p_.life_ = Process::Life::kStopped;
  }

 private:
  template <typename Text>
  void Fact(std::uint64_t code, const Text& text) {
    s_.history.Fact(s_.now(), p_.name_, code * 256 + static_cast<std::uint64_t>(n_), text);
  }

  void CheckRequest(core::RequestId request, Nanos timeout) {
    if (request <= p_.last_request_ || timeout <= 0) {
      s_.verdict.Broken(s_.now(), "requests are numbered and bounded",
                        fmt::format("{}: request {} after {}, timeout {} ns", p_.name_, request,
                                    p_.last_request_, timeout));
    }
    p_.last_request_ = request;
  }

  // The hook is to have returned before the leader loses patience.
  void CheckDeadline(const core::RunRelease& hook) {
    const Nanos bound = p_.leaving_ || p_.gives_up_ ? p_.settings_.stop_timeout
                                                    : p_.settings_.release_timeout / 5 * 4;
    const Nanos span = hook.deadline - p_.clock_.At(p_.step_time_);
    if (span > 0 && span <= bound) return;
    s_.verdict.Broken(s_.now(), "a release hook is given less than release_timeout",
                      fmt::format("{}: {} ns of {} ns", p_.name_, span, bound));
  }

  // An answer takes no longer than its timeout (a read back adds one), and none comes after the
  // lease.
  void Check(const core::HeartbeatNote& note) {
    const bool fast = p_.settings_.mode == wire::Mode::kFast;
    const bool margin = fast || (note.margin_left > 0 && note.margin_left <= p_.settings_.lease);
    if (note.round_trip >= 0 && margin) return;
    s_.verdict.Broken(s_.now(), "heartbeat notes are true",
                      fmt::format("{}: round trip {} ns, margin {} ns", p_.name_, note.round_trip,
                                  note.margin_left));
  }

  // A leader that plans again and again without a pause starves its machine.
  void CheckPlanningRate() {
    if (s_.now() >= p_.plans_since_ + core::kSecond) {
      p_.plans_since_ = s_.now();
      p_.plans_ = 0;
    }
    if (++p_.plans_ > kMaxPlansASecond) {
      s_.verdict.Broken(s_.now(), "plans are made for a reason",
                        fmt::format("{}: {} within a second", p_.name_, p_.plans_));
    }
  }

  void RunStrategy(const core::RunStrategy& run) {
    CheckPlanningRate();
    const StrategyFaults& faults = s_.scenario.strategy_faults;
    core::StrategyDone done{run.ticket};
    if (s_.random.Chance(faults.fail)) {
      s_.tally.Add(Count::kStrategyFailed);
      s_.last_fault = std::max(s_.last_fault, s_.now());
      done.owners = absl::InternalError("the strategy failed");
    } else {
      const core::PlanInput& input = *run.input;
      done.owners = w_.strategy().Assign({input.workers, *input.partitions, input.previous_owner});
    }
    Nanos delay = faults.typical;
    if (s_.random.Chance(faults.slow)) {
      s_.tally.Add(Count::kStrategySlow);
      delay = s_.random.Exponential(faults.slow_mean);
      s_.last_fault = std::max(s_.last_fault, s_.now() + delay);
    }
    Process* process = &p_;
    s_.queue.After(delay, [process, done] { process->Deliver(done); });
  }

  Process& p_;
  World& w_;
  Shared& s_;
  const int n_;
};

Process::Process(World* world, int number, std::string name, int host, const Clock& clock,
                 core::Settings settings, std::uint64_t seed)
    : world_(*world),
      shared_(world->shared()),
      number_(number),
      name_(std::move(name)),
      host_(host),
      clock_(clock),
      settings_(std::move(settings)),
      random_(seed),
      worker_(std::make_unique<core::Worker>(settings_, this)),
      hooks_(&world->shared(), this) {}

Process::~Process() = default;

Nanos Process::clock_now() const { return clock_.At(shared_.now()); }

bool Process::ProcessIsGone(const wire::ProcessId& process) {
  return world_.SameMachine(host_, process) && !world_.ProcessExists(host_, process);
}

void Process::Start() { Deliver(core::Start{}); }

void Process::Run(std::function<void()> what) {
  if (life_ == Life::kRunning) return what();
  if (life_ == Life::kPaused) frozen_.push_back(std::move(what));
}

void Process::Deliver(core::Event event) {
  if (life_ == Life::kRunning) return Step(event);
  if (life_ == Life::kPaused) {
    frozen_.emplace_back([this, late = std::move(event)] { Step(late); });
  }
}

void Process::Step(const core::Event& event) {
  if (life_ != Life::kRunning) return;
  if (step_time_ == shared_.now()) {
    if (++steps_at_once_ > kMaxStepsAtOnce) {
      shared_.verdict.Broken(
          shared_.now(), "time goes on",
          fmt::format("{} was called {} times at one instant", name_, kMaxStepsAtOnce));
      life_ = Life::kCrashed;
      return;
    }
  } else {
    step_time_ = shared_.now();
    steps_at_once_ = 0;
  }
  effects_.clear();
  next_effect_ = 0;
  world_.claims().Stepping(number_, resumed_at_);
  if (const auto* answer = std::get_if<core::KvAnswer>(&event)) {
    world_.rules().Answered(number_, *answer);
  }
  worker_->On(event, clock_now(), &effects_);
  CarryOut();
  if (life_ == Life::kRunning) world_.claims().Stepped(number_);
}

void Process::CarryOut() {
  while (next_effect_ < effects_.size()) {
    if (break_off_ && BrokenOff()) return;
    if (life_ != Life::kRunning) {
      if (life_ == Life::kStopped) {
        shared_.verdict.Broken(shared_.now(), "nothing comes after Stopped",
                               fmt::format("{}: effect {}", name_, effects_[next_effect_].index()));
      }
      return;
    }
    core::Effect& effect = effects_[next_effect_++];
    if (shared_.on_effect) shared_.on_effect(*this, effect);
    std::visit(EffectRunner(this), effect);
  }
  if (life_ != Life::kRunning) return;
  world_.rules().Stepped(number_);
  PlanTick();
}

// A crash or a pause between two effects of one step: the process did the first, not the second.
bool Process::BrokenOff() {
  if (effects_.size() < 2 || next_effect_ < break_off_->after || next_effect_ == 0) return false;
  const std::optional<Nanos> pause = break_off_->pause;
  break_off_.reset();
  if (!pause) {
    shared_.tally.Add(Count::kCrashMidStep);
    Crash();
  } else {
    shared_.tally.Add(Count::kPauseMidStep);
    Pause();
    shared_.queue.After(*pause, [this] { Resume(); });
  }
  return true;
}

void Process::BreakOffNextStep(std::optional<Nanos> pause) {
  break_off_ = BreakOff{pause, 1 + shared_.random.Index(3)};
}

void Process::PlanTick() {
  const Nanos deadline = worker_->NextDeadline();
  if (deadline == core::kNever) return;
  const Nanos at = std::max(clock_.TrueTimeOf(deadline), shared_.now());
  if (at >= tick_at_) return;
  tick_at_ = at;
  shared_.queue.At(at, [this, at] { OnTick(at); });
}

void Process::OnTick(Nanos planned) {
  if (planned != tick_at_) return;  // an earlier one was planned later
  tick_at_ = core::kNever;
  Run([this] {
    if (life_ != Life::kRunning) return;
    if (worker_->NextDeadline() <= clock_now()) return Step(core::Tick{});
    PlanTick();
  });
}

void Process::Crash() {
  if (!exists()) return;
  life_ = Life::kCrashed;
  leads_ = false;
  frozen_.clear();
  world_.claims().Gone(number_);
  world_.network().Gone(*this);
  world_.Note(name_, 20, [] { return std::string("* crashes"); });
}

void Process::Pause() {
  if (life_ != Life::kRunning) return;
  life_ = Life::kPaused;
  world_.Note(name_, 21, [] { return std::string("* is paused"); });
}

void Process::Resume() {
  if (life_ != Life::kPaused) return;
  life_ = Life::kRunning;
  resumed_at_ = shared_.now();
  world_.Note(name_, 22, [] { return std::string("* is resumed"); });
  CarryOut();
  std::vector<std::function<void()>> frozen = std::move(frozen_);
  frozen_.clear();
  for (std::size_t i = 0; i < frozen.size(); ++i) {
    if (life_ == Life::kPaused) {  // broken off again: the rest goes on waiting
      frozen_.insert(frozen_.end(), frozen.begin() + static_cast<std::ptrdiff_t>(i), frozen.end());
      return;
    }
    frozen[i]();
  }
}

void Process::Leave() {
  leaving_ = true;
  Deliver(core::StopRequested{});
}

void Process::HookReturned(const core::RunRelease& hook) {
  world_.claims().ReleaseDone(number_, hook.partitions);
  Step(core::ReleaseDone{hook.ticket});
}

void Process::HookReturned(const core::RunLost& hook) {
  world_.claims().LostDone(number_, hook.partitions);
  Step(core::LostDone{hook.ticket});
}

void Process::HookReturned(const OwnedPartition& acquired, const absl::Status& status) {
  // If its lease is over, core loses it in this step, as if the hook had not failed.
  const bool owned = world_.claims().Owns(number_, acquired.id);
  Step(core::AcquireDone{acquired.id, acquired.token, status});
  if (!status.ok() && owned) world_.claims().AcquireFailed(number_, acquired);
}

}  // namespace parti::simulation
