#include "parti/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "parti/config_fields.h"

namespace parti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Millis = Config::Millis;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

std::string SetError(std::string_view name, std::string_view value) {
  Config config;
  const absl::Status status = config.Set(name, value);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << "=" << value;
  return Message(status);
}

TEST(Config, PresetsAreValid) {
  for (const char* name : {"default", "fast"}) {
    const auto config = Config::Preset(name);
    ASSERT_TRUE(config.ok()) << name;
    EXPECT_TRUE(config->Validate().ok()) << name << ": " << config->Validate();
  }
  EXPECT_THAT(Message(Config::Preset("quick").status()),
              HasSubstr("unknown preset \"quick\": there are default and fast"));
}

TEST(Config, PresetDefaultOutlivesAFailoverOfEightSeconds) {
  const Config config = Config::Preset("default").value();
  EXPECT_GT(config.heartbeat_ttl - config.heartbeat_interval, Millis(8000));
}

TEST(Config, PresetFastReplacesALeaderWithinASecondAndAHalf) {
  const Config config = Config::Preset("fast").value();
  EXPECT_LE(config.election_ttl, Millis(1000));
  EXPECT_LE(config.heartbeat_ttl, Millis(1000));
}

TEST(Config, EveryFieldCanBeReadAndSetBack) {
  Config odd = Config::Preset("fast").value();
  odd.mode = Mode::kFast;
  odd.storage = Storage::kMemory;
  odd.identity = "pod-7";
  odd.identity_is_exclusive = true;
  odd.labels = {{"zone", "a,b=c\\d"}, {"rack", ""}};
  odd.capacity = 0;
  Config copy;
  for (const std::string& name : Config::FieldNames()) {
    const auto value = odd.Get(name);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_TRUE(copy.Set(name, *value).ok()) << name << "=" << *value;
    EXPECT_EQ(copy.Get(name).value(), *value);
  }
  EXPECT_EQ(copy.labels, odd.labels);
  EXPECT_EQ(copy.heartbeat_ttl, odd.heartbeat_ttl);
  EXPECT_EQ(copy.mode, odd.mode);
}

TEST(Config, TheTableIsComplete) {
  std::set<std::string_view> names;
  for (const ConfigField& field : ConfigFields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_FALSE(field.help.empty()) << field.name;
    EXPECT_LE(field.min, field.max) << field.name;
    EXPECT_TRUE(field.Check(Config()).ok()) << field.name;
  }
  EXPECT_EQ(names.size(), Config::FieldNames().size());
}

