// Schedules in which the server has lost what it had acknowledged: a power cut, a backup put back.
#ifndef PARTI_TEST_SIMULATION_RESTORED_H_
#define PARTI_TEST_SIMULATION_RESTORED_H_

#include <cstdint>

#include "test/simulation/history.h"
#include "test/simulation/schedules.h"

namespace parti::simulation {

Played HearAfterFence(std::uint64_t seed, History* history);
Played ConfirmTombstone(std::uint64_t seed, History* history);
Played AcknowledgementOfAStray(std::uint64_t seed, History* history);
Played HeartbeatFromBefore(std::uint64_t seed, History* history);
Played LeaderGoesBack(std::uint64_t seed, History* history);
Played LongestLease(std::uint64_t seed, History* history);
Played SuspectsDocument(std::uint64_t seed, History* history);
Played PurgedHeartbeat(std::uint64_t seed, History* history);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RESTORED_H_
