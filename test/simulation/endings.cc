#include "test/simulation/plays.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "internal/wire/records.h"
#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

constexpr char kId[] = "worker-0";

void Require(Stage* s, bool kept, std::string_view promise, std::string_view otherwise) {
  if (kept || !s->world().verdict().good()) return;
  s->world().shared().verdict.Broken(s->world().now(), std::string(promise),
                                     std::string(otherwise));
}

std::uint64_t Wish(Stage* s, const wire::Control& control) {
  return s->network().Write(Bucket::kElection, std::string(wire::kControlKey),
                            wire::Encode(control));
}

// What the key of the election bucket says now.
std::string Standing(Stage* s, std::string_view key) {
  const Stream& stream = s->network().stream(Bucket::kElection);
  return stream.At(stream.Revision(std::string(key))).value;
}

World::Birth Born(const Scenario& scenario, const std::string& name, Nanos lease) {
  World::Birth birth;
  birth.name = name;
  birth.settings = scenario.settings;
  birth.settings->lease = lease;
  return birth;
}

// The next life of an id bears a longer lease than the one before, which was evicted. A power cut
// takes all of its heartbeats back, so that the tombstone stands again; it is cut off, and the
// leader crashes. `silenced`: the next leader's tombstones get lost.
Played EarlierTombstone(std::uint64_t seed, History* history, bool silenced) {
  constexpr Nanos kLong = 20 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.lease_max = kLong;
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.worker_id_prefix = "x-";  // others' ids come after kId
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& c = s.Start("c");
  const auto only = [&](const std::string& name, Nanos lease) {
    World::Birth birth = Born(scenario, name, lease);
    birth.settings->worker_id_prefix = "worker-";
    birth.settings->max_workers = 1;
    birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
    return birth;
  };
  Process& b = s.world().StartProcess(only("b", 4 * kSecond));
  s.owner = [&](const std::string& id) { return id == "p-1" ? std::string(kId) : s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  b.Crash();
  const auto tombstone = [&] {
    const Stream& beats = s.network().stream(Bucket::kHeartbeat);
    const auto beat = wire::DecodeHeartbeat(beats.At(beats.Revision(kId)).value);
    return beat.ok() && beat->kind == wire::HeartbeatKind::kEvicted;
  };
  if (!s.Until(10 * kSecond, tombstone)) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kHeartbeat).Revision(kId);
  Process& next = s.world().StartProcess(only("d", kLong));
  if (!s.Until(20 * kSecond, [&] { return s.Owns(next, "p-1"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().Cut(&next);
  s.network().LoseEnd(Bucket::kHeartbeat, then);
  leader.Crash();
  if (silenced) {
    Network::Ambush lost;
    lost.process = &c;
    lost.bucket = Bucket::kHeartbeat;
    lost.key = kId;
    lost.fate = Fate::kLoseRequest;
    lost.times = 1000;
    s.network().Lay(lost);
  }
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(3 * kSecond, [&] { return c.leads(); });
  s.world().RunFor(25 * kSecond);
  return s.Verdict(led);
}

}  // namespace

// The tombstone that must be written for it bears the document's lease.
Played TombstoneOfAShorterLease(std::uint64_t seed, History* history) {
  return EarlierTombstone(seed, history, false);
}

// Until it is written, the earlier life's tells nothing of the later one.
Played EarlierTombstoneStands(std::uint64_t seed, History* history) {
  return EarlierTombstone(seed, history, true);
}

// A document of a first leader lands after a power cut that took one of its successor's back, as
// the very revision of that, which told of more. The next leader finds it.
Played RevisionTakenAgain(std::uint64_t seed, History* history) {
  constexpr Nanos kDelay = 10 * kSecond;
  const Scenario scenario = Calm(seed);
  ScriptedStage s(scenario, history, 1);
  Process& leader = s.StartLeader();
  World::Birth birth = Born(scenario, "c", scenario.settings.lease);
  birth.settings->capacity = 0;
  Process& c = s.world().StartProcess(birth);
  birth = Born(scenario, "b", scenario.settings.lease);
  birth.settings->election_ttl = 60 * kSecond;  // it doesn't lead
  Process& b = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(b); };
  std::string to;
  s.DelayGrant(leader, "p-0", kDelay, &to);
  if (!s.Until(3 * kSecond, [&] { return !to.empty(); })) return s.Verdict(false);
  const Nanos lands = s.world().now() + kDelay;
  Network::Ambush renewal;
  renewal.process = &leader;
  renewal.bucket = Bucket::kElection;
  renewal.fate = Fate::kLoseRequest;
  renewal.times = 1000;
  s.network().Lay(renewal);
  if (!s.Until(4 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().SetPartitions(2);
  if (!s.Until(4 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  s.world().RunUntil(lands - 5 * kMillisecond);
  const std::uint64_t newest = s.network().stream(Bucket::kAssignment).Revision(s.Id(b));
  c.Crash();
  s.network().LoseEnd(Bucket::kAssignment, 0);
  // What stood before it there is nobody's.
  for (std::uint64_t i = 1; i < newest; ++i) {
    s.network().Write(Bucket::kAssignment, "x", "");
    s.network().Purge(Bucket::kAssignment, "x");
  }
  Process& d = s.Start("d");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : d); };
  s.world().RunUntil(lands + 10 * kMillisecond);
  const bool taken = s.network().stream(Bucket::kAssignment).Revision(s.Id(b)) == newest;
  const bool led = s.Until(5 * kSecond, [&] { return d.leads(); });
  s.world().RunFor(15 * kSecond);
  return s.Verdict(taken && led);
}

// A worker is drained, and no more just before its leader dies: its empty document tells the next
// one that it was planned for.
Played LeaderDiesBeforeBalance(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.planned_scale_window = kSecond;
  Stage s(scenario, history, 4);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  wire::Control control;
  control.drained = {s.Id(b)};
  Wish(&s, control);
  s.world().RunFor(kSecond);
  if (!s.Settle()) return s.Verdict(false);
  Wish(&s, {});
  leader.Crash();
  const bool led = s.Until(5 * kSecond, [&] { return s.LeaderOtherThan(leader) != nullptr; });
  Require(&s, s.Settle(), "a successor ends what its predecessor was on the way to",
          "the group is out of balance 30 s later");
  return s.Verdict(led);
}

// A worker can't take what is pinned to it: that goes to another.
Played GivenBackThoughPinned(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.refusal_backoff = 20 * kSecond;
  ScriptedStage s(scenario, history, 1);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().FailAcquires("no");
  wire::Control control;
  control.pins = {{"p-1", s.Id(b)}};
  Wish(&s, control);
  s.world().RunFor(kSecond);
  bool tried = false;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kAssignment || key != s.Id(b)) return;
    const Stream& docs = s.network().stream(bucket);
    const auto doc = wire::DecodeDoc(docs.At(docs.Revision(key)).value);
    tried = tried || (doc.ok() && !doc->owned.empty());
  });
  s.world().SetPartitions(2);
  if (!s.Until(3 * kSecond, [&] { return tried; })) return s.Verdict(false);
  Require(&s, s.Until(5 * kSecond, [&] { return s.Owns(c, "p-1"); }),
          "what was given back goes to another", "it went to nobody within 5 s");
  return s.Verdict(true);
}

// What people want vanishes without a trace: then nothing is wanted.
Played ControlPurged(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  Stage s(scenario, history, 4);
  s.StartLeader();
  Process& b = s.Start("b");
  s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  wire::Control control;
  control.drained = {s.Id(b)};
  Wish(&s, control);
  s.world().RunFor(kSecond);
  if (!s.Settle()) return s.Verdict(false);
  s.network().Purge(Bucket::kElection, std::string(wire::kControlKey));
  Require(&s, s.Settle(), "without a control record nothing is wanted",
          "a worker is drained 30 s after the record has vanished");
  return s.Verdict(true);
}

// A worker that is gone is evicted long before its lease is over: until then nobody is given what
// it had, and the report says so.
Played OwnersDead(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  b.Crash();
  s.network().Delete(Bucket::kHeartbeat, s.Id(b));
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunFor(5 * kSecond);
  const auto report = wire::DecodeReport(Standing(&s, wire::kReportKey));
  Require(&s, report.ok() && report->unassigned == 1,
          "the report counts what the dead own as unassigned", "it counts otherwise");
  return s.Verdict(true);
}

// The last of the old build leads. It is cut off, its lease is longer than the others', and its
// heartbeat is overwritten with what nobody can read.
Played UnreadableAmidUpgrade(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.lease_max = 20 * kSecond;
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.newest_wire_version = 2;
  Stage s(scenario, history, 4);
  World::Birth birth = Born(scenario, "c", scenario.lease_max);
  birth.settings->newest_wire_version = 1;
  Process& c = s.world().StartProcess(birth);
  if (!s.Until(3 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.Start("a");
  s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  const auto version = [&] {
    const auto record = wire::DecodeLeader(Standing(&s, "leader"));
    return record.ok() ? record->wire_version : 0;
  };
  if (version() != 1) return s.Verdict(false);
  s.network().Cut(&c);
  s.network().Write(Bucket::kHeartbeat, s.Id(c), "garbage");
  s.world().RunFor(15 * kSecond);
  Require(&s, version() == 1, "the wire version isn't raised while a member can't be read",
          "it was raised");
  return s.Verdict(s.LeaderOtherThan(c) != nullptr);
}

// A worker of a short lease is evicted, and nothing else comes to pass before that is over.
Played LeaseEndsUnnoticed(std::uint64_t seed, History* history) {
  constexpr Nanos kShort = 4 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.settings.lease = 60 * kSecond;
  scenario.lease_max = scenario.settings.lease;
  scenario.settings.poll_interval = 120 * kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.world().StartProcess(Born(scenario, "b", kShort));
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  b.Crash();
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.network().Write(Bucket::kAssignment, s.Id(b), "garbage");
  Require(&s, s.Until(3 * kShort, [&] { return s.Owns(c, "p-1"); }),
          "what an evicted worker had goes to others when its lease is over",
          "it went to nobody within three leases");
  return s.Verdict(true);
}

// A worker dies, and whether the bucket of its tombstone still is the same is asked in vain once.
Played ConfirmedLate(std::uint64_t seed, History* history) {
  constexpr Nanos kShort = 8 * kSecond;
  Scenario scenario = Calm(seed);
  scenario.leases_differ = true;
  scenario.settings.lease = 60 * kSecond;
  scenario.lease_max = scenario.settings.lease;
  scenario.settings.poll_interval = 120 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.world().StartProcess(Born(scenario, "b", kShort));
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  b.Crash();
  Network::Ambush unanswered;
  unanswered.process = &leader;
  unanswered.put = false;
  unanswered.bucket = Bucket::kHeartbeat;
  unanswered.fate = Fate::kLoseRequest;
  s.network().Lay(unanswered);
  s.owner = [&](const std::string&) { return s.Id(c); };
  Require(&s, s.Until(kShort / 2 * 3, [&] { return s.Owns(c, "p-1"); }),
          "a tombstone that could not be confirmed is confirmed later",
          "what a dead worker had went to nobody within one and a half leases");
  return s.Verdict(true);
}

// A record tells of a later epoch than the leader's.
Played LaterEpochTold(std::uint64_t seed, History* history) {
  constexpr std::uint64_t kLater = 50;
  Stage s(seed, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  const Stream& beats = s.network().stream(Bucket::kHeartbeat);
  auto record = wire::DecodeHeartbeat(beats.At(beats.Revision(s.Id(b))).value);
  if (!record.ok()) return s.Verdict(false);
  record->kind = wire::HeartbeatKind::kLeft;
  record->highest_epoch = kLater;
  s.network().Write(Bucket::kHeartbeat, "x-0", wire::Encode(*record));
  Require(&s, s.Until(5 * kSecond, [&] { return leader.leads() && leader.epoch() > kLater; }),
          "a leader's epoch is above all that records tell of",
          "it leads on, or doesn't lead any more");
  return s.Verdict(true);
}

// The only worker is drained and doesn't let go: it is evicted. Meanwhile something else is wanted,
// and there is nobody for whom that could be planned.
Played WantedOfNobody(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 8 * kSecond;
  scenario.settings.release_timeout = 2 * kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  wire::Control control;
  control.drained = {s.Id(b)};
  Wish(&s, control);
  if (!s.Until(10 * kSecond, [&] { return b.state() == State::kClaimingId; })) {
    return s.Verdict(false);
  }
  control.pins = {{"p-0", s.Id(b)}};
  const std::uint64_t wanted = Wish(&s, control);
  s.world().RunFor(6 * kSecond);
  b.hooks().LetGo();
  const auto settled = [&] {
    const auto report = wire::DecodeReport(Standing(&s, wire::kReportKey));
    return report.ok() && report->control_revision >= wanted && report->control_settled;
  };
  Require(&s, s.Until(30 * kSecond, settled), "what people want is settled in the end",
          "the report doesn't say so 30 s later");
  return s.Verdict(true);
}

// A leader is paused, with a first document under way. Claims and heartbeats are wiped, and the id
// goes to another life, of the same number. Its leader is the one that the document is of.
Played GrantOfATwin(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.worker_id_prefix = "x-";      // others take no kId
  scenario.settings.election_ttl = 60 * kSecond;  // nobody else leads
  ScriptedStage s(scenario, history, 1);
  s.owner = [](const std::string&) { return std::string(kId); };
  Process& leader = s.StartLeader();
  const auto only = [&](const std::string& name) {
    World::Birth birth = Born(scenario, name, scenario.settings.lease);
    birth.settings->worker_id_prefix = "worker-";
    birth.settings->max_workers = 1;
    return birth;
  };
  Process& b = s.world().StartProcess(only("b"));
  bool sent = false;
  Network::Ambush late;
  late.process = &leader;
  late.bucket = Bucket::kAssignment;
  late.key = kId;
  late.fate = Fate::kLandLate;
  late.delay = 3 * kSecond;
  late.when = [&](const SentPut& put) { return sent = Stage::Grants(put, "p-0"); };
  s.network().Lay(late);
  if (!s.Until(3 * kSecond, [&] { return sent; })) return s.Verdict(false);
  leader.Pause();
  b.Crash();
  s.network().Wipe(Bucket::kStableId);
  s.network().Wipe(Bucket::kHeartbeat);
  Process& next = s.world().StartProcess(only("c"));
  s.world().RunFor(5 * kSecond);
  const bool landed = s.network().stream(Bucket::kAssignment).Revision(kId) != 0;
  leader.Resume();
  s.world().RunFor(10 * kSecond);
  return s.Verdict(landed && s.Id(next) == kId);
}

// A leader dies when it has granted something of which the worker doesn't hear. The next one writes
// that anew, and continues above the versions that it finds.
Played GrantWrittenAnew(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  std::uint64_t highest = 0;
  bool granted = false;
  bool anew = false;
  bool above = true;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kAssignment) return;
    const Stream& docs = s.network().stream(bucket);
    const auto doc = wire::DecodeDoc(docs.At(docs.Revision(key)).value);
    if (!doc.ok()) return;
    if (doc->epoch == 1) highest = std::max(highest, doc->version);
    for (const OwnedPartition& one : doc->owned) {
      if (one.id != "p-2") continue;
      granted = true;
      if (one.token.epoch == 1) continue;
      anew = true;
      above = above && one.token.version > highest;
    }
  });
  s.network().StallWatches(b, Bucket::kAssignment);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : b); };
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return granted; })) return s.Verdict(false);
  leader.Crash();
  s.Until(30 * kSecond, [&] { return anew; });
  Require(&s, above, "a new leader continues above the highest version that it finds",
          "what it writes anew bears an older one");
  return s.Verdict(anew);
}

}  // namespace parti::simulation
