// Strikes at the moments that matter: see chaos.h.
#include <fmt/format.h>

#include "test/simulation/chaos.h"

namespace parti::simulation {

using core::kMillisecond;
using core::kSecond;
using wire::Bucket;

void Chaos::Lurk(Bucket bucket, const std::string& key) {
  if (over_) return;
  const Stream& stream = world_.network().stream(bucket);
  const std::uint64_t revision = stream.Revision(key);
  if (revision == 0 || stream.At(revision).deleted) return;
  const std::string& value = stream.At(revision).value;
  if (bucket == Bucket::kElection && key == wire::kLeaderKey) {
    const auto leader = wire::DecodeLeader(value, wire::kMaxWireVersion);
    if (leader.ok()) LurkForLeader(*leader);
  } else if (bucket == Bucket::kHeartbeat) {
    const auto heartbeat = wire::DecodeHeartbeat(value, wire::kMaxWireVersion);
    if (heartbeat.ok()) LurkForHeartbeat(key, *heartbeat);
  } else if (bucket == Bucket::kAssignment) {
    const auto doc = wire::DecodeDoc(value, wire::kMaxWireVersion);
    if (doc.ok()) LurkForDoc(key, *doc);
  }
}

Process* Chaos::Holder(const std::string& worker) {
  for (Process* process : Existing()) {
    if (process->running() && !process->leaving() &&
        world_.claims().worker(process->number()) == worker) {
      return process;
    }
  }
  return nullptr;
}

void Chaos::PauseFor(Process* victim, Nanos span) {
  shared_.tally.Add(span > victim->settings().lease ? Count::kPauseBeyondLease : Count::kPause);
  // A moment later: what is being carried out at this one goes on.
  shared_.queue.After(random_.Between(0, 3 * kMillisecond), [this, victim, span] {
    if (over_ || !victim->running()) return;
    victim->Pause();
    shared_.queue.After(span, [victim] { victim->Resume(); });
  });
}

// It lands when its leader may long have been deposed.
void Chaos::DelayNextDoc(const Process& leader) {
  Network::Ambush late;
  late.process = &leader;
  late.bucket = Bucket::kAssignment;
  late.fate = Network::Ambush::Fate::kLandLate;
  late.delay = random_.Between(200 * kMillisecond, 6 * kSecond);
  world_.network().Lay(late);
}

void Chaos::LurkForLeader(const wire::Leader& leader) {
  if (leader.epoch <= epoch_) return;
  epoch_ = leader.epoch;
  Process* process = Holder(leader.holder);
  if (process == nullptr || !random_.Chance(shared_.scenario.lurk)) return;
  shared_.tally.Add(Count::kLurked);
  switch (random_.Index(4)) {
    case 0:  // it leads, and hears nothing
      return world_.network().StallWatches(*process);
    case 1:
      return DelayNextDoc(*process);
    case 2:  // deposed before it knows that it leads
      return PauseFor(process, process->settings().election_ttl * 3 / 2);
    default:
      shared_.queue.After(random_.Between(0, 50 * kMillisecond), [this, process] {
        if (over_ || !process->running()) return;
        process->Crash();
        ReturnLater(process);
      });
  }
}

void Chaos::LurkForHeartbeat(const std::string& worker, const wire::Heartbeat& heartbeat) {
  const bool first = heartbeat.number == 1;
  if (heartbeat.kind == wire::HeartbeatKind::kLive && !first) return;
  if (!random_.Chance(shared_.scenario.lurk)) return;
  shared_.tally.Add(Count::kLurked);
  Process* process = Holder(worker);
  if (heartbeat.kind == wire::HeartbeatKind::kLeft) return Join();
  if (heartbeat.kind == wire::HeartbeatKind::kEvicted) {
    // Whoever leads then has to wait for the lease without having seen the heartbeat.
    for (Process* leader : Existing()) {
      if (leader->leads() && leader->running())
        PauseFor(leader, leader->settings().election_ttl * 2);
    }
    if (process != nullptr && random_.Chance(0.5)) world_.network().StallWatches(*process);
    return;
  }
  if (process == nullptr) return;
  if (random_.Chance(0.5)) return PauseFor(process, process->settings().lease * 3 / 2);
  world_.network().StallWatches(*process, Bucket::kAssignment);
}

void Chaos::LurkForDoc(const std::string& worker, const wire::Doc& doc) {
  if (doc.releasing.empty() || !random_.Chance(shared_.scenario.lurk)) return;
  shared_.tally.Add(Count::kLurked);
  Process* process = Holder(worker);
  Process* leader = nullptr;
  for (Process* one : Existing()) {
    if (one->leads() && one->running()) leader = one;
  }
  switch (random_.Index(5)) {
    case 0:
      if (leader != nullptr) PauseFor(leader, leader->settings().election_ttl * 2);
      return;
    case 1:
      if (process != nullptr) PauseFor(process, random_.Between(0, 2 * process->settings().lease));
      return;
    case 2:
      if (leader != nullptr) DelayNextDoc(*leader);
      return;
    case 3:
      if (process != nullptr) world_.network().StallWatches(*process, Bucket::kAssignment);
      return;
    default:
      if (leader == nullptr) return;
      shared_.queue.After(random_.Between(0, 20 * kMillisecond), [this, leader] {
        if (over_ || !leader->running()) return;
        leader->Crash();
        ReturnLater(leader);
      });
  }
}

}  // namespace parti::simulation
