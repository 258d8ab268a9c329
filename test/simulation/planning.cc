#include "test/simulation/plays.h"

#include <string>
#include <utility>
#include <vector>

#include "internal/wire/records.h"
#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

// A strategy that takes its time, and rebalances far apart.
Scenario SlowPlans(std::uint64_t seed) {
  Scenario scenario = Calm(seed);
  scenario.settings.rebalance_cooldown = 4 * kSecond;
  scenario.strategy_faults.typical = kSecond;
  return scenario;
}

void Drain(Stage* s, std::vector<std::string> workers) {
  wire::Control control;
  control.drained = std::move(workers);
  s->network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
}

}  // namespace

// While a plan is made for one control record, another comes that changes nothing: who is drained
// by it isn't there. It is settled with the plan all the same.
Played ControlWhilePlanning(std::uint64_t seed, History* history) {
  ScriptedStage s(SlowPlans(seed), history, 2);
  s.StartLeader();
  const Process& b = s.Start("b");
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(6 * kSecond);
  wire::Control control;
  control.pins = {{"p-0", s.Id(b)}};
  s.network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
  s.world().RunFor(500 * kMillisecond);
  control.drained = {"worker-99"};
  s.network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
  s.world().RunFor(10 * kSecond);
  const Stream& stream = s.network().stream(Bucket::kElection);
  const auto report = wire::DecodeReport(stream.At(stream.Revision(wire::kReportKey)).value);
  if (!report.ok()) return s.Verdict(false);
  if (!report->control_settled && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "a control record is settled in the end",
                                      "it isn't after 10 s");
  }
  return s.Verdict(true);
}

// While a plan is made, another is asked for, for which there would be another answer.
Played AskedWhilePlanning(std::uint64_t seed, History* history) {
  ScriptedStage s(SlowPlans(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().SetPartitions(3);  // the first plans of a term aren't judged
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(6 * kSecond);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : b); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(300 * kMillisecond);
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(12 * kSecond);
  return s.Verdict(s.Owns(c, "p-1"));
}

// A plan is made for the only worker, which was drained until a moment ago. Meanwhile another
// joins, for whom the group starts anew, as nobody was to have anything; and a rebalance is asked
// for.
Played JoinedWhilePlanning(std::uint64_t seed, History* history) {
  ScriptedStage s(SlowPlans(seed), history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Settle()) return s.Verdict(false);
  Drain(&s, {s.Id(b)});
  const auto idle = [&] { return s.world().claims().OwnedCount(b.number()) == 0; };
  if (!s.Until(8 * kSecond, idle)) return s.Verdict(false);
  s.world().RunFor(6 * kSecond);
  Drain(&s, {});
  s.world().RunFor(50 * kMillisecond);
  const Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  s.world().RunFor(200 * kMillisecond);
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(12 * kSecond);
  return s.Verdict(s.Owns(b, "p-0") && s.Owns(c, "p-1"));
}

// A worker has no room for more than it holds. It gives one partition back, is to release another,
// and is granted a new one.
Played RoomForTheRefused(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.max_doc_bytes = wire::kDocBaseBytes + 3 * wire::DocBytesPerPartition("p-0");
  scenario.settings.rebalance_cooldown = kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(b); };
  const auto both = [&] { return s.Owns(b, "p-0") && s.Owns(b, "p-1"); };
  if (!s.Until(3 * kSecond, both)) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  b.hooks().Hold();
  b.hooks().FailAcquires("no");
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  b.hooks().LetGo();
  s.world().RunFor(100 * kMillisecond);
  const bool given_back = !s.Owns(b, "p-2");
  b.hooks().SucceedAcquires();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" || id == "p-3" ? b : c); };
  s.world().SetPartitions(4);
  const bool moved = s.Until(5 * kSecond, [&] { return s.Owns(b, "p-3") && s.Owns(c, "p-2"); });
  return s.Verdict(given_back && moved);
}

