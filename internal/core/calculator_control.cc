// The Calculator's part of the control record: how people's wishes bend a plan, and what of them
// can't be done.
#include <fmt/format.h>

#include <algorithm>

#include "internal/core/calculator.h"

namespace parti::core {

bool Calculator::AnyDrainedAlive() const {
  return std::any_of(drained_.begin(), drained_.end(), [this](const std::string& id) {
    const auto it = view_->workers.find(id);
    return it != view_->workers.end() && CanTakeWork(it->second);
  });
}

void Calculator::SetControl(const wire::Control& control) {
  problems_stale_ = true;
  const bool first = !control_known_;
  control_known_ = true;
  if (!first && control == control_) return;
  const std::set<std::string> before = std::move(drained_);
  drained_ = {control.drained.begin(), control.drained.end()};
  for (const std::string& id : before) {
    if (!drained_.contains(id)) undrained_.insert(id);
  }
  const bool resumed = control_.paused && !control.paused;
  const bool pins = control_.pins != control.pins;
  control_ = control;
  ForgetFailure();
  const bool was_planned = planned_control_ == control_change_;
  ++control_change_;
  if (!taken_over_) return;
  if (resumed || pins) {
    ordered_control_ = control_change_;
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kControl, resumed ? "control: resumed" : "control: pins changed",
          context_->now});
  }
  Evaluate();
  // What changes nothing of any plan, such as a pause, needs none.
  const bool needs_plan = resumed || pins || Compare(Present()).any();
  if (was_planned && !needs_plan) planned_control_ = control_change_;
}

// Once, when both the predecessor's plan and the control record are known.
void Calculator::ReviewControl() {
  if (control_change_ == planned_control_) return;
  const bool needs_plan = !control_.pins.empty() || Compare(Present()).any();
  if (!control_.pins.empty()) {
    Want(CalculatorState::kRebalancing, 0, true,
         {RebalanceCause::kControl, "takeover: control", context_->now});
  }
  if (!needs_plan) planned_control_ = control_change_;
}

bool Calculator::ControlSettled() const {
  return control_known_ && planned_control_ == control_change_ && settled_;
}

// While paused, what has an owner who lives and didn't give it back stays with that.
void Calculator::KeepInPlace(std::vector<std::int32_t>& owners) const {
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const std::int32_t previous = strategy_input_->previous_owner[i];
    if (previous < 0) continue;
    const std::string& id = strategy_input_->workers[static_cast<std::size_t>(previous)].id;
    if (!Refuses(id, strategy_index_[i])) owners[i] = previous;
  }
}

// Also while paused: a pin is an order of its own.
void Calculator::ApplyPins(std::vector<std::int32_t>& owners) const {
  if (control_.pins.empty()) return;
  std::vector<std::int32_t> position(view_->names.size(), -1);
  for (std::size_t i = 0; i < strategy_index_.size(); ++i) {
    position[strategy_index_[i]] = static_cast<std::int32_t>(i);
  }
  const std::vector<WorkerInfo>& workers = strategy_input_->workers;  // sorted by id
  for (const wire::Pin& pin : control_.pins) {
    const std::optional<PartitionIndex> p = view_->names.Find(pin.partition);
    if (!p || position[*p] < 0) continue;
    const auto worker = std::lower_bound(
        workers.begin(), workers.end(), pin.worker,
        [](const WorkerInfo& info, const std::string& id) { return info.id < id; });
    if (worker == workers.end() || worker->id != pin.worker || Refuses(pin.worker, *p)) continue;
    owners[static_cast<std::size_t>(position[*p])] =
        static_cast<std::int32_t>(worker - workers.begin());
  }
}

// They have an owner who lives, though not one that they may stay with.
std::vector<bool> Calculator::HeldByDrained() const {
  std::vector<bool> held(view_->names.size(), false);
  for (const auto& [id, planned] : plan_.workers) {
    const auto it = view_->workers.find(id);
    if (!IsDrained(id) || it == view_->workers.end() || !CanTakeWork(it->second)) continue;
    for (const PartitionIndex p : planned.target) held[p] = true;
  }
  return held;
}

// ---- problems

std::string Calculator::WhyNotPinned(const wire::Pin& pin, const std::vector<bool>& listed) const {
  const std::optional<PartitionIndex> p = view_->names.Find(pin.partition);
  if (!p || !listed[*p]) return "but isn't in the partition list";
  const auto it = view_->workers.find(pin.worker);
  if (it == view_->workers.end() || !it->second.heartbeat.live()) return "who isn't a member";
  if (IsDrained(pin.worker)) return "who is drained";
  if (!CanTakeWork(it->second)) return "who can't take partitions now";
  if (Refuses(pin.worker, *p)) return "who gave it back; it is offered again later";
  return "";
}

void Calculator::CollectProblems() {
  problems_.clear();
  if (!plan_problem_.empty()) problems_.push_back(plan_problem_);
  if (Present().empty() && AnyDrainedAlive()) {
    problems_.push_back(
        fmt::format("every worker is drained: {} partitions are left without an owner",
                    partition_index_.size()));
  }
  if (control_.pins.empty() || partitions_ == nullptr) return;
  std::vector<bool> listed(view_->names.size(), false);
  for (const PartitionIndex p : partition_index_) listed[p] = true;
  for (const wire::Pin& pin : control_.pins) {
    if (problems_.size() >= wire::kReportSample) return;
    const std::string why = WhyNotPinned(pin, listed);
    if (why.empty()) continue;
    problems_.push_back(fmt::format("{} is pinned to {}, {}", pin.partition, pin.worker, why));
  }
}

const std::vector<std::string>& Calculator::Problems() {
  if (std::exchange(problems_stale_, false)) CollectProblems();
  return problems_;
}

}  // namespace parti::core
