#include "test/simulation/plays.h"

#include <functional>
#include <string>

#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

constexpr char kId[] = "worker-0";

// Everybody else takes ids that come after kId.
Scenario OthersElsewhere(std::uint64_t seed) {
  Scenario scenario = Calm(seed);
  scenario.settings.worker_id_prefix = "x-";
  return scenario;
}

// This process can take no other id than kId, and doesn't lead.
World::Birth OnlyOneId(const Scenario& scenario, const std::string& name) {
  World::Birth birth;
  birth.name = name;
  birth.settings = scenario.settings;
  birth.settings->worker_id_prefix = "worker-";
  birth.settings->max_workers = 1;
  birth.settings->election_ttl = 60 * kSecond;
  return birth;
}

// A document is under way to b's life while all buckets but the election's are wiped. Numbers begin
// anew, and it meets the revision that it expects: that of the document by which b's next life
// holds p-2, too, of which the one that lands doesn't tell. `end` begins a second before.
// `later`: the life that it is for bears a greater number than the next one.
Played Stray(std::uint64_t seed, History* history, bool later,
             const std::function<void(ScriptedStage&, Process& b, Process& c)>& end,
             int documents = 1) {
  constexpr Nanos kDelay = 20 * kSecond;
  Scenario scenario = OthersElsewhere(seed);
  scenario.settings.lease = 4 * kSecond;
  // An unsettled rebalance is waited for no longer.
  if (!later && documents > 1) scenario.settings.release_timeout = kSecond / 5;
  scenario.settings.cold_start_window = 2 * kSecond;  // b is back before c plans
  ScriptedStage s(scenario, history, 1);
  s.owner = [](const std::string&) { return kId; };
  Process& leader = s.StartLeader();
  Process* b = &s.world().StartProcess(OnlyOneId(scenario, "b"));
  s.world().RunFor(200 * kMillisecond);
  if (later) {
    b->Crash();
    b = &s.world().Restart(*b);
  }
  if (!s.Settle()) return s.Verdict(false);
  for (int i = 2; i <= documents; ++i) {
    s.world().SetPartitions(i);
    s.world().RunFor(kSecond);
  }
  const std::uint64_t meets = s.network().stream(Bucket::kAssignment).Revision(kId);
  bool sent = false;
  Network::Ambush late;
  late.process = &leader;
  late.bucket = Bucket::kAssignment;
  late.key = kId;
  late.fate = Fate::kLandLate;
  late.delay = kDelay;
  const std::string added = "p-" + std::to_string(documents);
  const std::string untold = "p-" + std::to_string(documents + 1);
  late.when = [&](const SentPut& put) { return sent = Stage::Grants(put, added); };
  s.network().Lay(late);
  s.world().SetPartitions(documents + 1);
  if (!s.Until(3 * kSecond, [&] { return sent; })) return s.Verdict(false);
  const Nanos lands = s.world().now() + kDelay;
  leader.Crash();
  for (const Bucket bucket : {Bucket::kStableId, Bucket::kHeartbeat, Bucket::kAssignment}) {
    s.network().Wipe(bucket);
  }
  s.world().SetPartitions(documents + 2);
  Process& c = s.Start("c");
  if (!s.Until(13 * kSecond, [&] { return s.Owns(*b, untold); })) return s.Verdict(false);
  // The term that found the buckets wiped knows its own documents; a later one doesn't.
  bool quiet = true;
  Network::Ambush renewal;
  renewal.process = &c;
  renewal.bucket = Bucket::kElection;
  renewal.fate = Fate::kLoseRequest;
  renewal.times = 1000;
  renewal.when = [&](const SentPut&) { return quiet; };
  s.network().Lay(renewal);
  const bool lapsed = s.Until(3 * kSecond, [&] { return !c.leads(); });
  quiet = false;
  if (!lapsed || !s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  if (s.world().now() > lands - 2 * kSecond) return s.Verdict(false);
  s.world().RunUntil(lands - kSecond);
  bool met = s.network().stream(Bucket::kAssignment).Revision(kId) == meets;
  if (documents > 1) {
    s.network().OnChange([&](Bucket bucket, const std::string& key) {
      const Stream& docs = s.network().stream(Bucket::kAssignment);
      if (bucket == Bucket::kAssignment && key == kId && docs.Revision(kId) == meets) met = true;
    });
  }
  end(s, *b, c);
  return s.Verdict(met);
}

void CutOffAsItLands(ScriptedStage& s, Process& b, Process& c) {
  s.world().RunFor(990 * kMillisecond);
  s.network().Cut(&b);
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunFor(15 * kSecond);
}

}  // namespace

// The life that the document is for has the number of the one that holds p-2.
Played DocumentOfATwin(std::uint64_t seed, History* history) {
  return Stray(seed, history, false, CutOffAsItLands);
}

// It has a greater one: its tombstone names both.
Played DocumentOfALaterLife(std::uint64_t seed, History* history) {
  return Stray(seed, history, true, CutOffAsItLands);
}

// The same, just after the life that held p-2 was evicted, and while that is waited for: its
// tombstone doesn't end the one that the document is for, and nothing else would.
Played TombstoneOfAnEarlierLife(std::uint64_t seed, History* history) {
  return Stray(seed, history, true, [](ScriptedStage& s, Process& b, Process& c) {
    b.Crash();
    s.network().Delete(Bucket::kHeartbeat, kId);
    s.owner = [&](const std::string&) { return s.Id(c); };
    const auto owns_all = [&] { return s.Owns(c, "p-0") && s.Owns(c, "p-1") && s.Owns(c, "p-2"); };
    if (!s.Until(20 * kSecond, owns_all) && s.world().verdict().good()) {
      s.world().shared().verdict.Broken(s.world().now(), "what the dead held goes to others",
                                        "the partitions of an evicted life went to nobody");
    }
  });
}

