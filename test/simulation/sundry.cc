#include "test/simulation/plays.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "test/simulation/stage.h"

namespace parti::simulation {
namespace {

// Something of `bucket` that was acknowledged is lost, and its leader lives on and notices: it
// begins a new term, in which nothing is granted until the longest lease is over.
Played LeaderOutlivesLoss(const Scenario& scenario, History* history, Bucket bucket,
                          bool challenge_lost = false, bool silent = false) {
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle() || !leader.leads()) return s.Verdict(false);
  const std::uint64_t epoch = leader.epoch();
  const std::uint64_t then = s.network().stream(bucket).last_sequence();
  if (silent) s.network().StallWatches(leader, bucket);
  s.world().RunFor(5 * kSecond);
  Network::Ambush challenge;
  challenge.process = &leader;
  challenge.bucket = Bucket::kElection;
  challenge.fate = Fate::kLoseRequest;
  challenge.when = [&](const SentPut& put) { return put.leader && put.leader->epoch > epoch; };
  if (challenge_lost) s.network().Lay(challenge);
  s.network().LoseEnd(bucket, then);
  const auto refenced = [&] { return leader.leads() && leader.epoch() > epoch; };
  if (!s.Until(3 * kSecond, refenced)) {
    if (s.world().verdict().good()) {
      s.world().shared().verdict.Broken(s.world().now(),
                                        "a loss that its leader outlives is noticed",
                                        "no new term began within 3 s");
    }
    return s.Verdict(true);
  }
  const Nanos held_until = s.world().now() + scenario.settings.lease / 10 * 9;
  s.world().SetPartitions(3);
  if (s.Until(held_until - s.world().now(), [&] { return s.Owns(c, "p-2"); })) {
    s.world().shared().verdict.Broken(s.world().now(),
                                      "after a loss the longest lease is waited out",
                                      "a partition was granted before");
  }
  return s.Verdict(true);
}

// Fails where it is told to.
class FailsOnce : public AssignmentStrategy {
 public:
  std::string_view name() const override { return "consistent-hash"; }  // judged by its bound
  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    if (std::exchange(fails, false)) return absl::UnavailableError("not now");
    return std::vector<std::int32_t>(input.partitions.size(), 0);
  }

  mutable bool fails = false;
};

// A worker is drained; without `another`, all are. Until they have let go of what they had, the
// report doesn't say that all is as people want it.
Played Drained(std::uint64_t seed, History* history, bool another) {
  Stage s(seed, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  if (another) s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  wire::Control control;
  control.drained = {s.Id(b)};
  const std::uint64_t wanted =
      s.network().Write(Bucket::kElection, std::string(wire::kControlKey), wire::Encode(control));
  bool told = false;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket != Bucket::kElection || key != wire::kReportKey) return;
    const Stream& stream = s.network().stream(Bucket::kElection);
    const auto report = wire::DecodeReport(stream.At(stream.last_sequence()).value);
    told = told || (report.ok() && report->control_revision >= wanted && report->control_settled);
  });
  s.world().RunFor(3 * kSecond);
  if (told && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "a drain is settled once all was let go of",
                                      "the report says so before");
  }
  b.hooks().LetGo();
  const bool settles = s.Until(3 * kSecond, [&] { return told; });
  return s.Verdict(settles);
}

// `loss` befalls the document of b, who is to have another partition afterwards.
Played LostDocument(std::uint64_t seed, History* history,
                    const std::function<void(Stage&, const std::string&)>& loss) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 4 * kSecond;
  scenario.settings.poll_interval = 60 * kSecond;
  ScriptedStage s(scenario, history, 2);
  s.StartLeader();
  Process& b = s.Start("b");
  s.owner = [&](const std::string&) { return s.Id(b); };
  if (!s.Settle()) return s.Verdict(false);
  s.world().SetPartitions(3);
  s.world().RunFor(100 * kMillisecond);
  if (!s.Settle()) return s.Verdict(false);
  loss(s, s.Id(b));
  s.world().SetPartitions(4);
  s.world().RunFor(100 * kMillisecond);
  if (!s.Settle() && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(),
                                      "a group whose leader outlives a loss settles",
                                      "it has not settled within 30 s");
  }
  return s.Verdict(true);
}

}  // namespace

