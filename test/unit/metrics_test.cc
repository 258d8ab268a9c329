// The table of metrics keeps Prometheus's rules for names, and agrees with what core may say.
#include "parti/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "internal/core/effect.h"
#include "internal/wire/kv_types.h"
#include "parti/state.h"

namespace parti {
namespace {

bool IsName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

bool HasValue(Metric metric, std::size_t label, std::string_view value) {
  const auto values = InfoOf(metric).labels[label].values;
  return std::find(values.begin(), values.end(), value) != values.end();
}

TEST(MetricsTest, TheTableIsInTheOrderOfTheEnum) {
  ASSERT_EQ(AllMetrics().size(), kMetricCount);
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(AllMetrics()[i].metric), i);
    EXPECT_EQ(&InfoOf(static_cast<Metric>(i)), &AllMetrics()[i]);
  }
}

TEST(MetricsTest, NamesKeepThePrometheusRules) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : AllMetrics()) {
    SCOPED_TRACE(info.name);
    EXPECT_TRUE(names.insert(info.name).second);
    EXPECT_TRUE(IsName(info.name));
    EXPECT_TRUE(info.name.starts_with("parti_"));
    EXPECT_EQ(info.name.ends_with("_total"), info.type == MetricType::kCounter);
    // The base unit of time, and nothing but times is measured in histograms.
    EXPECT_EQ(info.name.ends_with("_seconds"), info.type == MetricType::kHistogram);
    EXPECT_GT(info.help.size(), 10U);
    EXPECT_TRUE(info.help.ends_with('.'));
    EXPECT_LE(info.labels.size(), 2U);
    for (const MetricLabel& label : info.labels) {
      EXPECT_TRUE(IsName(label.name));
      EXPECT_NE(label.name, "le");
      EXPECT_FALSE(label.values.empty());
      EXPECT_EQ(std::set<std::string_view>(label.values.begin(), label.values.end()).size(),
                label.values.size());
    }
  }
}

TEST(MetricsTest, OnlyHistogramsHaveBucketsAndThoseRise) {
  for (const MetricInfo& info : AllMetrics()) {
    EXPECT_EQ(info.buckets.empty(), info.type != MetricType::kHistogram) << info.name;
    EXPECT_TRUE(std::is_sorted(info.buckets.begin(), info.buckets.end(), std::less_equal<>()))
        << info.name;
  }
}

TEST(MetricsTest, WhateverCoreSaysIsAValueOfTheLabel) {
  for (int i = 0; i <= static_cast<int>(core::RebalanceCause::kRetry); ++i) {
    const auto cause = core::RebalanceCauseName(static_cast<core::RebalanceCause>(i));
    EXPECT_TRUE(HasValue(Metric::kRebalances, 0, cause)) << cause;
  }
  for (int i = 0; i <= static_cast<int>(core::EvictionReason::kUnexplained); ++i) {
    const auto reason = core::EvictionReasonName(static_cast<core::EvictionReason>(i));
    EXPECT_TRUE(HasValue(Metric::kEvictions, 0, reason)) << reason;
  }
  for (int i = 0; i < wire::kBucketCount; ++i) {
    const auto bucket = wire::BucketName(static_cast<wire::Bucket>(i));
    EXPECT_TRUE(HasValue(Metric::kMalformedValues, 0, bucket)) << bucket;
  }
  for (int i = 0; i <= static_cast<int>(State::kShutdown); ++i) {
    const auto state = StateName(static_cast<State>(i));
    EXPECT_TRUE(HasValue(Metric::kState, 0, state)) << state;
  }
}

}  // namespace
}  // namespace parti
