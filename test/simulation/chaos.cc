#include "test/simulation/chaos.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace parti::simulation {

using core::kMillisecond;
using core::kSecond;
using wire::Bucket;

Chaos::Chaos(World* world)
    : world_(*world), shared_(world->shared()), random_(world->shared().random.Fork()) {}

void Chaos::Begin() {
  const Scenario& scenario = shared_.scenario;
  end_ = scenario.chaos;
  for (int i = 0; i < scenario.workers; ++i) {
    shared_.queue.After(random_.Between(0, scenario.start_spread), [this] { StartNew(); });
  }
  if (scenario.strike_mean > 0) PlanStrike();
  if (scenario.lurk > 0) {
    world_.network().OnChange([this](Bucket bucket, const std::string& key) { Lurk(bucket, key); });
  }
  if (!scenario.two_builds) return;
  shared_.queue.After(scenario.upgraded_at, [this] {
    for (Process* process : Existing()) {
      shared_.queue.After(random_.Exponential(2 * kSecond), [this, process] { Upgrade(process); });
    }
  });
}

// A rolling upgrade's step: the worker is stopped, and its successor is of the newer build.
void Chaos::Upgrade(Process* process) {
  if (over_ || !process->running() || process->settings().newest_wire_version > 1) return;
  if (random_.Chance(0.7)) {
    process->Leave();
  } else {
    process->Crash();
  }
  ReturnLater(process);
}

core::Settings Chaos::NewSettings() {
  const Scenario& scenario = shared_.scenario;
  core::Settings settings = scenario.settings;
  if (scenario.leases_differ && random_.Chance(0.5)) {
    settings.lease =
        random_.Between(settings.lease / kMillisecond, scenario.lease_max / kMillisecond) *
        kMillisecond;
  }
  if (scenario.capacities_differ) settings.capacity = random_.Int(1, 3);
  if (scenario.settings_differ) {
    // Never longer than what the group is judged by.
    const auto shorten = [this](Nanos* setting) {
      *setting = random_.Between(*setting / 2, *setting);
    };
    for (Nanos* setting :
         {&settings.election_ttl, &settings.heartbeat_interval, &settings.debounce,
          &settings.cold_start_window, &settings.planned_scale_window, &settings.rebalance_cooldown,
          &settings.release_timeout, &settings.refusal_backoff, &settings.request_timeout}) {
      shorten(setting);
    }
    settings.poll_interval = random_.Between(settings.lease / 4, settings.lease / 2);
  }
  settings.identity_is_exclusive = scenario.identity_is_exclusive;
  settings.newest_wire_version = DrawBuild();
  return settings;
}

// The newest wire version that a process which starts now speaks.
int Chaos::DrawBuild() {
  const Scenario& scenario = shared_.scenario;
  if (!scenario.two_builds) return scenario.settings.newest_wire_version;
  if (shared_.now() >= scenario.upgraded_at || over_) return 2;
  return names_ > scenario.workers && random_.Chance(0.3) ? 2 : 1;
}

void Chaos::StartNew() {
  World::Birth birth;
  birth.name = fmt::format("w{}", names_++);
  birth.settings = NewSettings();
  if (shared_.scenario.processes_per_host > 1 && random_.Chance(0.6)) {
    const std::vector<Process*> existing = Existing();
    if (!existing.empty()) birth.host = existing[random_.Index(existing.size())]->host();
  }
  world_.StartProcess(std::move(birth));
}

std::vector<Process*> Chaos::Existing() const {
  std::vector<Process*> existing;
  for (const std::unique_ptr<Process>& process : world_.processes()) {
    if (process->exists()) existing.push_back(process.get());
  }
  return existing;
}

Process* Chaos::Victim() {
  std::vector<Process*> running;
  for (Process* process : Existing()) {
    if (process->running() && !process->leaving()) running.push_back(process);
  }
  if (running.empty()) return nullptr;
  if (random_.Chance(shared_.scenario.aim_at_leader)) {
    for (Process* process : running) {
      if (process->leads()) return process;
    }
  }
  return running[random_.Index(running.size())];
}

void Chaos::PlanStrike() {
  shared_.queue.After(random_.Exponential(shared_.scenario.strike_mean), [this] {
    if (over_ || shared_.now() >= end_) return;
    double total = 0;
    for (const double weight : shared_.scenario.weights) total += weight;
    double dice = random_.Unit() * total;
    for (std::size_t i = 0; i < kStrikes && total > 0; ++i) {
      dice -= shared_.scenario.weights[i];
      if (dice >= 0 || shared_.scenario.weights[i] <= 0) continue;
      Hit(static_cast<Strike>(i));
      break;
    }
    PlanStrike();
  });
}

