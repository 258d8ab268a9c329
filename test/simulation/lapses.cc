#include "test/simulation/plays.h"

#include <string>

#include "internal/wire/records.h"
#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

// Everything is owned in the end, or a promise is broken.
Played Settled(Stage* s) {
  if (!s->Settle() && s->world().verdict().good()) {
    s->world().shared().verdict.Broken(s->world().now(),
                                       "the group settles once faults have stopped",
                                       s->world().Unsettled().value_or("it doesn't stay so"));
  }
  return s->Verdict(true);
}

}  // namespace

// [7] A worker's first documents get lost, and then it is drained: what they would have given it
// is free for others only once a write for it has succeeded.
Played UnansweredAndDrained(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.release_timeout = kSecond;  // an unsettled rebalance is waited for no longer
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  int lost = 0;
  Network::Ambush grant;
  grant.process = &leader;
  grant.bucket = Bucket::kAssignment;
  grant.fate = Fate::kLoseRequest;
  grant.times = 1000;
  grant.when = [&](const SentPut& put) {
    const bool hit = Stage::Grants(put, "p-0") && put.put.key == s.Id(b);
    if (hit) ++lost;
    return hit;
  };
  s.network().Lay(grant);
  if (!s.Until(3 * kSecond, [&] { return lost > 0 && s.Owns(c, "p-1"); })) return s.Verdict(false);
  wire::Control control;
  control.drained = {s.Id(b)};
  s.network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
  return Settled(&s);
}

// A power cut takes the newest heartbeat of a worker back that is gone, and others' fill its
// place at once, so that the stream's end tells nothing. The tombstone meets an older one. With it
// all that tells of another worker is lost, whose lease is longer, and who is cut off.
Played OlderWhenReadAgain(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.poll_interval = 60 * kSecond;  // by chance it could look before
  scenario.leases_differ = true;
  scenario.lease_max = 16 * kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  const Stream& beats = s.network().stream(Bucket::kHeartbeat);
  const std::uint64_t before = beats.Revision(s.Id(b));
  if (!s.Until(3 * kSecond, [&] { return beats.Revision(s.Id(b)) != before; })) {
    return s.Verdict(false);
  }
  s.world().RunFor(50 * kMillisecond);
  b.Crash();
  const std::uint64_t newest = beats.Revision(s.Id(b));
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  World::Birth birth;
  birth.name = "d";
  birth.settings = scenario.settings;
  birth.settings->lease = scenario.lease_max;
  birth.settings->election_ttl = 60 * kSecond;
  Process& d = s.world().StartProcess(birth);
  if (!s.Until(kSecond, [&] { return !s.Id(d).empty(); })) return s.Verdict(false);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? d : c); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(d, "p-2"); })) return s.Verdict(false);
  s.network().Cut(&d);
  s.network().LoseEnd(Bucket::kHeartbeat, newest - 1);
  s.network().LoseEnd(Bucket::kAssignment, then);
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunFor(scenario.lease_max);
  if (!s.Until(30 * kSecond, [&] { return s.Owns(c, "p-0") && s.Owns(c, "p-2"); }) &&
      s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "what was lost is granted again",
                                      "it has no owner after half a minute");
  }
  return s.Verdict(true);
}

// A leader is paused, and its watch of the record was broken just before. What it wakes up to is a
// heartbeat of a later epoch, and then the record of its successor, who lives.
Played SuccessorUnseen(std::uint64_t seed, History* history) {
  constexpr Nanos kAllReopened = 8 * kSecond;
  constexpr Nanos kRecordComes = 20 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 200 * kSecond;
  scenario.settings.election_ttl = 60 * kSecond;
  scenario.settings.request_timeout = 4 * kSecond;  // a snapshot may take ten times as long
  Stage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 6 * kSecond;
  Process& b = s.world().StartProcess(birth);
  if (!s.Settle()) return s.Verdict(false);
  s.network().DelayScans(leader, Bucket::kElection, kRecordComes);
  s.network().BreakWatches(&leader);
  const Nanos broken = s.world().now();
  s.world().RunFor(kAllReopened);
  leader.Pause();
  const Stream& beats = s.network().stream(Bucket::kHeartbeat);
  const auto told = [&] {
    const auto beat = wire::DecodeHeartbeat(beats.At(beats.Revision(s.Id(b))).value);
    return beat.ok() && beat->highest_epoch > 1;
  };
  const bool led = s.Until(10 * kSecond, told) && b.leads();
  s.world().RunFor(2 * kMillisecond);
  b.Pause();  // its record stays as it is until the leader sees it
  s.world().RunUntil(broken + kAllReopened + kRecordComes);
  leader.Resume();
  s.world().RunFor(100 * kMillisecond);
  b.Resume();
  s.world().RunFor(3 * kSecond);
  return s.Verdict(led);
}

