#include "parti/state.h"

namespace parti {

std::string_view StateName(State state) {
  switch (state) {
    case State::kInit:
      return "Init";
    case State::kClaimingId:
      return "ClaimingId";
    case State::kElection:
      return "Election";
    case State::kWaitingAssignment:
      return "WaitingAssignment";
    case State::kStable:
      return "Stable";
    case State::kScaling:
      return "Scaling";
    case State::kRebalancing:
      return "Rebalancing";
    case State::kEmergency:
      return "Emergency";
    case State::kDegraded:
      return "Degraded";
    case State::kShutdown:
      return "Shutdown";
  }
  return "?";
}

}  // namespace parti
