// The rules of the protocol, judged where they are kept or broken. An overlap is the last of
// several things that go wrong, and needs bad luck besides: the grant has to arrive while the old
// owner still holds its claim. What comes first is judged here, so that a broken rule shows in the
// first world in which it matters:
//
//   a document is written within the term of its leader, and grants only what nobody else holds
//   [3]; it tells all that its worker may still hold [4]; each grant has a token of its own,
//   greater than those before; a worker applies it only after it read `leader` later than the
//   document was written, and found its term there [2]; it claims what was granted to this very
//   life; a tombstone names what it replaced, and silence was as long as the lease.
//
// It knows true time, what every process claims, and what the KV has accepted; it asks core
// nothing.
#ifndef PARTI_TEST_SIMULATION_RULE_JUDGE_H_
#define PARTI_TEST_SIMULATION_RULE_JUDGE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "internal/core/settings.h"
#include "internal/wire/records.h"
#include "test/simulation/claim_judge.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

// A write of core, decoded when it is sent.
struct SentPut {
  int process = 0;
  Nanos sent = 0;  // on the sender's clock
  // When core decided on it, earlier if the process was paused amid the step: on the sender's
  // clock, and in true time.
  Nanos decided = 0;
  Nanos decided_at = 0;
  core::KvPut put;
  std::optional<wire::Leader> leader;
  std::optional<wire::Heartbeat> heartbeat;
  std::optional<wire::Doc> doc;
  std::optional<wire::Report> report;
};

class RuleJudge {
 public:
  RuleJudge(Shared* shared, ClaimJudge* claims) : shared_(*shared), claims_(*claims) {}

  // Processes are numbered from 0 in the order of their start.
  void Started(const core::Settings& settings) {
    settings_.push_back(settings);
    beating_.emplace_back();
  }

  // What core sends, and what the KV accepted of it.
  void Sending(const SentPut& sent);
  // `before`: the record that it replaces, if there is one that nobody tampered with.
  void LeaderAccepted(const SentPut& sent, const wire::Leader* before);
  // A document is written in the stream `assignment`.
  void CheckHold(const SentPut& sent, std::uint64_t assignment);
  // `before`: the document that it replaces, if nobody tampered with it. `current`: its term is the
  // one that stands in `leader`.
  void DocAccepted(const SentPut& sent, const wire::Doc* before, bool current);
  // `before`: the heartbeat that it replaces, if it was readable and nobody tampered with it.
  void HeartbeatAccepted(const SentPut& sent, const wire::Heartbeat* before);
  // What the process knows of the bucket is complete as it was at `opened`, or later.
  void Scanned(int process, wire::Bucket bucket, Nanos opened) {
    Nanos& newest = scanned_[{process, bucket}];
    newest = std::max(newest, opened);
  }
  // The process gets this as the answer to a read of `leader`.
  void LeaderServed(int process, const wire::Leader& leader);

  // The process acknowledges a document that was accepted then.
  void Acknowledging(int process, const wire::Doc& doc, Nanos accepted_at);
  void Claim(int process, const core::Claim& effect);
  // Core is told this answer.
  void Answered(int process, const core::KvAnswer& answer);
  // What the process holds has changed, or it has applied a document; it gave everything up; all
  // that this step of its core asked for is carried out.
  void Changed(int process) { beating_[static_cast<std::size_t>(process)].changed = true; }
  void GaveAllUp(int process);
  void Stepped(int process);
  void Evicted(int process, const core::EvictionNote& note);
  // `decided`: when core did, in true time.
  // Its build can't read all that the group wrote. It leads only where the record was lost that
  // told of the group's wire version.
  bool IsTooOld(int process) const {
    return settings_[static_cast<std::size_t>(process)].newest_wire_version < newest_spoken_;
  }
  void Planned(int process, const core::RebalanceNote& note, Nanos decided);
  void Settled(int process, const core::RebalanceNote& note);
  void LifeBegan(int process) {
    begun_.insert(newest_life_.at(process));
    beating_[static_cast<std::size_t>(process)].over = false;
  }
  // A process has lived it, or does.
  bool HasBegun(std::uint64_t nonce) const { return begun_.contains(nonce); }
  using Term = std::pair<std::uint64_t, std::uint64_t>;  // epoch, nonce
  // When the term's first record was accepted; kNever, if there was none.
  Nanos FencedAt(const Term& term) const {
    const auto hold = holds_.find(term);
    return hold == holds_.end() ? core::kNever : hold->second.at;
  }
  // The process lives that life.
  bool Lives(int process, std::uint64_t nonce) const { return Liver(nonce) == process; }

  // By hand. What no record tells any more can't be judged.
  void Tampered() { tampered_ = true; }
  void HeartbeatForgotten(const std::string& worker) { beats_.erase(worker); }
  void HeartbeatsForgotten() {
    beats_.clear();
    beats_forgotten_at_ = shared_.now();
  }
  void DocsForged() { docs_forged_ = true; }
  void DocsWiped() { docs_wiped_at_ = shared_.now(); }
  void EpochsForgotten() { epochs_forgotten_ = true; }

 private:
  struct Beat {
    std::uint64_t nonce = 0;
    Nanos sent_at = 0;   // of the newest, in true time
    Nanos first_at = 0;  // when the life's first was accepted
    Nanos lease = 0;
    int speaks = 0;
    bool live = false;
  };
  struct Grants {
    FencingToken highest;
    std::map<FencingToken, std::uint64_t> lives;  // which was granted it with this token
  };

