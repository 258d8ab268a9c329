// The leader's report for people: what it does, what is without an owner, how far it has got with
// the control record.
//
// Best effort: written by compare-and-set when something changed, a few times a second at most; a
// failure is tried again, and looked at again now and then. Nothing waits for it, and nothing of
// ownership rests on it.
#ifndef PARTI_INTERNAL_CORE_REPORTER_H_
#define PARTI_INTERNAL_CORE_REPORTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "internal/core/calculator.h"
#include "internal/core/context.h"
#include "internal/core/control_key.h"
#include "internal/core/group_view.h"
#include "internal/core/host.h"

namespace parti::core {

class Reporter {
 public:
  Reporter(Context* context, const GroupView* view, Calculator* calculator,
           const ControlKey* control, const Term& term);

  // The leader has taken over: there is something to tell.
  void Begin();
  // Something of the report may have changed.
  void Touch();
  // Who owns what, or what there is to own, may have.
  void OwnersChanged() {
    owners_stale_ = true;
    Touch();
  }

  void OnTime();
  Nanos NextDeadline() const;

 private:
  wire::Report Make();
  void CountUnassigned();
  void Write();
  void OnWritten(const wire::Report& report, const KvAnswer& answer);
  void Read();
  void OnRead(const KvAnswer& answer);

  Context* const context_;
  const GroupView* const view_;
  Calculator* const calculator_;
  const ControlKey* const control_;
  const Term term_;
  Scope scope_;

  bool begun_ = false;
  bool over_ = false;  // a later leader reports
  bool busy_ = false;  // a request is under way
  // The key's revision; none: not known, so that it has to be read first.
  std::optional<std::uint64_t> revision_;
  std::optional<wire::Report> written_;  // what stands there, if it is ours
  Nanos write_at_ = kNever;
  Nanos last_write_ = -kNever;
  Nanos verify_at_ = kNever;
  Backoff backoff_;

  // What of the calculator tells nobody when it changes.
  CalculatorState state_ = CalculatorState::kIdle;
  std::uint64_t version_ = 0;
  bool settled_ = false;

  bool owners_stale_ = true;
  std::uint64_t unassigned_ = 0;
  std::vector<std::string> sample_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_REPORTER_H_