// A worker leaves while it still drains what its newest document takes away. That one grants
// something, too.
Played LeavesWhileDraining(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-2" ? b : c); };
  s.world().SetPartitions(3);
  s.world().RunFor(kSecond);
  const bool drains = !s.Owns(b, "p-0") && !s.Owns(b, "p-2") && !s.Owns(c, "p-2");
  s.owner = [&](const std::string&) { return s.Id(c); };
  b.Leave();
  s.world().RunFor(100 * kMillisecond);
  b.hooks().LetGo();
  s.world().RunFor(3 * kSecond);
  return s.Verdict(drains && s.Owns(c, "p-2"));
}

// A worker is evicted because a hook of it doesn't return, which it learns long before its lease is
// over. Its partitions go to others once that is over, whoever else it may have become by then.
Played EvictedWhileDraining(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.release_timeout = kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  s.owner = [&](const std::string&) { return s.Id(c); };
  leader.Deliver(core::RebalanceRequested{});
  s.world().RunFor(10 * kSecond);
  const bool waits = !s.Owns(c, "p-0");
  s.world().RunFor(20 * kSecond);
  const bool moved = s.Owns(c, "p-0");
  b.hooks().LetGo();
  s.world().RunFor(5 * kSecond);
  return s.Verdict(waits && moved);
}

// The scan of a new leader ends before the newest document of a worker, whose heartbeat shows that
// it has applied that one. Then its predecessor's last one lands, which takes something away.
Played ScanOfTheOvertaken(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.release_timeout = 10 * kSecond;
  ScriptedStage s(scenario, history, 3);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.settings = scenario.settings;
  birth.settings->election_ttl = 60 * kSecond;  // these two don't lead next
  birth.name = "b";
  Process& b = s.world().StartProcess(birth);
  birth.name = "c";
  Process& c = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-2"); })) return s.Verdict(false);
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : b); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(3 * kSecond, [&] { return s.Owns(c, "p-0"); })) return s.Verdict(false);
  s.world().RunFor(100 * kMillisecond);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.world().SetPartitions(4);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-3"); })) return s.Verdict(false);
  birth.name = "d";
  birth.settings = scenario.settings;
  birth.settings->capacity = 0;
  Process& successor = s.world().StartProcess(birth);
  s.world().RunFor(500 * kMillisecond);
  s.network().ShortenScans(successor, Bucket::kAssignment, then);
  bool sent = false;
  Network::Ambush late;
  late.process = &leader;
  late.bucket = Bucket::kAssignment;
  late.key = s.Id(b);
  late.fate = Fate::kLandLate;
  late.delay = 5 * kSecond;
  late.when = [&](const SentPut&) { return sent = true; };
  s.network().Lay(late);
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" || id == "p-1" ? c : b); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(3 * kSecond, [&] { return sent; })) return s.Verdict(false);
  leader.Crash();
  s.world().RunFor(late.delay - kSecond);
  const bool scans = successor.leads();
  s.world().RunFor(2 * kSecond);
  s.network().HealAll();
  s.world().RunFor(7 * kSecond);
  b.hooks().LetGo();
  const bool moved = s.Until(30 * kSecond, [&] { return s.Owns(c, "p-1"); });
  return s.Verdict(scans && moved);
}