// Document and heartbeat of a worker of a long lease are lost, it is cut off, and only its leader
// remembers how long such a lease may be.
Played CreatedTombstone(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.lease_max = scenario.settings.lease;
  scenario.settings.lease = 4 * kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = scenario.settings;
  birth.settings->lease = scenario.lease_max;
  Process& b = s.world().StartProcess(birth);
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  s.network().Cut(&b);
  s.network().Write(Bucket::kAssignment, s.Id(b), "garbage");
  s.network().Delete(Bucket::kHeartbeat, s.Id(b));
  s.world().RunFor(40 * kSecond);
  return s.Verdict(true);
}

// The answer to a leader's renewal takes more than half a term, and those that follow get lost: its
// term ends, and then it is asked for a rebalance.
Played RenewalAnsweredLate(std::uint64_t seed, History* history) {
  constexpr Nanos kTerm = 2 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.settings.election_ttl = kTerm;
  scenario.settings.request_timeout = 4 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  Nanos sent = 0;
  Network::Ambush renewal;
  renewal.process = &leader;
  renewal.bucket = Bucket::kElection;
  renewal.fate = Fate::kSlow;
  renewal.delay = kTerm / 10 * 6;
  renewal.when = [&](const SentPut& put) {
    if (put.leader && sent == 0) sent = s.world().now();
    return put.leader.has_value();
  };
  s.network().Lay(renewal);
  renewal.fate = Fate::kLoseRequest;
  renewal.times = 1000;
  s.network().Lay(renewal);
  if (!s.Until(kTerm, [&] { return sent != 0; })) return s.Verdict(false);
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunUntil(sent + kTerm / 10 * 12);
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(kTerm / 2);
  return s.Verdict(true);
}

// A worker loses its lease while it drains what a document takes away, which grants it something,
// too.
Played LostWhileDraining(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : c); };
  s.world().SetPartitions(3);
  const bool drains = s.Until(3 * kSecond, [&] { return !s.Owns(b, "p-0"); });
  s.network().Cut(&b);
  s.world().RunFor(2 * scenario.settings.lease);
  b.hooks().LetGo();
  s.world().RunFor(3 * kSecond);
  return s.Verdict(drains);
}

// The claims are restored from a backup: one names a process that left, and was started again,
// while its id is borne by another that lives.
Played ClaimFromBefore(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.max_workers = 2;
  scenario.settings.heartbeat_interval = 5 * kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  const std::string id = s.Id(b);
  const std::uint64_t then = s.network().stream(Bucket::kStableId).last_sequence();
  b.Leave();
  s.world().RunFor(2 * kSecond);
  Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  s.network().RollBack(Bucket::kStableId, then);
  s.world().Restart(b);
  const bool same = s.Id(c) == id;
  s.world().RunFor(10 * kSecond);
  return s.Verdict(same);
}

// What stands instead of the heartbeat of a worker that is gone can't be read.
Played UnreadableHeartbeat(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  b.Crash();
  s.network().Write(Bucket::kHeartbeat, s.Id(b), "garbage");
  s.world().RunFor(scenario.settings.lease);
  return Settled(&s);
}

// A leader hears that its document was applied before it hears that it was written, and reads it
// in vain.
Played DocumentUnread(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  bool written = false;
  s.network().StallWatches(leader, Bucket::kAssignment);
  Network::Ambush unanswered;
  unanswered.process = &leader;
  unanswered.bucket = Bucket::kAssignment;
  unanswered.fate = Fate::kLoseAnswer;
  unanswered.when = [&](const SentPut& put) {
    return written = written || Stage::Grants(put, "p-2");
  };
  s.network().Lay(unanswered);
  unanswered.put = false;
  unanswered.fate = Fate::kLoseRequest;
  unanswered.when = nullptr;
  s.network().Lay(unanswered);
  s.world().SetPartitions(3);
  s.world().RunFor(5 * kSecond);
  return s.Verdict(written);
}

