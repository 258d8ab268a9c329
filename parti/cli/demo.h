// `parti demo`: a private nats-server, a group of worker processes, a story, a live view of it, and
// what an independent observer found in the workers' event logs.
#ifndef PARTI_CLI_DEMO_H_
#define PARTI_CLI_DEMO_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace parti::cli {

// Adds the subcommand. When it is chosen, `*action` becomes what to run for the exit status.
void AddDemoCommand(CLI::App& app, std::function<int()>* action);

}  // namespace parti::cli

#endif  // PARTI_CLI_DEMO_H_
