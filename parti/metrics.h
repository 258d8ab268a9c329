// What a worker measures, in the names, types and units of Prometheus.
//
// One table, AllMetrics(), says everything about each metric: adapters, docs/api.md and the tests
// are driven by it. A ready adapter for prometheus-cpp is parti/prometheus.h; another one is three
// functions:
//
//   class Statsd : public parti::Metrics {
//    public:
//     void Add(parti::Metric metric, Labels labels, double amount) override {
//       client_.Count(Name(metric, labels), amount);
//     }
//     …
//   };
//   parti::ManagerOptions options;
//   options.metrics = std::make_shared<Statsd>();
//
// Thread safety: called from several threads of the Manager at once. It must be quick and must not
// block: among the callers is the thread that sends heartbeats. What it throws is caught and
// dropped. No call comes after Manager::Stop returned OK.
#ifndef PARTI_METRICS_H_
#define PARTI_METRICS_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "parti/export.h"

namespace parti {

enum class Metric {
  kHeartbeats,
  kHeartbeatSeconds,
  kLeaseMarginSeconds,
  kLives,
  kState,
  kConnected,
  kElections,
  kLeader,
  kRebalances,
  kPartitionsMoved,
  kDetectionSeconds,
  kSettleSeconds,
  kEvictions,
  kStrategySeconds,
  kListings,
  kPartitionsOwned,
  kPartitionsAcquired,
  kPartitionsReleased,
  kPartitionsLost,
  kHookSeconds,
  kHookFailures,
  kKvRequests,
  kKvRequestSeconds,
  kWatchBreaks,
  kMalformedValues,
  kReports,
};
inline constexpr std::size_t kMetricCount = static_cast<std::size_t>(Metric::kReports) + 1;

enum class MetricType { kCounter, kGauge, kHistogram };
PARTI_EXPORT std::string_view MetricTypeName(MetricType type);  // "counter", …

struct MetricLabel {
  std::string_view name;
  std::span<const std::string_view> values;  // every one that there can be
};

struct MetricInfo {
  Metric metric;
  std::string_view name;  // "parti_heartbeats_total"
  MetricType type;
  std::string_view help;
  std::span<const MetricLabel> labels;  // at most two
  std::span<const double> buckets;      // of a histogram: upper bounds, rising
};

// In the order of the enum, so that AllMetrics()[index] is the metric's own.
PARTI_EXPORT std::span<const MetricInfo> AllMetrics();
PARTI_EXPORT const MetricInfo& InfoOf(Metric metric);

class PARTI_EXPORT Metrics {
 public:
  // The values of the metric's labels, in the order of MetricInfo::labels. Valid during the call.
  using Labels = std::span<const std::string_view>;

  virtual ~Metrics() = default;
  virtual void Add(Metric counter, Labels labels, double amount) = 0;  // amount >= 0
  virtual void Set(Metric gauge, Labels labels, double value) = 0;     // the value from now on
  virtual void Observe(Metric histogram, Labels labels, double value) = 0;
};

}  // namespace parti

#endif  // PARTI_METRICS_H_
