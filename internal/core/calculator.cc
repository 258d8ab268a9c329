#include "internal/core/calculator.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/wire/limits.h"

namespace parti::core {

namespace {
// Deaths of one worker closer together than so many leases are a repetition.
constexpr int kRepeatedWithinLeases = 10;
// The pause before a refused partition is offered to the same worker again doubles so often, and so
// does the one before a failed plan is made again.
constexpr int kMaxDoublings = 4;
// No group gets that far by itself. Versions count within an epoch, so a new term may begin below.
constexpr std::uint64_t kForgedVersion = wire::kMaxExactInteger / 2;
}  // namespace

Calculator::Calculator(Context* context, GroupView* view, const Term& term,
                       std::function<void()> planned)
    : context_(context), view_(view), term_(term), planned_(std::move(planned)) {}

std::string_view CalculatorStateName(CalculatorState state) {
  switch (state) {
    case CalculatorState::kIdle:
      return "Idle";
    case CalculatorState::kScaling:
      return "Scaling";
    case CalculatorState::kRebalancing:
      return "Rebalancing";
    case CalculatorState::kEmergency:
      return "Emergency";
  }
  return "?";
}

CalculatorState Calculator::state() const {
  for (const Pending* pending : {&urgent_, &deferrable_}) {
    if (pending->due != kNever && pending->state != CalculatorState::kRebalancing) {
      return pending->state;
    }
  }
  if (strategy_ticket_ != 0 || !settled_) return CalculatorState::kRebalancing;
  return CalculatorState::kIdle;
}

// ---- members

bool Calculator::CanTakeWork(const WorkerView& worker) const {
  return worker.heartbeat.live() && !worker.condemned && !worker.doc_blocks() &&
         !worker.too_old(context_->wire_version) && worker.heartbeat.record->capacity > 0;
}

Calculator::Members Calculator::Present() const {
  Members present;
  for (const auto& [id, worker] : view_->workers) {
    if (!CanTakeWork(worker) || IsDrained(id)) continue;
    const wire::Heartbeat& record = *worker.heartbeat.record;
    present[id] = Member{{id, record.incarnation, record.nonce}, record.capacity, record.labels};
  }
  return present;
}

bool Calculator::DiedRepeatedly(const std::string& worker) {
  Deaths& deaths = deaths_[worker];
  const std::uint64_t incarnation = members_[worker].life.incarnation;
  if (deaths.incarnation != incarnation || deaths.count == 0) {
    const Nanos span = kRepeatedWithinLeases * context_->settings.lease;
    deaths.count = deaths.count > 0 && context_->now - deaths.last < span ? deaths.count + 1 : 1;
    deaths.last = context_->now;
    deaths.incarnation = incarnation;
  }
  return deaths.count > 1;
}

// A member that is missing counts as gone only when that is certain: it said `left`, or was
// evicted, or another life stands under its id.
Calculator::Difference Calculator::Compare(const Members& present) {
  Difference difference;
  for (const auto& [id, member] : members_) {
    const auto it = present.find(id);
    if (it != present.end() && it->second.life == member.life) {
      if (it->second != member) ++difference.altered;
      continue;
    }
    const WorkerView& worker = view_->workers[id];
    if (worker.heartbeat.left()) {
      ++difference.left;
    } else if (it != present.end() || worker.heartbeat.evicted() || worker.condemned) {
      ++difference.died;
      if (!DiedRepeatedly(id)) difference.repeated_deaths_only = false;
    } else if (worker.heartbeat.live() &&
               (worker.heartbeat.record->capacity <= 0 || worker.too_old(context_->wire_version))) {
      ++difference.altered;
    } else if (worker.heartbeat.live() && IsDrained(id)) {
      ++difference.steered;
    }
  }
  for (const auto& [id, member] : present) {
    if (members_.contains(id)) continue;
    ++(undrained_.contains(id) ? difference.steered : difference.joined);
  }
  return difference;
}

void Calculator::MembersTouched() {
  if (!taken_over_) return;
  if (debounce_cap_at_ == kNever) {
    touched_at_ = context_->now;
    debounce_cap_at_ = context_->now + context_->settings.debounce_cap;
  }
  debounce_at_ = std::min(context_->now + context_->settings.debounce, debounce_cap_at_);
}

void Calculator::Evaluate() {
  const Nanos since = std::min(std::exchange(touched_at_, kNever), context_->now);
  debounce_at_ = kNever;
  debounce_cap_at_ = kNever;
  problems_stale_ = true;
  const Settings& s = context_->settings;
  const Members present = Present();
  if (failed_for_ && *failed_for_ != present) ForgetFailure();
  const Difference d = Compare(present);
  // A rebalance fell through for want of members: those that are back get theirs.
  const bool owed = planless_ && (!present.empty() || AnyDrainedAlive());
  if (!d.any() && !owed) return;
  if (d.only_steered()) {
    return Want(CalculatorState::kRebalancing, 0, true,
                {RebalanceCause::kControl, "control: workers drained or drained no more", since});
  }
  const std::string text =
      fmt::format("{} joined, {} left, {} died, {} altered", d.joined, d.left, d.died, d.altered);
  if (members_.empty()) {
    return Want(CalculatorState::kScaling, s.cold_start_window, false,
                {RebalanceCause::kColdStart, "cold start: " + text, since});
  }
  const auto members = static_cast<int>(members_.size());
  if (members >= 3 && d.died * 2 > members) {
    return Want(CalculatorState::kScaling, s.cold_start_window, false,
                {RebalanceCause::kOutage, "outage: " + text, since});
  }
  if (d.died > 0 && !d.repeated_deaths_only) {
    return Want(CalculatorState::kEmergency, s.emergency_grace_period, false,
                {RebalanceCause::kDeath, text, since});
  }
  const RebalanceCause cause = d.died > 0     ? RebalanceCause::kDeath
                               : d.joined > 0 ? RebalanceCause::kJoin
                               : d.left > 0   ? RebalanceCause::kLeave
                                              : RebalanceCause::kAltered;
  Want(CalculatorState::kScaling, s.planned_scale_window, true, {cause, text, since});
}

// ---- the partition list and requests

bool Calculator::PartitionsDiffer() const {
  std::vector<PartitionIndex> planned;
  for (const auto& [id, worker] : plan_.workers) {
    planned.insert(planned.end(), worker.target.begin(), worker.target.end());
  }
  std::sort(planned.begin(), planned.end());
  std::vector<PartitionIndex> listed = partition_index_;
  std::sort(listed.begin(), listed.end());
  return planned != listed;
}

void Calculator::SetPartitions(std::shared_ptr<const std::vector<Partition>> partitions) {
  std::vector<std::pair<std::string, std::size_t>> order;
  order.reserve(partitions->size());
  for (std::size_t i = 0; i < partitions->size(); ++i) order.emplace_back((*partitions)[i].Id(), i);
  std::sort(order.begin(), order.end());
  auto sorted = std::make_shared<std::vector<Partition>>();
  sorted->reserve(order.size());
  partition_index_.clear();
  for (const auto& [id, i] : order) {
    sorted->push_back((*partitions)[i]);
    partition_index_.push_back(view_->names.Intern(id));
  }
  problems_stale_ = true;
  const bool changed = partitions_ == nullptr || *partitions_ != *sorted;
  partitions_ = std::move(sorted);
  if (changed) ForgetFailure();
  if (changed && taken_over_ && plan_.exists && PartitionsDiffer()) {
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kPartitions, "the partition list changed", context_->now});
  }
}

