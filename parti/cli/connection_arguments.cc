#include "parti/cli/connection_arguments.h"

#include <string>

namespace parti::cli {
namespace {

constexpr const char* kGroup = "Connection";

CLI::Option* Add(CLI::App* command, const char* name, std::string* target, const char* variable,
                 const char* text, const char* type) {
  return command->add_option(name, *target, text)
      ->envname(variable)
      ->type_name(type)
      ->group(kGroup);
}

}  // namespace

void AddConnectionOptions(CLI::App* command, ConnectionOptions* connection) {
  Add(command, "--creds", &connection->credentials_file, "NATS_CREDS",
      "Credentials file: user JWT and nkey seed", "FILE");
  Add(command, "--nkey", &connection->nkey_seed_file, "NATS_NKEY", "File with a user nkey's seed",
      "FILE");
  Add(command, "--user", &connection->user, "NATS_USER",
      "User name; the password is taken from NATS_PASSWORD, or both from the URL", "NAME");
  // Without an option of their own: the environment only. CLI11 takes that for an option whose name
  // nobody is told.
  Add(command, "--password", &connection->password, "NATS_PASSWORD", "", "")->group("");
  Add(command, "--token", &connection->token, "NATS_TOKEN", "", "")->group("");
  Add(command, "--tls-ca", &connection->tls.ca_file, "NATS_CA",
      "Whom to trust, PEM [whom the system trusts]", "FILE");
  Add(command, "--tls-cert", &connection->tls.certificate_file, "NATS_CERT",
      "This client's certificate, PEM; needs --tls-key", "FILE");
  Add(command, "--tls-key", &connection->tls.key_file, "NATS_KEY", "Its key, PEM", "FILE");
  Add(command, "--tls-server-name", &connection->tls.server_name, "NATS_TLS_SERVER_NAME",
      "The name in the server's certificate [the URL's host]", "NAME");
}

}  // namespace parti::cli
