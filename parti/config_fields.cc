#include "parti/config_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "internal/wire/limits.h"
#include "internal/wire/records.h"
#include "internal/wire/utf8.h"

namespace parti {
namespace {

using Millis = Config::Millis;
using Labels = ConfigField::Labels;

constexpr std::int64_t kHourMs = 3600 * 1000;
constexpr std::int64_t kYearMs = 365 * 24 * kHourMs;
constexpr std::int64_t kMaxBucketBytes = 64;
constexpr std::string_view kNameCharacters = "letters, digits, _ and -";
constexpr std::int64_t kMaxLabels = 64;
static_assert(kMaxLabels <= static_cast<std::int64_t>(wire::kMaxLabels));
constexpr std::size_t kMaxLabelNameBytes = 128;
constexpr std::size_t kMaxLabelValueBytes = 1024;

const std::array<ConfigField, 38> kFields = {{
    {"prefix", &Config::prefix, 1, 32, kNameCharacters,
     "names the group: all workers with one server and prefix"},
    {"mode", &Config::mode, 0, 0, "exclusive or fast",
     "whether a lost worker's lease is waited out; the same for the whole group"},
    {"replicas", &Config::replicas, 1, 5, "",
     "copies of each bucket; above 1 needs nats-server 2.9.21 or newer"},
    {"storage", &Config::storage, 0, 0, "memory or file", "where the server keeps the buckets"},
    {"stableid_bucket", &Config::stableid_bucket, 0, kMaxBucketBytes, kNameCharacters,
     "the bucket of worker ids; empty: <prefix>-stableid"},
    {"election_bucket", &Config::election_bucket, 0, kMaxBucketBytes, kNameCharacters,
     "the bucket of the leader's record; empty: <prefix>-election"},
    {"heartbeat_bucket", &Config::heartbeat_bucket, 0, kMaxBucketBytes, kNameCharacters,
     "the bucket of heartbeats; empty: <prefix>-heartbeat"},
    {"assignment_bucket", &Config::assignment_bucket, 0, kMaxBucketBytes, kNameCharacters,
     "the bucket of assignments; empty: <prefix>-assignment"},
    {"jetstream_domain", &Config::jetstream_domain, 0, kMaxBucketBytes, kNameCharacters,
     "the JetStream domain that the buckets are in; empty: the server's own"},
    {"wire_version", &Config::wire_version, 0, wire::kMaxWireVersion, "",
     "holds the group's wire version while builds are upgraded; 0: as new as all workers speak"},
    {"identity", &Config::identity, 0, 256, "text",
     "this process's name, stable over its restarts; empty: host name and pid"},
    {"identity_is_exclusive", &Config::identity_is_exclusive, 0, 0, "true or false",
     "vouches that no two processes ever bear the identity at once"},
    {"worker_id_prefix", &Config::worker_id_prefix, 1, 64, kNameCharacters,
     "worker ids are this and a number"},
    {"max_workers", &Config::max_workers, 1, 100'000, "", "how many worker ids there are"},
    {"capacity", &Config::capacity, 0, wire::kMaxCapacity, "",
     "this worker's share of the load, relative to the others; 0 takes none"},
    {"labels", &Config::labels, 0, kMaxLabels, "name=value,…",
     "what strategies may know of this worker"},
    {"heartbeat_interval", &Config::heartbeat_interval, 10, kHourMs, "duration",
     "how often a worker renews its lease"},
    {"heartbeat_ttl", &Config::heartbeat_ttl, 100, wire::kMaxLeaseMs, "duration",
     "the lease: how long a worker that went silent may still own its partitions"},
    {"election_ttl", &Config::election_ttl, 100, wire::kMaxLeaseMs, "duration",
     "how long a silent leader is left in office"},
    {"election_holdoff", &Config::election_holdoff, 0, kHourMs, "duration",
     "how long a leader that was deposed while it lived keeps from running again, at first; 0: "
     "election_ttl / 4"},
    {"max_clock_drift_ppm", &Config::max_clock_drift_ppm, 0, 200'000, "parts per million",
     "how much the rates of two machines' clocks may differ"},
    {"debounce", &Config::debounce, 0, kHourMs, "duration",
     "changes of membership this close together are one"},
    {"debounce_cap", &Config::debounce_cap, 0, kHourMs, "duration",
     "the longest that a stream of such changes can delay the decision"},
    {"cold_start_window", &Config::cold_start_window, 0, kHourMs, "duration",
     "how long a new group waits for more workers before it shares out"},
    {"planned_scale_window", &Config::planned_scale_window, 0, kHourMs, "duration",
     "how long to wait for more workers when some joined or left"},
    {"emergency_grace_period", &Config::emergency_grace_period, 0, kHourMs, "duration",
     "how long to wait when a worker died"},
    {"rebalance_cooldown", &Config::rebalance_cooldown, 0, kHourMs, "duration",
     "the least time between planned rebalances"},
    {"release_timeout", &Config::release_timeout, 100, kHourMs, "duration",
     "a worker that hasn't let go of a partition by then is evicted"},
    {"refusal_backoff", &Config::refusal_backoff, 0, kHourMs, "duration",
     "how long a partition isn't offered to a worker whose acquire hook failed"},
    {"stop_timeout", &Config::stop_timeout, 0, kHourMs, "duration",
     "the longest that Stop waits for work to drain"},
    {"request_timeout", &Config::request_timeout, 10, kHourMs, "duration",
     "how long to wait for one answer of the server"},
    {"retry_backoff_min", &Config::retry_backoff_min, 1, kHourMs, "duration",
     "the first pause before a request that failed is made again; each further one is twice as "
     "long"},
    {"retry_backoff_max", &Config::retry_backoff_max, 1, kHourMs, "duration",
     "the longest such pause"},
    {"list_backoff_min", &Config::list_backoff_min, 1, kHourMs, "duration",
     "the first pause before a partition source that failed is asked again; each further one is "
     "twice as long"},
    {"list_backoff_max", &Config::list_backoff_max, 1, kHourMs, "duration",
     "the longest such pause"},
    {"poll_interval", &Config::poll_interval, 0, wire::kMaxLeaseMs, "duration",
     "how often the leader asks whether its watches missed something; 0: heartbeat_ttl / 2"},
    {"heartbeat_max_age", &Config::heartbeat_max_age, 0, kYearMs, "duration",
     "when the server forgets the heartbeat of a worker that is gone; 0: 10 × heartbeat_ttl"},
    {"assume_new_group", &Config::assume_new_group, 0, 0, "true or false",
     "waives a new group's first wait; only for tests that own their server"},
}};

std::string FormatMillis(std::int64_t millis) {
  return millis % 1000 == 0 ? fmt::format("{}s", millis / 1000) : fmt::format("{}ms", millis);
}

absl::Status Invalid(const ConfigField& field, std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("{} \"{}\" {}", field.name, text, why));
}

// The range of a number or duration, each end as `format` writes it.
template <typename Format>
absl::Status CheckRange(const ConfigField& field, std::int64_t value, Format format) {
  if (value >= field.min && value <= field.max) return absl::OkStatus();
  const bool low = value < field.min;
  return absl::InvalidArgumentError(fmt::format(
      "{} {} is {} than {}: give {} to {}", field.name, format(value), low ? "less" : "more",
      format(low ? field.min : field.max), format(field.min), format(field.max)));
}

std::string FormatNumber(std::int64_t value) { return fmt::format("{}", value); }

std::optional<std::int64_t> ParseWhole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A number, perhaps with a fraction, and a unit; whole milliseconds. "0" needs no unit.
std::optional<Millis> ParseDuration(std::string_view text) {
  if (text == "0") return Millis(0);
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  double millis = 0;
  if (unit == "ms") {
    millis = value;
  } else if (unit == "s") {
    millis = value * 1000;
  } else if (unit == "m") {
    millis = value * 60'000;
  } else {
    return std::nullopt;
  }
  constexpr double kMax = 1e15;
  if (millis > kMax || std::abs(millis - std::round(millis)) > 1e-6) return std::nullopt;
  return Millis(std::llround(millis));
}

// name=value,name=value; a backslash takes the meaning from the character after it.
std::optional<Labels> ParseLabels(std::string_view text) {
  Labels labels;
  std::size_t i = 0;
  const auto read_until = [&](std::string_view ends) {
    std::string part;
    for (; i < text.size() && ends.find(text[i]) == std::string_view::npos; ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      part.push_back(text[i]);
    }
    return part;
  };
  while (i < text.size()) {
    std::string name = read_until("=,");
    if (i == text.size() || text[i] != '=' || name.empty()) return std::nullopt;
    ++i;
    std::string value = read_until(",");
    if (!labels.emplace(std::move(name), std::move(value)).second) return std::nullopt;
    if (i < text.size() && ++i == text.size()) return std::nullopt;
  }
  return labels;
}

std::string FormatLabels(const Labels& labels) {
  std::string out;
  const auto append = [&](std::string_view part) {
    for (const char c : part) {
      if (c == '\\' || c == ',' || c == '=') out.push_back('\\');
      out.push_back(c);
    }
  };
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out.push_back(',');
    append(name);
    out.push_back('=');
    append(value);
  }
  return out;
}

bool IsTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool IsPrintable(std::string_view text) {
  return wire::IsUtf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < ' ' || byte == 0x7F;
         });
}

