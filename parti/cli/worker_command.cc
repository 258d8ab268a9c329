#include "parti/cli/worker_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "parti/cli/connection_flags.h"
#include "parti/cli/worker.h"
#include "parti/cli/worker_options.h"
#include "parti/config_fields.h"

namespace parti::cli {
namespace {

constexpr int kUsageError = 2;

constexpr const char* kDescription =
    "Runs one worker of a group: joins, takes its share of the partitions p-0 … p-(N-1), and works "
    "until SIGTERM or SIGINT, which makes it release everything and leave. A second signal ends it "
    "at once. All workers with the same server and prefix are one group, and must be given the "
    "same number of partitions.";

constexpr const char* kFooter = R"(Examples:
  parti worker --partitions 24
      one worker of the group "parti" on nats://127.0.0.1:4222
  parti worker --partitions 24 --preset fast --events - --quiet
      failover within 1.5 s; what it owns, as JSON lines on standard output
  parti worker --partitions 24 --set heartbeat_ttl=4s --set heartbeat_interval=1s
      single settings; --list-settings names them all
  parti worker --config worker.yaml
      the same from a file: `partitions: 24`, `heartbeat_ttl: 4s`, `labels: {zone: a}`, …

Where a value is given more than once: preset, then --config, then --set, then its own option; the
last one counts.

Exit status: 0 after a clean stop, 1 after a failure, 2 for a mistake in the options.)";

int Run(const WorkerArguments& arguments) {
  const absl::StatusOr<WorkerOptions> options = ResolveWorkerOptions(arguments);
  if (!options.ok()) {
    fmt::print(stderr, "parti: {}\nTry: parti worker --help\n",
               std::string(options.status().message()));
    return kUsageError;
  }
  return RunWorker(*options);
}

int ListSettings(const WorkerArguments& arguments) {
  const std::string preset = arguments.preset.value_or("default");
  const absl::StatusOr<Config> config = Config::Preset(preset);
  if (!config.ok()) {
    fmt::print(stderr, "parti: --preset {}: {}\n", preset, std::string(config.status().message()));
    return kUsageError;
  }
  fmt::print("# Every setting with preset {}, as --config takes it.\n", preset);
  for (const ConfigField& field : ConfigFields()) {
    const std::string value = field.Format(*config);
    fmt::print("\n# {} ({})\n{}: {}\n", field.help, field.Range(), field.name,
               value.empty() ? "\"\"" : value);
  }
  return 0;
}

}  // namespace

void AddWorkerCommand(CLI::App& app, std::function<int()>* action) {
  auto arguments = std::make_shared<WorkerArguments>();
  auto list_settings = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("worker", kDescription);
  command->footer(kFooter);

  AddConnectionFlags(*command, &arguments->connection);
  command
      ->add_option("--prefix", arguments->prefix, "The group's name: its buckets' prefix [parti]")
      ->type_name("P");
  command
      ->add_option(
          "-n,--partitions", arguments->partitions,
          fmt::format("How many partitions to share out, 1 to {}; required", kMaxPartitions))
      ->type_name("N");
  command
      ->add_option("--strategy", arguments->strategy,
                   "consistent-hash or round-robin [consistent-hash]")
      ->type_name("S");
  command
      ->add_option("--preset", arguments->preset,
                   "fast: a lease of about a second, a dead leader replaced within 1.5 s; "
                   "default: survives the failover of a NATS node [default]")
      ->type_name("NAME");
  command->add_option("--set", arguments->set, "One setting; may be given again and again")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--config", arguments->config_file, "Settings and options from a YAML file")
      ->type_name("FILE");
  command
      ->add_option("--events", arguments->events,
                   "Append ownership events to this file as JSON lines; - is standard output")
      ->type_name("FILE|-");
  command
      ->add_option("--metrics", arguments->metrics,
                   "Serve metrics for Prometheus at http://HOST:PORT/metrics; without a host on "
                   "127.0.0.1")
      ->type_name("[HOST:]PORT");
  command
      ->add_option("--identity", arguments->identity,
                   "This worker's own name, the same after a restart, by which it gets its id "
                   "back [host name and pid]")
      ->type_name("NAME");
  command
      ->add_option("--acquire-delay", arguments->acquire_delay,
                   "Pretend that beginning work on a partition takes this long [0ms]")
      ->type_name("TIME");
  command
      ->add_option("--release-delay", arguments->release_delay,
                   "Pretend that ending work on partitions takes this long [0ms]")
      ->type_name("TIME");
  command->add_flag("--list-settings", *list_settings,
                    "Print every setting with its meaning, range and the preset's value, as a "
                    "file for --config, and exit");
  CLI::Option* verbose =
      command->add_flag("-v,--verbose", arguments->verbose, "Log details to standard error");
  command->add_flag("-q,--quiet", arguments->quiet, "Log errors only")->excludes(verbose);

  command->callback([arguments, list_settings, action] {
    *action = [arguments, list_settings] {
      return *list_settings ? ListSettings(*arguments) : Run(*arguments);
    };
  });
}

}  // namespace parti::cli
