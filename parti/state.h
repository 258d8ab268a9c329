// The states of a worker, as the application sees them.
#ifndef PARTI_STATE_H_
#define PARTI_STATE_H_

#include <string_view>

#include "parti/export.h"

namespace parti {

enum class State {
  kInit,               // Start was not called yet
  kClaimingId,         // joining: looking for a free worker id
  kElection,           // joined; no leader is known
  kWaitingAssignment,  // joined; no assignment was applied in this life
  kStable,             // an assignment is applied
  kScaling,            // leader only: workers came or went; waiting for the scale window
  kRebalancing,        // leader only: a rebalance is being carried out
  kEmergency,          // leader only: a worker died; waiting for the grace period
  kDegraded,           // no answer from NATS; the lease (or, in fast mode, the cache) still holds
  kShutdown,           // stopped, or refused to start
};

// "Init", "ClaimingId", …
PARTI_EXPORT std::string_view StateName(State state);

}  // namespace parti

#endif  // PARTI_STATE_H_
