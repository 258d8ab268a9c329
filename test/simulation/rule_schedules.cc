#include "test/simulation/plays.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "internal/wire/records.h"
#include "test/simulation/stage.h"

namespace parti::simulation {

// [2] A deposed leader's grant lands after its successor gave the partition to somebody else.
// (Which takes the dead leader's lease: until then it might hold what nobody else is known to
// hold.)
Played CheckFence(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  std::string to;
  s.DelayGrant(leader, "p-2", 40 * kSecond, &to);
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  leader.Crash();
  Process& joiner = s.Start("d");
  const bool moved = s.Until(35 * kSecond, [&] { return s.Owns(joiner, "p-2"); });
  s.world().RunFor(15 * kSecond);
  return s.Verdict(moved);
}

namespace {

// [6] The same, while the successor is taking the partition away from whom it gave it to, in order
// to give it to the very worker whose stale document then appears. Consistent hashing does that
// when a worker comes and another goes.
// `holder_first`: the holder's id comes before that worker's.
Played TakeBack(std::uint64_t seed, History* history, bool holder_first) {
  // Longer than a lease, and shorter than what a worker waits before it looks for a document
  // itself.
  constexpr Nanos kDelay = 30 * kSecond;
  ScriptedStage s(Calm(seed), history, 1);
  Process& leader = s.StartLeader();
  Process* holder = nullptr;
  if (holder_first) {
    holder = &s.Start("d");
    s.world().RunFor(100 * kMillisecond);
  }
  const Process& b = s.Start("b");
  const Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  std::string to;
  s.DelayGrant(leader, "p-1", kDelay, &to);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  s.world().SetPartitions(2);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  const Nanos lands = s.world().now() + kDelay;
  if (!holder_first) holder = &s.Start("d");
  const Process& d = *holder;
  Process& idle = s.Start("e");
  s.world().RunFor(50 * kMillisecond);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? d : c); };
  leader.Crash();
  if (!s.Settle() || !s.Owns(d, "p-1") || to != s.Id(b)) return s.Verdict(false);
  if ((s.Id(d) < s.Id(b)) != holder_first) return s.Verdict(false);
  // The holder hears nothing when it is asked to give it back.
  s.world().RunUntil(lands - kSecond);
  s.network().StallWatches(d, Bucket::kAssignment);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  idle.Leave();
  s.world().RunUntil(lands + 3 * kSecond);
  return s.Verdict(true);
}

}  // namespace

Played RewriteIsGrant(std::uint64_t seed, History* history) {
  return TakeBack(seed, history, false);
}

Played SeveralHold(std::uint64_t seed, History* history) { return TakeBack(seed, history, true); }

// [7] A grant without an answer lands after the leader itself changed its mind.
Played RememberUnanswered(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.release_timeout = kSecond;  // an unsettled rebalance is waited for no longer
  Stage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  std::string to;
  s.DelayGrant(leader, "p-2", 6 * kSecond, &to);
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  s.Start("d");
  s.world().RunFor(12 * kSecond);
  return s.Verdict(true);
}

// [8] A watch that is opened anew shows a document that was superseded long ago.
Played ForwardOnly(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  s.network().ShortenScans(b, Bucket::kAssignment, then);
  s.network().BreakWatches(&b);
  s.world().RunFor(5 * kSecond);
  return s.Verdict(true);
}

// [1] A new leader whose scans end before the last grant and its acknowledgement.
Played ScanReachesEnd(std::uint64_t seed, History* history) {
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  Process& joiner = s.Start("d");
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t documents = s.network().stream(Bucket::kAssignment).last_sequence();
  const std::uint64_t heartbeats = s.network().stream(Bucket::kHeartbeat).last_sequence();
  for (const Process* process : {&b, &c, &joiner}) {
    s.network().ShortenScans(*process, Bucket::kAssignment, documents);
    s.network().ShortenScans(*process, Bucket::kHeartbeat, heartbeats);
  }
  s.world().SetPartitions(3);
  const bool granted = s.Until(2 * kSecond, [&] { return s.world().Unsettled() == std::nullopt; });
  leader.Crash();
  // The list shrinks and grows: the strategy sees another order of things than before.
  s.world().SetPartitions(std::vector<int>{2});
  s.world().RunFor(15 * kSecond);
  return s.Verdict(granted);
}

namespace {

// A partition moves from b to c, and `trouble` keeps b from giving it up soon.
Played Move(std::uint64_t seed, History* history,
            const std::function<void(Stage&, Process&)>& trouble,
            const std::function<void(Stage&, Process&)>& end) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  trouble(s, b);
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(3 * kSecond);
  end(s, b);
  return s.Verdict(s.Until(5 * kSecond, [&] { return s.Owns(c, "p-1"); }));
}

}  // namespace