void Calculator::RequestRebalance() {
  if (taken_over_ && plan_.exists) {
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kRequested, "rebalance requested", context_->now});
  }
}

void Calculator::Refused(const std::string& worker, PartitionIndex partition) {
  RefusalView& refusal = refused_[{worker, partition}];
  if (refusal.active) return;
  refusal.active = true;
  problems_stale_ = true;
  refusal.until = context_->now +
                  (context_->settings.refusal_backoff << std::min(refusal.times++, kMaxDoublings));
  refusal_over_at_ = std::min(refusal_over_at_, refusal.until);
  if (taken_over_ && plan_.exists) {
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kRefused,
          fmt::format("{} gave back {}", worker, view_->names.Name(partition)), context_->now});
  }
}

// ---- takeover

void Calculator::AdoptDoc(const std::string& id, const WorkerView& worker,
                          std::vector<bool>* taken) {
  const DocView& doc = worker.doc;
  PlannedWorker planned{{id, doc.incarnation, doc.life_nonce}, {}};
  for (const PartitionIndex p : doc.owned) {
    if (!(*taken)[p]) planned.target.push_back(p);
    (*taken)[p] = true;
  }
  plan_.workers[id] = std::move(planned);
  Member member{{id, doc.incarnation, doc.life_nonce}, 1, {}};
  if (worker.same_life()) {
    member.capacity = worker.heartbeat.record->capacity;
    member.labels = worker.heartbeat.record->labels;
  }
  members_[id] = std::move(member);
}

