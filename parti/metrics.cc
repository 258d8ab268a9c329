#include "parti/metrics.h"

#include <array>

namespace parti {
namespace {

using Values = std::string_view;

// --- Labels ---

constexpr std::array kHeartbeatOutcomes = {Values("ok"), Values("failed")};
constexpr std::array kElectionOutcomes = {Values("challenged"), Values("won"), Values("lost"),
                                          Values("deposed")};
constexpr std::array kCauses = {Values("cold_start"), Values("outage"),    Values("join"),
                                Values("leave"),      Values("death"),     Values("altered"),
                                Values("partitions"), Values("requested"), Values("refused"),
                                Values("takeover"),   Values("control"),   Values("retry")};
constexpr std::array kEvictionReasons = {Values("silent"), Values("release"), Values("unreadable"),
                                         Values("deleted"), Values("unexplained")};
constexpr std::array kStates = {
    Values("Init"),     Values("ClaimingId"), Values("Election"),    Values("WaitingAssignment"),
    Values("Stable"),   Values("Scaling"),    Values("Rebalancing"), Values("Emergency"),
    Values("Degraded"), Values("Shutdown")};
constexpr std::array kOkOrError = {Values("ok"), Values("error")};
constexpr std::array kHooks = {Values("on_acquire"), Values("on_release"),
                               Values("on_lost"),    Values("on_assignment_changed"),
                               Values("on_state"),   Values("on_leadership"),
                               Values("on_error")};
constexpr std::array kOperations = {Values("get"), Values("put"), Values("info")};
constexpr std::array kKvOutcomes = {Values("ok"), Values("conflict"), Values("not_found"),
                                    Values("unanswered"), Values("refused")};
constexpr std::array kBuckets = {Values("stableid"), Values("election"), Values("heartbeat"),
                                 Values("assignment")};
constexpr std::array kSeverities = {Values("warning"), Values("error"), Values("fatal")};

using Label1 = std::array<MetricLabel, 1>;
using Label2 = std::array<MetricLabel, 2>;
constexpr Label1 kByHeartbeatOutcome = {{{"outcome", kHeartbeatOutcomes}}};
constexpr Label1 kByElectionOutcome = {{{"outcome", kElectionOutcomes}}};
constexpr Label1 kByCause = {{{"cause", kCauses}}};
constexpr Label1 kByReason = {{{"reason", kEvictionReasons}}};
constexpr Label1 kByState = {{{"state", kStates}}};
constexpr Label1 kByOkOrError = {{{"outcome", kOkOrError}}};
constexpr Label1 kByHook = {{{"hook", kHooks}}};
constexpr Label1 kByOperation = {{{"operation", kOperations}}};
constexpr Label2 kByOperationAndOutcome = {{{"operation", kOperations}, {"outcome", kKvOutcomes}}};
constexpr Label1 kByBucket = {{{"bucket", kBuckets}}};
constexpr Label1 kBySeverity = {{{"severity", kSeverities}}};

// --- Buckets, in seconds ---

constexpr std::array kRequestTimes = {.0005, .001, .0025, .005, .01, .025, .05,
                                      .1,    .25,  .5,    1.,   2.5, 5.,   10.};
constexpr std::array kGroupTimes = {.05, .1, .25, .5, 1., 2.5, 5., 10., 15., 30., 60., 120., 300.};
constexpr std::array kWorkTimes = {.001, .005, .025, .1, .5, 1., 2.5, 5., 10., 30., 60., 300.};

using enum MetricType;

constexpr std::array<MetricInfo, kMetricCount> kMetrics = {{
    {Metric::kHeartbeats,
     "parti_heartbeats_total",
     kCounter,
     "Attempts to renew the lease, by what became of them.",
     kByHeartbeatOutcome,
     {}},
    {Metric::kHeartbeatSeconds,
     "parti_heartbeat_seconds",
     kHistogram,
     "Time from sending a heartbeat to its acknowledgement.",
     {},
     kRequestTimes},
    {Metric::kLeaseMarginSeconds,
     "parti_lease_margin_seconds",
     kHistogram,
     "How much of the lease was left when a heartbeat was acknowledged; near 0, the worker is "
     "about "
     "to lose its partitions.",
     {},
     kGroupTimes},
    {Metric::kLives,
     "parti_lives_total",
     kCounter,
     "Worker ids claimed: 1 for the start, and 1 more for each time that the worker lost its lease "
     "and joined again.",
     {},
     {}},
    {Metric::kState,
     "parti_state",
     kGauge,
     "1 for the state that the worker is in, else 0.",
     kByState,
     {}},
    {Metric::kConnected, "parti_connected", kGauge, "1 while connected to NATS, else 0.", {}, {}},
    {Metric::kElections,
     "parti_elections_total",
     kCounter,
     "Steps of this worker's candidacies for leadership.",
     kByElectionOutcome,
     {}},
    {Metric::kLeader,
     "parti_leader",
     kGauge,
     "1 while this worker leads, else 0; the sum over a group is to be 1.",
     {},
     {}},
    {Metric::kRebalances,
     "parti_rebalances_total",
     kCounter,
     "Rebalances that this worker planned as leader, by cause.",
     kByCause,
     {}},
    {Metric::kPartitionsMoved,
     "parti_partitions_moved_total",
     kCounter,
     "Partitions whose owner the planned rebalances changed.",
     {},
     {}},
    {Metric::kDetectionSeconds,
     "parti_detection_seconds",
     kHistogram,
     "Time from the first sight of what caused a rebalance to the plan, windows included.",
     {},
     kGroupTimes},
    {Metric::kSettleSeconds,
     "parti_settle_seconds",
     kHistogram,
     "Time from the plan of a rebalance until every worker had applied it.",
     {},
     kGroupTimes},
    {Metric::kEvictions,
     "parti_evictions_total",
     kCounter,
     "Workers that this worker evicted as leader, by reason.",
     kByReason,
     {}},
    {Metric::kStrategySeconds,
     "parti_strategy_seconds",
     kHistogram,
     "Time that the assignment strategy took.",
     {},
     kWorkTimes},
    {Metric::kListings,
     "parti_listings_total",
     kCounter,
     "Calls of the partition source, by what became of them.",
     kByOkOrError,
     {}},
    {Metric::kPartitionsOwned,
     "parti_partitions_owned",
     kGauge,
     "Partitions that this worker holds claims to.",
     {},
     {}},
    {Metric::kPartitionsAcquired,
     "parti_partitions_acquired_total",
     kCounter,
     "Claims to partitions that began.",
     {},
     {}},
    {Metric::kPartitionsReleased,
     "parti_partitions_released_total",
     kCounter,
     "Claims to partitions that ended after their work had drained.",
     {},
     {}},
    {Metric::kPartitionsLost,
     "parti_partitions_lost_total",
     kCounter,
     "Claims to partitions that ended without asking: the lease ran out, or the worker was "
     "evicted.",
     {},
     {}},
    {Metric::kHookSeconds, "parti_hook_seconds", kHistogram,
     "Time that a hook of the application took.", kByHook, kWorkTimes},
    {Metric::kHookFailures,
     "parti_hook_failures_total",
     kCounter,
     "Hooks that threw, or returned an error.",
     kByHook,
     {}},
    {Metric::kKvRequests,
     "parti_kv_requests_total",
     kCounter,
     "Requests to NATS KV, by what became of them; a conflict is part of normal work.",
     kByOperationAndOutcome,
     {}},
    {Metric::kKvRequestSeconds, "parti_kv_request_seconds", kHistogram,
     "Time that a request to NATS KV took, those without an answer included.", kByOperation,
     kRequestTimes},
    {Metric::kWatchBreaks,
     "parti_watch_breaks_total",
     kCounter,
     "KV watches that failed and were opened again.",
     kByBucket,
     {}},
    {Metric::kMalformedValues,
     "parti_malformed_values_total",
     kCounter,
     "Values in the buckets that can't be read.",
     kByBucket,
     {}},
    {Metric::kReports,
     "parti_reports_total",
     kCounter,
     "What on_error and the log were told.",
     kBySeverity,
     {}},
}};

}  // namespace

std::string_view MetricTypeName(MetricType type) {
  switch (type) {
    case kCounter:
      return "counter";
    case kGauge:
      return "gauge";
    case kHistogram:
      return "histogram";
  }
  return "";
}

std::span<const MetricInfo> AllMetrics() { return kMetrics; }

const MetricInfo& InfoOf(Metric metric) { return kMetrics[static_cast<std::size_t>(metric)]; }

}  // namespace parti
