#include "test/simulation/plays.h"

#include <string>

#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

// From now on the leader's record is no longer renewed, and its next one is another's. It lives on,
// so that its successor waits for nobody but those whom the schedule is about.
void Depose(Stage* s, const Process& leader) {
  Network::Ambush renewal;
  renewal.process = &leader;
  renewal.bucket = Bucket::kElection;
  renewal.fate = Fate::kLoseRequest;
  renewal.times = 1000;
  s->network().Lay(renewal);
}

// Whether a tombstone is in the place of its heartbeat.
bool IsEvicted(Stage* s, const std::string& id) {
  const Stream& beats = s->network().stream(Bucket::kHeartbeat);
  const auto beat = wire::DecodeHeartbeat(beats.At(beats.Revision(id)).value);
  return beat.ok() && beat->kind == wire::HeartbeatKind::kEvicted;
}

// A power cut takes the document of a worker back. Its heartbeat shows that it has applied one, so
// it is evicted, and holds all until its lease is over. It is cut off, and its tombstone is
// overwritten, or deleted; or its heartbeat is purged while the tombstone is lost on its way.
enum class Obscurer { kGarbage, kDeletion, kPurge };
Played Obscured(std::uint64_t seed, History* history, Obscurer how) {
  ScriptedStage s(Calm(seed), history, 2);
  const Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t epoch = leader.epoch();
  bool under_way = false;
  Network::Ambush tombstone;
  tombstone.process = &leader;
  tombstone.bucket = Bucket::kHeartbeat;
  tombstone.fate = Fate::kLoseRequest;
  tombstone.when = [&](const SentPut& put) {
    return under_way = put.heartbeat->kind == wire::HeartbeatKind::kEvicted;
  };
  if (how == Obscurer::kPurge) s.network().Lay(tombstone);
  s.network().LoseEnd(Bucket::kAssignment, 0);
  s.owner = [&](const std::string&) { return s.Id(c); };
  const std::string id = s.Id(b);
  if (!s.Until(15 * kSecond, [&] { return under_way || IsEvicted(&s, id); }) ||
      leader.epoch() == epoch) {
    return s.Verdict(false);
  }
  s.network().Cut(&b);
  if (how == Obscurer::kGarbage) s.network().Write(Bucket::kHeartbeat, id, "garbage");
  if (how == Obscurer::kDeletion) s.network().Delete(Bucket::kHeartbeat, id);
  if (how == Obscurer::kPurge) s.network().Purge(Bucket::kHeartbeat, id);
  s.world().RunFor(60 * kSecond);
  return s.Verdict(s.Owns(c, "p-0"));
}

// For a bucket of heartbeats that is restored from a backup, and nothing but a question may tell
// the leader: its watch is silent, and it looks by itself much later.
Scenario UnseenRestore(std::uint64_t seed) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 8 * kSecond;
  scenario.settings.heartbeat_interval = 3 * kSecond;
  scenario.settings.poll_interval = 60 * kSecond;
  return scenario;
}

// The worker's next heartbeat but one, which its leader doesn't hear, is lost when the bucket is
// restored; the worker is cut off. The leader's tombstone meets just the heartbeat that it knows.
// Of the other worker it has heard since, so that this one is silent first.
bool LoseUnheardBeat(Stage* s, const Process& leader, Process* worker, const Process& other) {
  int beats = 0;
  bool other_too = false;
  s->network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kHeartbeat) return;
    if (key == s->Id(*worker)) ++beats;
    if (key == s->Id(other) && beats == 1) other_too = true;
  });
  bool lost = false;
  if (s->Until(10 * kSecond, [&] { return other_too || beats > 1; }) && beats == 1) {
    s->world().RunFor(50 * kMillisecond);
    const std::uint64_t then = s->network().stream(Bucket::kHeartbeat).last_sequence();
    s->network().StallWatches(leader, Bucket::kHeartbeat);
    if (s->Until(5 * kSecond, [&] { return beats == 2; })) {
      s->world().RunFor(50 * kMillisecond);
      s->network().Cut(worker);
      s->network().RollBack(Bucket::kHeartbeat, then);
      lost = true;
    }
  }
  s->network().OnChange(nullptr);
  return lost;
}

