#include "parti/manager.h"

#include <utility>

#include "internal/kv/nats_kv.h"
#include "internal/runtime/runtime.h"
#include "internal/runtime/settings.h"

namespace parti {

class Manager::Impl {
 public:
  explicit Impl(runtime::RuntimeOptions options) : runtime(std::move(options)) {}
  runtime::Runtime runtime;
};

namespace {

runtime::KvFactory NatsFactory(const Config& config, const ConnectionOptions& nats,
                               const std::string& identity) {
  kv::NatsKvOptions options;
  options.nats = nats;
  if (nats.name.empty() && nats.connection == nullptr) options.nats.name = "parti " + identity;
  options.prefix = config.prefix;
  const Config::BucketNames names = config.Buckets();
  options.buckets = {names.stableid, names.election, names.heartbeat, names.assignment};
  options.jetstream_domain = config.jetstream_domain;
  options.replicas = config.replicas;
  options.storage = config.storage;
  options.heartbeat_ttl = config.heartbeat_ttl.count() * core::kMillisecond;
  return [options](kv::Sink sink,
                   runtime::KvTroubleSink trouble_sink) -> absl::StatusOr<std::unique_ptr<kv::Kv>> {
    kv::NatsKvOptions own = options;
    own.on_error = std::move(trouble_sink);
    return kv::NatsKv::Create(own, std::move(sink));
  };
}

absl::Status Check(const ManagerOptions& options) {
  if (absl::Status status = options.config.Validate(); !status.ok()) return status;
  if (absl::Status status = options.nats.Validate(); !status.ok()) {
    return absl::InvalidArgumentError("ManagerOptions::nats: " + std::string(status.message()));
  }
  if (options.source == nullptr) {
    return absl::InvalidArgumentError(
        "ManagerOptions::source is missing; a StaticPartitionSource will do for a fixed list");
  }
  if (options.strategy == nullptr) {
    return absl::InvalidArgumentError(
        "ManagerOptions::strategy is missing; MakeConsistentHash() is a good first choice");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Manager>> Manager::Create(ManagerOptions options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  runtime::RuntimeOptions parts;
  parts.settings = runtime::CoreSettings(options.config);
  parts.list_backoff_min = options.config.list_backoff_min.count() * core::kMillisecond;
  parts.list_backoff_max = options.config.list_backoff_max.count() * core::kMillisecond;
  parts.kv_factory = NatsFactory(options.config, options.nats, parts.settings.identity);
  parts.source = std::move(options.source);
  parts.strategy = std::move(options.strategy);
  parts.hooks = std::move(options.hooks);
  parts.observer = std::move(options.observer);
  parts.logger = std::move(options.logger);
  parts.metrics = std::move(options.metrics);
  parts.group = options.config.prefix;
  return std::unique_ptr<Manager>(new Manager(std::make_unique<Impl>(std::move(parts))));
}

Manager::Manager(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

// While the impl is still whole: hooks may call this Manager until Stop is done.
Manager::~Manager() { (void)impl_->runtime.Stop(); }

absl::Status Manager::Start(std::chrono::milliseconds timeout) {
  return impl_->runtime.Start(timeout);
}

absl::Status Manager::Stop() { return impl_->runtime.Stop(); }

bool Manager::Owns(std::string_view partition_id) const {
  return impl_->runtime.ownership().Owns(partition_id);
}

std::optional<FencingToken> Manager::TokenFor(std::string_view partition_id) const {
  return impl_->runtime.ownership().TokenFor(partition_id);
}

std::string Manager::worker_id() const { return impl_->runtime.board().life().worker; }

std::uint64_t Manager::incarnation() const { return impl_->runtime.board().life().incarnation; }

bool Manager::is_leader() const { return impl_->runtime.board().leader(); }

State Manager::state() const { return impl_->runtime.board().state(); }

Assignment Manager::current_assignment() const { return impl_->runtime.board().assignment(); }

WorkerHealth Manager::Health() const { return impl_->runtime.Health(); }

WorkerStatus Manager::Status() const { return impl_->runtime.Status(); }

bool Manager::WaitState(State state, std::chrono::milliseconds timeout) const {
  return impl_->runtime.board().WaitForState(state, timeout);
}

void Manager::RefreshPartitions() { impl_->runtime.RefreshPartitions(); }

void Manager::TriggerRebalance() { impl_->runtime.TriggerRebalance(); }

}  // namespace parti
