// Buckets made by hand, for tests of what is made of them.
#ifndef PARTI_TEST_UNIT_STATUS_GROUP_H_
#define PARTI_TEST_UNIT_STATUS_GROUP_H_

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "parti/cli/status_model.h"

namespace parti::cli {

inline constexpr std::int64_t kLease = 12'000;
inline constexpr LocalNanos kMs = 1'000'000;

// A group as its records tell of it. Healthy unless something is done to it: worker-0 … lead and
// share the partitions p-0 …, in turn, and nothing has happened for a minute.
class Group {
 public:
  explicit Group(int workers = 3, int partitions = 6) {
    snapshot.now = 1'000'000 * kMs;
    for (int i = 0; i < workers; ++i) Join(i);
    for (int i = 0; i < partitions; ++i) {
      if (workers > 0) Doc(i % workers).owned.push_back({fmt::format("p-{}", i), {4, 9}});
    }
    wire::Leader leader;
    leader.epoch = 4;
    leader.nonce = 44;
    leader.holder = "worker-0";
    leader.renewals = 100;
    Put(&snapshot.leader, leader, 1'000);
    wire::Report report;
    report.epoch = 4;
    report.nonce = 44;
    report.leader = "worker-0";
    report.state = "Idle";
    report.version = 9;
    report.cause = "worker-2 joined";
    report.listed = true;
    report.partitions = static_cast<std::uint64_t>(partitions);
    report.control_settled = true;
    Put(&snapshot.report, report, 90'000);
  }

  static std::string Id(int i) { return fmt::format("worker-{}", i); }
  static std::uint64_t Nonce(int i) { return 100 + static_cast<std::uint64_t>(i); }

  void Join(int i) {
    wire::Claim claim;
    claim.identity = fmt::format("host-{}", i);
    claim.incarnation = 1;
    claim.nonce = Nonce(i);
    claim.lease_ms = kLease;
    snapshot.claims[Id(i)] = {.revision = 1, .since = Ago(90'000), .record = claim};
    wire::Heartbeat beat;
    beat.incarnation = 1;
    beat.nonce = Nonce(i);
    beat.number = 30;
    beat.lease_ms = kLease;
    beat.applied_revision = 20 + static_cast<std::uint64_t>(i);
    beat.applied_nonce = 44;
    beat.highest_epoch = 4;
    beat.state = "Stable";
    snapshot.heartbeats[Id(i)] = {.revision = 500, .since = Ago(1'200), .record = beat};
    wire::Doc doc;
    doc.epoch = 4;
    doc.nonce = 44;
    doc.version = 9;
    doc.life_incarnation = 1;
    doc.life_nonce = Nonce(i);
    doc.life_lease_ms = kLease;
    snapshot.docs[Id(i)] = {.revision = beat.applied_revision, .since = Ago(90'000), .record = doc};
  }

  LocalNanos Ago(std::int64_t ms) const { return snapshot.now - ms * kMs; }
  template <typename T>
  void Put(std::optional<Seen<T>>* where, const T& record, std::int64_t age_ms) {
    *where = Seen<T>{.revision = 7, .since = Ago(age_ms), .record = record};
  }

  wire::Claim& Claim(int i) { return *snapshot.claims[Id(i)].record; }
  wire::Heartbeat& Beat(int i) { return *snapshot.heartbeats[Id(i)].record; }
  wire::Doc& Doc(int i) { return *snapshot.docs[Id(i)].record; }
  wire::Leader& Leader() { return *snapshot.leader->record; }
  wire::Report& Report() { return *snapshot.report->record; }
  void BeatWas(int i, std::int64_t ms) { snapshot.heartbeats[Id(i)].since = Ago(ms); }
  void DocWas(int i, std::int64_t ms) { snapshot.docs[Id(i)].since = Ago(ms); }
  void ReportWas(std::int64_t ms) { snapshot.report->since = Ago(ms); }
  // The assignment was written anew, and the worker hasn't applied that.
  void Behind(int i) { snapshot.docs[Id(i)].revision += 100; }
  void Order(const wire::Control& control) { Put(&snapshot.control, control, 90'000); }

  GroupStatus Judge() const { return JudgeGroup(snapshot, options); }

  GroupSnapshot snapshot;
  JudgeOptions options{.prefix = "orders", .server = "nats:4222", .list_partitions = true};
};

}  // namespace parti::cli

#endif  // PARTI_TEST_UNIT_STATUS_GROUP_H_