// A document is lost as soon as it was acknowledged. Neither its worker nor the leader's watch has
// seen it: the leader knows of it by the answer alone.
Played LossUnseen(std::uint64_t seed, History* history) {
  Stage s(seed, history, 1);
  const Process& leader = s.StartLeader();
  const Process& b = s.Start("b");
  if (!s.Until(3 * kSecond, [&] { return !s.Id(b).empty(); })) return s.Verdict(false);
  s.world().RunFor(50 * kMillisecond);
  s.network().StallWatches(leader, Bucket::kAssignment);
  s.network().StallWatches(b, Bucket::kAssignment);
  const Stream& docs = s.network().stream(Bucket::kAssignment);
  const auto written = [&] { return docs.last_sequence() > 0; };
  if (!s.Until(3 * kSecond, written)) return s.Verdict(false);
  s.world().RunFor(20 * kMillisecond);
  if (s.Owns(b, "p-0")) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, 0);
  if (!s.Until(60 * kSecond, [&] { return s.Owns(b, "p-0"); }) && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "what was lost is granted again",
                                      "nobody owns p-0 after a minute");
  }
  return s.Verdict(true);
}

// A power cut takes renewals of a leader back, which lives on.
Played RenewalsLost(std::uint64_t seed, History* history) {
  return LeaderOutlivesLoss(Calm(seed), history, Bucket::kElection);
}

// … and its next challenge gets lost, too.
Played ChallengeLostAfterALoss(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.request_timeout = kSecond / 2;
  return LeaderOutlivesLoss(scenario, history, Bucket::kElection, true);
}

// The same, of heartbeats. (They are rare here, or new ones would hide that some were lost.)
Played HeartbeatsLost(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 4 * kSecond;
  scenario.settings.poll_interval = 100 * kMillisecond;
  return LeaderOutlivesLoss(scenario, history, Bucket::kHeartbeat);
}

// Heartbeats of which the leader's watch says nothing: it knows by its polls alone that there were
// more.
Played PolledHeartbeatsLost(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = 4 * kSecond;
  scenario.settings.poll_interval = 100 * kMillisecond;
  scenario.settings.debounce = 8 * kSecond;  // so long it waits for a silent watch
  return LeaderOutlivesLoss(scenario, history, Bucket::kHeartbeat, false, true);
}

// A deposed leader's successor hears one worker only when its plan has long been made. What nobody
// is known to hold waits for that, and no longer.
Played HeardLate(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 2);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = Calm(seed).settings;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  Process& b = s.world().StartProcess(birth);
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  if (!s.Settle()) return s.Verdict(false);
  bool quiet = true;
  bool heard = false;
  Network::Ambush lost;
  lost.process = &b;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  lost.when = [&](const SentPut&) {
    heard = heard || !quiet;
    return quiet;
  };
  s.network().Lay(lost);
  lost.process = &leader;
  lost.bucket = Bucket::kElection;
  lost.when = nullptr;
  s.network().Lay(lost);
  if (!s.Until(5 * kSecond, [&] { return c.leads(); })) return s.Verdict(false);
  s.world().SetPartitions(3);
  s.world().RunFor(4 * kSecond);
  const bool waits = !s.Owns(c, "p-2");
  quiet = false;
  if (!waits || !s.Until(8 * kSecond, [&] { return heard; })) return s.Verdict(false);
  if (!s.Until(2 * kSecond, [&] { return s.Owns(c, "p-2"); }) && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(),
                                      "what nobody holds is granted once all were heard",
                                      "it was granted to nobody within 2 s");
  }
  return s.Verdict(true);
}

// A worker doesn't release what it should, and meanwhile another gives up what it is to have
// instead: that document gives it no more time.
Played StuckAmidGrants(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.heartbeat_interval = kSecond / 2;
  scenario.settings.release_timeout = 3 * kSecond;
  ScriptedStage s(scenario, history, 2);
  Process& leader = s.StartLeader();
  Process& b = s.Start("b");
  Process& c = s.Start("c");
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? c : b); };
  if (!s.Settle()) return s.Verdict(false);
  b.hooks().Hold();
  c.hooks().Hold();
  s.owner = [&](const std::string& id) { return s.Id(id == "p-0" ? b : c); };
  leader.Deliver(core::RebalanceRequested{});
  const auto given_up = [&] { return !s.Owns(b, "p-1") && !s.Owns(c, "p-0"); };
  if (!s.Until(kSecond, given_up)) return s.Verdict(false);
  s.world().RunFor(2 * kSecond);
  c.hooks().LetGo();
  const auto evicted = [&] { return b.state() == State::kClaimingId; };
  if (!s.Until(2 * kSecond + kSecond / 2, evicted) && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "who doesn't release in time is evicted",
                                      "4.5 s after it was asked it lives on");
  }
  return s.Verdict(true);
}

