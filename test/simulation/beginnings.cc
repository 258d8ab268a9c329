#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "internal/wire/records.h"
#include "test/simulation/plays.h"
#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

constexpr char kId[] = "worker-0";

// It isn't the one to lead next.
Process& StartFollower(Stage* s, const std::string& name, Nanos election_ttl = 60 * kSecond) {
  World::Birth birth;
  birth.name = name;
  birth.settings = s->world().shared().scenario.settings;
  birth.settings->election_ttl = election_ttl;
  return s->world().StartProcess(birth);
}

// This process can take no other id than kId, and doesn't lead; all others take ids after it.
Process& StartOnlyOne(Stage* s, const std::string& name) {
  World::Birth birth;
  birth.name = name;
  birth.settings = s->world().shared().scenario.settings;
  birth.settings->worker_id_prefix = "worker-";
  birth.settings->max_workers = 1;
  birth.settings->election_ttl = 60 * kSecond;
  return s->world().StartProcess(birth);
}

void Break(Stage* s, std::string invariant, std::string what) {
  if (!s->world().verdict().good()) return;
  s->world().shared().verdict.Broken(s->world().now(), std::move(invariant), std::move(what));
}

// Requests of `process`, or anybody's, to write to `bucket` get lost while `when` holds.
void Lose(Stage* s, const Process* process, Bucket bucket,
          std::function<bool(const SentPut&)> when = nullptr) {
  Network::Ambush lost;
  lost.process = process;
  lost.bucket = bucket;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.when = std::move(when);
  s->network().Lay(lost);
}

void Pin(Stage* s, const std::string& partition, const std::string& worker) {
  wire::Control control;
  control.pins = {{partition, worker}};
  s->network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
}

// Rebalances are far apart, also that of a new leader that nothing asks for one.
Scenario SeldomPlans(std::uint64_t seed) {
  Scenario scenario = Calm(seed);
  scenario.settings.rebalance_cooldown = 60 * kSecond;
  return scenario;
}

// The record of a second term is removed, and who challenges next has seen nothing of that term.
// `documents`: an emptied document alone tells of it; else heartbeats do, and no document.
Played EpochLost(std::uint64_t seed, History* history, bool documents) {
  Stage s(seed, history, 2);
  Process& a = s.StartLeader();
  StartFollower(&s, "b");
  Process& c = s.Start("c");
  Process& d = StartFollower(&s, "d", 10 * kSecond);
  Process& e = StartFollower(&s, "e");
  if (!s.Settle() || !a.leads()) return s.Verdict(false);
  s.network().StallWatches(d, Bucket::kElection);
  s.network().DelayScans(d, documents ? Bucket::kAssignment : Bucket::kHeartbeat, kSecond);
  Lose(&s, &a, Bucket::kElection);
  bool written = false;
  if (documents) {
    Lose(&s, nullptr, Bucket::kHeartbeat,
         [](const SentPut& put) { return put.heartbeat && put.heartbeat->highest_epoch > 1; });
    Lose(&s, &a, Bucket::kAssignment);
    e.Leave();
  }
  s.network().OnChange([&](Bucket bucket, const std::string&) {
    written = written || (bucket == Bucket::kAssignment && c.leads());
  });
  if (!s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  const std::uint64_t epoch = c.epoch();
  s.world().RunFor(kSecond / 2);
  if (written != documents || d.epoch() != 0) return s.Verdict(false);
  a.Crash();
  c.Crash();
  s.network().Purge(Bucket::kElection, std::string(wire::kLeaderKey));
  if (!s.Until(15 * kSecond, [&] { return d.leads(); })) return s.Verdict(false);
  if (d.epoch() <= epoch) {
    Break(&s, "a lost epoch is continued from the documents and heartbeats",
          "the next term bears it again");
  }
  return s.Verdict(true);
}

}  // namespace

Played EpochOfADocument(std::uint64_t seed, History* history) {
  return EpochLost(seed, history, true);
}

Played EpochOfHeartbeats(std::uint64_t seed, History* history) {
  return EpochLost(seed, history, false);
}