// Of strings. Every one is part of a KV key, except for the identity.
absl::Status CheckText(const ConfigField& field, const std::string& text) {
  const auto size = static_cast<std::int64_t>(text.size());
  if (size < field.min || size > field.max) {
    return Invalid(field, text,
                   fmt::format("has {} bytes: give {} to {}", size, field.min, field.max));
  }
  if (field.name == "identity") {
    if (!IsPrintable(text)) return Invalid(field, "…", "holds control characters or isn't UTF-8");
  } else if (!std::all_of(text.begin(), text.end(), IsTokenCharacter)) {
    return Invalid(field, text, "may hold letters, digits, '_' and '-' only");
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const ConfigField& field, const Labels& labels) {
  if (labels.size() > static_cast<std::size_t>(kMaxLabels)) {
    return absl::InvalidArgumentError(
        fmt::format("{} are {}: give at most {}", field.name, labels.size(), kMaxLabels));
  }
  for (const auto& [name, value] : labels) {
    if (name.empty() || name.size() > kMaxLabelNameBytes || value.size() > kMaxLabelValueBytes) {
      return absl::InvalidArgumentError(
          fmt::format("a label of {} = {} bytes: give a name of 1 to {} and a value of at most {}",
                      name.size(), value.size(), kMaxLabelNameBytes, kMaxLabelValueBytes));
    }
    if (!IsPrintable(name) || !IsPrintable(value)) {
      return absl::InvalidArgumentError(
          fmt::format("{} hold control characters or aren't UTF-8", field.name));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOne(const ConfigField& field, const std::string& value) {
  return CheckText(field, value);
}
absl::Status CheckOne(const ConfigField& field, const Labels& value) {
  return CheckLabels(field, value);
}
absl::Status CheckOne(const ConfigField& field, int value) {
  return CheckRange(field, value, FormatNumber);
}
absl::Status CheckOne(const ConfigField& field, std::int64_t value) {
  return CheckRange(field, value, FormatNumber);
}
absl::Status CheckOne(const ConfigField& field, Millis value) {
  return CheckRange(field, value.count(), FormatMillis);
}
absl::Status CheckOne(const ConfigField&, bool) { return absl::OkStatus(); }
absl::Status CheckOne(const ConfigField&, Mode) { return absl::OkStatus(); }
absl::Status CheckOne(const ConfigField&, Storage) { return absl::OkStatus(); }

std::string FormatOne(const std::string& value) { return value; }
std::string FormatOne(bool value) { return value ? "true" : "false"; }
std::string FormatOne(std::int64_t value) { return FormatNumber(value); }
std::string FormatOne(int value) { return FormatNumber(value); }
std::string FormatOne(Millis value) { return FormatMillis(value.count()); }
std::string FormatOne(Mode value) { return value == Mode::kFast ? "fast" : "exclusive"; }
std::string FormatOne(Storage value) { return value == Storage::kMemory ? "memory" : "file"; }
std::string FormatOne(const Labels& value) { return FormatLabels(value); }

// Each parses only; the ranges come after.
absl::Status ParseOne(const ConfigField&, std::string_view text, std::string* out) {
  *out = std::string(text);
  return absl::OkStatus();
}

absl::Status ParseOne(const ConfigField& field, std::string_view text, std::int64_t* out) {
  const std::optional<std::int64_t> value = ParseWhole(text);
  if (!value) {
    return Invalid(field, text,
                   fmt::format("isn't a whole number: give {} to {}", field.min, field.max));
  }
  *out = *value;
  return absl::OkStatus();
}

absl::Status ParseOne(const ConfigField& field, std::string_view text, int* out) {
  std::int64_t value = 0;
  if (absl::Status status = ParseOne(field, text, &value); !status.ok()) return status;
  // What int can't hold would come out as another number.
  if (absl::Status status = CheckOne(field, value); !status.ok()) return status;
  *out = static_cast<int>(value);
  return absl::OkStatus();
}

absl::Status ParseOne(const ConfigField& field, std::string_view text, Millis* out) {
  const std::optional<Millis> value = ParseDuration(text);
  if (!value) {
    return Invalid(field, text,
                   "isn't a duration: give a number with ms, s or m, such as 1500ms (no less than "
                   "a whole millisecond)");
  }
  *out = *value;
  return absl::OkStatus();
}

template <typename Value>
absl::Status ParseChoice(const ConfigField& field, std::string_view text,
                         std::array<Value, 2> choices, Value* out) {
  for (const Value choice : choices) {
    if (FormatOne(choice) == text) {
      *out = choice;
      return absl::OkStatus();
    }
  }
  return Invalid(field, text, fmt::format("is unknown: give {}", field.unit));
}

absl::Status ParseOne(const ConfigField& field, std::string_view text, bool* out) {
  return ParseChoice(field, text, std::array{true, false}, out);
}
absl::Status ParseOne(const ConfigField& field, std::string_view text, Mode* out) {
  return ParseChoice(field, text, std::array{Mode::kExclusive, Mode::kFast}, out);
}
absl::Status ParseOne(const ConfigField& field, std::string_view text, Storage* out) {
  return ParseChoice(field, text, std::array{Storage::kMemory, Storage::kFile}, out);
}

absl::Status ParseOne(const ConfigField& field, std::string_view text, Labels* out) {
  std::optional<Labels> labels = ParseLabels(text);
  if (!labels) {
    return Invalid(field, text,
                   "aren't labels: give name=value, separated by commas, each name once; a "
                   "backslash before a comma keeps it");
  }
  *out = *std::move(labels);
  return absl::OkStatus();
}

}  // namespace

std::string ConfigField::Format(const Config& config) const {
  return std::visit([&](auto pointer) { return FormatOne(config.*pointer); }, member);
}

absl::Status ConfigField::Parse(std::string_view text, Config* config) const {
  return std::visit(
      [&](auto pointer) {
        auto value = config->*pointer;
        if (absl::Status status = ParseOne(*this, text, &value); !status.ok()) return status;
        if (absl::Status status = CheckOne(*this, value); !status.ok()) return status;
        config->*pointer = std::move(value);
        return absl::OkStatus();
      },
      member);
}

absl::Status ConfigField::Check(const Config& config) const {
  return std::visit([&](auto pointer) { return CheckOne(*this, config.*pointer); }, member);
}

std::string ConfigField::Range() const {
  if (std::holds_alternative<Millis Config::*>(member)) {
    return fmt::format("{} … {}", FormatMillis(min), FormatMillis(max));
  }
  if (std::holds_alternative<int Config::*>(member) ||
      std::holds_alternative<std::int64_t Config::*>(member)) {
    return fmt::format("{} … {}{}{}", min, max, unit.empty() ? "" : " ", unit);
  }
  if (std::holds_alternative<std::string Config::*>(member)) {
    return fmt::format("{} … {} bytes of {}", min, max, unit);
  }
  if (std::holds_alternative<Labels Config::*>(member)) {
    return fmt::format("{} … {}, {}", min, max, unit);
  }
  return std::string(unit);
}

std::span<const ConfigField> ConfigFields() { return kFields; }

const ConfigField* FindConfigField(std::string_view name) {
  const auto found = std::find_if(kFields.begin(), kFields.end(),
                                  [&](const ConfigField& field) { return field.name == name; });
  return found == kFields.end() ? nullptr : &*found;
}

}  // namespace parti