// p-4 is being taken from b, which isn't told, when a document lands that doesn't tell of it.
Played MoveForgotten(std::uint64_t seed, History* history) {
  return Stray(
      seed, history, true,
      [](ScriptedStage& s, Process& b, Process& c) {
        s.world().RunFor(500 * kMillisecond);
        s.network().StallWatches(b, Bucket::kAssignment);
        s.owner = [&](const std::string& id) { return id == "p-4" ? s.Id(c) : kId; };
        c.Deliver(core::RebalanceRequested{});
        s.world().RunFor(10 * kSecond);
      },
      3);
}

// The document is for an earlier life than the one that was given everything just now, of which no
// heartbeat tells yet.
Played GrantForgotten(std::uint64_t seed, History* history) {
  return Stray(
      seed, history, false,
      [](ScriptedStage& s, Process& b, Process& c) {
        const Nanos start = s.world().now();
        b.Crash();
        Process& next = s.world().Restart(b);
        Network::Ambush lost;
        lost.process = &next;
        lost.bucket = Bucket::kHeartbeat;
        lost.fate = Fate::kLoseRequest;
        lost.times = 1000;
        lost.when = [](const SentPut& put) {
          return put.heartbeat && put.heartbeat->applied_revision != 0;
        };
        s.network().Lay(lost);
        s.world().RunUntil(start + 600 * kMillisecond);
        Network::Ambush slow;
        slow.process = &c;
        slow.bucket = Bucket::kAssignment;
        slow.key = kId;
        slow.fate = Fate::kSlow;
        slow.delay = kSecond;
        s.network().Lay(slow);
        s.owner = [&](const std::string& id) { return id == "p-4" ? s.Id(c) : kId; };
        c.Deliver(core::RebalanceRequested{});
        s.world().RunFor(10 * kSecond);
      },
      3);
}

// A life whose heartbeat was deleted is evicted, and then a document for a later one lands: nothing
// tells any more of p-2, and its lease isn't over.
Played DeletedThenStray(std::uint64_t seed, History* history) {
  return Stray(seed, history, true, [](ScriptedStage& s, Process& b, Process& c) {
    s.network().Cut(&b);
    s.network().Delete(Bucket::kHeartbeat, kId);
    s.owner = [&](const std::string&) { return s.Id(c); };
    s.world().RunFor(15 * kSecond);
  });
}

// A backup brings a document back by which b owned what c was given since, of the term that still
// leads. Nobody tells, and b looks for its document itself.
Played PollOfARestoredDocument(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.poll_interval = 60 * kSecond;  // the leader would notice
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Until(5 * kSecond, [&] { return s.Owns(b, "p-0") && s.Owns(b, "p-1"); })) {
    return s.Verdict(false);
  }
  s.world().RunFor(100 * kMillisecond);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? c : b); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(3 * kSecond, [&] { return s.Owns(c, "p-1"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  const std::uint64_t epoch = leader.epoch();
  s.network().RollBack(Bucket::kAssignment, then);
  s.network().StallWatches(leader, Bucket::kAssignment);
  s.world().RunFor(15 * kSecond);
  return s.Verdict(leader.leads() && leader.epoch() == epoch);
}

// A process waits for the id of b, and hears nothing any more. The heartbeats are restored from a
// backup, b goes on there, and just when the process has waited long enough b's newest heartbeat
// has the revision that it watched. Then b is cut off.
Played RevisionComesAround(std::uint64_t seed, History* history) {
  Scenario scenario = OthersElsewhere(seed);
  Stage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.world().StartProcess(OnlyOneId(scenario, "b"));
  if (!s.Settle()) return s.Verdict(false);
  const Stream* stream = &s.network().stream(Bucket::kHeartbeat);
  const std::uint64_t then = stream->last_sequence();
  s.world().RunFor(45 * kSecond);
  Process& joiner = s.world().StartProcess(OnlyOneId(scenario, "c"));
  s.world().RunFor(200 * kMillisecond);
  s.network().StallWatches(joiner, Bucket::kHeartbeat);
  s.world().RunFor(20 * kMillisecond);  // what was under way to it has arrived
  const std::uint64_t watched = stream->Revision(kId);
  const std::uint64_t claim = s.network().stream(Bucket::kStableId).Revision(kId);
  joiner.Pause();
  s.network().RollBack(Bucket::kHeartbeat, then);
  const auto near = [&] {
    stream = &s.network().stream(Bucket::kHeartbeat);
    return stream->last_sequence() + 1 >= watched;
  };
  if (!s.Until(60 * kSecond, near)) return s.Verdict(false);
  Network::Ambush lost;
  lost.process = &leader;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  s.network().Lay(lost);
  s.Until(2 * kSecond, [&] { return stream->Revision(kId) >= watched; });
  if (stream->Revision(kId) != watched) return s.Verdict(false);
  s.world().RunFor(50 * kMillisecond);
  s.network().Cut(&b);
  joiner.Resume();
  s.world().RunFor(3 * kSecond);
  const bool tried = s.network().stream(Bucket::kStableId).Revision(kId) != claim;
  s.world().RunFor(10 * kSecond);
  return s.Verdict(tried);
}

}  // namespace parti::simulation
