#include "internal/core/worker.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "internal/core/applier.h"
#include "internal/core/claimer.h"
#include "internal/core/context.h"
#include "internal/core/election.h"
#include "internal/core/host.h"
#include "internal/core/leader.h"
#include "internal/core/lease.h"
#include "internal/core/watch.h"

namespace parti::core {

class Worker::Impl : public Host {
 public:
  Impl(Settings settings, Environment* environment)
      : context_(std::move(settings), environment),
        claimer_(&context_, this, [this] { return Capacity(); }),
        lease_(&context_, this, [this] { return Content(); }),
        applier_(&context_, this, [this] { lease_.BeatSoon(); }),
        election_(&context_, this) {}

  void On(const Event& event, Nanos now, std::vector<Effect>* effects) {
    if (phase_ == Phase::kStopped) return;
    context_.now = std::max(context_.now, now);
    context_.set_effects(effects);
    // What comes after the lease ran out finds the life ended already.
    if (phase_ != Phase::kNew) lease_.OnTime();
    std::visit([this](const auto& e) { Take(e); }, event);
    OnTime();
    Settle();
    UpdateState();
    retired_leader_.reset();
    context_.set_effects(nullptr);
  }

  Nanos NextDeadline() const {
    if (phase_ == Phase::kStopped || phase_ == Phase::kNew) return kNever;
    Nanos next = std::min({claimer_.NextDeadline(), lease_.NextDeadline(), applier_.NextDeadline(),
                           election_.NextDeadline(), rejoin_at_, stop_by_});
    if (leader_) next = std::min(next, leader_->NextDeadline());
    return next;
  }

  State state() const { return state_; }
  bool is_leader() const { return leader_ != nullptr; }
  bool stopped() const { return phase_ == Phase::kStopped; }

 private:
  enum class Phase { kNew, kRunning, kDraining, kLeaving, kStopped };

  // ---- events

  void Take(const Start&) {
    if (phase_ != Phase::kNew) return;
    phase_ = Phase::kRunning;
    election_.Start();
    rejoin_at_ = context_.now;
  }

  void Take(const StopRequested&) {
    if (phase_ == Phase::kNew) return Finish();
    if (phase_ != Phase::kRunning) return;
    phase_ = Phase::kDraining;
    stop_by_ = context_.now + context_.settings.stop_timeout;
    rejoin_at_ = kNever;
    claimer_.Stop();
    election_.Withdraw();
    if (lease_.alive()) applier_.ReleaseAll();
  }

  void Take(const Tick&) {}
  void Take(const ConnectionChanged&) {}

  void Take(const WatchEntry& e) {
    if (Watch* watch = context_.FindWatch(e.watch)) watch->OnEntry(e.entry);
  }
  void Take(const WatchSnapshotEnd& e) {
    if (Watch* watch = context_.FindWatch(e.watch)) watch->OnSnapshotEnd(e.stream);
  }
  void Take(const WatchBroken& e) {
    if (Watch* watch = context_.FindWatch(e.watch)) watch->OnBroken();
  }
  void Take(const KvAnswer& e) { context_.OnAnswer(e); }

  void Take(const ReleaseDone& e) {
    Drained([&] { applier_.OnReleaseDone(e.ticket); });
  }
  void Take(const LostDone& e) {
    Drained([&] { applier_.OnLostDone(e.ticket); });
  }
  void Take(const AcquireDone& e) { applier_.OnAcquireDone(e); }

  void Take(const PartitionsListed& e) {
    partitions_ = e.partitions;
    if (leader_) leader_->SetPartitions(partitions_);
  }
  void Take(const PartitionsFailed& e) {
    const std::string standing = partitions_ ? "the standing list stays in force"
                                             : "there is no list yet, so this worker, should it "
                                               "lead, assigns nothing";
    context_.Report(
        Severity::kError,
        absl::Status(e.status.code(), fmt::format("{}; {}; it is listed again in a while",
                                                  std::string(e.status.message()), standing)));
  }
  void Take(const RebalanceRequested&) {
    if (leader_) leader_->RequestRebalance();
  }
  void Take(const StrategyDone& e) {
    if (leader_) leader_->OnStrategyDone(e);
  }

