// Why TLS didn't come about, in words: whose certificate was refused by whom, what is wrong with it
// as far as can be seen from here, and what to do.
//
// Thread safety: pure functions, but for the files that they read.
#ifndef PARTI_INTERNAL_KV_TLS_ERRORS_H_
#define PARTI_INTERNAL_KV_TLS_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "parti/connection.h"

namespace parti::kv {

// We refused the server's certificate. `text` is what the error begins with, `detail` is what
// libnats says: "…: 10:certificate has expired:depth=0:cert=/CN=a:issuer=/CN=b". Always
// FailedPrecondition.
absl::Status ServerCertificateError(const ConnectionOptions& connection, const std::string& url,
                                    const std::string& text, const std::string& detail);

// A server that demands client certificates closed the connection behind the TLS handshake, which
// is all that it says when it refuses one. Unauthenticated; Unavailable if `certain` isn't set and
// nothing is wrong with the certificate that can be seen from here.
absl::Status ClientCertificateError(const TlsOptions& tls, const std::string& text, bool certain);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_TLS_ERRORS_H_
