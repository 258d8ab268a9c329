// What a campaign saw: a simulator that never loses a leader proves nothing about losing leaders.
#ifndef PARTI_TEST_SIMULATION_TALLY_H_
#define PARTI_TEST_SIMULATION_TALLY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace parti::simulation {

enum class Count : std::uint8_t {
  // Faults injected.
  kCrash,
  kCrashMidStep,
  kReboot,
  kPause,
  kPauseMidStep,
  kPauseBeyondLease,
  kRestart,
  kJoin,
  kLeave,
  kTwin,
  kCut,
  kOutage,
  kServerFrozen,
  kRequestLost,
  kAnswerLost,
  kLandedLate,
  kRefused,
  kPartialScan,
  kWatchStalled,
  kWatchBroken,
  kHookSlow,
  kHookStuck,
  kAcquireFailed,
  kStrategyFailed,
  kStrategySlow,
  kKeyDeleted,
  kGarbageWritten,
  kBucketWiped,
  kBucketRolledBack,
  kPartitionsChanged,
  kListingFailed,
  kRebalanceAsked,
  kNewerBuild,
  kControlWritten,
  kLurked,
  kOtherMode,
  // What came of them.
  kLeaderChange,
  kVersionRaised,
  kRebalance,
  kMove,
  kLife,
  kEviction,
  kTombstoneMet,
  kLeft,
  kConflict,
  kDeposedWriteSent,
  kDeposedWriteLanded,
  kClaimAfterLapse,
  kLostPartition,
  kIdsExhausted,
  kReport,
  kMalformedNote,
  kErrorReport,
  kFatalReport,
  kCount
};
inline constexpr std::size_t kCounts = static_cast<std::size_t>(Count::kCount);
inline constexpr std::size_t kFirstConsequence = static_cast<std::size_t>(Count::kLeaderChange);
std::string_view CountName(Count count);

class Tally {
 public:
  void Add(Count count, std::uint64_t n = 1) { counts_[static_cast<std::size_t>(count)] += n; }
  std::uint64_t operator[](Count count) const { return counts_[static_cast<std::size_t>(count)]; }
  void Add(const Tally& other) {
    for (std::size_t i = 0; i < kCounts; ++i) counts_[i] += other.counts_[i];
  }

 private:
  std::array<std::uint64_t, kCounts> counts_{};
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_TALLY_H_
