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

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
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
};

class RuleJudge {
 public:
  RuleJudge(Shared* shared, ClaimJudge* claims) : shared_(*shared), claims_(*claims) {}

  // Processes are numbered from 0 in the order of their start.
  void Started(const core::Settings& settings) { settings_.push_back(settings); }

  // What core sends, and what the KV accepted of it.
  void Sending(const SentPut& sent);
  void LeaderAccepted(const SentPut& sent);
  // `current`: its term is the one that stands in `leader`.
  void DocAccepted(const SentPut& sent, bool current);
  // `before`: the heartbeat that it replaces, if it was readable and nobody tampered with it.
  void HeartbeatAccepted(const SentPut& sent, const wire::Heartbeat* before);
  // The process gets this as the answer to a read of `leader`.
  void LeaderServed(int process, const wire::Leader& leader);

  // The process acknowledges a document that was accepted then.
  void Acknowledging(int process, const wire::Doc& doc, Nanos accepted_at);
  void Claim(int process, const core::Claim& effect);
  void Evicted(int process, const core::EvictionNote& note);

  // By hand. What no record tells any more can't be judged.
  void HeartbeatForgotten(const std::string& worker) { beats_.erase(worker); }
  void HeartbeatsForgotten() { beats_.clear(); }
  void DocsForged() { docs_forged_ = true; }
  void EpochsForgotten() { epochs_forgotten_ = true; }

 private:
  using Term = std::pair<std::uint64_t, std::uint64_t>;  // epoch, nonce
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

  // The process that lives this life now; -1 if none does any more.
  int Liver(std::uint64_t life_nonce) const;
  void CheckGrants(const wire::Doc& doc, const std::string& worker);
  void CheckTokens(const wire::Doc& doc, const std::string& worker);
  void CheckComplete(const wire::Doc& doc, const std::string& worker);
  void CheckTombstone(const SentPut& sent, const wire::Heartbeat* before);
  void CheckUpgrade(const wire::Leader& leader);
  void Broken(std::string invariant, std::string what) {
    shared_.verdict.Broken(shared_.now(), std::move(invariant), std::move(what));
  }

  Shared& shared_;
  ClaimJudge& claims_;
  std::vector<core::Settings> settings_;               // of each process
  std::map<std::uint64_t, int> lives_;                 // by nonce: whose they are
  std::map<int, std::uint64_t> newest_life_;           // of each process: its nonce
  std::map<std::pair<int, Term>, Nanos> terms_;        // until when, on the leader's clock
  std::map<std::pair<int, Term>, Nanos> fences_;       // when such a read was served last
  std::map<std::string, Beat, std::less<>> beats_;     // by worker id
  std::map<std::string, Grants, std::less<>> grants_;  // by partition
  // What the documents of each life, by nonce, gave it.
  std::map<std::uint64_t, std::set<std::pair<std::string, FencingToken>>> granted_;
  // By the evicting process and the worker: the silence that its newest tombstone ended.
  struct Silence {
    Nanos span = 0;
    Nanos lease = 0;
  };
  std::map<std::pair<int, std::string>, Silence> silences_;
  int wire_version_ = 1;
  bool docs_forged_ = false;
  bool epochs_forgotten_ = false;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RULE_JUDGE_H_