// What the docs say is the plan so far: a new leader changes nothing that is well. Docs of the
// predecessor that were never acknowledged have to be written again [6], as a rebalance of its own.
void Calculator::TakeOver() {
  taken_over_ = true;
  bool rewrite = false;
  std::vector<bool> taken(view_->names.size(), false);
  for (const bool acknowledged_first : {true, false}) {
    for (const auto& [id, worker] : view_->workers) {
      const DocView& doc = worker.doc;
      if (!doc.valid) continue;
      if (doc.version < kForgedVersion) plan_.version = std::max(plan_.version, doc.version);
      if (worker.acknowledged() != acknowledged_first) continue;
      if (GroupView::DocLifeIsOver(worker, context_->now)) continue;
      if (!acknowledged_first && worker.same_life() && worker.heartbeat.live()) rewrite = true;
      if (doc.empty() && !worker.same_life()) continue;
      AdoptDoc(id, worker, &taken);
    }
  }
  // Who left a moment ago may be on its way back, or is back already under its id: it goes as
  // members go, after planned_scale_window. (Where nobody else is there, the group starts anew.)
  if (!plan_.workers.empty()) {
    for (const auto& [id, worker] : view_->workers) {
      if (!worker.doc.valid || worker.doc.owned.empty()) continue;
      const bool left = worker.same_life() && worker.heartbeat.left();
      const bool back = worker.newer_life() && worker.heartbeat.live();
      if (left || back) AdoptDoc(id, worker, &taken);
    }
  }
  plan_.exists = !plan_.workers.empty();
  settled_ = !plan_.exists;
  if (rewrite) {
    ++plan_.version;
    planned_at_ = context_->now;
    cause_ = {RebalanceCause::kTakeover, "takeover: rewriting unacknowledged assignments",
              context_->now};
    context_->Emit(Note(RebalanceNote::Phase::kPlanned));
  }
  Evaluate();
  if (plan_.exists && partitions_ != nullptr && PartitionsDiffer()) {
    Want(CalculatorState::kRebalancing, 0, false,
         {RebalanceCause::kTakeover, "takeover: partitions without an owner", context_->now});
  } else if (plan_.exists && Due() == kNever) {
    // The predecessor may have died on its way to balance. If it didn't, this changes nothing.
    Want(CalculatorState::kRebalancing, context_->settings.rebalance_cooldown, true,
         {RebalanceCause::kTakeover, "takeover", context_->now});
  }
  ReviewControl();
  if (plan_.exists) planned_();
}

// ---- windows

