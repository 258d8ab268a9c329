#include "parti/cli/event_line.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/status/status.h"

namespace parti::cli {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<std::string_view, EventKind>, 10> kKinds{{
    {"opened", EventKind::kOpened},
    {"started", EventKind::kStarted},
    {"state", EventKind::kState},
    {"leader", EventKind::kLeader},
    {"acquired", EventKind::kAcquired},
    {"released", EventKind::kReleased},
    {"lost", EventKind::kLost},
    {"lease", EventKind::kLease},
    {"stopped", EventKind::kStopped},
    {"gone", EventKind::kGone},
}};

std::optional<EventKind> KindOf(std::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

// Takes fields out of one object and remembers the first that is missing or of the wrong type.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  std::string Text(const char* name) {
    const Json* field = Find(name);
    if (field == nullptr) return {};
    if (!field->is_string()) return Wrong(name, "a string"), std::string();
    return field->get<std::string>();
  }

  std::uint64_t Unsigned(const char* name) {
    const Json* field = Find(name);
    if (field == nullptr) return 0;
    if (!field->is_number_unsigned()) return Wrong(name, "a number of 0 or more"), 0;
    return field->get<std::uint64_t>();
  }

  std::int64_t Nanos(const char* name) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const std::uint64_t value = Unsigned(name);
    if (value > kMax) return Wrong(name, "below 2^63"), 0;
    return static_cast<std::int64_t>(value);
  }

  bool Bool(const char* name) {
    const Json* field = Find(name);
    if (field == nullptr) return false;
    if (!field->is_boolean()) return Wrong(name, "true or false"), false;
    return field->get<bool>();
  }

  const std::string& error() const { return error_; }

 private:
  const Json* Find(const char* name) {
    const auto found = json_.find(name);
    if (found != json_.end()) return &*found;
    if (error_.empty()) error_ = fmt::format("\"{}\" is missing", name);
    return nullptr;
  }

  void Wrong(const char* name, const char* wanted) {
    if (error_.empty()) error_ = fmt::format("\"{}\" is not {}", name, wanted);
  }

  const Json& json_;
  std::string error_;
};

}  // namespace

absl::StatusOr<EventLine> ParseEventLine(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  Fields fields(json);
  const std::string name = fields.Text("event");
  const std::optional<EventKind> kind = KindOf(name);
  if (fields.error().empty() && !kind.has_value()) {
    return absl::InvalidArgumentError(fmt::format("unknown event \"{}\"", name));
  }
  EventLine event;
  event.kind = kind.value_or(EventKind::kStarted);
  event.t = fields.Nanos("t");
  if (json.contains("worker") || event.kind == EventKind::kStarted) {
    event.worker = fields.Text("worker");
  }
  if (json.contains("incarnation") || event.kind == EventKind::kStarted) {
    event.incarnation = fields.Unsigned("incarnation");
  }
  switch (event.kind) {
    case EventKind::kOpened:
      event.alone = fields.Bool("alone");
      if (!json.contains("clock")) break;
      event.clock = fields.Text("clock");
      event.wall = fields.Nanos("wall");
      break;
    case EventKind::kStarted:
      if (fields.error().empty() && event.worker.empty()) {
        return absl::InvalidArgumentError("\"worker\" is empty");
      }
      break;
    case EventKind::kState:
      event.state = fields.Text("state");
      break;
    case EventKind::kLeader:
      event.gained = fields.Bool("gained");
      event.token.epoch = fields.Unsigned("epoch");
      break;
    case EventKind::kAcquired:
      event.partition = fields.Text("partition");
      event.token.epoch = fields.Unsigned("epoch");
      event.token.version = fields.Unsigned("version");
      break;
    case EventKind::kReleased:
    case EventKind::kLost:
      event.partition = fields.Text("partition");
      break;
    case EventKind::kLease:
      event.until = fields.Nanos("until");
      break;
    case EventKind::kStopped:
    case EventKind::kGone:
      break;
  }
  if (!fields.error().empty()) return absl::InvalidArgumentError(fields.error());
  return event;
}

}  // namespace parti::cli
