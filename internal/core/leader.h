// The leader: everything that one term does, from the scan after its fence to its last doc. It
// lives as long as the term, and forgets all with it.
#ifndef PARTI_INTERNAL_CORE_LEADER_H_
#define PARTI_INTERNAL_CORE_LEADER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "internal/core/calculator.h"
#include "internal/core/context.h"
#include "internal/core/control_key.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"
#include "internal/core/monitor.h"
#include "internal/core/publisher.h"
#include "internal/core/reporter.h"
#include "internal/core/upgrade.h"
#include "internal/core/watch.h"

namespace parti::core {

class Leader {
 public:
  // What the leader asks of the election.
  struct Calls {
    std::function<void(std::uint64_t assignment, std::uint64_t heartbeat)> confirm_streams;
    // `unknown_past`: lives may go on that no bucket tells of any more.
    std::function<void(const std::string& why, bool unknown_past)> refence;
    std::function<void(int wire_version)> raise;
  };

  Leader(Context* context, const Term& term, Calls calls);

  void SetPartitions(std::shared_ptr<const std::vector<Partition>> partitions) {
    calculator_.SetPartitions(std::move(partitions));
    reporter_.OwnersChanged();
  }
  void RequestRebalance() { calculator_.RequestRebalance(); }
  void OnStrategyDone(const StrategyDone& done) { calculator_.OnStrategyDone(done); }
  CalculatorState state() const { return calculator_.state(); }

  void OnTime();
  Nanos NextDeadline() const;

 private:
  void OnHeartbeat(const wire::Entry& entry);
  void OnDoc(const wire::Entry& entry);
  void OnReady();
  void TakeOver();
  void Hold();
  bool holding() const { return context_->now < hold_until_; }
  void CheckRefusals(const std::string& id);
  void ViewChanged(const std::string& id);
  bool Unfit();
  bool SharesEpoch(const DocView& doc);
  Nanos PollInterval() const;
  void Poll();
  std::uint64_t Furthest(const Watch& watch) const;
  void OnPoll(Watch& watch, std::uint64_t known, const KvAnswer& answer);
  bool SameStream(Watch& watch, std::uint64_t known, const KvAnswer& info);

  Context* const context_;
  const Term term_;
  const Calls calls_;
  Scope scope_;
  GroupView view_;
  Watch heartbeat_watch_;
  Watch doc_watch_;
  Monitor monitor_;
  Calculator calculator_;
  Publisher publisher_;
  Upgrade upgrade_;
  ControlKey control_;
  Reporter reporter_;

  bool taken_over_ = false;
  bool unfit_ = false;
  std::size_t names_at_first_ = 0;  // how many partitions the first scan told of
  int wire_version_;                // the group's, as our picture of who is fit was made
  std::uint64_t heartbeat_stream_ = 0;
  std::uint64_t assignment_stream_ = 0;
  // No grant before that, where the past is unknown: the longest lease, counted from there.
  Nanos hold_since_ = 0;
  Nanos hold_until_ = 0;
  Nanos confirm_at_ = kNever;
  Nanos poll_at_ = kNever;
  // A poll knew more than this watch: it has until then to catch up.
  struct Behind {
    std::uint64_t sequence = 0;
    Nanos until = kNever;
    bool went_back = false;  // the stream ended before what was known of it, the last time
  };
  Behind heartbeat_behind_;
  Behind doc_behind_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_LEADER_H_
