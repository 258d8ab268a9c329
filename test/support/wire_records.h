// One record of each kind, for tests of their bytes.
#ifndef PARTI_TEST_SUPPORT_WIRE_RECORDS_H_
#define PARTI_TEST_SUPPORT_WIRE_RECORDS_H_

#include <fmt/format.h>
#include <zstd.h>

#include <string>

#include "internal/wire/records.h"

namespace parti::wire {

inline Claim SomeClaim() {
  return {
      .identity = "host-a:77",
      .incarnation = 7,
      .nonce = 0xfedcba9876543210,
      .lease_ms = 3000,
      .process = {
          .boot_id = "6f2d1c3e", .pid_namespace = 4026531836, .pid = 77, .start_ticks = 123456}};
}

inline Leader SomeLeader() {
  return {.epoch = 3,
          .nonce = 0x0123456789abcdef,
          .holder = "worker-0",
          .renewals = 12,
          .released = false,
          .mode = Mode::kExclusive,
          .assignment_stream = 0x17d0000000000001,
          .heartbeat_stream = 0,
          .holder_nonce = 0xff,
          .holder_beat = 41};
}

inline Heartbeat SomeHeartbeat() {
  Heartbeat heartbeat;
  heartbeat.incarnation = 7;
  heartbeat.nonce = 0xff;
  heartbeat.number = 42;
  heartbeat.lease_ms = 3000;
  heartbeat.applied_revision = 19;
  heartbeat.applied_nonce = 0xabc;
  heartbeat.highest_epoch = 3;
  heartbeat.capacity = 2;
  heartbeat.state = "Stable";
  return heartbeat;
}

inline Heartbeat FullHeartbeat() {
  Heartbeat heartbeat = SomeHeartbeat();
  heartbeat.labels = {{"rack", "r1"}, {"zone", "z\"1\""}};
  heartbeat.refused = {{.partition = "p-1", .token = {3, 8}, .reason = "no room\n"}};
  return heartbeat;
}

inline Heartbeat Tombstone() {
  Heartbeat heartbeat;
  heartbeat.kind = HeartbeatKind::kEvicted;
  heartbeat.lease_ms = 3000;
  heartbeat.replaced_revision = 17;
  heartbeat.evicting_epoch = 4;
  return heartbeat;
}

inline Doc SomeDoc() {
  return {.epoch = 3,
          .nonce = 0xabc,
          .version = 9,
          .life_incarnation = 7,
          .life_nonce = 0xff,
          .life_lease_ms = 3000,
          .owned = {{"p-1", {3, 9}}, {"p-2", {2, 5}}, {"p-3", {3, 9}}},
          .releasing = {"p-0", "p-9"}};
}

inline Doc LargeDoc(int partitions) {
  Doc doc = SomeDoc();
  doc.owned.clear();
  doc.releasing = {"z"};
  for (int i = 0; i < partitions; ++i) {
    doc.owned.push_back({fmt::format("p-{:07}", i), {3, static_cast<std::uint64_t>(1 + i % 5)}});
  }
  return doc;
}

inline Control SomeControl() {
  return {.paused = true,
          .drained = {"worker-1", "worker-4"},
          .pins = {{"p-1", "worker-0"}, {"p-7", "worker-0"}}};
}

inline Report SomeReport() {
  return {.epoch = 3,
          .nonce = 0xabc,
          .leader = "worker-0",
          .state = "Idle",
          .version = 9,
          .cause = "1 joined",
          .listed = true,
          .partitions = 24,
          .unassigned = 2,
          .sample = {"p-3", "p-5"},
          .control_revision = 77,
          .control_settled = false,
          .problems = {"p-7 is pinned to worker-0, which is drained"}};
}

inline std::string Compressed(const std::string& plain) {
  std::string frame(ZSTD_compressBound(plain.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), 3));
  return frame;
}

}  // namespace parti::wire

#endif  // PARTI_TEST_SUPPORT_WIRE_RECORDS_H_
