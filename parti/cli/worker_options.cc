#include "parti/cli/worker_options.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include "parti/cli/metrics_server.h"
#include "parti/config_fields.h"
#include "strategies/strategies.h"

namespace parti::cli {
namespace {

// Keys of the file that are options of the command rather than fields of Config.
const std::vector<std::string_view>& CommandKeys() {
  static const auto* const keys = [] {
    auto* const all = new std::vector<std::string_view>;
    for (const ConnectionKey& key : kConnectionKeys) all->push_back(key.name);
    for (const std::string_view key : {"partitions", "strategy", "preset", "events", "metrics"}) {
      all->push_back(key);
    }
    return all;
  }();
  return *keys;
}

bool IsCommandKey(std::string_view key) {
  return std::find(CommandKeys().begin(), CommandKeys().end(), key) != CommandKeys().end();
}

// The file's contents, flat, as text.
struct Value {
  std::string text;
  int line = 0;
};
using Values = std::map<std::string, Value>;

absl::Status Annotate(const absl::Status& status, std::string_view where) {
  return absl::Status(status.code(), fmt::format("{}: {}", where, std::string(status.message())));
}

int LineOf(const YAML::Node& node) { return node.Mark().line + 1; }

// As Config::Set takes the names and values of labels.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == ',' || c == '=') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// A map of scalars is what Config::Set takes as "name=value,…".
absl::StatusOr<std::string> TextOf(const YAML::Node& value) {
  if (value.IsNull()) {
    return absl::InvalidArgumentError("has no value; give one, or \"\" for an empty text");
  }
  if (value.IsScalar()) return value.Scalar();
  if (!value.IsMap()) return absl::InvalidArgumentError("must be a single value");
  std::string text;
  for (const auto& pair : value) {
    if (!pair.first.IsScalar() || !pair.second.IsScalar()) {
      return absl::InvalidArgumentError("must be a map of single values");
    }
    if (!text.empty()) text += ',';
    text += Escaped(pair.first.Scalar()) + "=" + Escaped(pair.second.Scalar());
  }
  return text;
}

// Settings and options of the command, all that the file may hold.
std::vector<std::string> KnownKeys() {
  std::vector<std::string> known = Config::FieldNames();
  known.insert(known.begin(), CommandKeys().begin(), CommandKeys().end());
  return known;
}

absl::Status UnknownKey(const std::string& key, const std::vector<std::string>& known) {
  const std::string_view nearest = NearestName(key, known);
  if (!nearest.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("unknown setting \"{}\": did you mean {}?", key, nearest));
  }
  return absl::InvalidArgumentError(
      fmt::format("unknown setting \"{}\": there are {}", key, fmt::join(known, ", ")));
}

absl::StatusOr<Values> ParseFile(const std::string& path) {
  const YAML::Node root = YAML::LoadFile(path);
  Values values;
  if (root.IsNull()) return values;
  if (!root.IsMap()) {
    return absl::InvalidArgumentError("must be a map of settings, such as `heartbeat_ttl: 4s`");
  }
  const std::vector<std::string> known = KnownKeys();
  for (const auto& pair : root) {
    const int line = LineOf(pair.first);
    const std::string where = fmt::format("line {}", line);
    if (!pair.first.IsScalar()) {
      return Annotate(absl::InvalidArgumentError("a setting's name must be a single value"), where);
    }
    const std::string key = pair.first.Scalar();
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Annotate(UnknownKey(key, known), where);
    }
    absl::StatusOr<std::string> text = TextOf(pair.second);
    if (!text.ok()) return Annotate(text.status(), fmt::format("{}: {}", where, key));
    const auto [other, is_new] = values.emplace(key, Value{*std::move(text), line});
    if (!is_new) {
      return Annotate(absl::InvalidArgumentError(
                          fmt::format("{} is given in line {} already", key, other->second.line)),
                      where);
    }
  }
  return values;
}

absl::StatusOr<Values> ReadConfigFile(const std::string& path) {
  if (path.empty()) return Values{};
  const std::string where = fmt::format("--config {}", path);
  try {
    absl::StatusOr<Values> values = ParseFile(path);
    return values.ok() ? values : Annotate(values.status(), where);
  } catch (const YAML::BadFile&) {
    return absl::InvalidArgumentError(
        fmt::format("{}: can't be read; is the path right, and readable to you?", where));
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) {
      return absl::InvalidArgumentError(fmt::format("{}: {}", where, error.msg));
    }
    return absl::InvalidArgumentError(
        fmt::format("{}: line {}: {}", where, error.mark.line + 1, error.msg));
  }
}

// The command line's word, else the file's.
std::optional<std::string> Choose(const std::optional<std::string>& argument, const Values& file,
                                  const std::string& key) {
  if (argument) return argument;
  const auto found = file.find(key);
  if (found == file.end()) return std::nullopt;
  return found->second.text;
}

