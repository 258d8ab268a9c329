// The `parti` command.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "parti/cli/control_command.h"
#include "parti/cli/demo.h"
#include "parti/cli/history_command.h"
#include "parti/cli/status_command.h"
#include "parti/cli/worker_command.h"

namespace {

constexpr int kUsageError = 2;

constexpr const char* kFooter = R"(Try it, with a nats-server installed:
  parti demo                               a group on a private server loses its leader; 20 s
Or by hand, each in a terminal of its own:
  nats-server -js
  parti worker --partitions 24 --preset fast       two or three of these
  parti status --watch                             and kill one

`parti COMMAND --help` tells of each: options, examples, exit statuses. All commands find the group
by --server and --prefix.)";

// CLI11 has a number of its own for each kind of mistake; callers want one.
int Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? -1 : kUsageError;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Parti: worker processes share out partitions, exclusively, through NATS."};
  app.name("parti");
  app.footer(kFooter);
  app.set_version_flag("--version", "parti " PARTI_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App* root, const CLI::Error& error) {
    const std::vector<CLI::App*> chosen = root->get_subcommands();
    return "parti: " + std::string(error.what()) + "\nTry: parti" +
           (chosen.empty() ? "" : " " + chosen.front()->get_name()) + " --help\n";
  });

  std::function<int()> action;
  parti::cli::AddWorkerCommand(app, &action);
  parti::cli::AddDemoCommand(app, &action);
  parti::cli::AddStatusCommand(app, &action);
  parti::cli::AddControlCommands(app, &action);
  parti::cli::AddHistoryCommand(app, &action);
  if (const int status = Parse(app, argc, argv); status != 0) return status < 0 ? 0 : status;
  return action();
}