void Chaos::Hit(Strike strike) {
  switch (strike) {
    case Strike::kCrash:
      return Crash();
    case Strike::kReboot:
      return Reboot();
    case Strike::kPause:
      return Pause();
    case Strike::kLeave:
      return Leave();
    case Strike::kJoin:
      return Join();
    case Strike::kTwin:
      return Twin();
    case Strike::kCut:
      return Cut();
    case Strike::kOutage:
      return Outage();
    case Strike::kFreezeServer:
      return FreezeServer();
    case Strike::kStallWatches:
      if (Process* victim = Victim()) {
        shared_.tally.Add(Count::kWatchStalled);
        world_.Note(victim->name(), 70, [] { return std::string("* its watches stall"); });
        world_.network().StallWatches(*victim);
      }
      return;
    case Strike::kBreakWatches:
      if (Process* victim = Victim()) {
        shared_.tally.Add(Count::kWatchBroken);
        world_.network().BreakWatches(victim);
      }
      return;
    case Strike::kDeleteKey:
      return DeleteKey();
    case Strike::kGarbage:
      return WriteGarbage();
    case Strike::kWipeOne:
      return Wipe(false);
    case Strike::kWipeAll:
      return Wipe(true);
    case Strike::kRollBack:
      return RollBack();
    case Strike::kChangePartitions:
      return ChangePartitions();
    case Strike::kAskRebalance:
      if (Process* victim = Victim()) {
        shared_.tally.Add(Count::kRebalanceAsked);
        victim->Deliver(core::RebalanceRequested{});
      }
      return;
    case Strike::kControl:
      return WriteControl();
    case Strike::kCount:
      return;
  }
}

// ---- processes

void Chaos::ReturnLater(Process* gone) {
  if (!random_.Chance(0.7) || !returning_.insert(gone).second) return;
  const Nanos delay = random_.Chance(0.3) ? random_.Between(0, 200 * kMillisecond)
                                          : random_.Exponential(3 * kSecond);
  shared_.queue.After(delay, [this, gone] {
    if (!over_ && !gone->exists()) world_.Restart(*gone, DrawBuild());
  });
}

void Chaos::Crash() {
  Process* victim = Victim();
  if (victim == nullptr) return;
  shared_.tally.Add(Count::kCrash);
  if (random_.Chance(shared_.scenario.mid_step)) {
    victim->BreakOffNextStep(std::nullopt);
  } else {
    victim->Crash();
  }
  ReturnLater(victim);
}

void Chaos::Reboot() {
  Process* victim = Victim();
  if (victim == nullptr) return;
  shared_.tally.Add(Count::kReboot);
  world_.Reboot(victim->host());
  ReturnLater(victim);
}

void Chaos::Pause() {
  Process* victim = Victim();
  if (victim == nullptr) return;
  const Nanos lease = victim->settings().lease;
  Nanos span = random_.Exponential(lease / 4);
  if (random_.Chance(0.5)) span = lease / 2 + random_.Between(0, 2 * lease);
  shared_.tally.Add(span > lease ? Count::kPauseBeyondLease : Count::kPause);
  if (random_.Chance(shared_.scenario.mid_step)) return victim->BreakOffNextStep(span);
  victim->Pause();
  shared_.queue.After(span, [victim] { victim->Resume(); });
}

void Chaos::Leave() {
  Process* victim = Victim();
  if (victim == nullptr || Existing().size() < 2) return;
  shared_.tally.Add(Count::kLeave);
  world_.Note(victim->name(), 71, [] { return std::string("* is asked to leave"); });
  victim->Leave();
  ReturnLater(victim);
}

void Chaos::Join() {
  if (static_cast<int>(Existing().size()) >= shared_.scenario.workers_max) return;
  shared_.tally.Add(Count::kJoin);
  StartNew();
  if (!shared_.scenario.modes_differ || !random_.Chance(0.7) || !world_.kv().leader()) return;
  shared_.tally.Add(Count::kOtherMode);
  World::Birth birth;
  birth.name = fmt::format("w{}", names_++);
  birth.settings = NewSettings();
  birth.settings->mode = shared_.exclusive() ? wire::Mode::kFast : wire::Mode::kExclusive;
  world_.StartProcess(std::move(birth));
}

// Two processes under one identity, as after a copied configuration file.
void Chaos::Twin() {
  Process* victim = Victim();
  if (victim == nullptr) return;
  if (static_cast<int>(Existing().size()) >= shared_.scenario.workers_max) return;
  shared_.tally.Add(Count::kTwin);
  World::Birth birth;
  birth.name = victim->name() + "'";
  birth.identity = victim->settings().identity;
  birth.host = random_.Chance(0.5) ? victim->host() : -1;
  birth.settings = victim->settings();
  world_.StartProcess(std::move(birth));
}

