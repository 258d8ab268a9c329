// The Calculator: decides when to rebalance, and keeps the plan: who should own what.
//
// Causes come in (members, partition list, requests); each sets a window. When it is over the
// strategy is run, and its answer becomes the plan with the next version. Carrying it out is the
// Publisher's.
//
// People's wishes (the control record) bend the strategy's answer: a drained worker is none that
// partitions could be given to; while paused, what has an owner stays with it; a pin overrides the
// rest.
#ifndef PARTI_INTERNAL_CORE_CALCULATOR_H_
#define PARTI_INTERNAL_CORE_CALCULATOR_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "internal/core/context.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"

namespace parti::core {

enum class CalculatorState { kIdle, kScaling, kRebalancing, kEmergency };
std::string_view CalculatorStateName(CalculatorState state);  // "Idle", …

struct PlannedWorker {
  Life life;
  std::vector<PartitionIndex> target;  // sorted
};

struct Plan {
  std::uint64_t version = 0;
  std::map<std::string, PlannedWorker> workers;
  bool exists = false;
};

class Calculator {
 public:
  // `planned`: a new plan stands.
  Calculator(Context* context, GroupView* view, const Term& term, std::function<void()> planned);

  // After the first scan: adopts what the predecessor's docs say as the plan, and looks for what
  // differs from it.
  void TakeOver();
  // A worker came, went or changed: debounced, then compared with the plan.
  void MembersTouched();
  // A worker gave a partition back.
  void Refused(const std::string& worker, PartitionIndex partition);
  // … and isn't to be offered it yet.
  bool Refuses(const std::string& worker, PartitionIndex partition) const;
  void SetPartitions(std::shared_ptr<const std::vector<Partition>> partitions);
  void RequestRebalance();
  // What people want. No plan is made before this was called once.
  void SetControl(const wire::Control& control);
  void OnStrategyDone(const StrategyDone& done);
  // The Publisher has carried the plan out.
  void Settled();

  const Plan& plan() const { return plan_; }
  CalculatorState state() const;
  const std::string& cause() const { return cause_.text; }  // of the plan
  bool listed() const { return partitions_ != nullptr; }
  const std::vector<PartitionIndex>& partitions() const { return partition_index_; }
  // The plan takes account of the control record, and the docs of the plan.
  bool ControlSettled() const;
  // What of it can't be done and why; at most wire::kReportSample.
  const std::vector<std::string>& Problems();

  void OnTime();
  Nanos NextDeadline() const;

 private:
  struct Member {
    Life life;
    std::int64_t capacity = 0;
    std::map<std::string, std::string> labels;
    friend bool operator==(const Member&, const Member&) = default;
  };
  using Members = std::map<std::string, Member>;
  struct Cause {
    RebalanceCause kind = RebalanceCause::kTakeover;
    std::string text;
    Nanos since = 0;  // when it was first seen
  };
  struct Pending {
    CalculatorState state = CalculatorState::kIdle;
    Nanos due = kNever;  // kNever: nothing is pending
    Nanos earliest = 0;  // when the window is over, cooldown apart
    Cause cause;
  };
  struct Difference {
    int joined = 0, left = 0, died = 0, altered = 0;
    int steered = 0;  // drained, or drained no more
    bool repeated_deaths_only = true;
    bool any() const { return joined + left + died + altered + steered > 0; }
    bool only_steered() const { return any() && joined + left + died + altered == 0; }
  };

  Members Present() const;
  Difference Compare(const Members& present);
  void AdoptDoc(const std::string& id, const WorkerView& worker, std::vector<bool>* taken);
  bool DiedRepeatedly(const std::string& worker);
  void Evaluate();
  void Want(CalculatorState state, Nanos window, bool can_wait, Cause cause);
  Nanos Due() const { return std::min(urgent_.due, deferrable_.due); }
  bool CanPlan() const;
  bool AwaitsMember() const;
  void Run();
  void Adopt(const std::vector<std::int32_t>& owners);
  void Failed(const absl::Status& status, const std::string& what);
  void ForgetFailure();
  bool OffersAgain(const Plan& plan) const;
  void Exclude(std::vector<std::int32_t>& owners);
  bool CanTakeWork(const WorkerView& worker) const;
  bool IsDrained(const std::string& worker) const { return drained_.contains(worker); }
  bool AnyDrainedAlive() const;
  void ReviewControl();
  void KeepInPlace(std::vector<std::int32_t>& owners) const;
  void ApplyPins(std::vector<std::int32_t>& owners) const;
  std::vector<bool> HeldByDrained() const;
  std::string WhyNotPinned(const wire::Pin& pin, const std::vector<bool>& listed) const;
  void CollectProblems();
  RebalanceNote Note(RebalanceNote::Phase phase) const;
  absl::Status CheckSizes(const Plan& plan) const;
  bool PartitionsDiffer() const;

  Context* const context_;
  GroupView* const view_;
  const Term term_;
  const std::function<void()> planned_;

  std::shared_ptr<const std::vector<Partition>> partitions_;  // sorted by id; null: not listed yet
  std::vector<PartitionIndex> partition_index_;               // of each of them
  bool taken_over_ = false;
  Plan plan_;
  Members members_;  // whom the plan was made for
  bool settled_ = true;
  Nanos planned_at_ = -kNever;
  Cause cause_;  // of the plan

  Nanos touched_at_ = kNever;  // the first change that is not evaluated yet
  Nanos debounce_at_ = kNever;
  Nanos debounce_cap_at_ = kNever;
  // Requests that wait for their windows, and those that wait for the cooldown, too. The plan that
  // is made for either takes account of both.
  Pending urgent_;
  Pending deferrable_;
  bool planless_ = false;  // the last rebalance found nobody to give anything to
  // The last plan failed, for these workers; it isn't made again for them before that time.
  std::optional<Members> failed_for_;
  Nanos failed_until_ = -kNever;
  int failures_ = 0;
  Ticket strategy_ticket_ = 0;  // 0: none is running
  std::shared_ptr<const PlanInput> strategy_input_;
  std::vector<PartitionIndex> strategy_index_;  // of its partitions
  Members strategy_members_;

  bool control_known_ = false;
  wire::Control control_;
  std::set<std::string> drained_;
  std::set<std::string> undrained_;  // since the last plan
  // Changes of control are counted: the newest, the one that the running strategy serves, and the
  // newest that the plan takes account of.
  std::uint64_t control_change_ = 0;
  std::uint64_t strategy_control_ = 0;
  std::uint64_t planned_control_ = 0;
  std::uint64_t ordered_control_ = 0;  // the newest that takes a plan, whoever the members are
  std::string plan_problem_;           // why there is no newer plan; empty: nothing hinders
  bool problems_stale_ = true;
  std::vector<std::string> problems_;

  struct Deaths {
    int count = 0;
    Nanos last = 0;
    std::uint64_t incarnation = 0;
  };
  std::map<std::string, Deaths> deaths_;
  // What a worker gave back, and until when it isn't offered that again: longer each time.
  struct RefusalView {
    Nanos until = 0;
    int times = 0;
    bool active = false;
  };
  std::map<std::pair<std::string, PartitionIndex>, RefusalView> refused_;
  Nanos refusal_over_at_ = kNever;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_CALCULATOR_H_
