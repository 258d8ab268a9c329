// `parti worker` on the command line.
#ifndef PARTI_CLI_WORKER_COMMAND_H_
#define PARTI_CLI_WORKER_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}

namespace parti::cli {

// Adds the subcommand. When it is given, `*action` is what to do, and returns the exit status.
void AddWorkerCommand(CLI::App& app, std::function<int()>* action);

}  // namespace parti::cli

#endif  // PARTI_CLI_WORKER_COMMAND_H_
