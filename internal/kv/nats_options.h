// ConnectionOptions as libnats takes them, and what its refusals mean.
#ifndef PARTI_INTERNAL_KV_NATS_OPTIONS_H_
#define PARTI_INTERNAL_KV_NATS_OPTIONS_H_

#include <nats/nats.h>

#include <string>

#include "absl/status/status.h"
#include "parti/connection.h"

namespace parti::kv {

// The address, who we are, and TLS; `url` is one of connection.url. InvalidArgument: a file named
// can't be used (any more).
absl::Status SetNatsOptions(const ConnectionOptions& connection, const std::string& url,
                            natsOptions* options);

// What `status` of an attempt to connect to `url` means, and what to do. `detail`: libnats's own
// words, perhaps none. Unauthenticated: refused as who we say to be; FailedPrecondition: TLS is
// wanted by one side only, or a certificate isn't trusted; InvalidArgument: a malformed URL;
// otherwise Unavailable. Holds no secret.
absl::Status ConnectError(const ConnectionOptions& connection, const std::string& url,
                          natsStatus status, const std::string& detail);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_NATS_OPTIONS_H_