Played RestoredBeforeTombstone(std::uint64_t seed, History* history, bool answers) {
  Stage s(UnseenRestore(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  const Process& c = s.Start("c");
  if (!s.Settle() || !LoseUnheardBeat(&s, leader, &b, c)) return s.Verdict(false);
  Network::Ambush unanswered;
  unanswered.process = &leader;
  unanswered.put = false;
  unanswered.bucket = Bucket::kHeartbeat;
  unanswered.fate = Fate::kLoseRequest;
  unanswered.times = 1000;
  if (!answers) s.network().Lay(unanswered);
  s.world().RunFor(30 * kSecond);
  return s.Verdict(true);
}

}  // namespace

// [1] A power cut takes the newest document back. Its worker has applied it, and an older heartbeat
// of that worker, which tells of neither that nor the fence, reaches the server only after the next
// leader's scan.
Played HeartbeatFromBefore(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.request_timeout = 8 * kSecond;
  scenario.settings.release_timeout = kSecond;  // an unsettled rebalance is waited for no longer
  ScriptedStage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  Process& b = s.world().StartProcess(birth);
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  bool under_way = false;
  Network::Ambush beat;
  beat.process = &b;
  beat.bucket = Bucket::kHeartbeat;
  beat.fate = Fate::kSlow;
  beat.delay = 6 * kSecond;
  beat.when = [&](const SentPut&) { return under_way = true; };
  s.network().Lay(beat);
  if (!s.Until(2 * kSecond, [&] { return under_way; })) return s.Verdict(false);
  const Nanos lands = s.world().now() + beat.delay;
  beat.fate = Fate::kLoseRequest;
  beat.when = nullptr;
  beat.times = 1000;
  s.network().Lay(beat);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  s.world().SetPartitions(2);
  if (!s.Until(2 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, then);
  Depose(&s, leader);
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(3 * kSecond, [&] { return c.leads(); });
  if (!led || s.world().now() > lands - 500 * kMillisecond) return s.Verdict(false);
  s.world().RunUntil(lands + 100 * kMillisecond);
  s.world().SetPartitions(3);
  s.world().RunFor(3 * kSecond);
  return s.Verdict(true);
}

// [2] A power cut takes the record of a leader back, to that of its predecessor, of which a grant
// lands just then. Its worker has seen the later term.
Played LeaderGoesBack(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  std::string to;
  s.DelayGrant(leader, "p-2", 40 * kSecond, &to);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? c : b); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  const Nanos lands = s.world().now() + 40 * kSecond;
  const std::uint64_t then = s.network().stream(Bucket::kElection).last_sequence();
  leader.Crash();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  s.world().RunUntil(lands - 3 * kMillisecond);
  const bool moved = s.Owns(c, "p-2");
  s.network().LoseEnd(Bucket::kElection, then);
  s.world().RunFor(5 * kSecond);
  return s.Verdict(moved);
}

// A worker of a long lease is cut off. The heartbeats are lost, and its document goes back to an
// older one, by which it owns nothing. The claims are lost as well, and a process leads that has
// only just begun: nothing else tells it of that lease. Or the document is lost, too: then only
// what the leader remembers of before tells of it.
static Played LongestLease(std::uint64_t seed, History* history, bool only_remembered) {
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.lease_max = scenario.settings.lease;
  scenario.settings.lease = 4 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = scenario.settings;
  birth.settings->lease = scenario.lease_max;
  Process& b = s.world().StartProcess(birth);
  birth.name = "c";
  birth.settings = scenario.settings;
  if (!only_remembered) birth.settings->election_ttl = 60 * kSecond;  // it isn't to lead next
  Process& c = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(5 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().Cut(&b);
  s.network().Wipe(Bucket::kHeartbeat);
  if (only_remembered) {
    s.network().Wipe(Bucket::kAssignment);
    s.owner = [&](const std::string&) { return s.Id(c); };
    s.world().RunFor(40 * kSecond);
    return s.Verdict(true);
  }
  s.network().RollBack(Bucket::kAssignment, then);
  s.network().Wipe(Bucket::kStableId);
  leader.Crash();
  const Process& d = s.Start("d");
  s.owner = [&](const std::string&) { return s.Id(d); };
  const bool led = s.Until(10 * kSecond, [&] { return d.leads(); });
  s.world().RunFor(40 * kSecond);
  return s.Verdict(led);
}

Played LongestLease(std::uint64_t seed, History* history) {
  return LongestLease(seed, history, false);
}

Played LongestLeaseRemembered(std::uint64_t seed, History* history) {
  return LongestLease(seed, history, true);
}

// [1] A power cut takes a move from b to c back, with all heartbeats of since then, and c is cut
// off. The next leader finds p-0 in b's document; b has applied a newer one, and leaves.
Played SuspectsDocument(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.settings = Calm(seed).settings;
  birth.settings->election_ttl = 60 * kSecond;  // these two don't lead next
  birth.name = "b";
  Process& b = s.world().StartProcess(birth);
  birth.name = "c";
  Process& c = s.world().StartProcess(birth);
  Process& d = s.Start("d");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : d); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  const std::uint64_t beats = s.network().stream(Bucket::kHeartbeat).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : d); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(3 * kSecond, [&] { return s.Owns(c, "p-0"); })) return s.Verdict(false);
  s.world().RunFor(100 * kMillisecond);
  Network::Ambush lost;
  lost.process = &b;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.when = [](const SentPut& put) {
    return put.heartbeat && put.heartbeat->kind == wire::HeartbeatKind::kLive &&
           put.heartbeat->highest_epoch > 1;
  };
  s.network().Lay(lost);
  s.network().Cut(&c);
  s.network().LoseEnd(Bucket::kAssignment, then);
  s.network().LoseEnd(Bucket::kHeartbeat, beats);
  Depose(&s, leader);
  s.owner = [&](const std::string&) { return s.Id(d); };
  const bool led = s.Until(3 * kSecond, [&] { return d.leads(); });
  s.world().RunFor(20 * kMillisecond);
  b.Leave();
  s.world().RunFor(30 * kSecond);
  return s.Verdict(led);
}