// ---- the network

void Chaos::Cut() {
  Process* victim = Victim();
  if (victim == nullptr) return;
  shared_.tally.Add(Count::kCut);
  world_.Note(victim->name(), 72, [] { return std::string("* is cut off"); });
  world_.network().Cut(victim);
  shared_.queue.After(random_.Exponential(2 * kSecond), [this, victim] {
    if (over_) return;
    world_.Note(victim->name(), 73, [] { return std::string("* is connected again"); });
    world_.network().Heal(victim);
  });
}

void Chaos::Outage() {
  shared_.tally.Add(Count::kOutage);
  world_.Note("nats", 74, [] { return std::string("* is down"); });
  world_.network().Outage(true);
  shared_.queue.After(random_.Exponential(2 * kSecond), [this] {
    if (over_) return;
    world_.Note("nats", 75, [] { return std::string("* is up again"); });
    world_.network().Outage(false);
  });
}

void Chaos::FreezeServer() {
  shared_.tally.Add(Count::kServerFrozen);
  world_.Note("nats", 76, [] { return std::string("* freezes"); });
  world_.network().FreezeServer(true);
  shared_.queue.After(random_.Exponential(kSecond), [this] {
    if (over_) return;
    world_.Note("nats", 77, [] { return std::string("* thaws"); });
    world_.network().FreezeServer(false);
  });
}

// ---- somebody's hand in the buckets

Bucket Chaos::SomeBucket() { return static_cast<Bucket>(random_.Index(wire::kBucketCount)); }

std::string Chaos::SomeKey(Bucket bucket) {
  const auto& keys = world_.network().stream(bucket).newest();
  if (keys.empty()) return "";
  auto key = keys.begin();
  std::advance(key, random_.Index(keys.size()));
  return key->first;
}

void Chaos::DeleteKey() {
  const Bucket bucket = SomeBucket();
  const std::string key = SomeKey(bucket);
  if (key.empty()) return;
  shared_.tally.Add(Count::kKeyDeleted);
  world_.Note("somebody", 78,
              [&] { return fmt::format("* deletes {}/{}", wire::BucketName(bucket), key); });
  world_.network().Delete(bucket, key);
}

std::string Chaos::Garbage(Bucket bucket, const std::string& key) {
  const Stream& stream = world_.network().stream(bucket);
  const std::uint64_t revision = stream.Revision(key);
  std::string value = revision == 0 ? "" : stream.At(revision).value;
  switch (random_.Index(5)) {
    case 0:
      return "";
    case 1:
      return value.substr(0, random_.Index(value.size() + 1) / 2);
    case 2:
      return R"({"v":1})";
    case 3:
      return R"([null,{"v":"1"}])";
    default:
      for (int i = 0; i < 20; ++i) value += static_cast<char>(random_.Below(256));
      return value;
  }
}

void Chaos::WriteGarbage() {
  const Bucket bucket = SomeBucket();
  std::string key = SomeKey(bucket);
  if (key.empty() || random_.Chance(0.1)) key = fmt::format("worker-{}", random_.Int(0, 12));
  if (bucket == Bucket::kElection && !key.starts_with("report") && !key.starts_with("control")) {
    key = "leader";
  }
  shared_.tally.Add(Count::kGarbageWritten);
  world_.Note("somebody", 79, [&] {
    return fmt::format("* writes garbage into {}/{}", wire::BucketName(bucket), key);
  });
  world_.network().Write(bucket, key, Garbage(bucket, key));
}

void Chaos::WipeBucket(Bucket bucket) {
  shared_.tally.Add(Count::kBucketWiped);
  world_.Note("somebody", 80, [&] {
    return fmt::format("* deletes and recreates the bucket {}", wire::BucketName(bucket));
  });
  world_.network().Wipe(bucket);
}

void Chaos::Wipe(bool all) {
  // See DrawTampering: no more than one record of a foreign lease may be lost at a time.
  if (shared_.scenario.leases_differ && wiped_) return;
  wiped_ = true;
  if (!all) return WipeBucket(SomeBucket());
  for (int i = 0; i < wire::kBucketCount; ++i) WipeBucket(static_cast<Bucket>(i));
}