absl::StatusOr<int> ParsePartitions(const std::string& text) {
  int count = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || parsed != end || count < 1 || count > kMaxPartitions) {
    return absl::InvalidArgumentError(
        fmt::format("--partitions {}: must be a whole number from 1 to {}", text, kMaxPartitions));
  }
  return count;
}

absl::Status ApplySettings(const std::vector<std::string>& settings, Config* config) {
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          fmt::format("--set {}: must be name=value, such as --set heartbeat_ttl=4s", setting));
    }
    const absl::Status status = config->Set(setting.substr(0, equals), setting.substr(equals + 1));
    if (!status.ok()) return Annotate(status, fmt::format("--set {}", setting));
  }
  return absl::OkStatus();
}

absl::StatusOr<Config> ResolveConfig(const WorkerArguments& arguments, const Values& file) {
  const std::string preset = Choose(arguments.preset, file, "preset").value_or("default");
  absl::StatusOr<Config> config = Config::Preset(preset);
  if (!config.ok()) return Annotate(config.status(), fmt::format("--preset {}", preset));
  for (const auto& [key, value] : file) {
    if (IsCommandKey(key)) continue;
    if (absl::Status status = config->Set(key, value.text); !status.ok()) {
      return Annotate(status,
                      fmt::format("--config {}: line {}", arguments.config_file, value.line));
    }
  }
  if (absl::Status status = ApplySettings(arguments.set, &*config); !status.ok()) return status;
  if (arguments.prefix) config->prefix = *arguments.prefix;
  if (arguments.identity) config->identity = *arguments.identity;
  if (absl::Status status = config->Validate(); !status.ok()) return status;
  return config;
}

absl::StatusOr<ConnectionOptions> ResolveNats(const WorkerArguments& arguments,
                                              const Values& file) {
  ConnectionArguments connection = arguments.connection;
  for (const ConnectionKey& key : kConnectionKeys) {
    auto& value = connection.*key.member;
    value = Choose(value, file, std::string(key.name));
  }
  return ResolveConnection(connection);
}

}  // namespace

absl::StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view option,
                                                        const std::string& text) {
  // The syntax of Config's durations, by way of a field that allows any.
  Config scratch;
  if (absl::Status status = scratch.Set("refusal_backoff", text); !status.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{} {}: must be a number with ms, s or m, such as 500ms", option, text));
  }
  return scratch.refusal_backoff;
}

absl::StatusOr<GroupPlace> ResolveGroupPlace(const WorkerArguments& arguments) {
  const absl::StatusOr<Values> file = ReadConfigFile(arguments.config_file);
  if (!file.ok()) return file.status();
  absl::StatusOr<Config> config = ResolveConfig(arguments, *file);
  if (!config.ok()) return config.status();
  GroupPlace place;
  place.config = *std::move(config);
  absl::StatusOr<ConnectionOptions> nats = ResolveNats(arguments, *file);
  if (!nats.ok()) return nats.status();
  place.nats = *std::move(nats);
  return place;
}

absl::StatusOr<WorkerOptions> ResolveWorkerOptions(const WorkerArguments& arguments) {
  const absl::StatusOr<Values> file = ReadConfigFile(arguments.config_file);
  if (!file.ok()) return file.status();
  absl::StatusOr<Config> config = ResolveConfig(arguments, *file);
  if (!config.ok()) return config.status();

  WorkerOptions options;
  options.config = *std::move(config);
  absl::StatusOr<ConnectionOptions> nats = ResolveNats(arguments, *file);
  if (!nats.ok()) return nats.status();
  options.nats = *std::move(nats);
  options.strategy = Choose(arguments.strategy, *file, "strategy").value_or(options.strategy);
  options.events = Choose(arguments.events, *file, "events").value_or("");
  if (const auto metrics = Choose(arguments.metrics, *file, "metrics"); metrics) {
    absl::StatusOr<std::string> address = MetricsAddress(*metrics);
    if (!address.ok()) return address.status();
    options.metrics = *std::move(address);
  }
  if (auto strategy = MakeStrategy(options.strategy); !strategy.ok()) {
    return Annotate(strategy.status(), fmt::format("--strategy {}", options.strategy));
  }
  const std::optional<std::string> partitions = Choose(arguments.partitions, *file, "partitions");
  if (!partitions) {
    return absl::InvalidArgumentError(
        "--partitions is missing; give the number of partitions to share out, the same for every "
        "worker of the group");
  }
  const absl::StatusOr<int> count = ParsePartitions(*partitions);
  if (!count.ok()) return count.status();
  options.partitions = *count;

  const auto acquire_delay = ParseDuration("--acquire-delay", arguments.acquire_delay);
  if (!acquire_delay.ok()) return acquire_delay.status();
  options.acquire_delay = *acquire_delay;
  const auto release_delay = ParseDuration("--release-delay", arguments.release_delay);
  if (!release_delay.ok()) return release_delay.status();
  options.release_delay = *release_delay;

  if (arguments.verbose) options.log_level = LogLevel::kDebug;
  if (arguments.quiet) options.log_level = LogLevel::kError;
  return options;
}

}  // namespace parti::cli