// [1] A power cut takes a worker's newest document back, its heartbeat is purged, and it is cut
// off. Of its older document the next leader knows what it holds in part, and nothing of since
// when.
Played PurgedHeartbeat(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(25 * kSecond);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : b); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  s.world().RunFor(100 * kMillisecond);
  s.network().Cut(&b);
  s.network().LoseEnd(Bucket::kAssignment, then);
  s.network().Purge(Bucket::kHeartbeat, s.Id(b));
  Depose(&s, leader);
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(3 * kSecond, [&] { return c.leads(); });
  s.world().RunFor(30 * kSecond);
  return s.Verdict(led);
}

Played ObscuredByGarbage(std::uint64_t seed, History* history) {
  return Obscured(seed, history, Obscurer::kGarbage);
}

Played ObscuredByDeletion(std::uint64_t seed, History* history) {
  return Obscured(seed, history, Obscurer::kDeletion);
}

Played ObscuredByPurge(std::uint64_t seed, History* history) {
  return Obscured(seed, history, Obscurer::kPurge);
}

// [1] A power cut takes the newest document back, and the leader with it. The worker that it was
// for has applied it, and told nobody yet.
Played HearAfterFence(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 1);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  Network::Ambush lost;
  lost.process = &b;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 5;
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  s.world().SetPartitions(2);
  s.network().Lay(lost);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, then);
  leader.Crash();
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(5 * kSecond, [&] { return s.LeaderOtherThan(leader) != nullptr; });
  s.world().RunFor(15 * kSecond);
  return s.Verdict(led);
}

// A power cut takes a worker's only document back, and all heartbeats are lost, with their bucket;
// the worker is cut off, and its leader gone. To who comes then nothing tells of it but that the
// bucket is another.
Played HeartbeatsBegunAnew(std::uint64_t seed, History* history) {
  Stage s(seed, history, 1);
  Process& leader = s.StartLeader();
  s.world().RunFor(25 * kSecond);  // until its record names the buckets
  Process& b = s.Start("b");
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().Cut(&b);
  leader.Crash();
  s.network().LoseEnd(Bucket::kAssignment, 0);
  s.network().Wipe(Bucket::kHeartbeat);
  Process& c = s.Start("c");
  const bool owns = s.Until(60 * kSecond, [&] { return s.Owns(c, "p-0"); });
  return s.Verdict(owns);
}

Played ConfirmTombstone(std::uint64_t seed, History* history) {
  return RestoredBeforeTombstone(seed, history, true);
}

Played UnconfirmedTombstone(std::uint64_t seed, History* history) {
  return RestoredBeforeTombstone(seed, history, false);
}

// A worker is evicted for its silence. That its bucket is the same still is answered late: its next
// life has been evicted, too, and the bucket was restored in between.
Played ConfirmedForTheOneBefore(std::uint64_t seed, History* history) {
  Scenario scenario = UnseenRestore(seed);
  scenario.settings.request_timeout = 60 * kSecond;
  Stage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  const Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  const std::string id = s.Id(b);
  s.network().Cut(&b);
  Network::Ambush late;
  late.process = &leader;
  late.put = false;
  late.bucket = Bucket::kHeartbeat;
  late.fate = Fate::kSlowAnswer;
  late.delay = 14 * kSecond;
  s.network().Lay(late);
  if (!s.Until(15 * kSecond, [&] { return IsEvicted(&s, id); })) return s.Verdict(false);
  const Nanos answered = s.world().now() + late.delay;
  s.network().Heal(&b);
  if (!s.Settle() || s.Id(b) != id || !LoseUnheardBeat(&s, leader, &b, c)) {
    return s.Verdict(false);
  }
  const bool again =
      s.Until(15 * kSecond, [&] { return IsEvicted(&s, id); }) && s.world().now() < answered;
  s.world().RunFor(30 * kSecond);
  return s.Verdict(again);
}

// A worker's first document gets no answer; the next one grants more, as revision 1. Then the
// bucket is restored to what it was before, and the first one lands there, as revision 1.
Played AcknowledgementOfAStray(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.release_timeout =
      kSecond / 5;  // an unsettled rebalance is waited for no longer
  ScriptedStage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  s.owner = [&](const std::string&) { return s.Id(b); };
  bool sent = false;
  Network::Ambush late;
  late.process = &leader;
  late.bucket = Bucket::kAssignment;
  late.fate = Fate::kLandLate;
  late.delay = 4 * kSecond;
  late.when = [&](const SentPut&) { return sent = true; };
  s.network().Lay(late);
  if (!s.Until(3 * kSecond, [&] { return sent; })) return s.Verdict(false);
  const Nanos lands = s.world().now() + late.delay;
  s.world().SetPartitions(2);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  const bool first = s.network().stream(Bucket::kAssignment).last_sequence() == 1;
  Process& c = s.Start("c");
  s.world().RunUntil(lands - 10 * kMillisecond);
  s.network().RollBack(Bucket::kAssignment, 0);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  s.world().RunFor(30 * kSecond);
  return s.Verdict(first);
}

}  // namespace parti::simulation
