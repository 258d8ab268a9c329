#include "internal/core/upgrade.h"

#include <algorithm>

namespace parti::core {

// How far this worker may raise it.
int Upgrade::Limit() const {
  const Settings& s = context_->settings;
  return s.wire_version_limit > 0 ? std::min(s.wire_version_limit, s.newest_wire_version)
                                  : s.newest_wire_version;
}

// Who can't be read may be anybody.
int Upgrade::SpokenByAll() const {
  int spoken = Limit();
  for (const auto& [id, worker] : view_->workers) {
    if (worker.heartbeat.unreadable()) return 0;
    if (worker.heartbeat.live()) spoken = std::min(spoken, worker.heartbeat.record->speaks);
  }
  return spoken;
}

int Upgrade::Due() {
  if (context_->now < NextDeadline()) return 0;
  look_at_ = context_->now + context_->settings.lease / 4;
  const int spoken = SpokenByAll();
  if (spoken <= context_->wire_version) {
    candidate_ = 0;
    return 0;
  }
  if (spoken != candidate_) {
    candidate_ = spoken;
    since_ = context_->now;
  }
  return context_->now >= since_ + context_->settings.lease ? candidate_ : 0;
}

Nanos Upgrade::NextDeadline() const { return context_->wire_version < Limit() ? look_at_ : kNever; }

}  // namespace parti::core
