#include "test/fuzz/worker_world.h"

#include <algorithm>

namespace parti::fuzz {

using wire::KvCode;

namespace {

// What one event may cause at most; keys in the buckets are few here. Beyond it, core is talking to
// itself.
constexpr std::size_t kMaxEffects = 2000;
constexpr int kMaxTicksAtOnce = 1000;
constexpr int kMaxRounds = 30;

core::KvAnswer AnswerTo(core::RequestId request, KvCode code) {
  core::KvAnswer answer;
  answer.request = request;
  answer.code = code;
  return answer;
}

}  // namespace

World::World(Bytes* bytes)
    : bytes_(*bytes),
      random_(bytes->Byte()),
      settings_(TakeSettings()),
      judge_(settings_),
      worker_(settings_, this) {}

std::uint64_t World::RandomBits() {
  // splitmix64
  std::uint64_t z = (random_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
  return z ^ (z >> 31U);
}

core::Settings World::TakeSettings() {
  core::Settings s;
  const std::uint8_t flags = bytes_.Byte();
  s.identity = "me";
  s.identity_is_exclusive = (flags & 1U) != 0;
  s.mode = (flags & 2U) != 0 ? wire::Mode::kFast : wire::Mode::kExclusive;
  s.assume_new_group = (flags & 4U) != 0;
  s.newest_wire_version = (flags & 8U) != 0 ? 2 : 1;
  if ((flags & 16U) != 0)
    s.max_doc_bytes = wire::kDocBaseBytes + 5 * wire::DocBytesPerPartition("p-0");
  s.drift_ppm = (flags & 32U) != 0 ? 200'000 : 10'000;
  if ((flags & 64U) != 0) s.labels = {{"zone", "a"}};
  s.process = {.boot_id = "boot", .pid_namespace = 1, .pid = 2, .start_ticks = 3};
  const std::uint8_t sizes = bytes_.Byte();
  s.max_workers = 1 + sizes % 4;
  s.capacity = sizes / 4 % 3;
  static constexpr core::Nanos kLeases[] = {300 * core::kMillisecond, core::kSecond,
                                            3 * core::kSecond, 3600 * core::kSecond};
  s.lease = kLeases[sizes / 16 % 4];
  s.heartbeat_interval = s.lease / 3;
  s.election_ttl = s.lease;
  s.cold_start_window = s.planned_scale_window = 100 * core::kMillisecond;
  s.rebalance_cooldown = 200 * core::kMillisecond;
  s.release_timeout = core::kSecond;
  return s;
}

void World::Run() {
  Send(core::Start{});
  while (!bytes_.empty() && !worker_.stopped()) Step();
  // Whatever happened, it comes to an end when it is asked to.
  Send(core::StopRequested{});
  Advance(settings_.stop_timeout + core::kSecond);
  Require(worker_.stopped(), "it doesn't stop");
}

void World::Send(const core::Event& event) {
  judge_.Told(event);
  std::vector<core::Effect> effects;
  worker_.On(event, now_, &effects);
  Require(effects.size() <= kMaxEffects, "one event causes too much");
  for (const core::Effect& effect : effects) {
    judge_.Did(effect, now_);
    Take(effect);
  }
  led_ = led_ || worker_.is_leader();
  most_owned_ = std::max(most_owned_, judge_.owned());
}

void World::Take(const core::Effect& effect) {
  if (const auto* get = std::get_if<core::KvGet>(&effect)) requests_.emplace_back(*get);
  if (const auto* put = std::get_if<core::KvPut>(&effect)) requests_.emplace_back(*put);
  if (const auto* info = std::get_if<core::KvInfo>(&effect)) requests_.emplace_back(*info);
  if (const auto* open = std::get_if<core::OpenWatch>(&effect)) {
    watches_[open->watch] = {open->bucket, open->key, false, {}};
  }
  if (const auto* close = std::get_if<core::CloseWatch>(&effect)) watches_.erase(close->watch);
  if (const auto* release = std::get_if<core::RunRelease>(&effect)) {
    tickets_.emplace_back(release->ticket, false);
  }
  if (const auto* lost = std::get_if<core::RunLost>(&effect))
    tickets_.emplace_back(lost->ticket, true);
  if (const auto* acquire = std::get_if<core::RunAcquire>(&effect)) {
    acquiring_.insert(acquiring_.end(), acquire->partitions.begin(), acquire->partitions.end());
  }
  if (const auto* run = std::get_if<core::RunStrategy>(&effect)) plans_.push_back(*run);
}

// To the next deadline, if there is one.
void World::Tick() {
  const core::Nanos next = worker_.NextDeadline();
  if (next == core::kNever) return;
  now_ = std::max(now_, next);
  for (int i = 0; !worker_.stopped() && worker_.NextDeadline() <= now_; ++i) {
    Require(i < kMaxTicksAtOnce, "time doesn't go on");
    Send(core::Tick{});
  }
}

void World::Advance(core::Nanos span) {
  const core::Nanos end = now_ + span;
  for (int i = 0; i < kMaxTicksAtOnce && !worker_.stopped() && worker_.NextDeadline() < end; ++i) {
    Tick();
  }
  now_ = std::max(now_, end);
  Send(core::Tick{});
}

// Answers and delivers all that is due, as a healthy world does, until all is quiet.
void World::Settle() {
  for (int i = 0; i < kMaxRounds && !worker_.stopped() && SettleOnce(); ++i) continue;
}

bool World::SettleOnce() {
  bool any = false;
  for (std::size_t left = requests_.size(); left > 0 && !requests_.empty(); --left) {
    const Request request = std::move(requests_.front());
    requests_.pop_front();
    Send(Honest(request));
    any = true;
  }
  std::vector<core::WatchId> ids;
  for (const auto& [id, watch] : watches_) {
    if (!watch.opened || !watch.undelivered.empty()) ids.push_back(id);
  }
  for (const core::WatchId id : ids) Deliver(id);
  any = any || !ids.empty() || !tickets_.empty() || !acquiring_.empty() || !plans_.empty();
  while (!tickets_.empty()) {
    const auto [ticket, lost] = tickets_.front();
    tickets_.pop_front();
    if (lost) {
      Send(core::LostDone{ticket});
    } else {
      Send(core::ReleaseDone{ticket});
    }
  }
  while (!acquiring_.empty()) {
    const OwnedPartition partition = std::move(acquiring_.front());
    acquiring_.pop_front();
    Send(core::AcquireDone{partition.id, partition.token, absl::OkStatus()});
  }
  while (!plans_.empty()) {
    const core::RunStrategy run = std::move(plans_.front());
    plans_.pop_front();
    RunStrategy(run);
  }
  return any;
}

void World::RunStrategy(const core::RunStrategy& run) {
  core::StrategyDone done;
  done.ticket = run.ticket;
  std::vector<std::int32_t> owners;
  const std::size_t workers = run.input->workers.size();
  for (std::size_t i = 0; i < run.input->partitions->size(); ++i) {
    owners.push_back(workers == 0 ? -1 : static_cast<std::int32_t>(i % workers));
  }
  done.owners = std::move(owners);
  Send(done);
}

core::KvAnswer World::Honest(const Request& request) {
  if (const auto* get = std::get_if<core::KvGet>(&request)) {
    const auto& entries = At(get->bucket).entries;
    const auto found = entries.find(get->key);
    if (found == entries.end()) return AnswerTo(get->request, KvCode::kNotFound);
    core::KvAnswer answer = AnswerTo(get->request, KvCode::kOk);
    answer.entry = found->second;
    return answer;
  }
  if (const auto* put = std::get_if<core::KvPut>(&request)) {
    Bucket& bucket = At(put->bucket);
    const auto found = bucket.entries.find(put->key);
    const std::uint64_t last = found == bucket.entries.end() ? 0 : found->second.revision;
    if (last != put->expected) return AnswerTo(put->request, KvCode::kConflict);
    Write(put->bucket, put->key, put->value, false);
    core::KvAnswer answer = AnswerTo(put->request, KvCode::kOk);
    answer.revision = bucket.last;
    return answer;
  }
  const auto& info = std::get<core::KvInfo>(request);
  core::KvAnswer answer = AnswerTo(info.request, KvCode::kOk);
  answer.stream = {At(info.bucket).stream, At(info.bucket).last, false};
  return answer;
}

void World::Write(wire::Bucket bucket, const std::string& key, std::string value, bool deleted) {
  Bucket& in = At(bucket);
  wire::Entry entry{
      .key = key, .revision = ++in.last, .deleted = deleted, .value = std::move(value)};
  in.entries[key] = entry;
  for (auto& [id, watch] : watches_) {
    if (watch.opened && watch.bucket == bucket && (watch.key.empty() || watch.key == key)) {
      watch.undelivered.push_back(entry);
    }
  }
}

void World::Deliver(core::WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  const wire::Bucket bucket = found->second.bucket;
  if (!found->second.opened) {
    found->second.opened = true;
    std::vector<wire::Entry> snapshot;
    for (const auto& [key, entry] : At(bucket).entries) {
      if (found->second.key.empty() || found->second.key == key) snapshot.push_back(entry);
    }
    std::sort(snapshot.begin(), snapshot.end(),
              [](const auto& a, const auto& b) { return a.revision < b.revision; });
    const wire::StreamState state{At(bucket).stream, At(bucket).last, snapshot.empty()};
    for (const wire::Entry& entry : snapshot) Send(core::WatchEntry{id, entry});
    Send(core::WatchSnapshotEnd{id, state});
    return;
  }
  // Each may end the watch.
  std::deque<wire::Entry> changes = std::move(found->second.undelivered);
  found->second.undelivered.clear();
  for (const wire::Entry& entry : changes) Send(core::WatchEntry{id, entry});
}

}  // namespace parti::fuzz
