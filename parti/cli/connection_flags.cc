#include "parti/cli/connection_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

namespace parti::cli {
namespace {

constexpr const char* kGroup = "Connection";

// The first line of the file.
absl::StatusOr<std::string> ReadSecret(std::string_view option, const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  if (!file.is_open()) {
    return absl::InvalidArgumentError(
        fmt::format("{} {}: can't be read; is the path right, and readable to you?", option, path));
  }
  if (line.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{} {}: its first line is empty; it must be the secret", option, path));
  }
  return line;
}

std::string Environment(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status SetPassword(const ConnectionArguments& arguments, ConnectionOptions* options) {
  if (arguments.password_file) {
    absl::StatusOr<std::string> password = ReadSecret("--password-file", *arguments.password_file);
    if (!password.ok()) return password.status();
    options->password = *std::move(password);
  } else if (arguments.user) {
    options->password = Environment("NATS_PASSWORD");
    if (options->password.empty()) {
      return absl::InvalidArgumentError(
          fmt::format("--user {} has no password; give --password-file, or set NATS_PASSWORD",
                      *arguments.user));
    }
  }
  return absl::OkStatus();
}

absl::Status SetToken(const ConnectionArguments& arguments, ConnectionOptions* options) {
  const bool otherwise = arguments.user || arguments.creds || arguments.nkey ||
                         options->url.find('@') != std::string::npos;
  if (arguments.token_file) {
    absl::StatusOr<std::string> token = ReadSecret("--token-file", *arguments.token_file);
    if (!token.ok()) return token.status();
    options->token = *std::move(token);
  } else if (!otherwise) {
    options->token = Environment("NATS_TOKEN");
  }
  return absl::OkStatus();
}

}  // namespace

std::string InFlagNames(std::string text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kNames = {{
      {"credentials_file", "--creds"},
      {"nkey_seed_file", "--nkey"},
      {"tls.ca_file", "--tls-ca"},
      {"tls.certificate_file", "--tls-cert"},
      {"tls.key_file", "--tls-key"},
      {"tls.server_name", "--tls-server-name"},
      {"tls.required", "--tls"},
      {"inbox_prefix", "--inbox-prefix"},
  }};
  for (const auto& [field, flag] : kNames) {
    for (std::size_t at = 0; (at = text.find(field, at)) != std::string::npos; at += flag.size()) {
      text.replace(at, field.size(), flag);
    }
  }
  return text;
}

void AddConnectionFlags(CLI::App& command, ConnectionArguments* arguments) {
  const auto add = [&](const char* name, std::optional<std::string>* value, const char* type,
                       const char* help) {
    command.add_option(name, *value, help)->type_name(type)->group(kGroup);
  };
  add("-s,--server", &arguments->server, "URL",
      "NATS servers, comma-separated, nats:// or tls:// [nats://127.0.0.1:4222]");
  add("--user", &arguments->user, "NAME", "Who we are to the server, with a password");
  add("--password-file", &arguments->password_file, "FILE",
      "Its first line is the password of --user [$NATS_PASSWORD]");
  add("--token-file", &arguments->token_file, "FILE",
      "Its first line is the token that the server asks for [$NATS_TOKEN]");
  add("--creds", &arguments->creds, "FILE",
      "Credentials: user JWT and nkey seed, as nsc makes them");
  add("--nkey", &arguments->nkey, "FILE", "The seed of a user's nkey");
  add("--tls-ca", &arguments->tls_ca, "FILE",
      "Whom to trust with the server's certificate, PEM [whom the system trusts]");
  add("--tls-cert", &arguments->tls_cert, "FILE", "Our own certificate, PEM; with --tls-key");
  add("--tls-key", &arguments->tls_key, "FILE", "The key of --tls-cert, PEM, not encrypted");
  add("--tls-server-name", &arguments->tls_server_name, "NAME",
      "What the server's certificate must be for [the host of --server]");
  command.add_flag("--tls", arguments->tls, "TLS also where nothing else here asks for it")
      ->group(kGroup);
  add("--inbox-prefix", &arguments->inbox_prefix, "SUBJECT",
      "Where to receive answers, if permissions demand another place [_INBOX]");
}

absl::StatusOr<ConnectionOptions> ResolveConnection(const ConnectionArguments& arguments) {
  ConnectionOptions options;
  options.url = arguments.server.value_or(options.url);
  options.user = arguments.user.value_or("");
  options.credentials_file = arguments.creds.value_or("");
  options.nkey_seed_file = arguments.nkey.value_or("");
  options.tls.required = arguments.tls;
  options.tls.ca_file = arguments.tls_ca.value_or("");
  options.tls.certificate_file = arguments.tls_cert.value_or("");
  options.tls.key_file = arguments.tls_key.value_or("");
  options.tls.server_name = arguments.tls_server_name.value_or("");
  options.inbox_prefix = arguments.inbox_prefix.value_or(options.inbox_prefix);
  if (absl::Status status = SetPassword(arguments, &options); !status.ok()) return status;
  if (absl::Status status = SetToken(arguments, &options); !status.ok()) return status;
  if (absl::Status status = options.Validate(); !status.ok()) {
    return absl::Status(status.code(), InFlagNames(std::string(status.message())));
  }
  return options;
}

}  // namespace parti::cli
