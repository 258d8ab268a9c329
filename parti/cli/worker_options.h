// What `parti worker` was asked for: from a preset, a YAML file and the command line.
#ifndef PARTI_CLI_WORKER_OPTIONS_H_
#define PARTI_CLI_WORKER_OPTIONS_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "parti/cli/connection_flags.h"
#include "parti/config.h"
#include "parti/connection.h"
#include "parti/logger.h"

namespace parti::cli {

inline constexpr int kMaxPartitions = 1'000'000;

// As typed: what was not given is empty, so that the file may give it.
struct WorkerArguments {
  ConnectionArguments connection;
  std::optional<std::string> prefix;
  std::optional<std::string> partitions;
  std::optional<std::string> strategy;
  std::optional<std::string> preset;
  std::optional<std::string> identity;
  std::optional<std::string> events;
  std::optional<std::string> metrics;
  std::vector<std::string> set;  // name=value
  std::string config_file;
  std::string acquire_delay = "0ms";
  std::string release_delay = "0ms";
  bool verbose = false;
  bool quiet = false;
};

// Ready to run.
struct WorkerOptions {
  Config config;
  ConnectionOptions nats;
  int partitions = 0;
  std::string strategy = "consistent-hash";
  std::string events;   // a file, "-" for standard output, empty for none
  std::string metrics;  // HOST:PORT to serve them at, empty for none
  std::chrono::milliseconds acquire_delay{0};
  std::chrono::milliseconds release_delay{0};
  LogLevel log_level = LogLevel::kInfo;
};

// "500ms", "3s" or "2m"; `option` names it in errors.
absl::StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view option,
                                                        const std::string& text);

// What `parti` needs to find a group: its configuration and the way to the server. As
// ResolveWorkerOptions, but for the rest of the arguments.
struct GroupPlace {
  Config config;
  ConnectionOptions nats;
};
absl::StatusOr<GroupPlace> ResolveGroupPlace(const WorkerArguments& arguments);

// The preset first, then the file, then --set, then the options of their own name: what comes later
// wins. InvalidArgument names the value, the limit and the remedy.
absl::StatusOr<WorkerOptions> ResolveWorkerOptions(const WorkerArguments& arguments);

}  // namespace parti::cli

#endif  // PARTI_CLI_WORKER_OPTIONS_H_
