// The lease and the heartbeats that extend it.
//
// A heartbeat is a compare-and-set of the worker's own key, numbered within the life, one
// outstanding at a time. Once it is acknowledged the lease runs until (the moment before it was
// sent) + lease_ms. A conflict is read back: a live heartbeat with our own nonce means that an
// answer was lost; anything else means that the life is over.
#ifndef PARTI_INTERNAL_CORE_LEASE_H_
#define PARTI_INTERNAL_CORE_LEASE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "internal/core/context.h"
#include "internal/core/host.h"

namespace parti::core {

// What a heartbeat tells besides that its sender lives.
struct HeartbeatContent {
  std::uint64_t applied_revision = 0;
  std::uint64_t applied_nonce = 0;
  std::uint64_t highest_epoch = 0;
  std::int64_t capacity = 0;
  std::string state;
  std::vector<wire::Refusal> refused;
};

class Lease {
 public:
  // `content` is asked for at each sending.
  Lease(Context* context, Host* host, std::function<HeartbeatContent()> content)
      : context_(context), host_(host), content_(std::move(content)) {}

  void Begin(const Life& life, const FirstHeartbeat& first);
  // Ends it on our side; nothing more is written.
  void End();
  // Writes `left` as the life's last value, then calls Host::Left.
  void Leave();
  // Something in the content changed: heartbeat as soon as none is outstanding.
  void BeatSoon();

  bool alive() const { return alive_; }
  // When the lease runs out by our own clock. Kept after End: work of an old life may be stuck
  // until then.
  Nanos until() const { return until_; }
  // No heartbeat was acknowledged for so long that something is wrong, though the lease holds.
  bool degraded() const;

  void OnTime();
  Nanos NextDeadline() const;

 private:
  struct Sent {
    std::uint64_t number = 0;
    Nanos at = 0;
  };

  void Send();
  void OnAnswer(const KvAnswer& answer, std::uint64_t number);
  void ReadBack();
  void Note(bool ok);
  void OnReadBack(const KvAnswer& answer);
  void Accepted(std::uint64_t revision, std::uint64_t number);
  wire::Heartbeat Record();

  Context* const context_;
  Host* const host_;
  const std::function<HeartbeatContent()> content_;

  Scope scope_;
  bool alive_ = false;
  bool leaving_ = false;
  Life life_;
  std::uint64_t revision_ = 0;     // of our key, as last known
  std::uint64_t number_ = 0;       // of the heartbeat sent last
  std::uint64_t left_number_ = 0;  // of the first that said `left`; 0: none did
  bool outstanding_ = false;
  Nanos beat_sent_ = 0;  // when the newest one was
  bool changed_ = false;
  std::deque<Sent> sent_;   // not known to be superseded, oldest first
  Nanos acknowledged_ = 0;  // when the newest acknowledged one was sent
  Nanos until_ = 0;
  Nanos beat_at_ = kNever;
  Nanos read_back_at_ = kNever;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_LEASE_H_
