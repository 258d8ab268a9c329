// What a worker's core is configured with. parti::Config is the public, validated form.
#ifndef PARTI_INTERNAL_CORE_SETTINGS_H_
#define PARTI_INTERNAL_CORE_SETTINGS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "internal/core/time.h"
#include "internal/wire/records.h"

namespace parti::core {

struct Settings {
  // Who we are.
  std::string identity;                // stable over restarts, recorded in the claim
  bool identity_is_exclusive = false;  // the user vouches: never two processes with it at once
  wire::ProcessId process;
  std::string worker_id_prefix = "worker-";
  int max_workers = 1000;  // ids worker_id_prefix + 0 … max_workers - 1

  wire::Mode mode = wire::Mode::kExclusive;
  // The wire versions that this build speaks, and how far this worker, as the leader, may raise the
  // group's: 0 as far as all members speak.
  int oldest_wire_version = wire::kOldestWireVersion;
  int newest_wire_version = wire::kWireVersion;
  int wire_version_limit = 0;
  bool assume_new_group = false;  // waives the first wait of a group that has no leader record

  std::int64_t capacity = 1;
  std::map<std::string, std::string> labels;

  Nanos lease = 3 * kSecond;  // heartbeat_ttl
  Nanos heartbeat_interval = kSecond;
  Nanos election_ttl = 3 * kSecond;
  Nanos election_holdoff = 0;  // 0: election_ttl / 4
  Nanos poll_interval = 0;     // 0: lease / 2
  int drift_ppm = 10'000;      // how much two clocks' rates may differ: 1 %

  Nanos debounce = 100 * kMillisecond;
  Nanos debounce_cap = kSecond;
  Nanos cold_start_window = 5 * kSecond;
  Nanos planned_scale_window = 2 * kSecond;
  Nanos emergency_grace_period = 0;
  Nanos rebalance_cooldown = 5 * kSecond;
  Nanos release_timeout = 10 * kSecond;  // the leader's; the worker's own bound is 4/5 of it
  Nanos refusal_backoff = 5 * kSecond;   // a partition isn't offered again to who gave it back
  Nanos stop_timeout = 10 * kSecond;     // bound on draining and leaving

  Nanos request_timeout = 500 * kMillisecond;
  Nanos retry_backoff_min = 10 * kMillisecond;
  Nanos retry_backoff_max = 160 * kMillisecond;

  std::size_t max_doc_bytes = 1'000'000;  // below the server's max_payload
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_SETTINGS_H_
