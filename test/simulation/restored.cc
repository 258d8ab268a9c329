#include "test/simulation/restored.h"

#include <string>

#include "test/simulation/stage.h"

namespace parti::simulation {

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
  // The leader is deposed, and lives on: the next one waits for nobody but b.
  Network::Ambush renewal;
  renewal.process = &leader;
  renewal.bucket = Bucket::kElection;
  renewal.fate = Fate::kLoseRequest;
  renewal.times = 1000;
  s.network().Lay(renewal);
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
// older one, by which it owns nothing. Nothing else tells of its lease.
Played LongestLease(std::uint64_t seed, History* history) {
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
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  leader.Deliver(core::RebalanceRequested{});
  if (!s.Until(5 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.network().Cut(&b);
  s.network().Wipe(Bucket::kHeartbeat);
  s.network().RollBack(Bucket::kAssignment, then);
  s.owner = [&](const std::string&) { return s.Id(c); };
  s.world().RunFor(40 * kSecond);
  return s.Verdict(true);
}

}  // namespace parti::simulation