// [3] What it works on with p-1 takes long to drain.
Played MoveOfWhatDrains(std::uint64_t seed, History* history) {
  return Move(
      seed, history, [](Stage&, Process& b) { b.hooks().Hold(); },
      [](Stage&, Process& b) { b.hooks().LetGo(); });
}

// [4] It isn't told that p-1 is to go.
Played MoveUntold(std::uint64_t seed, History* history) {
  return Move(
      seed, history, [](Stage& s, Process& b) { s.network().StallWatches(b, Bucket::kAssignment); },
      [](Stage& s, Process& b) { s.network().BreakWatches(&b); });
}

// [5] A successor that doesn't hear of a worker's new life, and a predecessor that does, and
// doesn't know yet that it was deposed.
Played NeverOlderLife(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.election_ttl = 9 * kSecond;
  scenario.settings.lease = 15 * kSecond;
  scenario.settings.heartbeat_interval = 5 * kSecond;
  scenario.settings.drift_ppm =
      200'000;  // so that nobody evicts the old life before the new one comes
  Stage s(scenario, history, 4);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  // The new life's first heartbeat is under way while the successor takes over and reads.
  bool under_way = false;
  Network::Ambush slow;
  slow.process = &b;
  slow.bucket = Bucket::kHeartbeat;
  slow.fate = Fate::kSlow;
  slow.delay = 450 * kMillisecond;
  slow.when = [&](const SentPut& put) {
    return under_way = put.heartbeat && put.heartbeat->incarnation > 1;
  };
  s.network().Lay(slow);
  s.network().Cut(&b);
  s.world().RunFor(14 * kSecond);
  s.network().Heal(&b);
  b.Pause();
  s.world().RunFor(kSecond + 500 * kMillisecond);
  b.Resume();
  if (!s.Until(5 * kSecond, [&] { return under_way; })) return s.Verdict(false);
  // No heartbeat tells the predecessor of the later epoch.
  Network::Ambush lost;
  lost.process = &c;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 8;
  s.network().Lay(lost);
  s.network().StallWatches(b, Bucket::kElection);
  s.network().StallWatches(leader, Bucket::kElection);
  s.network().Delete(Bucket::kElection, "leader");
  if (!s.Until(400 * kMillisecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().RunFor(20 * kMillisecond);
  s.network().StallWatches(c, Bucket::kHeartbeat);
  s.world().RunFor(10 * kSecond);
  return s.Verdict(true);
}

// [2] Two terms of one epoch, which only their nonces tell apart: a leader's record is deleted
// before any heartbeat tells of its epoch, and whoever leads next never saw it. Then the first
// one's grant lands.
Played TermsOfOneEpoch(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 8 * kSecond;
  ScriptedStage s(scenario, history, 1);
  // It never stands for election itself.
  World::Birth birth;
  birth.name = "w";
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 60 * kSecond;
  Network::Ambush slow;  // its heartbeat comes later than the leader's election
  slow.bucket = Bucket::kHeartbeat;
  slow.fate = Fate::kSlow;
  slow.delay = 100 * kMillisecond;
  Process& w = s.world().StartProcess(birth);
  slow.process = &w;
  s.network().Lay(slow);
  birth.name = "a";  // who is given nothing gets no document, which would tell of the epoch
  birth.settings = scenario.settings;
  birth.settings->capacity = 0;
  Process& leader = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(w); };
  // Its heartbeats tell of no epoch, either, until the next leader leads.
  bool quiet = true;
  Network::Ambush lost;
  lost.process = &w;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.when = [&](const SentPut& put) {
    return quiet && put.heartbeat && put.heartbeat->highest_epoch > 0;
  };
  s.network().Lay(lost);
  std::string to;
  s.DelayGrant(leader, "p-0", 40 * kSecond, &to);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); }) || to != s.Id(w)) return s.Verdict(false);
  s.network().StallWatches(w, Bucket::kElection);
  s.network().Cut(&leader);
  s.network().Delete(Bucket::kElection, "leader");
  s.network().Purge(Bucket::kHeartbeat, s.Id(leader));
  Process& c = s.Start("c");
  lost.process = &c;
  lost.bucket = Bucket::kAssignment;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.when = [&](const SentPut& put) { return put.put.key == s.Id(w); };
  s.network().Lay(lost);
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(3 * kSecond, [&] { return c.leads() && c.epoch() == leader.epoch(); });
  quiet = false;
  s.world().RunFor(50 * kSecond);
  return s.Verdict(led);
}

