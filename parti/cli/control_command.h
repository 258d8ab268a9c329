// `parti drain`, `undrain`, `pause`, `resume`, `pin` and `unpin`: orders to a group's leader.
#ifndef PARTI_CLI_CONTROL_COMMAND_H_
#define PARTI_CLI_CONTROL_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace parti::cli {

void AddControlCommands(CLI::App& app, std::function<int()>* action);

}  // namespace parti::cli

#endif  // PARTI_CLI_CONTROL_COMMAND_H_
