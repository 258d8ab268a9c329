#include "internal/core/effect.h"

namespace parti::core {

std::string_view RebalanceCauseName(RebalanceCause cause) {
  switch (cause) {
    case RebalanceCause::kColdStart:
      return "cold_start";
    case RebalanceCause::kOutage:
      return "outage";
    case RebalanceCause::kJoin:
      return "join";
    case RebalanceCause::kLeave:
      return "leave";
    case RebalanceCause::kDeath:
      return "death";
    case RebalanceCause::kAltered:
      return "altered";
    case RebalanceCause::kPartitions:
      return "partitions";
    case RebalanceCause::kRequested:
      return "requested";
    case RebalanceCause::kRefused:
      return "refused";
    case RebalanceCause::kTakeover:
      return "takeover";
    case RebalanceCause::kControl:
      return "control";
    case RebalanceCause::kRetry:
      return "retry";
  }
  return "?";
}

std::string_view EvictionReasonName(EvictionReason reason) {
  switch (reason) {
    case EvictionReason::kSilent:
      return "silent";
    case EvictionReason::kRelease:
      return "release";
    case EvictionReason::kUnreadable:
      return "unreadable";
    case EvictionReason::kDeleted:
      return "deleted";
    case EvictionReason::kUnexplained:
      return "unexplained";
    case EvictionReason::kTooOld:
      return "too_old";
  }
  return "?";
}

}  // namespace parti::core