// A request within a cooldown is kept, not dropped; a more urgent one brings it forward.
void Calculator::Want(CalculatorState state, Nanos window, bool can_wait, Cause cause) {
  const Nanos earliest = std::max(context_->now + window, failed_until_);
  Nanos due = earliest;
  if (can_wait && planned_at_ != -kNever) {
    due = std::max(due, planned_at_ + context_->settings.rebalance_cooldown);
    if (!settled_) due = std::max(due, planned_at_ + context_->settings.release_timeout);
  }
  Pending& pending = can_wait ? deferrable_ : urgent_;
  if (pending.due == kNever) {
    pending = Pending{state, due, earliest, std::move(cause)};
    return;
  }
  if (due < pending.due) {
    pending.due = due;
    pending.earliest = earliest;
    pending.cause = std::move(cause);
  }
  if (state == CalculatorState::kEmergency || pending.state == CalculatorState::kRebalancing) {
    pending.state = state;
  }
}

// Whether one of those whom the last plan was made for is dead or alive is being asked just now: a
// heartbeat that was written during the scan isn't in it, and comes a moment later.
bool Calculator::AwaitsMember() const {
  for (const auto& [id, member] : members_) {
    const auto it = view_->workers.find(id);
    if (it == view_->workers.end()) continue;
    if (it->second.evicting || it->second.rereading) return true;
  }
  return false;
}

bool Calculator::CanPlan() const {
  if (strategy_ticket_ != 0 || partitions_ == nullptr || !control_known_) return false;
  return context_->now < Due() || !AwaitsMember();
}

void Calculator::Run() {
  cause_ = (urgent_.due <= deferrable_.due ? urgent_ : deferrable_).cause;
  urgent_.due = kNever;
  deferrable_.due = kNever;
  strategy_members_ = Present();
  planless_ = strategy_members_.empty() && !AnyDrainedAlive();
  if (planless_) return;
  auto input = std::make_shared<PlanInput>();
  input->partitions = partitions_;
  std::map<PartitionIndex, std::int32_t> owner;
  for (const auto& [id, member] : strategy_members_) {
    const auto index = static_cast<std::int32_t>(input->workers.size());
    input->workers.push_back(WorkerInfo{id, member.capacity, member.labels});
    const auto it = plan_.workers.find(id);
    if (it == plan_.workers.end()) continue;
    for (const PartitionIndex p : it->second.target) owner[p] = index;
  }
  for (const PartitionIndex p : partition_index_) {
    const auto it = owner.find(p);
    input->previous_owner.push_back(it == owner.end() ? kUnassigned : it->second);
  }
  strategy_input_ = input;
  strategy_index_ = partition_index_;
  strategy_control_ = control_change_;
  // Nobody may be given anything: that takes no strategy.
  if (strategy_members_.empty()) {
    return Adopt(std::vector<std::int32_t>(strategy_index_.size(), kUnassigned));
  }
  strategy_ticket_ = context_->NextTicket();
  context_->Emit(RunStrategy{strategy_ticket_, strategy_input_});
}

void Calculator::OnStrategyDone(const StrategyDone& done) {
  if (done.ticket != strategy_ticket_ || strategy_ticket_ == 0) return;
  strategy_ticket_ = 0;
  const auto workers = static_cast<std::int32_t>(strategy_input_->workers.size());
  absl::Status status = done.owners.status();
  if (status.ok() && done.owners->size() != strategy_input_->partitions->size()) {
    status =
        absl::InternalError(fmt::format("the strategy returned {} owners for {} partitions",
                                        done.owners->size(), strategy_input_->partitions->size()));
  }
  if (status.ok()) {
    for (const std::int32_t owner : *done.owners) {
      if (owner < kUnassigned || owner >= workers) {
        status = absl::InternalError(
            fmt::format("the strategy returned owner {} of {} workers", owner, workers));
        break;
      }
    }
  }
  if (status.ok()) {
    Adopt(*done.owners);
  } else {
    Failed(status, "the strategy failed");
  }
  // The world may have moved on while the strategy ran.
  if (partitions_ != strategy_input_->partitions && PartitionsDiffer()) {
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kPartitions, "the partition list changed", context_->now});
  }
  Evaluate();
}

