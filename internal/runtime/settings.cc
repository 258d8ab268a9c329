#include "internal/runtime/settings.h"

#include "internal/runtime/process.h"

namespace parti::runtime {
namespace {

core::Nanos ToNanos(Config::Millis millis) { return millis.count() * core::kMillisecond; }

}  // namespace

core::Settings CoreSettings(const Config& config) {
  core::Settings settings;
  settings.identity = config.identity.empty() ? DefaultIdentity() : config.identity;
  settings.identity_is_exclusive = config.identity_is_exclusive;
  settings.worker_id_prefix = config.worker_id_prefix;
  settings.max_workers = config.max_workers;
  settings.mode = config.mode == Mode::kFast ? wire::Mode::kFast : wire::Mode::kExclusive;
  settings.newest_wire_version = wire::BuildVersion();
  settings.wire_version_limit = config.wire_version;
  settings.assume_new_group = config.assume_new_group;
  settings.capacity = config.capacity;
  settings.labels = config.labels;
  settings.lease = ToNanos(config.heartbeat_ttl);
  settings.heartbeat_interval = ToNanos(config.heartbeat_interval);
  settings.election_ttl = ToNanos(config.election_ttl);
  settings.election_holdoff = ToNanos(config.EffectiveElectionHoldoff());
  settings.poll_interval = ToNanos(config.EffectivePollInterval());
  settings.drift_ppm = config.max_clock_drift_ppm;
  settings.debounce = ToNanos(config.debounce);
  settings.debounce_cap = ToNanos(config.debounce_cap);
  settings.cold_start_window = ToNanos(config.cold_start_window);
  settings.planned_scale_window = ToNanos(config.planned_scale_window);
  settings.emergency_grace_period = ToNanos(config.emergency_grace_period);
  settings.rebalance_cooldown = ToNanos(config.rebalance_cooldown);
  settings.release_timeout = ToNanos(config.release_timeout);
  settings.refusal_backoff = ToNanos(config.refusal_backoff);
  settings.stop_timeout = ToNanos(config.stop_timeout);
  settings.request_timeout = ToNanos(config.request_timeout);
  settings.retry_backoff_min = ToNanos(config.retry_backoff_min);
  settings.retry_backoff_max = ToNanos(config.retry_backoff_max);
  return settings;
}

std::size_t MaxDocBytes(std::size_t max_value_bytes) {
  // The server counts headers and protocol lines too.
  constexpr std::size_t kMargin = 4096;
  return max_value_bytes > 2 * kMargin ? max_value_bytes - kMargin : max_value_bytes / 2;
}

}  // namespace parti::runtime
