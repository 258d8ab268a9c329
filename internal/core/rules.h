// Switches that take one rule of the protocol away, so that tests can show that each is needed.
// They exist only where PARTI_MUTABLE_RULES is defined (the simulator's build of core); in the
// shipped library every rule is a constant `true`.
#ifndef PARTI_INTERNAL_CORE_RULES_H_
#define PARTI_INTERNAL_CORE_RULES_H_

#include <cstdint>
#include <string_view>

namespace parti::core {

enum class Rule : std::uint32_t {
  kReadAfterFence,       // [1] act only on a scan begun after the fence was written
  kScanReachesEnd,       // [1] a scan counts once it reached the stream's last sequence
  kHearAfterFence,       // [1] what nobody is known to hold waits until all have seen the fence
  kCheckFence,           // [2] a worker reads `leader` before it applies a doc
  kGrantOnlyFree,        // [3] no grant while another worker possibly holds the partition
  kKeepReleasing,        // [4] a revoked partition stays in `releasing` until acknowledged
  kUnackedHoldsAll,      // [4] an unacknowledged doc holds owned and releasing
  kNeverOlderLife,       // [5] no doc for an older incarnation than it names
  kRewriteIsGrant,       // [6] rewriting a predecessor's doc obeys [3]
  kRewriteForeign,       // [6] a predecessor's unacknowledged doc is rewritten
  kRememberUnanswered,   // [7] a doc write without an answer may still land
  kForwardOnly,          // [8] docs are applied in rising revision order
  kWaitAfterTombstone,   // an evicted life's lease is waited out
  kConfirmTombstone,     // … and from before the tombstone only if its bucket is the same still
  kLeaseFromSend,        // the lease counts from before the send, of the very number found
  kStopAtTombstone,      // a heartbeat conflict is read back; a tombstone ends the life
  kJoinerWatches,        // an id is free only after its lease was watched to run out
  kFirstGrantWaits,      // no grant for the longest lease where `leader` was absent or a stream new
  kUnexplainedHoldsAll,  // an applied doc that no doc explains holds everything
  kUnreadableHoldsAll,   // an unreadable doc holds everything
  kDrainBeforeAck,       // no acknowledgement with work in flight
  kCount
};

// "check-fence" for kCheckFence, and so on: the names on the simulator's command line.
std::string_view RuleName(Rule rule);

#ifdef PARTI_MUTABLE_RULES
bool RuleOn(Rule rule);
void SetRule(Rule rule, bool on);
#else
constexpr bool RuleOn(Rule) { return true; }
#endif

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_RULES_H_
