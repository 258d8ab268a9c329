// The assignment publisher: turns the plan into docs, revocations first, grants as partitions
// become free.
#ifndef PARTI_INTERNAL_CORE_PUBLISHER_H_
#define PARTI_INTERNAL_CORE_PUBLISHER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "internal/core/calculator.h"
#include "internal/core/context.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"

namespace parti::core {

class Publisher {
 public:
  // `changed`: the view of this worker's doc changed. `vanished`: a doc that was there is gone, the
  // stream was wiped.
  Publisher(Context* context, GroupView* view, Calculator* calculator, const Term& term,
            std::function<void(const std::string&)> changed, std::function<void()> vanished);

  // No grant before this moment.
  void HoldUntil(Nanos when) { hold_until_ = when; }
  // Something that docs depend on changed.
  void Touch();

  void OnTime();
  Nanos NextDeadline() const;

 private:
  // Who possibly holds each partition.
  class Holders;
  struct Draft {
    wire::Doc doc;
    std::vector<PartitionIndex> owned;      // sorted
    std::vector<PartitionIndex> releasing;  // sorted
  };

  void Step();
  bool Settled() const;
  void Consider(const std::string& id, WorkerView& worker, const Holders& holders, int index,
                const Holdings& held);
  void StandIn(const std::string& id, WorkerView& worker);
  void EmptyDoc(const std::string& id, WorkerView& worker);
  void Write(const std::string& id, WorkerView& worker, Draft draft);
  void OnAnswer(const std::string& id, std::uint64_t expected, const std::string& value,
                const KvAnswer& answer);
  void Reread(const std::string& id, std::uint64_t expected);

  Context* const context_;
  GroupView* const view_;
  Calculator* const calculator_;
  const Term term_;
  const std::function<void(const std::string&)> changed_;
  const std::function<void()> vanished_;
  Scope scope_;
  Nanos hold_until_ = 0;
  Nanos step_at_ = kNever;
  Nanos last_step_ = 0;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_PUBLISHER_H_