// [1] A power cut takes a document back that its worker has applied and nobody was told of. The
// worker is evicted well within its lease, for somebody deleted its heartbeat. The next leader
// finds the tombstone.
Played EvictedUnheard(std::uint64_t seed, History* history) {
  ScriptedStage s(Calm(seed), history, 1);
  Process& leader = s.StartLeader();
  World::Birth birth;
  birth.name = "b";
  birth.settings = Calm(seed).settings;
  birth.settings->election_ttl = 60 * kSecond;  // it isn't the one to lead next
  Process& b = s.world().StartProcess(birth);
  Process& c = s.Start("c");
  s.owner = [&](const std::string&) { return s.Id(c); };
  if (!s.Settle()) return s.Verdict(false);
  const std::uint64_t then = s.network().stream(Bucket::kAssignment).last_sequence();
  Network::Ambush lost;
  lost.process = &b;
  lost.bucket = Bucket::kHeartbeat;
  lost.fate = Fate::kLoseRequest;
  lost.times = 1000;
  s.owner = [&](const std::string& id) { return s.Id(id == "p-1" ? b : c); };
  s.world().SetPartitions(2);
  s.network().Lay(lost);
  if (!s.Until(3 * kSecond, [&] { return s.Owns(b, "p-1"); })) return s.Verdict(false);
  int ends = 0;
  s.network().OnChange([&](Bucket bucket, const std::string& key) {
    if (bucket == Bucket::kHeartbeat && key == s.Id(b)) ++ends;
  });
  s.network().Delete(Bucket::kHeartbeat, s.Id(b));
  if (!s.Until(kSecond, [&] { return ends == 2; })) return s.Verdict(false);
  s.network().LoseEnd(Bucket::kAssignment, then);
  lost.process = &leader;
  lost.bucket = Bucket::kElection;
  s.network().Lay(lost);
  s.owner = [&](const std::string&) { return s.Id(c); };
  const bool led = s.Until(5 * kSecond, [&] { return c.leads(); });
  const bool holds = s.Owns(b, "p-1");
  s.world().RunFor(30 * kSecond);
  return s.Verdict(led && holds);
}

// A document vanishes without a trace under a leader that lives on, and its worker is to have more.
Played PurgedDocument(std::uint64_t seed, History* history) {
  return LostDocument(seed, history, [](Stage& s, const std::string& id) {
    s.network().Purge(Bucket::kAssignment, id);
  });
}

// It goes back to an older one. (Nobody asks for the stream's last sequence, which would tell.)
Played OlderDocument(std::uint64_t seed, History* history) {
  return LostDocument(seed, history, [](Stage& s, const std::string&) {
    s.network().LoseEnd(Bucket::kAssignment,
                        s.network().stream(Bucket::kAssignment).last_sequence() - 1);
  });
}

Played DrainedStillHolds(std::uint64_t seed, History* history) {
  return Drained(seed, history, false);
}

// The same, while another is to have it.
Played DrainedMoves(std::uint64_t seed, History* history) { return Drained(seed, history, true); }

// The strategy fails once, when the list has grown, and nothing changes afterwards.
Played PlanThatFailed(std::uint64_t seed, History* history) {
  const auto strategy = std::make_shared<FailsOnce>();
  Scenario scenario = Calm(seed);
  scenario.scripted = strategy;
  Stage s(scenario, history, 2);
  s.StartLeader();
  s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  strategy->fails = true;
  s.world().SetPartitions(3);
  if (!s.Until(3 * kSecond, [&] { return !strategy->fails; })) return s.Verdict(false);
  if (!s.Settle() && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "a plan that failed is made again",
                                      "it was not within 30 s");
  }
  return s.Verdict(true);
}

// The list changes, and back again while the strategy still works on it.
Played ListChangesBack(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.strategy_faults.typical = kSecond;
  Stage s(scenario, history, 2);
  s.StartLeader();
  s.Start("b");
  if (!s.Settle()) return s.Verdict(false);
  s.world().RunFor(kSecond);
  s.world().SetPartitions(3);
  s.world().RunFor(150 * kMillisecond);
  s.world().SetPartitions(2);
  s.world().RunFor(5 * kSecond);
  if (!s.Settle() && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "the newest list is planned for",
                                      "an older one still is 30 s later");
  }
  return s.Verdict(true);
}

// A worker dies shortly after a rebalance: what it had goes to others without a cooldown.
Played DeathWithinCooldown(std::uint64_t seed, History* history) {
  Scenario scenario = Calm(seed);
  scenario.settings.lease = 2 * kSecond;
  scenario.settings.heartbeat_interval = kSecond / 2;
  scenario.settings.rebalance_cooldown = 60 * kSecond;
  Stage s(scenario, history, 4);
  s.StartLeader();
  s.Start("b");
  Process& c = s.Start("c");
  if (!s.Settle()) return s.Verdict(false);
  c.Crash();
  s.world().RunFor(kSecond);
  if (!s.Settle() && s.world().verdict().good()) {
    s.world().shared().verdict.Broken(s.world().now(), "a death waits for no cooldown",
                                      "what the dead one had is owned by nobody 30 s later");
  }
  return s.Verdict(true);
}

}  // namespace parti::simulation
