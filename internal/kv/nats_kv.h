// kv::Kv on a NATS server with JetStream.
//
//   kv::NatsKvOptions options;
//   options.nats.url = "nats://127.0.0.1:4222";
//   auto kv = kv::NatsKv::Create(options, [&](core::Event event) { queue.Push(event); });
//   absl::Status ready = (*kv)->WaitReady(std::chrono::seconds(3));   // if one cares to wait
//
// It connects in the background, for as long as it takes, creates or binds the four buckets, and
// says ConnectionChanged{true} once they are there. When the connection fails it says
// ConnectionChanged{false}, answers everything under way with kUnknown, breaks every watch, and
// begins anew with a fresh connection: nothing is carried over, so nothing stale can be sent.
//
// Before and between connections requests are answered with kUnknown, watches with WatchBroken.
//
// No method blocks, and the sink is never called from within one: answers come from other threads.
// The sink may be called while locks are held, so it must not call back, and whoever calls a method
// must not hold a lock that the sink takes.
#ifndef PARTI_INTERNAL_KV_NATS_KV_H_
#define PARTI_INTERNAL_KV_NATS_KV_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/core/time.h"
#include "internal/kv/kv.h"
#include "internal/wire/kv_types.h"
#include "parti/config.h"
#include "parti/connection.h"

namespace parti::kv {

// Told when something is wrong that a person should know, once per reason. Unavailable: it is being
// retried and may pass by itself (no server, no quorum). Any other code: somebody has to act (a
// bucket that doesn't fit, wrong credentials, missing permissions); it is retried all the same, but
// only once a second. The texts hold no credentials.
using ErrorSink = std::function<void(const absl::Status&)>;

struct NatsKvOptions {
  ConnectionOptions nats = {};
  std::string prefix = "parti";  // buckets <prefix>-stableid and so on
  // Names of their own, by wire::Bucket; empty: as the prefix says.
  std::array<std::string, wire::kBucketCount> buckets = {};
  std::string jetstream_domain = {};  // empty: the server's own JetStream
  // False: only looks. A bucket that doesn't exist is an error then (NotFound), and whether one
  // fits isn't looked at.
  bool create_buckets = true;
  int replicas = 1;
  Storage storage = Storage::kFile;
  // Heartbeats are kept 10 times as long, for garbage collection only.
  core::Nanos heartbeat_ttl = 12 * core::kSecond;
  ErrorSink on_error = {};  // may be empty; like the sink, it must only enqueue
};

class NatsKv : public Kv {
 public:
  // Begins to connect and returns at once. InvalidArgument if the options can't work.
  static absl::StatusOr<std::unique_ptr<NatsKv>> Create(const NatsKvOptions& options, Sink sink);
  ~NatsKv() override;  // shuts down
  NatsKv(const NatsKv&) = delete;
  NatsKv& operator=(const NatsKv&) = delete;

  // OK once connected with all buckets there. At once, the reason, if somebody has to act first;
  // Unavailable, with the reason, if there is no server within `timeout`. Either way it goes on
  // trying.
  absl::Status WaitReady(std::chrono::milliseconds timeout);

  // With create_buckets == false: those that didn't exist when last looked for, by name. Empty also
  // before that.
  std::vector<std::string> MissingBuckets() const;

  void Get(const core::KvGet& get) override;
  void Put(const core::KvPut& put) override;
  void Info(const core::KvInfo& info) override;
  void Open(const core::OpenWatch& open) override;
  void Close(const core::CloseWatch& close) override;

  // The server's max_payload less the headers of a Put; NATS's default before the first connection.
  std::size_t MaxValueBytes() const override;
  std::string Server() const override;

  // Within about 2 s, also when the server hangs. Not from the sink.
  void Shutdown() override;

 private:
  class Impl;
  explicit NatsKv(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_NATS_KV_H_