// The same workers and partitions would most likely fail again: it is tried again when they have
// changed, or in a while, ever more seldom.
void Calculator::Failed(const absl::Status& status, const std::string& what) {
  context_->Report(Severity::kError, status);
  plan_problem_ = "there is no newer plan: " + std::string(status.message());
  problems_stale_ = true;
  failed_for_ = strategy_members_;
  failed_until_ = context_->now + (std::max(context_->settings.rebalance_cooldown, kSecond)
                                   << std::min(failures_++, kMaxDoublings));
  Want(CalculatorState::kRebalancing, 0, false, {RebalanceCause::kRetry, what, context_->now});
}

void Calculator::ForgetFailure() {
  failed_for_.reset();
  failed_until_ = -kNever;
  failures_ = 0;
}

bool Calculator::Refuses(const std::string& worker, PartitionIndex partition) const {
  const auto it = refused_.find({worker, partition});
  return it != refused_.end() && it->second.active;
}

// What a worker gave back goes to somebody else for a while: the one with the fewest.
void Calculator::Exclude(std::vector<std::int32_t>& owners) {
  if (refused_.empty()) return;
  std::vector<int> load(strategy_input_->workers.size(), 0);
  for (const std::int32_t owner : owners) {
    if (owner >= 0) ++load[static_cast<std::size_t>(owner)];
  }
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const PartitionIndex p = strategy_index_[i];
    const auto refuses = [&](std::size_t w) { return Refuses(strategy_input_->workers[w].id, p); };
    if (owners[i] < 0 || !refuses(static_cast<std::size_t>(owners[i]))) continue;
    --load[static_cast<std::size_t>(owners[i])];
    owners[i] = kUnassigned;
    for (std::size_t w = 0; w < load.size(); ++w) {
      if (refuses(w)) continue;
      if (owners[i] < 0 || load[w] < load[static_cast<std::size_t>(owners[i])]) {
        owners[i] = static_cast<std::int32_t>(w);
      }
    }
    if (owners[i] >= 0) ++load[static_cast<std::size_t>(owners[i])];
  }
}

absl::Status Calculator::CheckSizes(const Plan& plan) const {
  for (const auto& [id, worker] : plan.workers) {
    std::size_t bytes = wire::kDocBaseBytes;
    for (const PartitionIndex p : worker.target) {
      bytes += wire::DocBytesPerPartition(view_->names.Name(p));
    }
    if (bytes > context_->settings.max_doc_bytes) {
      return absl::ResourceExhaustedError(fmt::format(
          "the assignment of {} would take {} bytes for {} partitions, above the limit of {} "
          "bytes; "
          "the standing assignment is kept: raise max_payload of the NATS server, add workers, or "
          "shorten partition keys",
          id, bytes, worker.target.size(), context_->settings.max_doc_bytes));
    }
  }
  return absl::OkStatus();
}

// The plan leaves a partition with a worker that gave its last grant of it back: it takes a new
// grant, and so a new version.
bool Calculator::OffersAgain(const Plan& plan) const {
  for (const auto& [id, planned] : plan.workers) {
    const auto it = view_->workers.find(id);
    if (it == view_->workers.end() || !it->second.same_life()) continue;
    for (const wire::Refusal& refusal : it->second.heartbeat.record->refused) {
      const PartitionIndex p = view_->names.Intern(refusal.partition);
      const DocView& doc = it->second.doc;
      const auto at = std::lower_bound(doc.owned.begin(), doc.owned.end(), p);
      if (at == doc.owned.end() || *at != p) continue;
      if (doc.tokens[static_cast<std::size_t>(at - doc.owned.begin())] != refusal.token) continue;
      if (std::binary_search(planned.target.begin(), planned.target.end(), p)) return true;
    }
  }
  return false;
}