// Somebody deletes a worker's first document, which the worker has seen, and can't check yet. Its
// leader finds that out when it wants to take back what the document grants.
Played DeletedDocument(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.release_timeout = kSecond;  // an unsettled rebalance is waited for no longer
  ScriptedStage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(b); };
  bool written = false;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    written = written || (bucket == Bucket::kAssignment && key == s.Id(b));
  });
  Network::Ambush unanswered;
  unanswered.process = &b;
  unanswered.put = false;
  unanswered.bucket = Bucket::kElection;
  unanswered.fate = Fate::kLoseRequest;
  unanswered.times = 6;
  s.network().Lay(unanswered);
  if (!s.Until(3 * kSecond, [&] { return written; })) return s.Verdict(false);
  s.world().RunFor(50 * kMillisecond);
  s.network().StallWatches(leader, Bucket::kAssignment);
  s.network().StallWatches(b, Bucket::kAssignment);
  s.network().Delete(Bucket::kAssignment, s.Id(b));
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(10 * kSecond);
  return s.Verdict(true);
}

// A leader's last renewals get lost, and its heartbeats don't: the record that its successor judges
// by tells of an older one than the one that it finds. Then the leader is cut off.
Played BeatAfterTheRecord(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 3 * kSecond;
  Stage s(scenario, history, 2);
  Process& leader = s.Start("a");
  s.world().RunFor(200 * kMillisecond);
  s.Start("b");
  if (!s.Settle() || !leader.leads()) return s.Verdict(false);
  int beats = 0;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket == Bucket::kHeartbeat && key == s.Id(leader)) ++beats;
  });
  if (!s.Until(4 * kSecond, [&] { return beats == 1; })) return s.Verdict(false);
  s.world().RunFor(300 * kMillisecond);  // a renewal follows each heartbeat
  Network::Ambush lost;
  lost.process = &leader;
  lost.bucket = Bucket::kElection;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  s.network().Lay(lost);
  s.network().StallWatches(leader, Bucket::kElection);  // or it would tell its successor at once
  if (!s.Until(4 * kSecond, [&] { return beats == 2; })) return s.Verdict(false);
  s.world().RunFor(50 * kMillisecond);
  s.network().Cut(&leader);
  s.world().RunFor(30 * kSecond);
  return s.Verdict(s.LeaderOtherThan(leader) != nullptr);
}

// A deposed leader, which doesn't know it yet, evicts a worker; the heartbeat that its tombstone
// replaces was never received by its successor, an older one was.
Played TombstoneOfTheUnseen(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 4 * kSecond;
  scenario.settings.election_ttl = 9 * kSecond;
  scenario.settings.release_timeout = 4 * kSecond;
  ScriptedStage s(scenario, history, 3);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& d = s.Start("d");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? d : b); };
  if (!s.Settle()) return s.Verdict(false);
  int beats = 0;
  std::uint64_t evicted_by = 0;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kHeartbeat || key != s.Id(b)) return;
    const Stream& stream = s.network().stream(bucket);
    const auto record = wire::DecodeHeartbeat(stream.At(stream.last_sequence()).value);
    if (record.ok() && record->kind == wire::HeartbeatKind::kEvicted && evicted_by == 0) {
      evicted_by = record->evicting_epoch;
    }
    ++beats;
  });
  if (!s.Until(5 * kSecond, [&] { return beats == 1; })) return s.Verdict(false);
  Network::Ambush lost;
  lost.process = &leader;
  lost.bucket = Bucket::kElection;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  s.network().Lay(lost);
  for (const Process* process : {&leader, &b}) {
    s.network().StallWatches(*process, Bucket::kElection);
  }
  // It would see that others have seen a later epoch; what it evicts it reads again.
  s.network().StallWatches(leader, Bucket::kHeartbeat);
  // It isn't told what it has to release.
  s.network().StallWatches(b, Bucket::kAssignment);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : d); };
  leader.Deliver(core::RebalanceRequested{});
  World::Birth birth;
  birth.name = "c";
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 400 * kMillisecond;
  birth.settings->capacity = 0;
  Process& successor = s.world().StartProcess(birth);
  if (!s.Until(2 * kSecond, [&] { return successor.leads(); })) return s.Verdict(false);
  s.world().RunFor(200 * kMillisecond);
  s.network().StallWatches(successor, Bucket::kHeartbeat);
  if (beats != 1 || !s.Until(5 * kSecond, [&] { return beats == 2; })) return s.Verdict(false);
  s.world().RunFor(50 * kMillisecond);
  s.network().Cut(&b);
  s.owner = [&](const std::string&) { return s.Id(d); };
  s.world().RunFor(30 * kSecond);
  return s.Verdict(successor.leads() && evicted_by == 1);
}

