// When the group's wire version is raised: once every living member has spoken a newer one for as
// long as a lease, so that nobody who can't is about to be heard of.
//
// A worker that only just joined may still be overlooked. It finds itself left behind then, and
// leaves; the leader gives it nothing.
#ifndef PARTI_INTERNAL_CORE_UPGRADE_H_
#define PARTI_INTERNAL_CORE_UPGRADE_H_

#include "internal/core/context.h"
#include "internal/core/group_view.h"

namespace parti::core {

class Upgrade {
 public:
  Upgrade(Context* context, const GroupView* view) : context_(context), view_(view) {}

  // The version to raise the group to now; 0: none.
  int Due();
  Nanos NextDeadline() const;

 private:
  int Limit() const;
  int SpokenByAll() const;

  Context* const context_;
  const GroupView* const view_;
  int candidate_ = 0;
  Nanos since_ = 0;  // since when all have spoken it
  Nanos look_at_ = 0;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_UPGRADE_H_
