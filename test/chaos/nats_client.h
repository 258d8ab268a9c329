// What the chaos run itself asks of NATS, whatever state the servers are in: one short-lived or
// long-lived connection, requests with deadlines, nothing retried behind one's back.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_NATS_CLIENT_H_
#define PARTI_TEST_CHAOS_NATS_CLIENT_H_

#include <nats/nats.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace parti::chaos {

// NATS says what went wrong as a status; `what` was being done.
absl::Status NatsError(natsStatus status, const std::string& what);

class NatsClient {
 public:
  // `urls`: comma-separated. Reconnects for ever and buffers nothing meanwhile.
  explicit NatsClient(std::string urls) : urls_(std::move(urls)) {}
  ~NatsClient() { Close(); }
  NatsClient(const NatsClient&) = delete;
  NatsClient& operator=(const NatsClient&) = delete;

  // Connects if it isn't. Unavailable if no server answers.
  absl::Status Connect();
  void Close();
  jsCtx* js() const { return js_; }

  // A request to the JetStream API; what it says, errors of the API included.
  absl::StatusOr<nlohmann::json> Ask(const std::string& subject, const nlohmann::json& body,
                                     std::chrono::milliseconds timeout);

  // As `nats kv del` does: a marker over whatever is there.
  absl::Status DeleteKey(const std::string& bucket, const std::string& key);
  // As `nats stream purge --subject` does: gone without a trace.
  absl::Status PurgeKey(const std::string& bucket, const std::string& key);
  // All keys of it.
  absl::Status PurgeBucket(const std::string& bucket);
  absl::Status DeleteBucket(const std::string& bucket);
  // The replicated stream of the bucket is to choose another leader.
  absl::Status StepDown(const std::string& bucket);

 private:
  const std::string urls_;
  natsConnection* connection_ = nullptr;
  jsCtx* js_ = nullptr;
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_NATS_CLIENT_H_
