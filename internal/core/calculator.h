// The Calculator: decides when to rebalance, and keeps the plan: who should own what.
//
// Causes come in (members, partition list, requests); each sets a window. When it is over the
// strategy is run, and its answer becomes the plan with the next version. Carrying it out is the
// Publisher's.
#ifndef PARTI_INTERNAL_CORE_CALCULATOR_H_
#define PARTI_INTERNAL_CORE_CALCULATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "internal/core/context.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"

namespace parti::core {

enum class CalculatorState { kIdle, kScaling, kRebalancing, kEmergency };

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
  void SetPartitions(std::shared_ptr<const std::vector<Partition>> partitions);
  void RequestRebalance();
  void OnStrategyDone(const StrategyDone& done);
  // The Publisher has carried the plan out.
  void Settled();

  const Plan& plan() const { return plan_; }
  CalculatorState state() const;

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
    Nanos due = kNever;
    Nanos earliest = 0;  // when the window is over, cooldown apart
    Cause cause;
  };
  struct Difference {
    int joined = 0, left = 0, died = 0, altered = 0;
    bool repeated_deaths_only = true;
    bool any() const { return joined + left + died + altered > 0; }
  };

  Members Present() const;
  Difference Compare(const Members& present);
  void AdoptDoc(const std::string& id, const WorkerView& worker, std::vector<bool>* taken);
  bool DiedRepeatedly(const std::string& worker);
  void Evaluate();
  void Want(CalculatorState state, Nanos window, bool planned, Cause cause);
  void Run();
  void Adopt(const std::vector<std::int32_t>& owners);
  void Failed(const absl::Status& status, const std::string& what);
  void ForgetFailure();
  bool OffersAgain(const Plan& plan) const;
  void Exclude(std::vector<std::int32_t>& owners);
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
  Pending pending_;
  bool planless_ = false;  // the last rebalance found nobody to give anything to
  // The last plan failed, for these workers; it isn't made again for them before that time.
  std::optional<Members> failed_for_;
  Nanos failed_until_ = -kNever;
  int failures_ = 0;
  Ticket strategy_ticket_ = 0;  // 0: none is running
  std::shared_ptr<const PlanInput> strategy_input_;
  Members strategy_members_;

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
  bool Refuses(const std::string& worker, PartitionIndex partition) const;
  std::map<std::pair<std::string, PartitionIndex>, RefusalView> refused_;
  Nanos refusal_over_at_ = kNever;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_CALCULATOR_H_
