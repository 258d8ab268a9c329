// Configuration of a Manager: groups of settings, presets, and validation with errors that say
// which rule is broken and by how much.
#ifndef PARTI_CONFIG_H_
#define PARTI_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/export.h"

namespace parti {

// kExclusive: at no moment do two workers both hold a valid claim to one partition.
// kFast: a worker seen gone is replaced without waiting for its lease, and a worker that loses NATS
// keeps its cached assignment; overlap is possible. One mode per group; docs/protocol.md.
enum class Mode { kExclusive, kFast };

enum class Storage { kMemory, kFile };

struct PARTI_EXPORT Config {
  using Millis = std::chrono::milliseconds;

  // The group: all workers with one server and the same buckets. Names are of letters, digits, '_'
  // and '-': the prefix at most 32 of them, a bucket at most 64.
  std::string prefix = "parti";
  Mode mode = Mode::kExclusive;
  int replicas = 1;  // of the buckets, 1 … 5; above 1 needs nats-server 2.9.21 or newer
  Storage storage = Storage::kFile;
  std::string stableid_bucket;    // empty: <prefix>-stableid
  std::string election_bucket;    // empty: <prefix>-election
  std::string heartbeat_bucket;   // empty: <prefix>-heartbeat
  std::string assignment_bucket;  // empty: <prefix>-assignment
  std::string jetstream_domain;   // empty: the server's own
  // How far this worker, as leader, lets the group's wire version rise while builds are upgraded.
  // 0: as far as all workers speak. A group never goes back; see docs/upgrades.md.
  int wire_version = 0;

  // This worker.
  std::string identity;  // stable over restarts of this process; empty: host name and pid
  bool identity_is_exclusive = false;  // vouch that no two processes ever bear it at once
  std::string worker_id_prefix = "worker-";
  int max_workers = 1000;     // 1 … 100000: ids worker-0 … worker-(max_workers - 1)
  std::int64_t capacity = 1;  // 0 … 1000000: share of the load; 0 takes no partitions
  std::map<std::string, std::string> labels;

  // Leases and leadership. heartbeat_ttl is the lease.
  Millis heartbeat_interval{3000};
  Millis heartbeat_ttl{12000};  // at least 3 × heartbeat_interval
  Millis election_ttl{12000};
  Millis election_holdoff{0};        // 0: election_ttl / 4
  int max_clock_drift_ppm = 10'000;  // 0 … 200000

  // When to rebalance.
  Millis debounce{100};
  Millis debounce_cap{1000};
  Millis cold_start_window{5000};
  Millis planned_scale_window{2000};
  Millis emergency_grace_period{0};
  Millis rebalance_cooldown{5000};

  // Bounds.
  Millis release_timeout{30000};
  Millis refusal_backoff{10000};
  Millis stop_timeout{20000};
  Millis request_timeout{1000};
  Millis retry_backoff_min{10};
  Millis retry_backoff_max{160};  // at most heartbeat_ttl / 3
  Millis list_backoff_min{200};
  Millis list_backoff_max{30000};
  Millis poll_interval{0};      // 0: heartbeat_ttl / 2; else 10 ms … heartbeat_ttl
  Millis heartbeat_max_age{0};  // 0: 10 × heartbeat_ttl; else at least 2 × heartbeat_ttl

  // Waives the first wait of a group without a leader record. Only for tests and demos that own
  // their server: with it, wiping the buckets of a running group can make partitions overlap.
  bool assume_new_group = false;

  // "default": survives the failover of a NATS node (8 s). "fast": a lease of a second, a dead
  // leader replaced within 1.5 s.
  static absl::StatusOr<Config> Preset(std::string_view name);

  // Sets one field by its name, e.g. Set("heartbeat_ttl", "1500ms"). Durations: a number with ms, s
  // or m. Errors name the field, the value and what would do.
  absl::Status Set(std::string_view name, std::string_view value);

  // The names that Set takes, in order.
  static std::vector<std::string> FieldNames();

  // The value of one field as Set would take it.
  absl::StatusOr<std::string> Get(std::string_view name) const;

  // OK, or InvalidArgument with every broken rule, one per line.
  absl::Status Validate() const;

  // What is used where a field is empty or 0.
  struct BucketNames {
    std::string stableid;
    std::string election;
    std::string heartbeat;
    std::string assignment;
  };
  BucketNames Buckets() const;
  Millis EffectiveElectionHoldoff() const;
  Millis EffectivePollInterval() const;
  Millis EffectiveHeartbeatMaxAge() const;
};

}  // namespace parti

#endif  // PARTI_CONFIG_H_