// A new leader's scan lacks the heartbeat of the only worker that has anything: it was replaced by
// one that comes a moment later. Until that is certain, and it takes a while to ask, nothing is
// planned: people want a pause.
Played MemberOutOfScan(std::uint64_t seed, History* history) {
  constexpr int kLeaders = 10;  // chance decides in which of their scans
  Scenario scenario = Calm(seed);
  scenario.settings.request_timeout = 3 * kSecond;
  scenario.settings.cold_start_window = 3 * kSecond;
  scenario.network.latency_extra = 2 * kMillisecond;
  scenario.network.skip_superseded = 1;
  ScriptedStage s(scenario, history, 2);
  Process* leader = &s.StartLeader();
  World::Birth birth;
  birth.settings = scenario.settings;
  birth.settings->heartbeat_interval = kMillisecond;
  birth.settings->election_ttl = 600 * kSecond;  // these two don't lead
  birth.name = "b";
  const Process& b = s.world().StartProcess(birth);
  birth.name = "c";
  const Process& c = s.world().StartProcess(birth);
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Until(8 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  birth.settings = scenario.settings;
  birth.settings->capacity = 0;
  for (int i = 0; i < kLeaders; ++i) {
    birth.name = "d" + std::to_string(i);
    s.network().DelayScans(s.world().StartProcess(birth), Bucket::kHeartbeat, 20 * kMillisecond);
  }
  wire::Control control;
  control.paused = true;
  control.drained = {s.Id(c)};
  s.network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
  s.world().RunFor(10 * kSecond);
  bool asked = false;
  Network::Ambush tombstone;
  tombstone.bucket = Bucket::kHeartbeat;
  tombstone.key = s.Id(b);
  tombstone.fate = Fate::kSlow;
  tombstone.delay = 2 * kSecond;
  tombstone.when = [&](const SentPut& put) {
    const bool evicts = put.heartbeat && put.heartbeat->kind == wire::HeartbeatKind::kEvicted;
    asked = asked || evicts;
    return evicts;
  };
  s.network().Lay(tombstone);
  for (int i = 0; i < kLeaders && !asked; ++i) {
    leader->Crash();
    const Process& former = *leader;
    const auto led = [&] { return (leader = s.LeaderOtherThan(former)) != nullptr; };
    if (!s.Until(8 * kSecond, led)) return s.Verdict(false);
    s.world().RunFor(100 * kMillisecond);
  }
  s.world().RunFor(5 * kSecond);
  return s.Verdict(asked);
}

// A worker is offered again what it gave back, and doesn't hear of it. Another plan leaves it
// there.
Played OfferedAgainUnheard(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.rebalance_cooldown = kSecond;
  scenario.settings.release_timeout = kSecond;  // an unsettled rebalance is waited for no longer
  scenario.settings.refusal_backoff = 100 * kMillisecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  b.hooks().Hold();
  b.hooks().FailAcquires("no");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-0"); })) return s.Verdict(false);
  s.network().StallWatches(b, Bucket::kAssignment);
  b.hooks().LetGo();
  s.world().RunFor(1500 * kMillisecond);
  const bool given_back = !s.Owns(b, "p-0");
  s.world().SetPartitions(3);
  if (!s.Until(5 * kSecond, [&] { return s.Owns(c, "p-2"); })) return s.Verdict(false);
  b.hooks().SucceedAcquires();
  s.network().BreakWatches(&b);
  const bool again = s.Until(10 * kSecond, [&] { return s.Owns(b, "p-0"); });
  return s.Verdict(given_back && again);
}

// An acquire hook fails late, when another plan has been made that leaves the partition where it
// is.
Played RefusedAfterThePlan(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.rebalance_cooldown = 2 * kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  b.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-0") && s.Owns(c, "p-1"); })) {
    return s.Verdict(false);
  }
  s.world().SetPartitions(3);
  if (!s.Until(5 * kSecond, [&] { return s.Owns(c, "p-2"); })) return s.Verdict(false);
  s.world().RunFor(100 * kMillisecond);
  int offers = 0;
  Network::Ambush offer;  // strikes nobody
  offer.bucket = Bucket::kAssignment;
  offer.key = s.Id(b);
  offer.when = [&](const SentPut& put) {
    if (Stage::Grants(put, "p-0")) ++offers;
    return false;
  };
  s.network().Lay(offer);
  b.hooks().FailAcquires("no");
  b.hooks().LetGo();
  s.world().RunFor(scenario.settings.refusal_backoff / 2);
  if (offers > 0 && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(),
                                      "what a worker gave back isn't offered to it at once",
                                      std::to_string(offers) + " times within refusal_backoff");
  }
  return s.Verdict(true);
}

}  // namespace parti::simulation