void Calculator::Adopt(const std::vector<std::int32_t>& owners_in) {
  std::vector<std::int32_t> owners = owners_in;
  if (control_.paused) KeepInPlace(owners);
  Exclude(owners);
  ApplyPins(owners);
  problems_stale_ = true;
  const std::vector<bool> drained = HeldByDrained();
  Plan next;
  next.exists = true;
  for (const auto& [id, member] : strategy_members_) {
    next.workers[id] = PlannedWorker{member.life, {}};
  }
  int moved = 0;
  int orphans = 0;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    if (owners[i] != strategy_input_->previous_owner[i]) ++moved;
    if (owners[i] < 0) continue;
    if (strategy_input_->previous_owner[i] < 0 && !drained[strategy_index_[i]]) ++orphans;
    const std::string& id = strategy_input_->workers[static_cast<std::size_t>(owners[i])].id;
    next.workers[id].target.push_back(strategy_index_[i]);
  }
  bool same = plan_.exists && plan_.workers.size() == next.workers.size();
  for (auto& [id, worker] : next.workers) {
    std::sort(worker.target.begin(), worker.target.end());
    const auto it = plan_.workers.find(id);
    same = same && it != plan_.workers.end() && it->second.life == worker.life &&
           it->second.target == worker.target;
  }
  if (const absl::Status fits = CheckSizes(next); !fits.ok()) {
    return Failed(fits, "the assignment did not fit");
  }
  ForgetFailure();
  plan_problem_.clear();
  members_ = strategy_members_;
  undrained_.clear();
  planned_control_ = std::max(planned_control_, strategy_control_);
  // A control record that came while the strategy ran may need no other plan than this.
  if (strategy_control_ >= ordered_control_ && !Compare(Present()).any()) {
    planned_control_ = control_change_;
  }
  if (same && !OffersAgain(next)) return;
  next.version = plan_.version + 1;
  plan_ = std::move(next);
  settled_ = false;
  planned_at_ = context_->now;
  // What was asked for while this one was in the making waits like what is asked for from now on.
  if (deferrable_.due != kNever) {
    const Settings& s = context_->settings;
    deferrable_.due =
        std::max(deferrable_.due, planned_at_ + std::max(s.rebalance_cooldown, s.release_timeout));
  }
  RebalanceNote note = Note(RebalanceNote::Phase::kPlanned);
  note.moved = moved;
  note.orphans = orphans;
  context_->Emit(std::move(note));
  planned_();
}

RebalanceNote Calculator::Note(RebalanceNote::Phase phase) const {
  RebalanceNote note;
  note.phase = phase;
  note.epoch = term_.epoch;
  note.version = plan_.version;
  note.cause = cause_.text;
  note.workers = static_cast<int>(plan_.workers.size());
  note.partitions = static_cast<int>(partition_index_.size());
  note.reason = cause_.kind;
  if (planned_at_ == -kNever) return note;  // the predecessor's plan
  note.detection = planned_at_ - cause_.since;
  if (phase == RebalanceNote::Phase::kSettled) note.settle = context_->now - planned_at_;
  return note;
}

void Calculator::Settled() {
  if (settled_) return;
  settled_ = true;
  // What waited for this rebalance to end waits for the cooldown only.
  if (deferrable_.due != kNever && deferrable_.due > context_->now) {
    deferrable_.due = std::min(
        deferrable_.due,
        std::max(deferrable_.earliest, planned_at_ + context_->settings.rebalance_cooldown));
  }
  context_->Emit(Note(RebalanceNote::Phase::kSettled));
}

void Calculator::OnTime() {
  if (context_->now >= debounce_at_) Evaluate();
  if (context_->now >= refusal_over_at_) {
    refusal_over_at_ = kNever;
    problems_stale_ = true;
    for (auto& [key, refusal] : refused_) {
      if (context_->now >= refusal.until) refusal.active = false;
      if (refusal.active) refusal_over_at_ = std::min(refusal_over_at_, refusal.until);
    }
    if (plan_.exists) {
      Want(CalculatorState::kRebalancing, 0, true,
           {RebalanceCause::kRefused, "offering again what was given back", context_->now});
    }
  }
  if (context_->now >= Due() && CanPlan()) Run();
}

Nanos Calculator::NextDeadline() const {
  Nanos next = std::min(debounce_at_, refusal_over_at_);
  if (CanPlan()) next = std::min(next, Due());
  return next;
}

}  // namespace parti::core