TEST(Config, Durations) {
  Config config;
  const std::vector<std::pair<std::string_view, int>> good = {
      {"1500ms", 1500}, {"3s", 3000}, {"1.5s", 1500}, {"2m", 120'000}, {"0.25m", 15'000},
      {"0", 0},         {"0ms", 0},   {"007s", 7000}, {"0.001s", 1},   {"1m", 60'000}};
  for (const auto& [text, millis] : good) {
    EXPECT_TRUE(config.Set("cold_start_window", text).ok()) << text;
    EXPECT_EQ(config.cold_start_window, Millis(millis)) << text;
  }
  for (const char* bad : {"", "1", "s", "1h", "1 s", " 1s", "1s ", "-1s", "+1s", "1e3s", "nans",
                          "infs", "0x10s", "1.5ms", "1,5s", "99999999999999999999s", "1s2"}) {
    EXPECT_THAT(SetError("cold_start_window", bad), HasSubstr("isn't a duration")) << bad;
  }
}

TEST(Config, AnErrorLeavesTheValueAlone) {
  Config config;
  EXPECT_FALSE(config.Set("heartbeat_ttl", "1ms").ok());
  EXPECT_FALSE(config.Set("labels", "a=1,a=2").ok());
  EXPECT_EQ(config.heartbeat_ttl, Config().heartbeat_ttl);
  EXPECT_TRUE(config.labels.empty());
}

TEST(Config, ErrorsNameTheFieldTheValueAndWhatWouldDo) {
  EXPECT_EQ(SetError("max_workers", "0"), "max_workers 0 is less than 1: give 1 to 100000");
  EXPECT_EQ(SetError("max_workers", "100001"),
            "max_workers 100001 is more than 100000: give 1 to 100000");
  EXPECT_EQ(SetError("max_workers", "4294967297"),
            "max_workers 4294967297 is more than 100000: give 1 to 100000");
  EXPECT_EQ(SetError("max_workers", "many"),
            "max_workers \"many\" isn't a whole number: give 1 to 100000");
  EXPECT_EQ(SetError("heartbeat_ttl", "99ms"),
            "heartbeat_ttl 99ms is less than 100ms: give 100ms to 86400s");
  EXPECT_EQ(SetError("mode", "slow"), "mode \"slow\" is unknown: give exclusive or fast");
  EXPECT_EQ(SetError("storage", ""), "storage \"\" is unknown: give memory or file");
  EXPECT_EQ(SetError("assume_new_group", "yes"),
            "assume_new_group \"yes\" is unknown: give true or false");
  EXPECT_EQ(SetError("prefix", ""), "prefix \"\" has 0 bytes: give 1 to 32");
  EXPECT_EQ(SetError("prefix", "a.b"), "prefix \"a.b\" may hold letters, digits, '_' and '-' only");
  EXPECT_THAT(SetError("worker_id_prefix", "w/"), HasSubstr("may hold letters"));
  EXPECT_THAT(SetError("identity", "\xff"), HasSubstr("isn't UTF-8"));
  EXPECT_THAT(SetError("identity", "a\nb"), HasSubstr("control characters"));
  EXPECT_THAT(SetError("capacity", "-1"), HasSubstr("capacity -1 is less than 0"));
  EXPECT_THAT(SetError("capacity", "9223372036854775808"), HasSubstr("isn't a whole number"));
}

TEST(Config, Labels) {
  Config config;
  EXPECT_TRUE(config.Set("labels", "zone=a,rack=r\\,1,empty=").ok());
  EXPECT_THAT(config.labels, ElementsAre(std::pair("empty", ""), std::pair("rack", "r,1"),
                                         std::pair("zone", "a")));
  EXPECT_EQ(config.Get("labels").value(), "empty=,rack=r\\,1,zone=a");
  EXPECT_TRUE(config.Set("labels", "").ok());
  EXPECT_TRUE(config.labels.empty());
  for (const char* bad : {"zone", "=a", "zone=a,", ",zone=a", "a=1,a=2", "a=1,b"}) {
    EXPECT_THAT(SetError("labels", bad), HasSubstr("aren't labels")) << bad;
  }
  EXPECT_THAT(SetError("labels", "zone=" + std::string(1025, 'x')), HasSubstr("1025 bytes"));
  std::string many = "n=";
  for (int i = 0; i < 64; ++i) many += ",n" + std::to_string(i) + "=";
  EXPECT_THAT(SetError("labels", many), HasSubstr("labels are 65: give at most 64"));
}

TEST(Config, UnknownNamesSuggestTheNearest) {
  EXPECT_EQ(SetError("heartbeat_tll", "1s"),
            "unknown setting \"heartbeat_tll\": did you mean heartbeat_ttl?");
  EXPECT_EQ(SetError("heartbeat-ttl", "1s"),
            "unknown setting \"heartbeat-ttl\": did you mean heartbeat_ttl?");
  EXPECT_EQ(SetError("replica", "1"), "unknown setting \"replica\": did you mean replicas?");
  EXPECT_THAT(SetError("colour", "red"), HasSubstr("there are prefix, mode, replicas"));
  EXPECT_THAT(Message(Config().Get("modus").status()), HasSubstr("did you mean mode?"));
}

TEST(Config, ALeaseIsThreeHeartbeats) {
  Config config;
  config.heartbeat_interval = Millis(1000);
  config.heartbeat_ttl = Millis(2000);
  config.request_timeout = Millis(500);
  EXPECT_THAT(Message(config.Validate()),
              HasSubstr("heartbeat_ttl 2s is less than 3 × heartbeat_interval 1s: raise it to at "
                        "least 3s"));
  config.heartbeat_ttl = Millis(3000);
  EXPECT_TRUE(config.Validate().ok()) << config.Validate();
}

TEST(Config, RequestsAreShorterThanLeases) {
  Config config;
  config.request_timeout = Millis(4001);
  const std::string message = Message(config.Validate());
  EXPECT_THAT(message, HasSubstr("request_timeout 4001ms is more than a third of heartbeat_ttl"));
  EXPECT_THAT(message, HasSubstr("request_timeout 4001ms is more than a third of election_ttl"));
  EXPECT_THAT(message, HasSubstr("lower it to at most 4s"));
}

TEST(Config, EveryBrokenRuleIsOneLine) {
  Config config;
  config.prefix = "";
  config.replicas = 6;
  config.capacity = -1;
  config.heartbeat_ttl = Millis(-5);
  const std::string message = Message(config.Validate());
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
  EXPECT_THAT(message, HasSubstr("heartbeat_ttl -5ms is less than 100ms"));
  EXPECT_THAT(message, HasSubstr("replicas 6 is more than 5: give 1 to 5"));
}

TEST(Config, RulesBetweenSettings) {
  Config config;
  config.debounce_cap = Millis(50);
  EXPECT_THAT(Message(config.Validate()), HasSubstr("debounce_cap 50ms is less than debounce"));
  config = Config();
  config.identity_is_exclusive = true;
  EXPECT_THAT(Message(config.Validate()), HasSubstr("without an identity"));
  config.identity = "pod-0";
  EXPECT_TRUE(config.Validate().ok());
}

TEST(Config, BucketsAreNamedByThePrefixUnlessTheyHaveNamesOfTheirOwn) {
  Config config;
  config.prefix = "orders";
  config.heartbeat_bucket = "pulse";
  EXPECT_EQ(config.Buckets().stableid, "orders-stableid");
  EXPECT_EQ(config.Buckets().election, "orders-election");
  EXPECT_EQ(config.Buckets().heartbeat, "pulse");
  EXPECT_EQ(config.Buckets().assignment, "orders-assignment");
  EXPECT_THAT(SetError("heartbeat_bucket", "a.b"), HasSubstr("may hold letters, digits"));
  EXPECT_THAT(SetError("heartbeat_bucket", std::string(65, 'x')), HasSubstr("has 65 bytes"));
  EXPECT_THAT(SetError("jetstream_domain", "hub.east"), HasSubstr("may hold letters, digits"));
}

TEST(Config, NoTwoBucketsMayBeOne) {
  Config config;
  config.assignment_bucket = "parti-heartbeat";
  EXPECT_THAT(Message(config.Validate()),
              HasSubstr("heartbeat_bucket and assignment_bucket are both \"parti-heartbeat\""));
  config.heartbeat_bucket = "pulse";
  EXPECT_TRUE(config.Validate().ok()) << config.Validate();
}

TEST(Config, WhatIsNotGivenFollowsFromOtherSettings) {
  Config config = Config::Preset("fast").value();
  EXPECT_EQ(config.EffectivePollInterval(), Millis(500));
  EXPECT_EQ(config.EffectiveHeartbeatMaxAge(), Millis(10'000));
  EXPECT_EQ(config.EffectiveElectionHoldoff(), Millis(225));
  config.poll_interval = Millis(20);
  config.heartbeat_max_age = Millis(2000);
  config.election_holdoff = Millis(1);
  EXPECT_EQ(config.EffectivePollInterval(), Millis(20));
  EXPECT_EQ(config.EffectiveHeartbeatMaxAge(), Millis(2000));
  EXPECT_EQ(config.EffectiveElectionHoldoff(), Millis(1));
  EXPECT_TRUE(config.Validate().ok()) << config.Validate();
}

TEST(Config, PausesAndPollsHaveRules) {
  Config config = Config::Preset("fast").value();
  config.poll_interval = Millis(9);
  config.heartbeat_max_age = Millis(1999);
  config.retry_backoff_min = Millis(400);
  config.retry_backoff_max = Millis(350);
  config.list_backoff_max = Millis(100);
  const std::string message = Message(config.Validate());
  EXPECT_THAT(message, HasSubstr("poll_interval 9ms is less than 10ms"));
  EXPECT_THAT(message,
              HasSubstr("heartbeat_max_age 1999ms is less than 2 × heartbeat_ttl 1s: raise it to "
                        "at least 2s"));
  EXPECT_THAT(message, HasSubstr("retry_backoff_max 350ms is less than retry_backoff_min 400ms"));
  EXPECT_THAT(message,
              HasSubstr("retry_backoff_max 350ms is more than a third of heartbeat_ttl 1s: "
                        "lower it to at most 333ms"));
  EXPECT_THAT(message, HasSubstr("list_backoff_max 100ms is less than list_backoff_min 200ms"));
  config.poll_interval = Millis(1001);
  EXPECT_THAT(Message(config.Validate()),
              HasSubstr("poll_interval 1001ms is more than heartbeat_ttl 1s"));
}

}  // namespace
}  // namespace parti
