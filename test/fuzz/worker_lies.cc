// What may happen to a worker next, and every untruth that it may be told.
#include <algorithm>
#include <limits>
#include <utility>

#include "internal/wire/limits.h"
#include "test/fuzz/worker_world.h"

namespace parti::fuzz {

using wire::KvCode;

namespace {
constexpr std::size_t kPartitions = 8;
std::string PartitionName(std::size_t number) { return "p-" + std::to_string(number); }
}  // namespace

void World::Step() {
  const std::size_t choice = bytes_.Below(64);
  if (choice < 12) return Settle();
  if (choice < 20) return Tick();
  if (choice < 22) return Advance(core::Nanos{bytes_.Short()} * core::kMillisecond);
  if (choice < 24) return AnswerOne(true);
  if (choice < 32) return AnswerOne(false);
  if (choice < 40) return Lie(choice - 32);
  if (choice < 54) return Interfere(choice - 40);
  return Application(choice - 54);
}

// ---- answers

void World::AnswerOne(bool honest) {
  if (requests_.empty()) return;
  const auto at = requests_.begin() + static_cast<std::ptrdiff_t>(bytes_.Byte() % requests_.size());
  const Request request = *at;
  requests_.erase(at);
  if (honest) return Send(Honest(request));
  const core::RequestId id = std::visit([](const auto& r) { return r.request; }, request);
  core::KvAnswer answer;
  answer.request = id;
  answer.code = static_cast<KvCode>(bytes_.Below(5));
  answer.error = "an error";
  // A write without an answer may have been made, and a conflict may be its own success.
  if (const auto* put = std::get_if<core::KvPut>(&request); put != nullptr && bytes_.Flag()) {
    Write(put->bucket, put->key, put->value, false);
  }
  answer.revision = TakeRevision(7);
  answer.stream = {TakeNumber(1), TakeRevision(7), bytes_.Flag()};
  if (const auto* get = std::get_if<core::KvGet>(&request)) answer.entry = TakeEntry(get->bucket);
  Send(answer);
}

// ---- what a watch may say

core::WatchId World::TakeWatch() {
  if (watches_.empty()) return bytes_.Byte();
  const std::size_t skip = bytes_.Byte() % (watches_.size() + 1);
  if (skip == watches_.size()) return bytes_.Byte();  // one that was closed, or never opened
  return std::next(watches_.begin(), static_cast<std::ptrdiff_t>(skip))->first;
}

void World::Lie(std::size_t which) {
  const core::WatchId id = TakeWatch();
  const auto watch = watches_.find(id);
  const wire::Bucket bucket = watch == watches_.end() ? TakeBucket() : watch->second.bucket;
  switch (which) {
    case 0:
    case 1:
    case 2:
      return Send(core::WatchEntry{id, TakeEntry(bucket)});
    case 3:
      return Send(core::WatchSnapshotEnd{id, {TakeNumber(1), TakeRevision(7), bytes_.Flag()}});
    case 4:
      watches_.erase(id);
      return Send(core::WatchBroken{id, "broken"});
    case 5:  // it has fallen silent
      if (watch != watches_.end()) watch->second.undelivered.clear();
      return;
    case 6: {  // an answer to nothing
      core::KvAnswer answer;
      answer.request = TakeNumber(3);
      answer.code = static_cast<KvCode>(bytes_.Below(5));
      answer.entry = TakeEntry(bucket);
      // Not to what is asked: that is AnswerOne's.
      for (const Request& request : requests_) {
        if (std::visit([](const auto& r) { return r.request; }, request) == answer.request) return;
      }
      return Send(answer);
    }
    default:
      return Send(core::ConnectionChanged{bytes_.Flag()});
  }
}

// ---- what others do to the buckets

void World::Interfere(std::size_t which) {
  const wire::Bucket bucket = TakeBucket();
  Bucket& in = At(bucket);
  switch (which) {
    case 10: {
      const std::string key = TakeKey(bucket);
      return Write(bucket, key, "", true);
    }
    case 11: {  // recreated, or rolled back
      in.stream += bytes_.Flag() ? 1 : 0;
      in.entries.clear();
      in.last = bytes_.Byte();
      return;
    }
    case 12: {  // one byte of a value changes, or its end is cut off
      const std::string key = TakeKey(bucket);
      const auto found = in.entries.find(key);
      if (found == in.entries.end() || found->second.value.empty()) return;
      std::string value = found->second.value;
      const std::size_t at = bytes_.Short() % value.size();
      if (bytes_.Flag()) {
        value.resize(at);
      } else {
        value[at] = static_cast<char>(bytes_.Byte());
      }
      return Write(bucket, key, std::move(value), false);
    }
    case 13:
      in.last = TakeRevision(in.last);
      return;
    default: {
      const std::string key = TakeKey(bucket);
      std::string value = TakeValue(bucket, key);
      return Write(bucket, key, std::move(value), false);
    }
  }
}

// ---- what the application does

void World::ListPartitions() {
  auto list = std::make_shared<std::vector<Partition>>();
  const std::uint8_t which = bytes_.Byte();
  for (std::size_t i = 0; i < kPartitions; ++i) {
    if ((which >> i & 1U) != 0) list->push_back({.keys = {"p", std::to_string(i)}});
  }
  Send(core::PartitionsListed{std::move(list)});
}

void World::Application(std::size_t which) {
  switch (which) {
    case 0:
    case 1:
      return ListPartitions();
    case 2:
      return Send(core::RebalanceRequested{});
    case 3:
      return Send(core::PartitionsFailed{absl::UnavailableError("no list")});
    case 4: {
      core::AcquireDone done{
          PartitionName(bytes_.Below(kPartitions)), {}, absl::AbortedError("no")};
      if (!acquiring_.empty()) {
        done.partition = acquiring_.front().id;
        done.token = acquiring_.front().token;
        acquiring_.pop_front();
      }
      return Send(done);
    }
    case 5:
      return Send(core::ReleaseDone{bytes_.Byte()});
    case 6:
      return Send(core::LostDone{bytes_.Byte()});
    case 7: {  // a strategy that answers anything
      core::StrategyDone done;
      done.ticket = plans_.empty() ? bytes_.Byte() : plans_.front().ticket;
      if (!plans_.empty()) plans_.pop_front();
      std::vector<std::int32_t> owners;
      for (std::size_t n = bytes_.Below(12); n > 0; --n) {
        owners.push_back(static_cast<std::int8_t>(bytes_.Byte()));
      }
      done.owners = std::move(owners);
      if (bytes_.Flag()) done.owners = absl::InternalError("it failed");
      return Send(done);
    }
    case 8:
      return Send(core::Tick{});
    default:
      if (bytes_.Byte() == 0xff) Send(core::StopRequested{});
      return;
  }
}

// ---- keys, numbers and values

std::string World::TakeKey(wire::Bucket bucket) {
  const std::size_t choice = bytes_.Below(8);
  if (choice == 7) return bytes_.Text(bytes_.Below(24));
  if (bucket == wire::Bucket::kElection) {
    static constexpr std::string_view kKeys[] = {
        wire::kLeaderKey,  wire::kLeaderKey,  wire::kLeaderKey, wire::kLeaderKey,
        wire::kControlKey, wire::kControlKey, wire::kReportKey};
    return std::string(kKeys[choice]);
  }
  if (choice < 3 && judge_.life()) return judge_.life()->worker;
  return settings_.worker_id_prefix + std::to_string(choice % 4);
}

std::uint64_t World::TakeNumber(std::uint64_t near) {
  switch (bytes_.Below(8)) {
    case 0:
      return near;
    case 1:
      return near + 1;
    case 2:
      return near == 0 ? 0 : near - 1;
    case 3:
      return bytes_.Byte();
    case 4:
      return wire::kMaxExactInteger - bytes_.Below(2);
    case 5:
      return std::numeric_limits<std::uint64_t>::max() - bytes_.Below(2);
    case 6:
      return bytes_.Long();
    default:
      return bytes_.Short();
  }
}

// What the KV seam lets in.
std::uint64_t World::TakeRevision(std::uint64_t near) {
  return std::min(TakeNumber(near), wire::kMaxExactInteger - 1'000'000);
}

wire::Entry World::TakeEntry(wire::Bucket bucket) {
  const std::string key = TakeKey(bucket);
  const auto& entries = At(bucket).entries;
  const auto found = entries.find(key);
  const std::uint64_t near = found == entries.end() ? At(bucket).last : found->second.revision;
  wire::Entry entry{.key = key, .revision = TakeRevision(near), .deleted = false, .value = {}};
  switch (bytes_.Below(8)) {
    case 0:
      entry.deleted = true;
      return entry;
    case 1:
    case 2:  // what stands there, under another revision
      if (found != entries.end()) entry.value = found->second.value;
      return entry;
    default:
      entry.value = TakeValue(bucket, key);
      return entry;
  }
}

std::string World::TakeValue(wire::Bucket bucket, const std::string& key) {
  switch (bytes_.Below(8)) {
    case 0:
      return bytes_.Text(bytes_.Byte());
    case 1:  // of another bucket
      return TakeRecord(TakeBucket(), key);
    default:
      return TakeRecord(bucket, key);
  }
}

std::string World::TakeRecord(wire::Bucket bucket, const std::string& key) {
  switch (bucket) {
    case wire::Bucket::kStableId:
      return TakeClaim();
    case wire::Bucket::kHeartbeat:
      return TakeHeartbeat();
    case wire::Bucket::kAssignment:
      return TakeDoc();
    case wire::Bucket::kElection:
      return key == wire::kControlKey ? TakeControl() : TakeLeader();
  }
  return {};
}

std::optional<wire::Leader> World::StandingLeader() {
  const auto& entries = At(wire::Bucket::kElection).entries;
  const auto found = entries.find(std::string(wire::kLeaderKey));
  if (found == entries.end()) return std::nullopt;
  auto leader = wire::DecodeLeader(found->second.value, settings_.newest_wire_version);
  if (!leader.ok()) return std::nullopt;
  return *std::move(leader);
}

std::string World::TakeLeader() {
  wire::Leader leader = StandingLeader().value_or(wire::Leader{});
  const std::uint8_t what = bytes_.Byte();
  leader.epoch = TakeNumber(leader.epoch);
  if ((what & 1U) != 0) leader.nonce = bytes_.Byte();
  leader.holder = judge_.life() && (what & 2U) != 0 ? judge_.life()->worker : "worker-3";
  leader.renewals = bytes_.Byte();
  leader.released = (what & 4U) != 0;
  leader.mode = (what & 24U) == 24 ? wire::Mode::kFast : settings_.mode;
  if ((what & 96U) == 96) leader.wire_version = bytes_.Byte() + 1;
  if ((what & 128U) != 0) leader.assignment_stream = TakeNumber(1);
  return wire::Encode(leader);
}

std::vector<std::string> World::TakePartitions() {
  std::vector<std::string> ids;
  const std::uint8_t which = bytes_.Byte();
  for (std::size_t i = 0; i < kPartitions; ++i) {
    if ((which >> i & 1U) != 0) ids.push_back(PartitionName(i));
  }
  return ids;
}

std::string World::TakeDoc() {
  const wire::Leader leader = StandingLeader().value_or(wire::Leader{});
  const std::uint8_t what = bytes_.Byte();
  wire::Doc doc;
  doc.epoch =
      (what & 1U) != 0 ? TakeNumber(leader.epoch) : std::max<std::uint64_t>(1, leader.epoch);
  doc.nonce = (what & 2U) != 0 ? bytes_.Byte() : leader.nonce;
  doc.version = bytes_.Byte();
  if (judge_.life()) {
    doc.life_incarnation = judge_.life()->incarnation;
    doc.life_nonce = judge_.life()->nonce;
  }
  if ((what & 4U) != 0) doc.life_incarnation = TakeNumber(doc.life_incarnation);
  if ((what & 8U) != 0) doc.life_nonce = bytes_.Byte();
  doc.life_lease_ms = (what & 16U) != 0 ? wire::kMaxLeaseMs : settings_.lease / core::kMillisecond;
  doc.unknown = (what & 96U) == 96;
  for (const std::string& id : TakePartitions())
    doc.owned.push_back({id, {doc.epoch, doc.version}});
  for (const std::string& id : TakePartitions()) {
    const auto same = [&id](const OwnedPartition& owned) { return owned.id == id; };
    if (std::none_of(doc.owned.begin(), doc.owned.end(), same)) doc.releasing.push_back(id);
  }
  return wire::Encode(doc);
}

std::string World::TakeHeartbeat() {
  const std::uint8_t what = bytes_.Byte();
  wire::Heartbeat beat;
  beat.kind = static_cast<wire::HeartbeatKind>(what % 3);
  beat.incarnation = 1;
  if ((what & 4U) != 0 && judge_.life()) {
    beat.incarnation = judge_.life()->incarnation;
    beat.nonce = judge_.life()->nonce;
  } else {
    beat.incarnation = TakeNumber(1);
    beat.nonce = bytes_.Byte();
  }
  beat.number = TakeNumber(1);
  beat.lease_ms = (what & 8U) != 0 ? wire::kMaxLeaseMs : settings_.lease / core::kMillisecond;
  beat.applied_revision = TakeNumber(At(wire::Bucket::kAssignment).last);
  const auto leader = StandingLeader();
  beat.applied_nonce = leader ? leader->nonce : bytes_.Byte();
  beat.highest_epoch = (what & 16U) != 0 ? TakeNumber(leader ? leader->epoch : 1) : 1;
  beat.capacity = (what & 32U) != 0 ? wire::kMaxCapacity : 1;
  beat.state = "Stable";
  beat.speaks = (what & 64U) != 0 ? bytes_.Byte() + 1 : settings_.newest_wire_version;
  if ((what & 128U) != 0) {
    for (const std::string& id : TakePartitions()) beat.refused.push_back({id, {1, 1}, "no"});
  }
  beat.replaced_revision = TakeNumber(At(wire::Bucket::kHeartbeat).last);
  beat.evicting_epoch = leader ? leader->epoch : 1;
  return wire::Encode(beat);
}

std::string World::TakeClaim() {
  const std::uint8_t what = bytes_.Byte();
  wire::Claim claim;
  claim.identity = (what & 1U) != 0 ? settings_.identity : "another";
  claim.incarnation = TakeNumber(1);
  claim.nonce = bytes_.Byte();
  claim.lease_ms = (what & 2U) != 0 ? wire::kMaxLeaseMs : settings_.lease / core::kMillisecond;
  claim.process = settings_.process;
  claim.process.pid = bytes_.Byte();
  return wire::Encode(claim);
}

std::string World::TakeControl() {
  const std::uint8_t what = bytes_.Byte();
  wire::Control control;
  control.paused = (what & 1U) != 0;
  for (std::size_t i = 0; i < 4; ++i) {
    if ((what >> (i + 1) & 1U) != 0) control.drained.push_back("worker-" + std::to_string(i));
  }
  for (const std::string& id : TakePartitions()) {
    control.pins.push_back({id, "worker-" + std::to_string(bytes_.Below(4))});
  }
  return wire::Encode(control);
}

}  // namespace parti::fuzz
