#include "parti/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "parti/config_fields.h"

namespace parti {
namespace {

using Millis = Config::Millis;

constexpr Millis kLeastPollInterval(10);

std::string Show(Millis millis) {
  return millis.count() % 1000 == 0 ? fmt::format("{}s", millis.count() / 1000)
                                    : fmt::format("{}ms", millis.count());
}

// Levenshtein distance: how many characters to insert, remove or change.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

absl::Status UnknownField(std::string_view name) {
  const std::vector<std::string> names = Config::FieldNames();
  if (const std::string_view nearest = NearestName(name, names); !nearest.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("unknown setting \"{}\": did you mean {}?", name, nearest));
  }
  return absl::InvalidArgumentError(
      fmt::format("unknown setting \"{}\": there are {}", name, fmt::join(names, ", ")));
}

// A duration that must be at least (or at most) some multiple of another.
struct Relation {
  std::string_view field;
  Millis value;
  std::string_view other;  // "3 × heartbeat_interval"
  Millis other_value;
  Millis bound;
  std::string_view why;
};

void RequireAtLeast(const Relation& rule, std::vector<std::string>* broken) {
  if (rule.value >= rule.bound) return;
  broken->push_back(fmt::format("{} {} is less than {} {}: raise it to at least {} ({})",
                                rule.field, Show(rule.value), rule.other, Show(rule.other_value),
                                Show(rule.bound), rule.why));
}

void RequireAtMost(const Relation& rule, std::vector<std::string>* broken) {
  if (rule.value <= rule.bound) return;
  broken->push_back(fmt::format("{} {} is more than {} {}: lower it to at most {} ({})", rule.field,
                                Show(rule.value), rule.other, Show(rule.other_value),
                                Show(rule.bound), rule.why));
}

void RequireDistinctBuckets(const Config::BucketNames& buckets, std::vector<std::string>* broken) {
  const std::array<std::pair<std::string_view, const std::string*>, 4> named = {
      {{"stableid_bucket", &buckets.stableid},
       {"election_bucket", &buckets.election},
       {"heartbeat_bucket", &buckets.heartbeat},
       {"assignment_bucket", &buckets.assignment}}};
  for (std::size_t i = 0; i < named.size(); ++i) {
    for (std::size_t j = i + 1; j < named.size(); ++j) {
      if (*named[i].second != *named[j].second) continue;
      broken->push_back(
          fmt::format("{} and {} are both \"{}\": give each a bucket of its own (their keys are "
                      "the same worker "
                      "ids)",
                      named[i].first, named[j].first, *named[i].second));
    }
  }
}

// The rules between settings that are in range each.
void CheckRelations(const Config& c, std::vector<std::string>* broken) {
  RequireAtLeast({"heartbeat_ttl", c.heartbeat_ttl, "3 × heartbeat_interval", c.heartbeat_interval,
                  3 * c.heartbeat_interval, "a lease has to outlive two lost heartbeats"},
                 broken);
  RequireAtMost({"request_timeout", c.request_timeout, "a third of heartbeat_ttl", c.heartbeat_ttl,
                 c.heartbeat_ttl / 3, "an unanswered heartbeat has to be noticed within the lease"},
                broken);
  RequireAtMost({"request_timeout", c.request_timeout, "a third of election_ttl", c.election_ttl,
                 c.election_ttl / 3, "an unanswered renewal has to be noticed within the term"},
                broken);
  RequireAtLeast({"debounce_cap", c.debounce_cap, "debounce", c.debounce, c.debounce,
                  "the cap bounds the debounce"},
                 broken);
  RequireAtLeast(
      {"retry_backoff_max", c.retry_backoff_max, "retry_backoff_min", c.retry_backoff_min,
       c.retry_backoff_min, "pauses grow from the one to the other"},
      broken);
  RequireAtMost(
      {"retry_backoff_max", c.retry_backoff_max, "a third of heartbeat_ttl", c.heartbeat_ttl,
       c.heartbeat_ttl / 3, "a heartbeat that failed has to be tried again within the lease"},
      broken);
  RequireAtLeast({"list_backoff_max", c.list_backoff_max, "list_backoff_min", c.list_backoff_min,
                  c.list_backoff_min, "pauses grow from the one to the other"},
                 broken);
  if (c.poll_interval != Millis(0)) {
    if (c.poll_interval < kLeastPollInterval) {
      broken->push_back(fmt::format(
          "poll_interval {} is less than {}: raise it to that, or give 0 for heartbeat_ttl / 2",
          Show(c.poll_interval), Show(kLeastPollInterval)));
    }
    RequireAtMost({"poll_interval", c.poll_interval, "heartbeat_ttl", c.heartbeat_ttl,
                   c.heartbeat_ttl, "a watch that fails has to be noticed within a lease"},
                  broken);
  }
  if (c.heartbeat_max_age != Millis(0)) {
    RequireAtLeast({"heartbeat_max_age", c.heartbeat_max_age, "2 × heartbeat_ttl", c.heartbeat_ttl,
                    2 * c.heartbeat_ttl, "no heartbeat may be forgotten while its lease runs"},
                   broken);
  }
  RequireDistinctBuckets(c.Buckets(), broken);
  if (c.identity_is_exclusive && c.identity.empty()) {
    broken->emplace_back(
        "identity_is_exclusive is true without an identity: set identity, or leave both alone");
  }
}

Config FastConfig() {
  Config config;
  config.heartbeat_interval = Millis(300);
  config.heartbeat_ttl = Millis(1000);
  config.election_ttl = Millis(900);
  config.debounce = Millis(100);
  config.debounce_cap = Millis(500);
  config.cold_start_window = Millis(500);
  config.planned_scale_window = Millis(200);
  config.rebalance_cooldown = Millis(300);
  config.release_timeout = Millis(5000);
  config.refusal_backoff = Millis(2000);
  config.stop_timeout = Millis(10000);
  config.request_timeout = Millis(300);
  return config;
}

}  // namespace