// A worker is cut off, and its document goes back to that of its former life. It is evicted, and
// until its lease is over nothing may say that it holds nothing.
Played DocumentOfAFormerLife(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& former = StartFollower(&s, "b");
  Process& c = StartFollower(&s, "c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? former : c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::string id = s.Id(former);
  const Stream& docs = s.network().stream(Bucket::kAssignment);
  const std::string before = docs.At(docs.Revision(id)).value;
  former.Crash();
  Process& b = s.world().Restart(former);
  s.owner = [&](const std::string& one) { return one == "p-0" ? id : s.Id(c); };
  if (!s.Until(5 * kSecond, [&] { return s.Id(b) == id && s.Owns(b, "p-0"); })) {
    return s.Verdict(false);
  }
  s.world().RunFor(kSecond);
  s.network().Cut(&b);
  s.network().Write(Bucket::kAssignment, id, before);
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunFor(40 * kSecond);
  return s.Verdict(leader.leads());
}

// A document of another term bears the leader's epoch, too: the record of that term was lost.
Played EpochOfTwoTerms(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  if (!s.Settle() || !leader.leads()) return s.Verdict(false);
  const wire::Doc* standing = s.world().kv().DocOf(s.Id(b));
  if (standing == nullptr) return s.Verdict(false);
  wire::Doc doc = *standing;
  ++doc.nonce;
  const std::uint64_t epoch = leader.epoch();
  s.network().Write(Bucket::kAssignment, s.Id(b), wire::Encode(doc));
  if (!s.Until(3 * kSecond, [&] { return leader.leads() && leader.epoch() > epoch; })) {
    Break(&s, "no two terms go on under one epoch", "the leader has no other 3 s later");
  }
  return s.Verdict(true);
}

// A grant gets lost, and the plan that it followed is no more. Until another write has taken its
// place it may land yet; nobody else could ever be given that partition.
Played UnansweredGrantTakenBack(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  // An unsettled rebalance is waited for no longer.
  scenario.settings.release_timeout = kSecond / 5;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  Process& c = StartFollower(&s, "c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? c : b); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  int lost = 0;
  bool over = false;
  Lose(&s, &leader, Bucket::kAssignment, [&](const SentPut& put) {
    if (over || !Stage::Grants(put, "p-2")) return false;
    ++lost;
    return true;
  });
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return lost > 0; })) return s.Verdict(false);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(400 * kMillisecond);
  over = true;
  if (!s.Until(10 * kSecond, [&] { return s.Owns(c, "p-2"); })) {
    Break(&s, "what nobody was given is given to who is to have it", "it was not within 10 s");
  }
  return s.Verdict(true);
}