  // A worker that took no work because old work was stuck tells when that is over.
  template <typename F>
  void Drained(F done) {
    const bool before = Capacity() != 0;
    done();
    if (!before && Capacity() != 0 && lease_.alive()) lease_.BeatSoon();
  }

  // ---- Host

  void Joined(const Life& life, const FirstHeartbeat& first) override {
    life_ = life;
    context_.Emit(LifeBegan{life.worker, life.incarnation});
    applier_.Begin(life);
    lease_.Begin(life, first);
    election_.Join(life.worker);
  }

  // From this instant the worker owns nothing; it reports every partition lost and joins again.
  void LifeEnded(const std::string& reason) override {
    if (!lease_.alive()) return;
    lease_.End();
    former_ = life_;
    election_.Withdraw();
    applier_.Lose(reason);
    context_.Report(Severity::kWarning, absl::AbortedError(life_->worker + ": " + reason));
    life_.reset();
    if (phase_ == Phase::kRunning) {
      rejoin_at_ = context_.now + context_.Jitter(context_.settings.heartbeat_interval);
    }
  }

  void Left() override {
    life_.reset();
    if (phase_ == Phase::kLeaving) left_ = true;
  }

  void Elected(const Term& term) override {
    context_.Emit(LeadershipChanged{true, term.epoch});
    leading_epoch_ = term.epoch;
    retired_leader_ = std::move(leader_);
    leader_ = std::make_unique<Leader>(
        &context_, term,
        Leader::Calls{[this](std::uint64_t assignment, std::uint64_t heartbeat) {
                        election_.ConfirmStreams(assignment, heartbeat);
                      },
                      [this](const std::string& why, bool unknown_past) {
                        refence_ = {why, unknown_past};
                      },
                      [this](int wire_version) { election_.Raise(wire_version); }});
    if (partitions_) leader_->SetPartitions(partitions_);
  }

  void Deposed() override {
    if (!leader_) return;
    context_.Emit(LeadershipChanged{false, leading_epoch_});
    // It may be the one that is calling.
    retired_leader_ = std::move(leader_);
    refence_.reset();
  }

  void SawLeader(const wire::Entry& entry) override { election_.Learn(entry); }

  void Refuse(absl::Status why) override {
    if (refused_) return;
    refused_ = true;
    context_.Report(Severity::kFatal, std::move(why));
  }

  // ---- the heartbeat's content

  // Work stuck in a hook of an earlier life: no new partitions until that has drained.
  std::int64_t Capacity() const {
    return former_drains_ && applier_.draining() ? 0 : context_.settings.capacity;
  }

  HeartbeatContent Content() const {
    return HeartbeatContent{applier_.applied_revision(),    applier_.applied_nonce(),
                            applier_.told_epoch(),          Capacity(),
                            std::string(StateName(state_)), applier_.refused()};
  }

  // ---- time

  void OnTime() {
    if (phase_ == Phase::kNew || phase_ == Phase::kStopped) return;
    lease_.OnTime();
    applier_.OnTime();
    claimer_.OnTime();
    election_.OnTime();
    if (context_.now >= rejoin_at_ || (waiting_for_view_ && election_.view_known())) Rejoin();
    if (leader_) leader_->OnTime();
    if (refence_) {
      const auto [why, unknown_past] = *std::exchange(refence_, std::nullopt);
      election_.Refence(why, unknown_past);
    }
    // A new leader waits for this.
    if (lease_.alive() && applier_.told_epoch() > context_.beat_epoch) lease_.BeatSoon();
  }

  // Joins when all old work has drained; or, with nothing to offer, when the old lease has run its
  // full length in any case.
  void Rejoin() {
    if (phase_ != Phase::kRunning || refused_ || lease_.alive() || claimer_.active()) {
      rejoin_at_ = kNever;
      return;
    }
    // The group's settings first: a worker that doesn't fit them must not claim an id.
    waiting_for_view_ = !election_.view_known();
    if (waiting_for_view_) {
      rejoin_at_ = kNever;
      return;
    }
    if (applier_.draining() && context_.now < lease_.until()) {
      rejoin_at_ = std::min(lease_.until(), context_.now + context_.settings.retry_backoff_max);
      return;
    }
    former_drains_ = applier_.draining();
    rejoin_at_ = kNever;
    claimer_.Start(former_);
  }

