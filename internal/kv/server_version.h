// What a NATS server says of itself. libnats 3.4.1 knows but doesn't tell, so the greeting is read.
#ifndef PARTI_INTERNAL_KV_SERVER_VERSION_H_
#define PARTI_INTERNAL_KV_SERVER_VERSION_H_

#include <chrono>
#include <compare>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace parti::kv {

struct ServerVersion {
  int major = 0;
  int minor = 0;
  int patch = 0;
  friend auto operator<=>(const ServerVersion&, const ServerVersion&) = default;
  std::string ToString() const;
};

// Before it, a compare-and-set on a replicated stream may acknowledge two writers with one expected
// revision (nats-server issue 4320).
inline constexpr ServerVersion kReplicatedCasVersion{2, 9, 21};

struct Greeting {
  ServerVersion version;
  bool jetstream = false;   // it has JetStream itself
  bool tls_verify = false;  // it demands client certificates
};

// From the INFO line that a server greets with.
absl::StatusOr<Greeting> ReadGreeting(std::string_view line);

// Asks the server at "host:port" (port 4222 if there is none).
absl::StatusOr<Greeting> AskForGreeting(const std::string& address,
                                        std::chrono::milliseconds timeout);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_SERVER_VERSION_H_
