#include "test/simulation/tally.h"

namespace parti::simulation {

std::string_view CountName(Count count) {
  switch (count) {
    case Count::kCrash:
      return "crashes";
    case Count::kCrashMidStep:
      return "crashes amid a step";
    case Count::kReboot:
      return "reboots";
    case Count::kPause:
      return "pauses";
    case Count::kPauseMidStep:
      return "pauses amid a step";
    case Count::kPauseBeyondLease:
      return "pauses beyond the lease";
    case Count::kRestart:
      return "restarts";
    case Count::kJoin:
      return "joins";
    case Count::kLeave:
      return "leaves";
    case Count::kTwin:
      return "second processes of one identity";
    case Count::kCut:
      return "disconnects";
    case Count::kOutage:
      return "outages";
    case Count::kServerFrozen:
      return "frozen servers";
    case Count::kRequestLost:
      return "requests lost";
    case Count::kAnswerLost:
      return "answers lost";
    case Count::kLandedLate:
      return "requests landed late";
    case Count::kRefused:
      return "requests refused";
    case Count::kPartialScan:
      return "partial scans";
    case Count::kWatchStalled:
      return "watches stalled";
    case Count::kWatchBroken:
      return "watches broken";
    case Count::kHookSlow:
      return "slow hooks";
    case Count::kHookStuck:
      return "stuck hooks";
    case Count::kAcquireFailed:
      return "acquires failed";
    case Count::kStrategyFailed:
      return "strategies failed";
    case Count::kStrategySlow:
      return "strategies slow";
    case Count::kKeyDeleted:
      return "keys deleted by hand";
    case Count::kGarbageWritten:
      return "garbage values";
    case Count::kBucketWiped:
      return "buckets wiped";
    case Count::kBucketRolledBack:
      return "buckets rolled back";
    case Count::kLurked:
      return "strikes at moments that matter";
    case Count::kOtherMode:
      return "processes of the other mode";
    case Count::kIdsExhausted:
      return "lacks of worker ids";
    case Count::kPartitionsChanged:
      return "partition lists changed";
    case Count::kListingFailed:
      return "listings failed";
    case Count::kControlWritten:
      return "control records written";
    case Count::kRebalanceAsked:
      return "rebalances asked for";
    case Count::kNewerBuild:
      return "starts of a newer build";
    case Count::kVersionRaised:
      return "wire versions raised";
    case Count::kLeaderChange:
      return "leader changes";
    case Count::kRebalance:
      return "rebalances";
    case Count::kMove:
      return "moves";
    case Count::kLife:
      return "lives";
    case Count::kEviction:
      return "evictions";
    case Count::kTombstoneMet:
      return "heartbeats that met a tombstone";
    case Count::kLeft:
      return "lives that left";
    case Count::kConflict:
      return "conflicts";
    case Count::kDeposedWriteSent:
      return "documents sent by deposed leaders";
    case Count::kDeposedWriteLanded:
      return "documents landed of deposed leaders";
    case Count::kClaimAfterLapse:
      return "claims after the lease had lapsed";
    case Count::kLostPartition:
      return "partitions lost";
    case Count::kReport:
      return "reports of the leader";
    case Count::kMalformedNote:
      return "unreadable values met";
    case Count::kErrorReport:
      return "errors reported";
    case Count::kFatalReport:
      return "refusals to go on";
    case Count::kCount:
      break;
  }
  return "?";
}

}  // namespace parti::simulation
