#include "internal/runtime/health.h"

#include <fmt/format.h>

#include <algorithm>

namespace parti::runtime {
namespace {

constexpr core::Nanos kLeastStuck = 10 * core::kSecond;

std::string WhyNotLive(const HealthFacts& facts) {
  if (!facts.fatal.empty()) return "the worker gave up: " + facts.fatal;
  if (facts.ended) return "the worker has ended by itself";
  if (facts.loop_stuck >= std::max(facts.lease, kLeastStuck)) {
    return fmt::format(
        "the worker's loop has not got on for {} s: does the OwnershipObserver, Logger or Metrics "
        "block?",
        facts.loop_stuck / core::kSecond);
  }
  return "";
}

std::string WhyNotReady(const WorkerStatus& status, const HealthFacts& facts) {
  if (status.stopping) return facts.ended ? "stopped" : "stopping";
  if (!facts.started) return "Start was not called";
  // The lease of a life that ended before its time, by an eviction, runs on.
  const bool joined = status.lease_left.count() > 0 && status.state != State::kClaimingId;
  if (!joined && !status.connected) {
    return status.last_error.empty() ? "not connected to NATS"
                                     : "not connected to NATS: " + status.last_error;
  }
  if (!joined) {
    return status.lives == 0 ? "no worker id is claimed yet"
                             : "the lease is lost; the worker is joining again";
  }
  if (status.assignment_epoch == 0 && status.state == State::kElection) {
    return "no leader is known yet";
  }
  return "";
}

}  // namespace

WorkerHealth JudgeHealth(const WorkerStatus& status, const HealthFacts& facts) {
  WorkerHealth health;
  const std::string not_live = status.stopping ? "" : WhyNotLive(facts);
  const std::string not_ready = WhyNotReady(status, facts);
  health.live = not_live.empty();
  health.ready = health.live && not_ready.empty();
  health.why_not = health.live ? not_ready : not_live;
  return health;
}

}  // namespace parti::runtime
