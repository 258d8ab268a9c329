// How a process gets a worker id: it takes a snapshot of claims and heartbeats, picks an id that is
// certainly free, writes the claim, then the first heartbeat, both by compare-and-set.
//
// Absence proves nothing and neither does silence that others report: an id that somebody held is
// free only when its holder said `left`, when the holder is proven gone, or when this process
// itself has watched it unchanged for the recorded lease.
#ifndef PARTI_INTERNAL_CORE_CLAIMER_H_
#define PARTI_INTERNAL_CORE_CLAIMER_H_

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

class Claimer {
 public:
  // `first_heartbeat` makes the content of the first heartbeat.
  Claimer(Context* context, Host* host, std::function<std::int64_t()> capacity);

  // Joins. `former`: the life that this process itself had and has ended, if any.
  void Start(const std::optional<Life>& former);
  void Stop();
  bool active() const { return step_ != Step::kOff; }

  void OnTime();
  Nanos NextDeadline() const;

 private:
  enum class Step { kOff, kScanning, kWaiting, kReadingDoc, kClaiming, kBeating };

  // One record as this process has seen it: which revision, and since when.
  struct ClaimSeen {
    std::uint64_t revision = 0;
    Nanos since = 0;
    bool deleted = false;
    std::optional<wire::Claim> record;  // none: deleted or unreadable
    WatchId generation = 0;             // of the snapshot that showed it last
  };
  struct HeartbeatSeen {
    std::uint64_t revision = 0;
    Nanos since = 0;
    bool deleted = false;
    std::optional<wire::Heartbeat> record;
    WatchId generation = 0;
  };
  struct Candidate {
    std::string id;
    bool own = false;
    bool untouched = false;  // neither claim nor heartbeat
  };

  void OnClaim(const wire::Entry& entry);
  void OnHeartbeat(const wire::Entry& entry);
  void OnReady();
  void Choose();
  std::vector<std::string> OwnIds() const;
  // When the id is free: now or before, later, or kNever while unknown.
  Nanos FreeAt(const std::string& id);
  bool FormerLifeIsOver(const ClaimSeen& claim, const HeartbeatSeen* heartbeat) const;
  std::optional<std::string> PickRandomFree();

  void Scan();
  void Try(const std::string& id);
  void OnDoc(const KvAnswer& answer);
  void WriteClaim();
  void OnClaimAnswer(const KvAnswer& answer);
  void OnClaimReadBack(const KvAnswer& answer);
  void Look();
  void OnLook(const KvAnswer& answer);
  void Beat();
  void OnBeatAnswer(const KvAnswer& answer, std::uint64_t number);
  void OnBeatReadBack(const KvAnswer& answer);
  void Retry(std::function<void()> what);
  void GiveUp(bool conflict);

  const ClaimSeen* FindClaim(const std::string& id) const;
  const HeartbeatSeen* FindHeartbeat(const std::string& id) const;

  Context* const context_;
  Host* const host_;
  const std::function<std::int64_t()> capacity_;

  Scope scope_;
  Watch claim_watch_;
  Watch heartbeat_watch_;
  Step step_ = Step::kOff;
  std::optional<Life> former_;
  std::map<std::string, ClaimSeen> claims_;
  std::map<std::string, HeartbeatSeen> heartbeats_;
  // Ids without claim and heartbeat that a doc says were held: free from then on.
  std::map<std::string, Nanos> blocked_until_;
  std::uint64_t window_ = 0;  // random picks are made among the first so many ids
  int conflicts_ = 0;         // since the last scan
  int conflicts_until_scan_ = 0;

  // The attempt under way.
  Life life_;
  wire::Claim claim_;
  std::uint64_t claim_expected_ = 0;
  std::uint64_t heartbeat_expected_ = 0;
  std::uint64_t number_ = 0;
  std::map<std::uint64_t, Nanos> sent_;

  Nanos wake_at_ = kNever;
  std::function<void()> on_wake_;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_CLAIMER_H_
