// The worker monitor: tells the living from the dead.
//
// Death is always a tombstone: a compare-and-set on the heartbeat key at the revision it replaces,
// whose success proves that no later heartbeat was accepted and that none will be. Then the
// recorded lease is waited out. A missing key, a partial scan, a silent watch are never death.
#ifndef PARTI_INTERNAL_CORE_MONITOR_H_
#define PARTI_INTERNAL_CORE_MONITOR_H_

#include <functional>
#include <string>

#include "internal/core/context.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"

namespace parti::core {

class Monitor {
 public:
  // `changed`: a view changed through an answer to this monitor.
  Monitor(Context* context, GroupView* view, const Term& term,
          std::function<void(const std::string&)> changed);

  // Looks at everyone: called after the first scan, and whenever something may be due.
  void Look();
  // The view of this worker changed.
  void Touched(const std::string& worker);
  // Evicts this life whatever its heartbeat says.
  void Condemn(const std::string& worker, std::string why);
  // Who still is suspect then is evicted.
  void EvictSuspectsAt(Nanos when) {
    suspects_until_ = when;
    next_look_ = std::min(next_look_, when);
  }

  void OnTime();
  Nanos NextDeadline() const { return next_look_; }

 private:
  struct Verdict {
    EvictionReason reason{};
    std::string why;  // for people
  };
  // When this worker must be looked at again; evicts or rereads what is due now.
  Nanos LookAt(const std::string& id, WorkerView& worker);
  Nanos DeadlineOf(const WorkerView& worker, Verdict* verdict) const;
  void Evict(const std::string& id, WorkerView& worker, const Verdict& verdict);
  void OnEvictAnswer(const std::string& id, const wire::Heartbeat& tombstone, EvictionReason reason,
                     const KvAnswer& answer);
  void Reread(const std::string& id, WorkerView& worker);
  void OnReread(const std::string& id, const KvAnswer& answer);

  Context* const context_;
  GroupView* const view_;
  const Term term_;
  const std::function<void(const std::string&)> changed_;
  Scope scope_;
  Nanos suspects_until_ = kNever;
  Nanos next_look_ = kNever;  // no later than the earliest deadline
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_MONITOR_H_
