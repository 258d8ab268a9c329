// What the parts of a worker's core tell the whole.
#ifndef PARTI_INTERNAL_CORE_HOST_H_
#define PARTI_INTERNAL_CORE_HOST_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "internal/core/time.h"
#include "internal/wire/kv_types.h"
#include "internal/wire/records.h"

namespace parti::core {

// One continuous membership of this process under one id.
struct Life {
  std::string worker;
  std::uint64_t incarnation = 0;
  std::uint64_t nonce = 0;
  friend bool operator==(const Life&, const Life&) = default;
};

// What a new leader knows from its election.
struct Term {
  std::uint64_t epoch = 0;
  std::uint64_t nonce = 0;
  std::string holder;  // the leader's own worker id
  // There was no readable `leader` record: the group is new, or was wiped.
  bool found_absent = false;
  // The streams that the predecessor's picture rested on; 0: unknown.
  std::uint64_t assignment_stream = 0;
  std::uint64_t heartbeat_stream = 0;
  // The predecessor's heartbeat of this life and number was sent before the moment when we received
  // its last record.
  std::uint64_t predecessor_nonce = 0;
  std::uint64_t predecessor_beat = 0;
  Nanos predecessor_seen_at = 0;
};

// Of a life that has just begun: the heartbeat of it that was accepted.
struct FirstHeartbeat {
  std::uint64_t revision = 0;
  std::uint64_t number = 0;
  Nanos sent = 0;
  // The greatest number that was tried; what is sent from now on bears greater ones, as those that
  // were tried may land yet.
  std::uint64_t tried = 0;
};

class Host {
 public:
  virtual ~Host() = default;

  // Claimer: a heartbeat of `life` was accepted.
  virtual void Joined(const Life& life, const FirstHeartbeat& first) = 0;
  // Lease: this life is over.
  virtual void LifeEnded(const std::string& reason) = 0;
  // Lease: the `left` record was written, or can't be.
  virtual void Left() = 0;
  // Election.
  virtual void Elected(const Term& term) = 0;
  virtual void Deposed() = 0;
  // `leader` was read, and doesn't fit this worker: what that means the election knows.
  virtual void SawLeader(const wire::Entry& entry) = 0;
  // The worker must not go on (another mode, a newer wire version).
  virtual void Refuse(absl::Status why) = 0;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_HOST_H_
