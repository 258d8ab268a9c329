// The promises about what is in the KV: epochs and versions only rise, a life never writes over its
// own end, nothing is acknowledged that isn't so.
//
// A bucket that somebody wiped, and a key that somebody deleted or overwrote by hand, begin anew:
// what no record tells any more can't be continued. Where epochs live on in another bucket they
// have to be.
#ifndef PARTI_TEST_SIMULATION_KV_JUDGE_H_
#define PARTI_TEST_SIMULATION_KV_JUDGE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "internal/wire/records.h"
#include "test/simulation/claim_judge.h"
#include "test/simulation/rule_judge.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

class KvJudge {
 public:
  KvJudge(Shared* shared, ClaimJudge* claims, RuleJudge* rules)
      : shared_(*shared), claims_(*claims), rules_(*rules) {}

  // `sent`: all but the records.
  std::shared_ptr<SentPut> Sending(SentPut sent);
  // The write was accepted as `revision` of the stream `stream_id`.
  void Accepted(const SentPut& sent, std::uint64_t stream_id, std::uint64_t revision);
  // The process gets the standing leader record as the answer to a read.
  void LeaderServed(int process, const std::string& value);
  void Scanned(int process, wire::Bucket bucket, Nanos opened) {
    rules_.Scanned(process, bucket, opened);
  }
  // A live heartbeat was refused: its life was evicted meanwhile.
  bool MetTombstone(const SentPut& sent) const;
  void Planned(int process, const core::RebalanceNote& note);
  // The process gives all up: its life is over.
  void Lost(int process);

  // By hand.
  void Tampered(wire::Bucket bucket, const std::string& key);
  // Somebody has written the control record.
  void Controlled(const std::string& value, std::uint64_t revision);
  void Listed(std::set<std::string, std::less<>> partitions);
  void Wiped(wire::Bucket bucket);
  // A heartbeat that grew so old that the bucket's TTL removed it.
  void Expired(const std::string& worker);

  // The `leader` record as it stands; none if it is absent or was tampered with.
  const std::optional<wire::Leader>& leader() const { return leader_; }
  const wire::Doc* DocOf(const std::string& worker) const;
  std::uint64_t documents() const { return documents_; }  // written so far
  std::uint64_t leader_changes() const { return leader_changes_; }

 private:
  struct DocSeen {
    wire::Doc doc;
    std::uint64_t revision = 0;
    bool current = false;  // of the term that stood in `leader` when it was accepted
  };

  void CheckLeader(const wire::Leader& leader);
  void CheckHeartbeat(const SentPut& sent, const wire::Heartbeat& heartbeat);
  void CheckDoc(const SentPut& sent, std::uint64_t stream_id, std::uint64_t revision);
  void CheckAcknowledgement(int process, const wire::Heartbeat& heartbeat);
  void CheckPause(const wire::Doc& doc, const wire::Doc& before, const std::string& worker);
  void Forget(wire::Bucket bucket);
  void Broken(std::string invariant, std::string what) {
    shared_.verdict.Broken(shared_.now(), std::move(invariant), std::move(what));
  }

  Shared& shared_;
  ClaimJudge& claims_;
  RuleJudge& rules_;
  std::optional<wire::Leader> leader_;
  std::map<std::string, wire::Heartbeat> heartbeats_;
  std::map<std::string, DocSeen> docs_;
  // What each document gave its worker, by (revision, stream), for acknowledgements.
  struct Written {
    std::shared_ptr<const wire::Doc> doc;
    Nanos at = 0;
  };
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, Written> history_;
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> versions_;  // of (process, epoch)
  std::array<bool, wire::kBucketCount> broken_{};
  std::array<bool, wire::kBucketCount> wiped_{};
  core::Nanos doc_bucket_made_at_ = 0;
  // Lives whose heartbeat somebody removed, by worker id.
  struct Removed {
    std::uint64_t nonce = 0;
    Nanos at = 0;
  };
  std::map<std::string, Removed> removed_;
  std::optional<wire::Report> report_;
  std::optional<wire::Control> control_;
  std::uint64_t control_revision_ = 0;
  std::set<std::string, std::less<>> listed_;
  Nanos listed_at_ = 0;
  std::set<std::pair<std::uint64_t, std::string>> given_back_;  // by life, once at least
  std::uint64_t documents_ = 0;
  std::uint64_t leader_changes_ = 0;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_KV_JUDGE_H_