  // ---- the end

  void Settle() {
    if (refused_ && phase_ == Phase::kRunning) Take(StopRequested{});
    if (phase_ == Phase::kDraining && !applier_.draining()) {
      phase_ = Phase::kLeaving;
      left_ = false;
      lease_.Leave();
      if (!lease_.alive()) left_ = true;
    }
    if (phase_ == Phase::kLeaving && !lease_.alive()) left_ = true;
    const bool done = phase_ == Phase::kLeaving && left_ && election_.released();
    const bool overdue =
        (phase_ == Phase::kDraining || phase_ == Phase::kLeaving) && context_.now >= stop_by_;
    if (overdue && !done) {
      context_.Report(Severity::kWarning,
                      absl::DeadlineExceededError(
                          applier_.draining()
                              ? "stop_timeout is over and release hooks have not drained: leaving "
                                "without saying so, the others wait for the lease"
                              : "stop_timeout is over without an answer from NATS: the others wait "
                                "for the lease"));
    }
    if (done || overdue) Finish();
  }

  void Finish() {
    claimer_.Stop();
    election_.Stop();
    applier_.Freeze();
    lease_.End();
    retired_leader_ = std::move(leader_);
    retired_leader_.reset();
    phase_ = Phase::kStopped;
    SetState(State::kShutdown);
    context_.Emit(Stopped{});
  }

  // ---- state

  State Judge() const {
    if (phase_ == Phase::kNew) return State::kInit;
    if (phase_ != Phase::kRunning) return phase_ == Phase::kStopped ? State::kShutdown : state_;
    if (!lease_.alive()) return State::kClaimingId;
    if (lease_.degraded()) return State::kDegraded;
    if (leader_) {
      switch (leader_->state()) {
        case CalculatorState::kScaling:
          return State::kScaling;
        case CalculatorState::kRebalancing:
          return State::kRebalancing;
        case CalculatorState::kEmergency:
          return State::kEmergency;
        case CalculatorState::kIdle:
          break;
      }
    }
    if (applier_.applied_any()) return State::kStable;
    return election_.leader_known() ? State::kWaitingAssignment : State::kElection;
  }

  void UpdateState() {
    if (phase_ != Phase::kStopped) SetState(Judge());
  }

  void SetState(State next) {
    if (next == state_) return;
    context_.Emit(StateChanged{state_, next});
    state_ = next;
  }

  Context context_;
  Claimer claimer_;
  Lease lease_;
  Applier applier_;
  Election election_;
  std::unique_ptr<Leader> leader_;
  // Kept to the end of the event: its own code may be running.
  std::unique_ptr<Leader> retired_leader_;

  Phase phase_ = Phase::kNew;
  State state_ = State::kInit;
  std::shared_ptr<const std::vector<Partition>> partitions_;
  std::optional<Life> life_;
  std::optional<Life> former_;
  bool former_drains_ = false;
  bool waiting_for_view_ = false;
  std::uint64_t leading_epoch_ = 0;
  std::optional<std::pair<std::string, bool>> refence_;
  bool refused_ = false;
  bool left_ = false;
  Nanos rejoin_at_ = kNever;
  Nanos stop_by_ = kNever;
};

Worker::Worker(Settings settings, Environment* environment)
    : impl_(std::make_unique<Impl>(std::move(settings), environment)) {}
Worker::~Worker() = default;

void Worker::On(const Event& event, Nanos now, std::vector<Effect>* effects) {
  impl_->On(event, now, effects);
}
Nanos Worker::NextDeadline() const { return impl_->NextDeadline(); }
State Worker::state() const { return impl_->state(); }
bool Worker::is_leader() const { return impl_->is_leader(); }
bool Worker::stopped() const { return impl_->stopped(); }

}  // namespace parti::core
