#include "internal/kv/nats_options.h"

#include <fmt/format.h>

#include <initializer_list>

#include "internal/kv/connection_check.h"
#include "internal/kv/tls_errors.h"
#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

absl::Status Failed(const char* field, natsStatus status) {
  const char* const detail = nats_GetLastError(nullptr);
  return absl::InvalidArgumentError(
      fmt::format("{} can't be used: {}{}{}", field, natsStatus_GetText(status),
                  detail == nullptr || *detail == 0 ? "" : ": ", detail == nullptr ? "" : detail));
}

absl::Status SetCredentials(const ConnectionOptions& connection, natsOptions* options) {
  if (!connection.user.empty()) {
    const natsStatus status =
        natsOptions_SetUserInfo(options, connection.user.c_str(), connection.password.c_str());
    return status == NATS_OK ? absl::OkStatus() : Failed("user", status);
  }
  if (!connection.token.empty()) {
    const natsStatus status = natsOptions_SetToken(options, connection.token.c_str());
    return status == NATS_OK ? absl::OkStatus() : Failed("token", status);
  }
  if (!connection.credentials_file.empty()) {
    const natsStatus status = natsOptions_SetUserCredentialsFromFiles(
        options, connection.credentials_file.c_str(), nullptr);
    return status == NATS_OK ? absl::OkStatus() : Failed("credentials_file", status);
  }
  if (!connection.nkey_seed_file.empty()) {
    const absl::StatusOr<std::string> nkey = NkeyOf(connection);
    if (!nkey.ok()) return nkey.status();
    const natsStatus status =
        natsOptions_SetNKeyFromSeed(options, nkey->c_str(), connection.nkey_seed_file.c_str());
    return status == NATS_OK ? absl::OkStatus() : Failed("nkey_seed_file", status);
  }
  return absl::OkStatus();
}

absl::Status SetTls(const TlsOptions& tls, const std::string& url, natsOptions* options) {
  if (!tls.used() && SchemeOf(url) != "tls") return absl::OkStatus();
  if (const natsStatus status = natsOptions_SetSecure(options, true); status != NATS_OK) {
    return Failed("tls", status);
  }
  if (tls.skip_verification) {
    const natsStatus status = natsOptions_SkipServerVerification(options, true);
    if (status != NATS_OK) return Failed("tls.skip_verification", status);
  } else {
    const std::string name = tls.server_name.empty() ? HostOf(AddressOf(url)) : tls.server_name;
    const natsStatus status = natsOptions_SetExpectedHostname(options, name.c_str());
    if (status != NATS_OK) return Failed("tls.server_name", status);
  }
  if (!tls.ca_file.empty()) {
    const natsStatus status = natsOptions_LoadCATrustedCertificates(options, tls.ca_file.c_str());
    if (status != NATS_OK) return Failed("tls.ca_file", status);
  }
  if (!tls.certificate_file.empty()) {
    const natsStatus status = natsOptions_LoadCertificatesChain(
        options, tls.certificate_file.c_str(), tls.key_file.c_str());
    if (status != NATS_OK) return Failed("tls.certificate_file", status);
  }
  return absl::OkStatus();
}

// Who the server was told that we are, without secrets, and what to look at.
std::string Refused(const ConnectionOptions& connection, const std::string& url) {
  if (!connection.user.empty()) {
    return fmt::format("user \"{}\" or its password was refused; check user and password",
                       connection.user);
  }
  if (!connection.token.empty()) return "the token was refused; check token";
  if (!connection.credentials_file.empty()) {
    const std::string expired = ExpiryOf(connection);
    return fmt::format(
        "the credentials in \"{}\" were refused: they {}; check credentials_file, or have new ones "
        "made",
        connection.credentials_file,
        expired.empty() ? "may be revoked or of another account" : "have expired on " + expired);
  }
  if (!connection.nkey_seed_file.empty()) {
    const absl::StatusOr<std::string> nkey = NkeyOf(connection);
    return fmt::format("nkey {} was refused; is it among the server's users? check nkey_seed_file",
                       nkey.ok() ? *nkey : "?");
  }
  if (HasUserInfo(url)) {
    return "the credentials in the URL were refused; check the user and password, or token, there";
  }
  return "it wants to know who connects, or a client certificate; give user and password, token, "
         "credentials_file, nkey_seed_file, or tls.certificate_file and tls.key_file";
}

bool Mentions(const std::string& text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

absl::Status SetNatsOptions(const ConnectionOptions& connection, const std::string& url,
                            natsOptions* options) {
  const std::string name = connection.name.empty() ? "parti" : connection.name;
  for (const natsStatus status :
       {natsOptions_SetURL(options, url.c_str()), natsOptions_SetName(options, name.c_str())}) {
    if (status != NATS_OK) return ConnectError(connection, url, status, "");
  }
  // Files may have been replaced since they were checked, and libnats's words for a bad one are
  // poor.
  for (const auto check : {&CheckCredentials, &CheckTls}) {
    if (absl::Status status = check(connection); !status.ok()) return status;
  }
  if (absl::Status status = SetCredentials(connection, options); !status.ok()) return status;
  return SetTls(connection.tls, url, options);
}

absl::Status ConnectError(const ConnectionOptions& connection, const std::string& url,
                          natsStatus status, const std::string& detail) {
  const std::string text =
      fmt::format("can't connect to NATS at {}: {}", AddressOf(url), natsStatus_GetText(status));
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
      return absl::UnauthenticatedError(text + ": " + Refused(connection, url));
    case NATS_SECURE_CONNECTION_REQUIRED:
      return absl::FailedPreconditionError(
          text + ": the server wants TLS; use a tls:// URL or set tls.required");
    case NATS_SECURE_CONNECTION_WANTED:
      return absl::FailedPreconditionError(
          text +
          ": TLS is asked for, but the server has none; configure it there, or use a "
          "nats:// URL and no tls settings");
    case NATS_SSL_ERROR:
      if (Mentions(detail, {"certificate verify failed", ":cert="})) {
        return ServerCertificateError(connection, url, text, detail);
      }
      return absl::UnavailableError(detail.empty() ? text : text + ": " + detail);
    case NATS_ADDRESS_MISSING:
    case NATS_INVALID_ARG:
      return absl::InvalidArgumentError(text + "; a URL looks like nats://host:4222");
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace parti::kv
