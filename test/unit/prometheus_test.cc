// parti/prometheus.h: what a registry shows of what was measured.
#include "parti/prometheus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "parti/manager.h"

namespace parti {
namespace {

using testing::HasSubstr;
using testing::Not;

class PrometheusTest : public testing::Test {
 protected:
  std::string Text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, registry_->Collect());
    return out.str();
  }
  static void Add(Metrics& metrics, Metric metric, std::vector<std::string_view> labels,
                  double amount = 1) {
    metrics.Add(metric, labels, amount);
  }

  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
};

TEST_F(PrometheusTest, EveryMetricIsThereFromTheBeginning) {
  const PrometheusMetrics metrics(registry_);
  const std::string text = Text();
  for (const MetricInfo& info : AllMetrics()) {
    EXPECT_THAT(text, HasSubstr("# TYPE " + std::string(info.name) + " " +
                                std::string(MetricTypeName(info.type)) + "\n"));
    EXPECT_THAT(text, HasSubstr("# HELP " + std::string(info.name) + " "));
    for (const MetricLabel& label : info.labels) {
      for (const std::string_view value : label.values) {
        EXPECT_THAT(text, HasSubstr(std::string(label.name) + "=\"" + std::string(value) + "\""))
            << info.name;
      }
    }
  }
}

TEST_F(PrometheusTest, EachTypeIsCountedUnderItsLabels) {
  PrometheusMetrics metrics(registry_, {{"group", "orders"}});
  Add(metrics, Metric::kKvRequests, {"put", "conflict"}, 2);
  Add(metrics, Metric::kKvRequests, {"put", "conflict"});
  Add(metrics, Metric::kKvRequests, {"get", "not_found"});
  metrics.Set(Metric::kPartitionsOwned, {}, 12);
  const std::vector<std::string_view> on_release = {"on_release"};
  metrics.Observe(Metric::kHookSeconds, on_release, 0.3);
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("parti_kv_requests_total{group=\"orders\",operation=\"put\","
                              "outcome=\"conflict\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("parti_kv_requests_total{group=\"orders\",operation=\"get\","
                              "outcome=\"not_found\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("parti_kv_requests_total{group=\"orders\",operation=\"get\","
                              "outcome=\"conflict\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("parti_partitions_owned{group=\"orders\"} 12\n"));
  EXPECT_THAT(
      text, HasSubstr("parti_hook_seconds_bucket{group=\"orders\",hook=\"on_release\",le=\"0.1\"} "
                      "0\n"));
  EXPECT_THAT(
      text, HasSubstr("parti_hook_seconds_bucket{group=\"orders\",hook=\"on_release\",le=\"0.5\"} "
                      "1\n"));
}

TEST_F(PrometheusTest, WhatTheTableDoesNotKnowIsDropped) {
  PrometheusMetrics metrics(registry_);
  Add(metrics, Metric::kKvRequests, {"put", "exploded"});
  Add(metrics, Metric::kKvRequests, {"put"});
  metrics.Set(Metric::kHeartbeats, {}, 1);  // a counter
  EXPECT_THAT(Text(), Not(HasSubstr("exploded")));
  EXPECT_THAT(Text(), Not(HasSubstr("} 1\n")));
}

TEST_F(PrometheusTest, TwoManagersShareARegistryApartByTheirLabels) {
  PrometheusMetrics first(registry_, {{"group", "a"}});
  PrometheusMetrics second(registry_, {{"group", "b"}});
  Add(first, Metric::kLives, {});
  EXPECT_THAT(Text(), HasSubstr("parti_lives_total{group=\"a\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("parti_lives_total{group=\"b\"} 0\n"));
}

TEST_F(PrometheusTest, ManyThreadsCountEveryEvent) {
  PrometheusMetrics metrics(registry_);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) Add(metrics, Metric::kEvictions, {"silent"});
    });
  }
  for (int i = 0; i < 10; ++i) (void)Text();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Text(), HasSubstr("parti_evictions_total{reason=\"silent\"} 4000\n"));
}

TEST_F(PrometheusTest, IsGivenToAManagerLikeThis) {
  parti::ManagerOptions options;
  // [prometheus]
  auto registry = std::make_shared<prometheus::Registry>();
  options.metrics =
      std::make_shared<parti::PrometheusMetrics>(registry, prometheus::Labels{{"group", "orders"}});
  // [end]
  EXPECT_EQ(registry->Collect().size(), kMetricCount);
}

}  // namespace
}  // namespace parti