// People pin a partition while nobody leads. The next leader knows it before it takes over.
Played PinnedUnled(std::uint64_t seed, History* history) {
  ScriptedStage s(SeldomPlans(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().DelayScans(c, Bucket::kHeartbeat, 300 * kMillisecond);
  leader.Crash();
  Pin(&s, "p-0", s.Id(c));
  if (!s.Until(5 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  if (!s.Until(10 * kSecond, [&] { return s.Owns(c, "p-0"); })) {
    Break(&s, "a new leader does what people want", "the pin was not obeyed within 10 s");
  }
  return s.Verdict(true);
}

// A worker gives a partition back, of which its leader doesn't hear. The next one finds it in the
// heartbeats that it takes over.
Played RefusedUnled(std::uint64_t seed, History* history) {
  ScriptedStage s(SeldomPlans(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  b.hooks().Hold();
  b.hooks().FailAcquires("no");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().StallWatches(leader, Bucket::kHeartbeat);
  s.network().DelayScans(c, Bucket::kHeartbeat, 300 * kMillisecond);
  s.world().RunFor(20 * kMillisecond);
  b.hooks().LetGo();
  s.world().RunFor(20 * kMillisecond);
  const bool given_back = !s.Owns(b, "p-1");
  b.hooks().SucceedAcquires();
  Lose(&s, &leader, Bucket::kElection);
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Until(5 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  if (!s.Until(10 * kSecond, [&] { return s.Owns(c, "p-1"); })) {
    Break(&s, "what a worker gave back goes to another", "it was not within 10 s");
  }
  return s.Verdict(given_back);
}

// A deposed leader's document lands, and its successor writes all that it grants anew. Then the
// worker gives back what it has had for longer, under the token of before.
Played RefusedAfterRewrite(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? c : b); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  b.hooks().FailAcquires("no");
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  std::string to;
  s.DelayGrant(leader, "p-2", 4 * kSecond, &to);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : c); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  const Nanos lands = s.world().now() + 4 * kSecond;
  Lose(&s, &leader, Bucket::kElection);
  Lose(&s, &c, Bucket::kAssignment,
       [&](const SentPut& put) { return put.put.key == to && s.world().now() < lands; });
  if (!s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().RunUntil(lands + kSecond);
  const bool rewritten = s.Owns(b, "p-2") && !s.Owns(b, "p-0");
  b.hooks().LetGo();
  s.world().RunFor(100 * kMillisecond);
  const bool given_back = !s.Owns(b, "p-2");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Until(10 * kSecond, [&] { return s.Owns(c, "p-2"); })) {
    Break(&s, "what a worker gave back goes to another", "it was not within 10 s");
  }
  return s.Verdict(rewritten && given_back);
}

// [1] A worker drains for a document that grants something, which a power cut takes back. The next
// leader isn't to take it for heard before it has applied that one.
Played FencedWhileDraining(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartFollower(&s, "b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : c); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return !s.Owns(b, "p-0"); })) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, then);
  Lose(&s, &leader, Bucket::kElection);
  Lose(&s, &leader, Bucket::kAssignment);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  b.hooks().LetGo();
  s.world().RunFor(30 * kSecond);
  return s.Verdict(true);
}

// Of a leader that knows no past the scan lacks a worker that has applied nothing yet, and whose
// read of the fence was answered by its predecessor's record: the answer is on its way for long.
Played FenceAnsweredLate(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 10 * kSecond;
  Stage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "c";
  birth.settings = scenario.settings;
  birth.settings->assume_new_group = false;
  birth.settings->capacity = 0;
  Process& c = s.world().StartProcess(birth);
  s.world().RunFor(100 * kMillisecond);
  const std::uint64_t before_b = s.network().stream(Bucket::kHeartbeat).last_sequence();
  birth.name = "b";
  birth.settings->capacity = 1;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  birth.settings->request_timeout = 15 * kSecond;
  Process& b = s.world().StartProcess(birth);
  bool beaten = false;
  Lose(&s, &leader, Bucket::kAssignment, [&](const SentPut&) { return !beaten; });
  s.world().RunFor(1500 * kMillisecond);
  s.network().StallWatches(b, Bucket::kElection);
  Network::Ambush slow;
  slow.process = &b;
  slow.put = false;
  slow.bucket = Bucket::kElection;
  slow.fate = Fate::kSlowAnswer;
  slow.delay = 9 * kSecond;
  s.network().Lay(slow);
  bool granted = false;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    granted = granted || (bucket == Bucket::kAssignment && key == s.Id(b));
  });
  beaten = true;
  if (!s.Until(3 * kSecond, [&] { return granted; })) return s.Verdict(false);
  s.world().RunFor(20 * kMillisecond);
  Lose(&s, &leader, Bucket::kAssignment);
  Lose(&s, &c, Bucket::kHeartbeat);
  const Stream& beats = s.network().stream(Bucket::kHeartbeat);
  const auto last = [&] { return beats.Revision(s.Id(leader)) == beats.last_sequence(); };
  if (!s.Until(3 * kSecond, last)) return s.Verdict(false);
  leader.Crash();
  b.Pause();
  s.network().ShortenScans(c, Bucket::kHeartbeat, before_b);
  s.network().Purge(Bucket::kHeartbeat, s.Id(leader));
  s.network().Wipe(Bucket::kAssignment);
  s.network().Delete(Bucket::kElection, "leader");
  if (!s.Until(5 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().RunFor(100 * kMillisecond);
  s.network().HealAll();
  s.network().BreakWatches(&c);
  Lose(&s, &b, Bucket::kHeartbeat,
       [](const SentPut& put) { return put.heartbeat && put.heartbeat->applied_revision > 0; });
  b.Resume();
  s.Start("d");
  if (!s.Until(10 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  b.Pause();
  s.world().RunFor(20 * kSecond);
  return s.Verdict(true);
}

// Claims and heartbeats are wiped. What an id's next life is to be called only a document tells.
Played NumberOfADocument(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.worker_id_prefix = "x-";
  scenario.settings.lease = 4 * kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& former = StartOnlyOne(&s, "b");
  s.world().RunFor(kSecond);
  former.Crash();
  Process& b = s.world().Restart(former);
  if (!s.Settle()) return s.Verdict(false);
  b.Leave();
  s.world().RunFor(kSecond);
  const wire::Doc* standing = s.world().kv().DocOf(kId);
  if (standing == nullptr || standing->life_incarnation < 2) return s.Verdict(false);
  const std::uint64_t named = standing->life_incarnation;
  s.network().Wipe(Bucket::kStableId);
  s.network().Wipe(Bucket::kHeartbeat);
  std::uint64_t first = 0;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kHeartbeat || key != kId || first != 0) return;
    const Stream& beats = s.network().stream(Bucket::kHeartbeat);
    const auto record = wire::DecodeHeartbeat(beats.At(beats.last_sequence()).value);
    if (record.ok() && record->kind == wire::HeartbeatKind::kLive) first = record->incarnation;
  });
  StartOnlyOne(&s, "c");
  if (!s.Until(15 * kSecond, [&] { return first != 0; })) return s.Verdict(false);
  if (first <= named) {
    Break(&s, "a life comes after the one that its document names",
          "incarnation " + std::to_string(first) + " after " + std::to_string(named));
  }
  return s.Verdict(true);
}

// All that tells of an id is wiped, and another life of it begins before the present one has sent
// its next heartbeat. Both bear one number, and the key is the new one's.
Played TwoLivesOfOneNumber(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.worker_id_prefix = "x-";
  Stage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = StartOnlyOne(&s, "b");
  if (!s.Settle()) return s.Verdict(false);
  int beats = 0;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket == Bucket::kHeartbeat && key == kId) ++beats;
  });
  if (!s.Until(3 * kSecond, [&] { return beats == 1; })) return s.Verdict(false);
  leader.Crash();  // it would evict either
  for (const Bucket bucket : {Bucket::kStableId, Bucket::kHeartbeat, Bucket::kAssignment}) {
    s.network().Wipe(bucket);
  }
  Process& c = StartOnlyOne(&s, "c");
  const auto joined = [&] { return beats > 1; };
  if (!s.Until(kSecond / 2, joined)) return s.Verdict(false);
  s.world().RunFor(10 * kMillisecond);
  if (s.Id(c) != kId) return s.Verdict(false);
  if (!s.Until(3 * kSecond, [&] { return b.state() == State::kClaimingId; })) {
    Break(&s, "who finds another's heartbeat under its key gives its life up",
          "it goes on 3 s later");
  }
  return s.Verdict(true);
}

// A worker sees its first document, and can't check its fence. Then all that tells of that term is
// lost, and the next one bears its epoch again; in the new bucket revisions begin anew.
Played DocumentOfALostTerm(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  ScriptedStage s(scenario, history, 1);
  Process& a = s.StartLeader();
  Process& c = s.Start("c");
  World::Birth birth;
  birth.name = "d";  // who is given nothing has no document that would be missed
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 3 * kSecond;
  birth.settings->capacity = 0;
  Process& d = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(c); };
  for (int i = 2; i <= 6; ++i) {
    s.world().RunFor(kSecond / 2);
    s.world().SetPartitions(i);
  }
  if (!s.Until(3 * kSecond, [&] { return s.Owns(c, "p-5"); }) || !a.leads())
    return s.Verdict(false);
  s.network().StallWatches(d, Bucket::kElection);
  Process& b = StartFollower(&s, "b");
  Lose(&s, &b, Bucket::kHeartbeat, [&](const SentPut&) { return !c.leads(); });
  s.world().RunFor(20 * kMillisecond);
  s.network().StallWatches(b, Bucket::kElection);
  Network::Ambush unread;
  unread.process = &b;
  unread.put = false;
  unread.bucket = Bucket::kElection;
  unread.fate = Fate::kLoseRequest;
  unread.times = 1000;
  s.network().Lay(unread);
  Lose(&s, &a, Bucket::kElection);
  s.world().RunFor(20 * kMillisecond);
  const std::uint64_t then = s.network().stream(Bucket::kElection).last_sequence();
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  const auto given = [&] {
    const wire::Doc* doc = s.world().kv().DocOf(s.Id(b));
    return doc != nullptr && !doc->owned.empty();
  };
  if (!s.Until(3 * kSecond, given)) return s.Verdict(false);
  s.world().RunFor(20 * kMillisecond);
  const std::uint64_t epoch = c.epoch();
  a.Crash();
  c.Crash();
  s.network().LoseEnd(Bucket::kElection, then);
  s.network().Wipe(Bucket::kAssignment);
  s.network().Purge(Bucket::kHeartbeat, s.Id(a));
  s.network().Purge(Bucket::kHeartbeat, s.Id(c));
  if (!s.Until(15 * kSecond, [&] { return d.leads(); })) return s.Verdict(false);
  const bool shared = d.epoch() == epoch;
  s.network().HealAll();
  if (!s.Until(40 * kSecond, [&] { return s.Owns(b, "p-5"); })) {
    Break(&s, "a worker applies documents of a bucket that begins anew", "it has none 40 s later");
  }
  return s.Verdict(shared);
}

}  // namespace parti::simulation