  // A term: since when it stands, the longest lease of those who lived then, and what its first
  // record told of the streams.
  struct Hold {
    Nanos at = 0;
    Nanos own_lease = 0;
    std::map<std::uint64_t, Nanos> leases;  // of the lives that stood and haven't left, by nonce
    std::uint64_t assignment = 0;
    bool past_known = false;
  };

  // The process that lives this life now; -1 if none does any more.
  int Liver(std::uint64_t life_nonce) const;
  void CheckGrants(const wire::Doc& doc, const std::string& worker);
  void CheckTokens(const wire::Doc& doc, const std::string& worker);
  void CheckComplete(const wire::Doc& doc, const std::string& worker);
  void CheckTombstone(const SentPut& sent, const wire::Heartbeat* before);
  void CheckUpgrade(const wire::Leader& leader);
  void CheckChallenge(const SentPut& sent, const wire::Leader& before);
  void CheckSender(const SentPut& sent);
  void CheckLease(const SentPut& sent, const wire::Doc* before);
  void CheckRoom(const SentPut& sent, const wire::Doc* before);
  void CheckStanding(const SentPut& sent, const wire::Doc* before);
  void CheckHeld(const SentPut& sent, const Hold& hold, std::string_view what);
  void CheckWindow(const core::RebalanceNote& note, const core::Settings& settings);
  void NoteReleasing(const wire::Doc& doc, const wire::Doc* before, const std::string& worker);
  void Broken(std::string invariant, std::string what) {
    shared_.verdict.Broken(shared_.now(), std::move(invariant), std::move(what));
  }

  // The heartbeat whose answer it has not been told yet.
  struct Beating {
    std::uint64_t nonce = 0;
    core::RequestId request = 0;
    bool troubled = false;  // the newest answer tells nothing: it tries again when it sees fit
    bool sent = false;      // one, in this step
    bool changed = false;   // in this step: something that a heartbeat is to tell
    bool owed = false;      // … and in one before
    bool over = false;      // it gave all up, and no life has begun since
    std::uint64_t told_epoch = 0;
    // Likewise its documents.
    struct UnderWay {
      std::uint64_t term = 0;  // nonce
      std::string worker;
      std::uint64_t life = 0;  // nonce
      core::RequestId request = 0;
      FencingToken newest;  // of what it grants
    };
    std::vector<UnderWay> docs;
  };

  Shared& shared_;
  ClaimJudge& claims_;
  std::vector<Beating> beating_;                           // of each process
  std::vector<core::Settings> settings_;                   // of each process
  std::map<std::uint64_t, int> lives_;                     // by nonce: whose they are
  std::set<std::uint64_t> begun_;                          // by nonce
  std::map<int, std::uint64_t> newest_life_;               // of each process: its nonce
  std::map<std::pair<int, Term>, Nanos> terms_;            // until when, on the leader's clock
  std::map<std::pair<int, Term>, Nanos> fences_;           // when such a read was served last
  std::map<std::string, Beat, std::less<>> beats_;         // by worker id
  std::map<std::pair<int, wire::Bucket>, Nanos> scanned_;  // when it was begun, by process
  std::map<std::string, Grants, std::less<>> grants_;      // by partition
  // What the documents of each life, by nonce, gave it.
  std::map<std::uint64_t, std::set<std::pair<std::string, FencingToken>>> granted_;
  // … and what its heartbeats gave back.
  std::map<std::uint64_t, std::set<std::pair<std::string, FencingToken>>> refused_;
  // By the evicting process and the worker: the silence that its newest tombstone ended.
  struct Silence {
    Nanos span = 0;
    Nanos lease = 0;
    Nanos releasing = 0;  // for how long it had been asked to release something
    std::uint64_t epoch = 0;
    bool saw_fence = false;
  };
  std::map<std::pair<int, std::string>, Silence> silences_;
  std::map<std::uint64_t, std::uint64_t> numbers_;  // the newest heartbeat sent of each life
  Nanos leader_at_ = 0;                             // when the standing leader record was accepted
  // By worker: since when it has been asked to release something, without having been known to.
  struct Asked {
    std::uint64_t life_nonce = 0;
    Nanos at = 0;
  };
  std::map<std::string, Asked, std::less<>> releasing_since_;
  std::map<Term, Hold> holds_;
  // By worker: until when an evicted life may still act, and its nonce.
  struct Dying {
    std::uint64_t nonce = 0;
    Nanos until = 0;
  };
  std::map<std::string, Dying, std::less<>> dying_;
  struct Plans {
    Nanos at = 0;  // the newest
    int count = 0;
  };
  std::map<std::pair<int, std::uint64_t>, Plans> plans_;  // by process and epoch
  Nanos died_at_ = -core::kNever / 2;  // when a life was ended by another, or followed by one
  int wire_version_ = 1;
  int newest_spoken_ = 0;  // by the group, so far
  // Epochs whose leaders found no record of the streams: whoever lives is suspect to them.
  std::set<std::uint64_t> past_unknown_;
  bool tampered_ = false;
  bool docs_forged_ = false;
  Nanos docs_wiped_at_ = 0;
  Nanos beats_forgotten_at_ = 0;
  bool epochs_forgotten_ = false;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RULE_JUDGE_H_
