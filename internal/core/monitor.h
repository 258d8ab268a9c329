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
  struct Calls {
    std::function<void(const std::string&)> changed;  // a view, through an answer to this monitor
    // Asks whether the heartbeat bucket still is what this term's picture was made of. If it isn't,
    // the term ends.
    std::function<void(std::function<void(bool same)>)> ask_stream;
    std::function<void()> went_back;  // a heartbeat stands that is older than one that was seen
  };
  Monitor(Context* context, GroupView* view, const Term& term, Calls calls);

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
  void OnReread(const std::string& id, std::uint64_t known, const KvAnswer& answer);
  void Confirm(const std::string& id, WorkerView& worker);
  void OnConfirm(const std::string& id, std::uint64_t tombstone, bool same);
  void RereadDoc(const std::string& id, WorkerView& worker);

  Context* const context_;
  GroupView* const view_;
  const Term term_;
  const Calls calls_;
  Scope scope_;
  Nanos suspects_until_ = kNever;
  Nanos next_look_ = kNever;  // no later than the earliest deadline
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_MONITOR_H_
