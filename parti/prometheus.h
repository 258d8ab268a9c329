// Metrics for prometheus-cpp: what a Manager measures, in a registry that an Exposer serves.
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   prometheus::Exposer exposer("127.0.0.1:9464");
//   exposer.RegisterCollectable(registry);
//   options.metrics = std::make_shared<parti::PrometheusMetrics>(
//       registry, prometheus::Labels{{"group", "orders"}, {"worker", identity}});
//
// Every series is there from the beginning, at 0, so that rate() sees the first event.
//
// It is a header alone, so that libparti itself doesn't depend on prometheus-cpp: install
// prometheus-cpp-dev, and link parti::prometheus (find_package(parti COMPONENTS prometheus)), or
// parti and prometheus-cpp::core.
//
// Thread safety: as parti::Metrics wants it. Each call is a look-up in a table that doesn't change
// and an atomic addition (for a histogram, a short lock).
#ifndef PARTI_PROMETHEUS_H_
#define PARTI_PROMETHEUS_H_

#if !__has_include(<prometheus/registry.h>)
#error "parti/prometheus.h needs prometheus-cpp: apt-get install prometheus-cpp-dev"
#endif

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/labels.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parti/metrics.h"

namespace parti {

class PrometheusMetrics : public Metrics {
 public:
  // Registers every metric, each with `constant_labels` beside its own: what tells this Manager
  // from others in the registry. Two with the same labels in one registry add up to one series.
  explicit PrometheusMetrics(std::shared_ptr<prometheus::Registry> registry,
                             const prometheus::Labels& constant_labels = {})
      : registry_(std::move(registry)) {
    for (const MetricInfo& info : AllMetrics()) Register(info, constant_labels);
  }

  void Add(Metric metric, Labels labels, double amount) override {
    Of(counters_, metric, labels, [&](prometheus::Counter& counter) { counter.Increment(amount); });
  }
  void Set(Metric metric, Labels labels, double value) override {
    Of(gauges_, metric, labels, [&](prometheus::Gauge& gauge) { gauge.Set(value); });
  }
  void Observe(Metric metric, Labels labels, double value) override {
    Of(histograms_, metric, labels, [&](prometheus::Histogram& h) { h.Observe(value); });
  }

 private:
  // Of one metric: a series for each combination of label values, the last label's fastest.
  template <typename Series>
  using Table = std::array<std::vector<Series*>, kMetricCount>;

  void Register(const MetricInfo& info, const prometheus::Labels& constant) {
    const auto index = static_cast<std::size_t>(info.metric);
    const std::string name(info.name);
    const std::string help(info.help);
    switch (info.type) {
      case MetricType::kCounter: {
        auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
        for (const auto& labels : Combinations(info, constant)) {
          counters_[index].push_back(&family.Add(labels));
        }
        break;
      }
      case MetricType::kGauge: {
        auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
        for (const auto& labels : Combinations(info, constant)) {
          gauges_[index].push_back(&family.Add(labels));
        }
        break;
      }
      case MetricType::kHistogram: {
        auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
        const prometheus::Histogram::BucketBoundaries bounds(info.buckets.begin(),
                                                             info.buckets.end());
        for (const auto& labels : Combinations(info, constant)) {
          histograms_[index].push_back(&family.Add(labels, bounds));
        }
        break;
      }
    }
  }

  static std::vector<prometheus::Labels> Combinations(const MetricInfo& info,
                                                      const prometheus::Labels& constant) {
    std::vector<prometheus::Labels> combinations = {constant};
    for (const MetricLabel& label : info.labels) {
      std::vector<prometheus::Labels> longer;
      for (const prometheus::Labels& labels : combinations) {
        for (const std::string_view value : label.values) {
          longer.push_back(labels);
          longer.back()[std::string(label.name)] = std::string(value);
        }
      }
      combinations = std::move(longer);
    }
    return combinations;
  }

  // Values that aren't in the table have no series, and are dropped.
  template <typename Series, typename Call>
  static void Of(const Table<Series>& table, Metric metric, Labels labels, Call call) {
    const MetricInfo& info = InfoOf(metric);
    if (labels.size() != info.labels.size()) return;
    std::size_t position = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto values = info.labels[i].values;
      const auto found = std::find(values.begin(), values.end(), labels[i]);
      if (found == values.end()) return;
      position = position * values.size() + static_cast<std::size_t>(found - values.begin());
    }
    const std::vector<Series*>& series = table[static_cast<std::size_t>(metric)];
    if (position < series.size()) call(*series[position]);
  }

  const std::shared_ptr<prometheus::Registry> registry_;
  Table<prometheus::Counter> counters_;
  Table<prometheus::Gauge> gauges_;
  Table<prometheus::Histogram> histograms_;
};

}  // namespace parti

#endif  // PARTI_PROMETHEUS_H_
