// Watches: each an ordered push consumer of its own, which is trusted only as long as nothing at
// all speaks against it. On the first doubt (a gap in its numbers, silence, the connection lost) it
// is given up with WatchBroken, and whoever wants one opens a new one, which begins with a fresh
// snapshot. A consumer that survives what happened is never resumed: one that does skips, without a
// word, whatever a recreated bucket got meanwhile.
//
// Each has a subscription of its own: a wildcard isn't enough for JetStream to see that somebody
// listens.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_INTERNAL_KV_WATCHES_H_
#define PARTI_INTERNAL_KV_WATCHES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/kv/buckets.h"
#include "internal/kv/jetstream.h"
#include "internal/kv/pace.h"
#include "internal/kv/requests.h"
#include "internal/kv/session.h"
#include "internal/kv/timers.h"

namespace parti::kv {

class Watches {
 public:
  // `emit` is called with a lock held. `on_missing_bucket`: a stream that must exist doesn't.
  struct Callbacks {
    std::function<void(core::Event)> emit;
    std::function<void()> on_missing_bucket;
  };

  Watches(const Names& names, const Pace& pace, Timers* timers, Requests* requests,
          Callbacks callbacks);

  // The buckets are there, and watches deliver to `inbox`. Empty: the connection is lost, and so
  // are all watches.
  void SetInbox(std::string inbox);

  void Open(const core::OpenWatch& open);
  void Close(const core::CloseWatch& close);
  // The bucket's stream isn't the one that its watches were opened on.
  void BreakAll(wire::Bucket bucket, const std::string& reason);

  // A message for the watch that subscribed to this.
  void OnMessage(std::string_view subscribed, const Message& message);

 private:
  struct Watch {
    core::WatchId id = 0;
    wire::Bucket bucket{};
    std::string key;
    std::string consumer;
    std::string subject;                      // what the consumer delivers to
    Timers::Clock::time_point last_sign{};    // of life
    std::uint64_t delivered = 0;              // consumer sequence of the newest message
    std::uint64_t highest = 0;                // stream sequence of the newest message
    std::optional<std::uint64_t> snapshot;    // how much it holds; known once created
    std::int64_t created = 0;                 // by the server's clock
    bool caught_up = false;                   // all of the snapshot was delivered
    std::optional<wire::StreamState> stream;  // asked for after the creation
    bool asked_for_next = false;              // what stands after `highest`
    std::uint64_t awaited = 0;                // a message that does
    bool ended = false;                       // WatchSnapshotEnd was emitted
  };
  using Serial = std::uint64_t;

  // All of these with mutex_ held.
  void RequestCreate(Serial serial, const Watch& watch);
  void RequestStream(Serial serial, const Watch& watch);
  void RequestNext(Serial serial, const Watch& watch);
  void CheckSnapshotEnd(Serial serial, Watch& watch);
  void ArmSilence(Serial serial, Timers::Clock::time_point due);
  void Break(Serial serial, const std::string& reason);
  void Abandon(const Watch& watch);
  void OnEntry(Serial serial, Watch& watch, const DeliveryInfo& info, const Message& message);
  void OnStatus(Serial serial, Watch& watch, const Message& message);
  void AnswerFlowControl(const Message& message);
  Watch* Find(Serial serial);

  // All of these without.
  void OnCreated(Serial serial, const Reply& reply);
  void OnStream(Serial serial, const Reply& reply);
  void OnNext(Serial serial, const Reply& reply);
  void OnSilence(Serial serial);

  std::chrono::milliseconds Silence() const;

  const Names names_;
  const Pace pace_;
  Timers* const timers_;
  Requests* const requests_;
  const Callbacks callbacks_;
  std::mutex mutex_;
  std::string inbox_;  // empty: no connection
  std::map<Serial, Watch> watches_;
  Serial next_serial_ = 1;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_WATCHES_H_
