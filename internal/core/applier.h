// How a worker applies the docs that the leader writes for it.
//
//   see a doc of this life → check the fence [2] → stop claiming what was removed → release hook,
//   drain → claim what was added → heartbeat with the applied doc → acquire hook
//
// One doc at a time; of those that arrive meanwhile only the newest matters.
#ifndef PARTI_INTERNAL_CORE_APPLIER_H_
#define PARTI_INTERNAL_CORE_APPLIER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "internal/core/context.h"
#include "internal/core/host.h"
#include "internal/core/watch.h"

namespace parti::core {

class Applier {
 public:
  // `changed`: the heartbeat's content changed, tell the leader at once.
  Applier(Context* context, Host* host, std::function<void()> changed);

  // A life began: watch for its docs.
  void Begin(const Life& life);
  // Stop applying; what is owned stays owned (the worker is about to release it all itself).
  void Freeze();
  // The life is over: nothing is claimed any more. Every partition is reported lost.
  void Lose(const std::string& reason);
  // Stop claiming everything and drain (graceful leave).
  void ReleaseAll();

  void OnReleaseDone(Ticket ticket);
  void OnLostDone(Ticket ticket);
  void OnAcquireDone(const AcquireDone& done);

  // Work of released or lost partitions may still be in flight.
  bool draining() const { return !tickets_.empty(); }
  bool applied_any() const { return applied_revision_ != 0; }
  std::uint64_t applied_revision() const { return applied_revision_; }
  std::uint64_t applied_nonce() const { return applied_nonce_; }
  // The highest epoch that the leader may be told of: after that it takes everything from older
  // ones as shown or refused.
  std::uint64_t told_epoch() const;
  const std::vector<wire::Refusal>& refused() const { return refused_; }

  void OnTime();
  Nanos NextDeadline() const;

 private:
  struct Seen {
    std::uint64_t revision = 0;
    wire::Doc doc;
  };

  void OnEntry(const wire::Entry& entry);
  void CheckFence();
  void OnFence(const KvAnswer& answer, std::uint64_t check);
  void RetryFence();
  void Apply();
  void Finish();
  void Poll();
  void OnPoll(const KvAnswer& answer, std::uint64_t known);
  Assignment Current() const;

  Context* const context_;
  Host* const host_;
  const std::function<void()> changed_;
  Scope scope_;
  Watch watch_;

  bool active_ = false;
  Life life_;
  std::uint64_t newest_seen_ = 0;   // revision; within the life only rising ones count [8]
  std::uint64_t newest_epoch_ = 0;  // of that one; a later term's doc is newer in any case
  std::optional<Seen> pending_;     // seen, fence not checked
  bool checking_ = false;
  std::uint64_t check_ = 0;       // the newest check of the fence
  std::optional<Seen> applying_;  // fence checked, draining
  Ticket applying_ticket_ = 0;
  std::uint64_t applied_revision_ = 0;
  std::uint64_t applied_nonce_ = 0;
  std::uint64_t applied_epoch_ = 0;
  std::uint64_t applied_version_ = 0;
  std::map<std::string, FencingToken> held_;  // what Owns() may answer true for
  // Under which tokens the newest doc gives it: others, where a leader wrote the grant again.
  std::map<std::string, FencingToken> granted_;
  std::vector<OwnedPartition> added_;  // of the doc being applied
  std::vector<OwnedPartition> removed_;
  std::vector<wire::Refusal> refused_;

  struct Draining {
    std::vector<OwnedPartition> partitions;
    bool lost = false;
  };
  std::map<Ticket, Draining> tickets_;

  Nanos retry_at_ = kNever;
  Nanos poll_at_ = kNever;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_APPLIER_H_
