// The options of a command by which it gets to NATS: --server, who we are, TLS. A secret is never
// an option's value, which every user of the machine could read: it comes from a file or an
// environment variable.
#ifndef PARTI_CLI_CONNECTION_FLAGS_H_
#define PARTI_CLI_CONNECTION_FLAGS_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "parti/connection.h"

namespace CLI {
class App;
}

namespace parti::cli {

// As typed: what was not given is empty.
struct ConnectionArguments {
  std::optional<std::string> server;
  std::optional<std::string> user;
  std::optional<std::string> password_file;
  std::optional<std::string> token_file;
  std::optional<std::string> creds;
  std::optional<std::string> nkey;
  std::optional<std::string> tls_ca;
  std::optional<std::string> tls_cert;
  std::optional<std::string> tls_key;
  std::optional<std::string> tls_server_name;
  std::optional<std::string> inbox_prefix;
  bool tls = false;
};

// The texts among them, by the names that a YAML file has for them.
struct ConnectionKey {
  std::string_view name;
  std::optional<std::string> ConnectionArguments::*member;
};
inline constexpr std::array<ConnectionKey, 11> kConnectionKeys = {{
    {"server", &ConnectionArguments::server},
    {"user", &ConnectionArguments::user},
    {"password_file", &ConnectionArguments::password_file},
    {"token_file", &ConnectionArguments::token_file},
    {"creds", &ConnectionArguments::creds},
    {"nkey", &ConnectionArguments::nkey},
    {"tls_ca", &ConnectionArguments::tls_ca},
    {"tls_cert", &ConnectionArguments::tls_cert},
    {"tls_key", &ConnectionArguments::tls_key},
    {"tls_server_name", &ConnectionArguments::tls_server_name},
    {"inbox_prefix", &ConnectionArguments::inbox_prefix},
}};

// `arguments` must outlive the parsing.
void AddConnectionFlags(CLI::App& command, ConnectionArguments* arguments);

// Reads the files of password and token, and where there is none the environment variables
// NATS_PASSWORD (for --user) and NATS_TOKEN (if nothing else says who we are). InvalidArgument
// says what can't be read or contradicts itself, and shows no secret.
absl::StatusOr<ConnectionOptions> ResolveConnection(const ConnectionArguments& arguments);

// The library calls things by the names of ConnectionOptions, which nobody typed here: with the
// flags' names instead.
std::string InFlagNames(std::string text);

}  // namespace parti::cli

#endif  // PARTI_CLI_CONNECTION_FLAGS_H_