// A power cut takes a document back that its worker has applied, and tells of; there is an older
// one of it.
Played OutranDocument(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? c : b); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, then);
  leader.Crash();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  const bool led = s.Until(5 * kSecond, [&] { return s.LeaderOtherThan(leader) != nullptr; });
  s.world().RunFor(15 * kSecond);
  return s.Verdict(led);
}

// Heartbeats and documents are wiped while nobody leads, and one of those who beat is cut off.
Played WipedUnled(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "c";
  birth.settings = Calm(seed).settings;
  birth.settings->capacity = 0;
  s.world().StartProcess(birth);
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  leader.Crash();
  s.network().Cut(&b);
  s.network().Wipe(Bucket::kAssignment);
  s.network().Wipe(Bucket::kHeartbeat);
  s.Start("d");
  const bool led = s.Until(5 * kSecond, [&] { return s.LeaderOtherThan(leader) != nullptr; });
  s.world().RunFor(30 * kSecond);
  return s.Verdict(led);
}

// [1] A new leader whose scans lack the very last message each: a grant, and its acknowledgement.
// No heartbeat comes for a while.
Played ScanEndsOneShort(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 8 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  Process& b = s.world().StartProcess(birth);
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  s.world().RunFor(10 * kMillisecond);
  for (const Bucket bucket : {Bucket::kAssignment, Bucket::kHeartbeat}) {
    const Stream& stream = s.network().stream(bucket);
    const std::uint64_t last = stream.last_sequence();
    if (stream.Revision(s.Id(b)) != last) return s.Verdict(false);
    s.network().ShortenScans(c, bucket, last - 1);
  }
  Network::Ambush beat;
  beat.bucket = Bucket::kHeartbeat;
  beat.fate = Fate::kLoseRequest;
  beat.times = 1000;
  s.network().Lay(beat);
  leader.Crash();
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(3 * kSecond, [&] { return c.leads(); });
  s.world().RunFor(5 * kSecond);
  return s.Verdict(led);
}

// A new leader that knows nothing of the past gets a scan that lacks a worker of a long lease: the
// stream's last message, which tells whether a scan is whole, is gone. The worker's heartbeat comes
// later; it is from before its document, which is lost, and the worker is paused.
Played HeartbeatAfterTheScan(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.lease_max = scenario.settings.lease;
  scenario.settings.lease = 4 * kSecond;
  Stage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "c";
  birth.settings = scenario.settings;
  birth.settings->capacity = 0;
  birth.settings->assume_new_group = false;
  Process& c = s.world().StartProcess(birth);
  s.world().RunFor(100 * kMillisecond);
  const std::uint64_t then = s.network().stream(Bucket::kHeartbeat).last_sequence();
  birth.name = "b";
  birth.settings->capacity = 1;
  birth.settings->lease = scenario.lease_max;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  Process& b = s.world().StartProcess(birth);
  bool beaten = false;
  Network::Ambush lost;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.process = &leader;
  lost.bucket = Bucket::kAssignment;
  lost.when = [&](const SentPut&) { return !beaten; };
  s.network().Lay(lost);
  lost.process = &b;
  lost.bucket = Bucket::kHeartbeat;
  lost.when = [](const SentPut& put) {
    return put.heartbeat && put.heartbeat->applied_revision > 0;
  };
  s.network().Lay(lost);
  s.world().RunFor(1500 * kMillisecond);
  beaten = true;
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  lost.process = &c;
  lost.when = nullptr;
  s.network().Lay(lost);
  const Stream& beats = s.network().stream(Bucket::kHeartbeat);
  const auto last = [&] { return beats.Revision(s.Id(leader)) == beats.last_sequence(); };
  if (!s.Until(2 * kSecond, last)) return s.Verdict(false);
  leader.Crash();
  b.Pause();
  s.network().ShortenScans(c, Bucket::kHeartbeat, then);
  s.network().Purge(Bucket::kHeartbeat, s.Id(leader));
  s.network().Wipe(Bucket::kAssignment);
  s.network().Delete(Bucket::kElection, "leader");
  const bool led = s.Until(kSecond, [&] { return c.leads(); });
  s.world().RunFor(200 * kMillisecond);
  s.network().HealAll();
  s.network().BreakWatches(&c);
  s.Start("d");
  s.world().RunFor(30 * kSecond);
  return s.Verdict(led);
}

}  // namespace parti::simulation