std::string_view NearestName(std::string_view name, std::span<const std::string> candidates) {
  std::string_view nearest;
  std::size_t least = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(candidate, name);
    const bool close = distance <= std::max<std::size_t>(2, candidate.size() / 3);
    if (close && (nearest.empty() || distance < least)) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

absl::StatusOr<Config> Config::Preset(std::string_view name) {
  if (name == "default") return Config();
  if (name == "fast") return FastConfig();
  return absl::InvalidArgumentError(
      fmt::format("unknown preset \"{}\": there are default and fast", name));
}

absl::Status Config::Set(std::string_view name, std::string_view value) {
  const ConfigField* field = FindConfigField(name);
  if (field == nullptr) return UnknownField(name);
  return field->Parse(value, this);
}

absl::StatusOr<std::string> Config::Get(std::string_view name) const {
  const ConfigField* field = FindConfigField(name);
  if (field == nullptr) return UnknownField(name);
  return field->Format(*this);
}

std::vector<std::string> Config::FieldNames() {
  std::vector<std::string> names;
  for (const ConfigField& field : ConfigFields()) names.emplace_back(field.name);
  return names;
}

absl::Status Config::Validate() const {
  std::vector<std::string> broken;
  for (const ConfigField& field : ConfigFields()) {
    const absl::Status status = field.Check(*this);
    if (!status.ok()) broken.emplace_back(status.message());
  }
  // What is out of range would only make the rules between settings hard to read.
  if (broken.empty()) CheckRelations(*this, &broken);
  if (broken.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(broken, "\n")));
}

Config::BucketNames Config::Buckets() const {
  const auto name = [this](const std::string& own, std::string_view suffix) {
    return own.empty() ? fmt::format("{}-{}", prefix, suffix) : own;
  };
  return {.stableid = name(stableid_bucket, "stableid"),
          .election = name(election_bucket, "election"),
          .heartbeat = name(heartbeat_bucket, "heartbeat"),
          .assignment = name(assignment_bucket, "assignment")};
}

Config::Millis Config::EffectiveElectionHoldoff() const {
  return election_holdoff == Millis(0) ? election_ttl / 4 : election_holdoff;
}

Config::Millis Config::EffectivePollInterval() const {
  return poll_interval == Millis(0) ? std::max(heartbeat_ttl / 2, kLeastPollInterval)
                                    : poll_interval;
}

Config::Millis Config::EffectiveHeartbeatMaxAge() const {
  return heartbeat_max_age == Millis(0) ? 10 * heartbeat_ttl : heartbeat_max_age;
}

}  // namespace parti
