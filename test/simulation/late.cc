// What comes late: the answer to a request, or what a watch first delivers.
#include <string>

#include "internal/wire/records.h"
#include "test/simulation/plays.h"
#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

void Require(Stage* s, bool kept, std::string promise, std::string otherwise) {
  if (kept || !s->world().verdict().good()) return;
  s->world().shared().verdict.Broken(s->world().now(), std::move(promise), std::move(otherwise));
}

void Drain(Stage* s, const Process& worker) {
  wire::Control control;
  control.drained = {s->Id(worker)};
  s->network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
}

// What becomes of the next read of a key by `process`.
Network::Ambush Reading(const Process& process, Bucket bucket, std::string key, Fate fate,
                        Nanos delay) {
  Network::Ambush ambush;
  ambush.process = &process;
  ambush.put = false;
  ambush.bucket = bucket;
  ambush.key = std::move(key);
  ambush.fate = fate;
  ambush.delay = delay;
  return ambush;
}

}  // namespace

// The answer to a leader's challenge takes more than half a term, and its renewals get lost: its
// term ends, and then it is asked for a rebalance.
Played ChallengeAnsweredLate(std::uint64_t seed, History* history) {
  constexpr Nanos kTerm = 2 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.settings.election_ttl = kTerm;
  scenario.settings.request_timeout = 4 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Nanos sent = 0;
  Network::Ambush challenge;
  challenge.bucket = Bucket::kElection;
  challenge.fate = Fate::kSlowAnswer;
  challenge.delay = kTerm / 10 * 6;
  challenge.when = [&](const SentPut& put) {
    if (put.leader && sent == 0) sent = s.world().now();
    return put.leader.has_value();
  };
  s.network().Lay(challenge);
  Process& leader = s.StartLeader();
  challenge.process = &leader;
  challenge.fate = Fate::kLoseRequest;
  challenge.times = 1000;
  s.network().Lay(challenge);
  World::Birth birth;
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 60 * kSecond;  // they aren't to lead next
  birth.name = "b";
  Process& b = s.world().StartProcess(birth);
  birth.name = "c";
  Process& c = s.world().StartProcess(birth);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  const bool led = s.Until(kTerm, [&] { return leader.leads(); });
  s.world().RunUntil(sent + kTerm / 10 * 12);
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(kTerm / 2);
  return s.Verdict(led);
}

// A grant lands, its answer is lost, and its leader, which sees neither it nor who took it, wants
// something else. What it writes for that meets a conflict, and what stands there is read slowly.
Played ConflictReadLate(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.request_timeout = 4 * kSecond;
  scenario.settings.release_timeout =
      kSecond / 5;  // an unsettled rebalance is waited for no longer
  ScriptedStage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  if (!s.Until(3 * kSecond, [&] { return !s.Id(b).empty() && !s.Id(c).empty(); })) {
    return s.Verdict(false);
  }
  s.owner = [&](const std::string&) { return s.Id(b); };
  const std::string id = s.Id(b);
  Network::Ambush grant;
  grant.process = &leader;
  grant.bucket = Bucket::kAssignment;
  grant.fate = Fate::kLoseAnswer;
  grant.when = [&](const SentPut& put) {
    if (!Stage::Grants(put, "p-0")) return false;
    s.network().StallWatches(leader, Bucket::kAssignment);
    s.network().StallWatches(leader, Bucket::kHeartbeat);
    return true;
  };
  s.network().Lay(grant);
  bool conflict = false;
  Network::Ambush again;  // strikes nothing: tells that it is under way
  again.process = &leader;
  again.bucket = Bucket::kAssignment;
  again.key = id;
  again.when = [&](const SentPut& put) {
    conflict = conflict || !Stage::Grants(put, "p-0");
    return false;
  };
  s.network().Lay(again);
  s.network().Lay(Reading(leader, Bucket::kAssignment, id, Fate::kSlow, 3 * kSecond));
  if (!s.Until(5 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(5 * kSecond, [&] { return conflict; })) return s.Verdict(false);
  s.world().SetPartitions(2);
  s.world().RunFor(15 * kSecond);
  return s.Verdict(s.Owns(c, "p-0"));
}

// A new leader has to wait for what people want, and something is to be given away meanwhile.
Played ControlScannedLate(std::uint64_t seed, History* history) {
  Stage s(seed, history, 4);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  Drain(&s, b);
  s.world().RunFor(kSecond);
  if (!s.Settle() || s.Owns(b, "p-0")) return s.Verdict(false);
  for (const Process* next : {&b, &c}) {
    s.network().DelayScans(*next, Bucket::kElection, 3 * kSecond);
    s.network().Lay(Reading(*next, Bucket::kElection, std::string(wire::kControlKey), Fate::kSlow,
                            3 * kSecond));
  }
  leader.Leave();
  s.world().SetPartitions(8);
  bool given = false;
  const bool led = s.Until(5 * kSecond, [&] { return s.LeaderOtherThan(leader) != nullptr; });
  s.Until(6 * kSecond, [&] {
    for (int i = 0; i < 8; ++i) given = given || s.Owns(b, "p-" + std::to_string(i));
    return given;
  });
  Require(&s, !given, "who is drained is given nothing by a new leader", "it was");
  return s.Verdict(led);
}

// What a leader reads of people's wishes is answered only after its watch has shown newer ones.
Played ControlAnsweredLate(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;  // as often it reads
  scenario.settings.request_timeout = 4 * kSecond;
  Stage s(scenario, history, 4);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  Drain(&s, leader);  // which owns nothing anyway
  s.world().RunFor(kSecond);
  s.network().Lay(Reading(leader, Bucket::kElection, std::string(wire::kControlKey),
                          Fate::kSlowAnswer, 3 * kSecond));
  s.world().RunFor(scenario.settings.lease);
  const auto owns = [&] {
    for (int i = 0; i < 4; ++i) {
      if (s.Owns(b, "p-" + std::to_string(i))) return true;
    }
    return false;
  };
  Drain(&s, b);
  if (!s.Until(2 * kSecond, [&] { return !owns(); })) return s.Verdict(false);
  Require(&s, !s.Until(6 * kSecond, owns), "newer wishes stand",
          "who is drained was given something again");
  return s.Verdict(true);
}

}  // namespace parti::simulation