// A bucket comes back from a backup. That of heartbeats no older than the last word on any life: of
// a tombstone that was acknowledged and is lost nobody can know, nor of a `left`.
void Chaos::RollBack() {
  const Bucket bucket = SomeBucket();
  const Stream& stream = world_.network().stream(bucket);
  std::uint64_t until = stream.last_sequence();
  for (std::uint64_t back = 1 + random_.Below(12); back > 0 && until > 0; --back) {
    if (bucket == Bucket::kHeartbeat) {
      const auto last = wire::DecodeHeartbeat(stream.At(until).value);
      if (!last.ok() || last->kind != wire::HeartbeatKind::kLive) break;
    }
    --until;
  }
  shared_.tally.Add(Count::kBucketRolledBack);
  world_.Note("somebody", 85, [&] {
    return fmt::format("* restores the bucket {} as it was at {} of {}", wire::BucketName(bucket),
                       until, stream.last_sequence());
  });
  // Of an assignment that a power cut takes back, workers tell.
  if (bucket == Bucket::kAssignment && random_.Chance(0.5)) {
    return world_.network().LoseEnd(bucket, until);
  }
  world_.network().RollBack(bucket, until);
}

void Chaos::ChangePartitions() {
  shared_.tally.Add(Count::kPartitionsChanged);
  const int now = static_cast<int>(world_.partitions().size());
  int count = std::max(1, now + random_.Int(-4, 4));
  if (shared_.scenario.tight_docs) count = std::min(count, shared_.scenario.partitions + 4);
  world_.Note("somebody", 81,
              [&] { return fmt::format("* changes the list to {} partitions", count); });
  world_.SetPartitions(count);
}

// ---- people and the control key

wire::Control Chaos::SomeControl() {
  wire::Control control;
  control.paused = random_.Chance(0.3);
  std::set<std::string> drained;
  std::map<std::string, std::string> pins;
  std::vector<std::string> workers = {"worker-9"};
  for (const Process* process : Existing()) {
    const std::string& worker = world_.claims().worker(process->number());
    if (!worker.empty()) workers.push_back(worker);
  }
  const bool everyone = random_.Chance(0.1);
  for (const std::string& worker : workers) {
    if (everyone || random_.Chance(0.2)) drained.insert(worker);
  }
  for (int pin = random_.Int(0, 3); pin > 0; --pin) {
    const int p = random_.Int(0, static_cast<int>(world_.partitions().size()));
    pins[fmt::format("p-{}", p)] = workers[random_.Index(workers.size())];
  }
  control.drained = {drained.begin(), drained.end()};
  for (const auto& [partition, worker] : pins) control.pins.push_back({partition, worker});
  return control;
}

void Chaos::WriteControl() {
  shared_.tally.Add(Count::kControlWritten);
  const std::string key(wire::kControlKey);
  const double dice = random_.Unit();
  if (dice < 0.1) {
    world_.Note("somebody", 83, [] { return std::string("* deletes the control record"); });
    return world_.network().Delete(Bucket::kElection, key);
  }
  std::string value = dice < 0.2 ? Garbage(Bucket::kElection, key) : wire::Encode(SomeControl());
  world_.Note("somebody", 84, [&] { return fmt::format("* writes the control record {}", value); });
  world_.network().Write(Bucket::kElection, key, std::move(value));
}

// What stands when all is calm: nothing, or one worker drained, a pin, a pause.
void Chaos::LastControl() {
  if (!shared_.scenario.has(Strike::kControl)) return;
  wire::Control control;
  if (shared_.scenario.control_stays) {
    std::vector<std::string> workers;
    for (const Process* process : Existing()) {
      const std::string& worker = world_.claims().worker(process->number());
      if (!worker.empty() && !process->leaving()) workers.push_back(worker);
    }
    control.paused = random_.Chance(0.3);
    if (!workers.empty() && random_.Chance(0.7)) {
      control.drained.push_back(workers[random_.Index(workers.size())]);
    }
    if (!workers.empty() && random_.Chance(0.7)) {
      const int p = random_.Int(0, static_cast<int>(world_.partitions().size()) - 1);
      control.pins.push_back({fmt::format("p-{}", p), workers[random_.Index(workers.size())]});
    }
  }
  const std::string value = wire::Encode(control);
  world_.Note("somebody", 84, [&] { return fmt::format("* writes the control record {}", value); });
  world_.network().Write(Bucket::kElection, std::string(wire::kControlKey), value);
}

// ---- the end

void Chaos::End() {
  over_ = true;
  world_.Note("faults", 82, [] { return std::string("* are over"); });
  world_.StopFaults();
  // A quorum lives, or there would be nothing to see.
  const auto wanted = static_cast<std::size_t>((shared_.scenario.workers + 1) / 2);
  const std::vector<Process*> existing = Existing();
  auto staying = static_cast<std::size_t>(
      std::count_if(existing.begin(), existing.end(),
                    [](const Process* process) { return !process->leaving(); }));
  for (; staying < wanted; ++staying) StartNew();
  LastControl();
}

}  // namespace parti::simulation
