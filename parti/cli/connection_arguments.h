// How the command's options say who one is to NATS, and whom to trust.
#ifndef PARTI_CLI_CONNECTION_ARGUMENTS_H_
#define PARTI_CLI_CONNECTION_ARGUMENTS_H_

#include <CLI/CLI.hpp>

#include "parti/connection.h"

namespace parti::cli {

// --creds, --nkey, --user, --tls-… in a group of their own. Secrets are taken from files and the
// environment, which other users can't see, rather than from the command line. `connection` must
// outlive the parsing.
void AddConnectionOptions(CLI::App* command, ConnectionOptions* connection);

}  // namespace parti::cli

#endif  // PARTI_CLI_CONNECTION_ARGUMENTS_H_