// Claim and heartbeat of a worker that is cut off vanish without a trace, and a process joins that
// has no other id to take. A document still tells of the life that may go on.
Played PurgedId(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.max_workers = 2;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  s.network().Cut(&b);
  s.network().Purge(Bucket::kStableId, s.Id(b));
  s.network().Purge(Bucket::kHeartbeat, s.Id(b));
  s.Start("c");
  s.world().RunFor(10 * kSecond);
  return s.Verdict(true);
}

// A process waits for one of the ids, all of which are taken, and hears nothing for a while. Then
// the holder of one is cut off, its claim and heartbeat vanish, and the next thing that the process
// sees is that they are gone. Their holder was alive until a moment ago.
Played VanishedId(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.max_workers = 2;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  Process& c = s.Start("c");
  s.world().RunFor(kSecond);
  const bool waits = !s.world().claims().has_lease(c.number());
  s.network().StallWatches(c);
  s.world().RunFor(12 * kSecond);
  s.network().Cut(&b);
  s.network().Purge(Bucket::kStableId, s.Id(b));
  s.network().Purge(Bucket::kHeartbeat, s.Id(b));
  s.network().BreakWatches(&c);
  s.world().RunFor(30 * kSecond);
  return s.Verdict(waits);
}

// A worker that doesn't release what it should is evicted after release_timeout, and its partitions
// go on to others once its lease is over.
Played StuckRelease(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 2 * kSecond;
  scenario.settings.heartbeat_interval = kSecond / 2;
  scenario.settings.release_timeout = 3 * kSecond;
  Stage s(scenario, history, 4);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  Process& c = s.Start("c");
  const auto owns_half = [&] { return s.world().claims().OwnedCount(c.number()) >= 2; };
  if (!s.Until(8 * kSecond, owns_half) && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "who doesn't release in time is evicted",
                                      "what it held went to nobody within 8 s");
  }
  return s.Verdict(true);
}

namespace {

// Two workers swap their partitions. One gives its own up at once, so that the other is granted it
// by a second document while it still drains what the first one takes away.
// `partitions`: b has the first half of them.
Played Swap(std::uint64_t seed, History* history, int partitions, std::size_t max_doc_bytes) {
  Scenario scenario = Calm(seed);
  scenario.settings.max_doc_bytes = max_doc_bytes;
  ScriptedStage s(scenario, history, partitions);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  const std::string half = fmt::format("p-{}", partitions / 2);
  s.owner = [&](const std::string& id) { return s.Id(id < half ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id < half ? c : b); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(2 * kSecond);
  const bool drains = !s.Owns(b, "p-0") && !s.Owns(c, half) && !s.Owns(c, "p-0");
  b.hooks().LetGo();
  const auto swapped = [&] { return s.Owns(b, half) && s.Owns(c, "p-0"); };
  if (drains && !s.Until(8 * kSecond, swapped) && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(),
                                      "what comes while a worker drains is applied afterwards",
                                      "the partitions were not swapped within 8 s");
  }
  return s.Verdict(drains);
}

}  // namespace

Played DocumentWhileDraining(std::uint64_t seed, History* history) {
  return Swap(seed, history, 2, Calm(seed).settings.max_doc_bytes);
}

// The same, of more than has room in a document beside what is to be released.
Played MovesInBatches(std::uint64_t seed, History* history) {
  return Swap(seed, history, 4, wire::kDocBaseBytes + 3 * wire::DocBytesPerPartition("p-0"));
}

// What a worker gave back goes to another for a while, whatever the strategy says.
Played GivenBack(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(b); };
  b.hooks().FailAcquires("no");
  const auto owns_it = [&] { return s.Owns(c, "p-0") && s.Owns(c, "p-1"); };
  const bool given = s.Until(4 * kSecond, owns_it);
  if (!given && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "what a worker gave back goes to another",
                                      "another that could have it was given nothing within 4 s");
  }
  return s.Verdict(true);
}

// The document that a worker applied vanishes without a trace, and then its leader leaves.
Played UnexplainedHoldsAll(std::uint64_t seed, History* history) {
  Stage s(seed, history, 6);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  s.network().Purge(Bucket::kAssignment, s.Id(b));
  leader.Leave();
  s.world().RunFor(30 * kSecond);
  return s.Verdict(true);
}

}  // namespace parti::simulation
