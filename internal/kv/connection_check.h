// What can be found wrong with ConnectionOptions before anything is connected. Each error names the
// field and the remedy, and shows no secret.
#ifndef PARTI_INTERNAL_KV_CONNECTION_CHECK_H_
#define PARTI_INTERNAL_KV_CONNECTION_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/connection.h"

namespace parti::kv {

// Two ways to authenticate, or to connect.
absl::Status CheckOneWay(const ConnectionOptions& options);
absl::Status CheckUrls(const ConnectionOptions& options);
// User and password, token, and the files of credentials and nkeys.
absl::Status CheckCredentials(const ConnectionOptions& options);
absl::Status CheckTls(const ConnectionOptions& options);
absl::Status CheckInboxPrefix(const ConnectionOptions& options);

// When what is in options.credentials_file expired, by this machine's clock: "2026-01-31 12:00:00
// UTC". Empty: it hasn't, or that can't be told.
std::string ExpiryOf(const ConnectionOptions& options);

// The public key of the user whose seed is in options.nkey_seed_file.
absl::StatusOr<std::string> NkeyOf(const ConnectionOptions& options);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_CONNECTION_CHECK_H_
