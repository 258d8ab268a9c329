// The schedules that schedules.h lists, each of which sets its situation up and lets it happen.
#ifndef PARTI_TEST_SIMULATION_PLAYS_H_
#define PARTI_TEST_SIMULATION_PLAYS_H_

#include <cstdint>

#include "test/simulation/history.h"
#include "test/simulation/schedules.h"

namespace parti::simulation {

// rule_schedules.cc: a rule of the protocol is all that keeps a promise there.
Played CheckFence(std::uint64_t seed, History* history);
Played RewriteIsGrant(std::uint64_t seed, History* history);
Played SeveralHold(std::uint64_t seed, History* history);
Played RememberUnanswered(std::uint64_t seed, History* history);
Played ForwardOnly(std::uint64_t seed, History* history);
Played ScanReachesEnd(std::uint64_t seed, History* history);
Played MoveOfWhatDrains(std::uint64_t seed, History* history);
Played MoveUntold(std::uint64_t seed, History* history);
Played NeverOlderLife(std::uint64_t seed, History* history);
Played TermsOfOneEpoch(std::uint64_t seed, History* history);
Played DeletedDocument(std::uint64_t seed, History* history);
Played BeatAfterTheRecord(std::uint64_t seed, History* history);
Played TombstoneOfTheUnseen(std::uint64_t seed, History* history);
Played PurgedId(std::uint64_t seed, History* history);
Played VanishedId(std::uint64_t seed, History* history);
Played StuckRelease(std::uint64_t seed, History* history);
Played DocumentWhileDraining(std::uint64_t seed, History* history);
Played MovesInBatches(std::uint64_t seed, History* history);
Played GivenBack(std::uint64_t seed, History* history);
Played UnexplainedHoldsAll(std::uint64_t seed, History* history);

// restored.cc: the server has lost what it had acknowledged: a power cut, a backup put back.
Played HeartbeatFromBefore(std::uint64_t seed, History* history);
Played LeaderGoesBack(std::uint64_t seed, History* history);
Played LongestLease(std::uint64_t seed, History* history);
Played LongestLeaseRemembered(std::uint64_t seed, History* history);
Played SuspectsDocument(std::uint64_t seed, History* history);
Played ObscuredByGarbage(std::uint64_t seed, History* history);
Played ObscuredByDeletion(std::uint64_t seed, History* history);
Played ObscuredByPurge(std::uint64_t seed, History* history);
Played LossUnseen(std::uint64_t seed, History* history);
Played PurgedHeartbeat(std::uint64_t seed, History* history);
Played HearAfterFence(std::uint64_t seed, History* history);
Played ConfirmTombstone(std::uint64_t seed, History* history);
Played UnconfirmedTombstone(std::uint64_t seed, History* history);
Played HeartbeatsBegunAnew(std::uint64_t seed, History* history);
Played ConfirmedForTheOneBefore(std::uint64_t seed, History* history);
Played AcknowledgementOfAStray(std::uint64_t seed, History* history);

// twins.cc: a bucket has begun anew, and what belongs to the one before it lands there.
Played DocumentOfATwin(std::uint64_t seed, History* history);
Played DocumentOfALaterLife(std::uint64_t seed, History* history);
Played TombstoneOfAnEarlierLife(std::uint64_t seed, History* history);
Played MoveForgotten(std::uint64_t seed, History* history);
Played GrantForgotten(std::uint64_t seed, History* history);
Played DeletedThenStray(std::uint64_t seed, History* history);
Played PollOfARestoredDocument(std::uint64_t seed, History* history);
Played RevisionComesAround(std::uint64_t seed, History* history);

// late.cc: what comes late: the answer to a request, or what a watch first delivers.
Played ChallengeAnsweredLate(std::uint64_t seed, History* history);
Played ConflictReadLate(std::uint64_t seed, History* history);
Played ControlScannedLate(std::uint64_t seed, History* history);
Played ControlAnsweredLate(std::uint64_t seed, History* history);

// lapses.cc: what was to be heard, read or answered is lost or late.
Played UnansweredAndDrained(std::uint64_t seed, History* history);
Played OlderWhenReadAgain(std::uint64_t seed, History* history);
Played SuccessorUnseen(std::uint64_t seed, History* history);
Played CreatedTombstone(std::uint64_t seed, History* history);
Played RenewalAnsweredLate(std::uint64_t seed, History* history);
Played LostWhileDraining(std::uint64_t seed, History* history);
Played ClaimFromBefore(std::uint64_t seed, History* history);
Played UnreadableHeartbeat(std::uint64_t seed, History* history);
Played DocumentUnread(std::uint64_t seed, History* history);
Played OutranDocument(std::uint64_t seed, History* history);
Played WipedUnled(std::uint64_t seed, History* history);
Played ScanEndsOneShort(std::uint64_t seed, History* history);
Played HeartbeatAfterTheScan(std::uint64_t seed, History* history);

// planning.cc: what comes while a plan is made or carried out, or while a worker drains.
Played ControlWhilePlanning(std::uint64_t seed, History* history);
Played AskedWhilePlanning(std::uint64_t seed, History* history);
Played JoinedWhilePlanning(std::uint64_t seed, History* history);
Played RoomForTheRefused(std::uint64_t seed, History* history);
Played LeavesWhileDraining(std::uint64_t seed, History* history);
Played EvictedWhileDraining(std::uint64_t seed, History* history);
Played ScanOfTheOvertaken(std::uint64_t seed, History* history);
Played MemberOutOfScan(std::uint64_t seed, History* history);
Played OfferedAgainUnheard(std::uint64_t seed, History* history);
Played RefusedAfterThePlan(std::uint64_t seed, History* history);

// sundry.cc: losses that a leader outlives; drained workers; lists and deaths at awkward times.
Played RenewalsLost(std::uint64_t seed, History* history);
Played ChallengeLostAfterALoss(std::uint64_t seed, History* history);
Played HeartbeatsLost(std::uint64_t seed, History* history);
Played PolledHeartbeatsLost(std::uint64_t seed, History* history);
Played HeardLate(std::uint64_t seed, History* history);
Played StuckAmidGrants(std::uint64_t seed, History* history);
Played EvictedUnheard(std::uint64_t seed, History* history);
Played PurgedDocument(std::uint64_t seed, History* history);
Played OlderDocument(std::uint64_t seed, History* history);
Played DrainedStillHolds(std::uint64_t seed, History* history);
Played DrainedMoves(std::uint64_t seed, History* history);
Played PlanThatFailed(std::uint64_t seed, History* history);
Played ListChangesBack(std::uint64_t seed, History* history);
Played DeathWithinCooldown(std::uint64_t seed, History* history);

// endings.cc: tombstones, refusals and wishes, and what has to end when nothing else comes to pass.
Played EarlierTombstoneStands(std::uint64_t seed, History* history);
Played TombstoneOfAShorterLease(std::uint64_t seed, History* history);
Played RevisionTakenAgain(std::uint64_t seed, History* history);
Played LeaderDiesBeforeBalance(std::uint64_t seed, History* history);
Played GivenBackThoughPinned(std::uint64_t seed, History* history);
Played ControlPurged(std::uint64_t seed, History* history);
Played OwnersDead(std::uint64_t seed, History* history);
Played UnreadableAmidUpgrade(std::uint64_t seed, History* history);
Played LeaseEndsUnnoticed(std::uint64_t seed, History* history);
Played ConfirmedLate(std::uint64_t seed, History* history);
Played LaterEpochTold(std::uint64_t seed, History* history);
Played WantedOfNobody(std::uint64_t seed, History* history);
Played GrantOfATwin(std::uint64_t seed, History* history);
Played GrantWrittenAnew(std::uint64_t seed, History* history);

// beginnings.cc: a term or a life begins, and what went before is told by little, or wrongly.
Played EpochOfADocument(std::uint64_t seed, History* history);
Played EpochOfHeartbeats(std::uint64_t seed, History* history);
Played DocumentOfAFormerLife(std::uint64_t seed, History* history);
Played EpochOfTwoTerms(std::uint64_t seed, History* history);
Played UnansweredGrantTakenBack(std::uint64_t seed, History* history);
Played PinnedUnled(std::uint64_t seed, History* history);
Played RefusedUnled(std::uint64_t seed, History* history);
Played RefusedAfterRewrite(std::uint64_t seed, History* history);
Played FencedWhileDraining(std::uint64_t seed, History* history);
Played FenceAnsweredLate(std::uint64_t seed, History* history);
Played NumberOfADocument(std::uint64_t seed, History* history);
Played TwoLivesOfOneNumber(std::uint64_t seed, History* history);
Played DocumentOfALostTerm(std::uint64_t seed, History* history);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_PLAYS_H_
