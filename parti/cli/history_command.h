// `parti check-history`: judges event logs.
#ifndef PARTI_CLI_HISTORY_COMMAND_H_
#define PARTI_CLI_HISTORY_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace parti::cli {

void AddHistoryCommand(CLI::App& app, std::function<int()>* action);

}  // namespace parti::cli

#endif  // PARTI_CLI_HISTORY_COMMAND_H_
