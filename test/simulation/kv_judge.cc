#include "test/simulation/kv_judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "internal/wire/limits.h"

namespace parti::simulation {

using wire::Bucket;
using wire::HeartbeatKind;

std::shared_ptr<SentPut> KvJudge::Sending(SentPut sent) {
  auto record = std::make_shared<SentPut>(std::move(sent));
  const int process = record->process;
  const std::string& value = record->put.value;
  bool readable = record->put.bucket == Bucket::kStableId;
  if (record->put.bucket == Bucket::kElection && record->put.key == wire::kReportKey) {
    if (auto report = wire::DecodeReport(value, wire::kMaxWireVersion); report.ok())
      record->report = *std::move(report);
    shared_.tally.Add(Count::kReport);
  } else if (record->put.bucket == Bucket::kElection && record->put.key == wire::kLeaderKey) {
    if (auto leader = wire::DecodeLeader(value, wire::kMaxWireVersion); leader.ok())
      record->leader = *std::move(leader);
  } else if (record->put.bucket == Bucket::kHeartbeat) {
    if (auto beat = wire::DecodeHeartbeat(value, wire::kMaxWireVersion); beat.ok())
      record->heartbeat = *std::move(beat);
    if (record->heartbeat) CheckAcknowledgement(process, *record->heartbeat);
  } else if (record->put.bucket == Bucket::kAssignment) {
    if (auto doc = wire::DecodeDoc(value, wire::kMaxWireVersion); doc.ok())
      record->doc = *std::move(doc);
    if (record->doc && leader_ && record->doc->epoch < leader_->epoch) {
      shared_.tally.Add(Count::kDeposedWriteSent);
    }
  }
  readable = readable || record->report || record->leader || record->heartbeat || record->doc;
  if (!readable) {
    Broken("core writes readable records",
           fmt::format("{}/{}: {}", wire::BucketName(record->put.bucket), record->put.key, value));
  }
  rules_.Sending(*record);
  return record;
}

void KvJudge::CheckAcknowledgement(int process, const wire::Heartbeat& heartbeat) {
  if (heartbeat.kind == HeartbeatKind::kEvicted) return;
  if (heartbeat.kind == HeartbeatKind::kLeft) return claims_.Leaving(process);
  if (heartbeat.applied_revision == 0) return;
  // The newest stream that has this revision for this life is meant; of two there (it lost its end,
  // and a repeated write landed anew) the first. And it may have been any of them that was applied:
  // a write that is repeated can land in a recreated bucket, too.
  const Written* applied = nullptr;
  Nanos at = core::kNever;
  std::uint64_t stream = 0;
  int streams = 0;
  for (auto doc = history_.lower_bound({heartbeat.applied_revision, 0});
       doc != history_.end() && doc->first.first == heartbeat.applied_revision; ++doc) {
    const Written& written = doc->second;
    if (written.doc->nonce != heartbeat.applied_nonce ||
        written.doc->life_nonce != heartbeat.nonce) {
      continue;
    }
    at = std::min(at, written.at);
    if (doc->first.second != stream) {
      applied = &written;
      ++streams;
    }
    stream = doc->first.second;
  }
  if (applied == nullptr) {
    Broken("a heartbeat acknowledges a document that was written",
           fmt::format("revision {} by epoch nonce {:x}", heartbeat.applied_revision,
                       heartbeat.applied_nonce));
    return;
  }
  if (heartbeat.highest_epoch < applied->doc->epoch) {
    Broken("a heartbeat tells the highest epoch that its worker has seen",
           fmt::format("{}, after a document of epoch {}", heartbeat.highest_epoch,
                       applied->doc->epoch));
  }
  rules_.Acknowledging(process, *applied->doc, at);
  if (streams > 1) return;
  claims_.Acknowledging(process, applied->doc->owned,
                        fmt::format("acknowledges revision {}", heartbeat.applied_revision));
}

void KvJudge::Accepted(const SentPut& sent, std::uint64_t stream_id, std::uint64_t revision) {
  if (sent.leader) {
    // (In a stream that was recreated a revision that was watched before may come around.)
    const bool comparable = leader_ && !wiped_[static_cast<std::size_t>(Bucket::kElection)];
    rules_.LeaderAccepted(sent, comparable ? &*leader_ : nullptr);
    CheckLeader(*sent.leader);
  }
  if (sent.report) report_ = sent.report;
  if (sent.heartbeat) CheckHeartbeat(sent, *sent.heartbeat);
  if (sent.doc) CheckDoc(sent, stream_id, revision);
}

void KvJudge::CheckLeader(const wire::Leader& leader) {
  const bool change = !leader_ || leader_->nonce != leader.nonce || leader_->epoch != leader.epoch;
  // A challenger that still knows the stream of before a wipe may hit the new one's revision by
  // chance.
  // No epoch comes after the largest: terms share it.
  const bool shared = leader.epoch == wire::kMaxExactInteger;
  if (!wiped_[static_cast<std::size_t>(Bucket::kElection)] && leader_ &&
      (leader.epoch < leader_->epoch || (change && !shared && leader.epoch == leader_->epoch))) {
    Broken("epochs never go down",
           fmt::format("leader record: epoch {} of {} after epoch {} of {}", leader.epoch,
                       leader.holder, leader_->epoch, leader_->holder));
  }
  // A record that was lost is continued from the documents and heartbeats, unless those were lost
  // too.
  const bool remembered = !broken_[static_cast<std::size_t>(Bucket::kAssignment)] &&
                          !broken_[static_cast<std::size_t>(Bucket::kHeartbeat)];
  std::uint64_t floor = 0;
  if (!leader_ && remembered) {
    for (const auto& [key, seen] : docs_) floor = std::max(floor, seen.doc.epoch);
  }
  if (change && leader.epoch < floor && !wiped_[static_cast<std::size_t>(Bucket::kElection)]) {
    Broken("a lost epoch is continued from the documents",
           fmt::format("leader record: epoch {} of {}, but a document bears epoch {}", leader.epoch,
                       leader.holder, floor));
  }
  if (change) {
    ++leader_changes_;
    shared_.tally.Add(Count::kLeaderChange);
  }
  if (leader_ && leader.wire_version > leader_->wire_version) {
    shared_.tally.Add(Count::kVersionRaised);
  }
  leader_ = leader;
}

void KvJudge::LeaderServed(int process, const std::string& value) {
  const auto leader = wire::DecodeLeader(value, wire::kMaxWireVersion);
  if (leader.ok()) rules_.LeaderServed(process, *leader);
}

void KvJudge::CheckHeartbeat(const SentPut& sent, const wire::Heartbeat& heartbeat) {
  const std::string& key = sent.put.key;
  const auto last = heartbeats_.find(key);
  // A writer that still knows the stream of before a wipe may hit the new one's revision by chance.
  if (last != heartbeats_.end() && !wiped_[static_cast<std::size_t>(Bucket::kHeartbeat)]) {
    const wire::Heartbeat& before = last->second;
    const bool same_life = before.nonce == heartbeat.nonce;
    if (same_life && before.kind != HeartbeatKind::kLive &&
        heartbeat.kind == HeartbeatKind::kLive) {
      Broken("a life never writes over its own end",
             fmt::format("{} (incarnation {}, number {}) after it was over", key,
                         heartbeat.incarnation, heartbeat.number));
    }
    if (!same_life && heartbeat.kind == HeartbeatKind::kLive &&
        heartbeat.incarnation <= before.incarnation) {
      Broken("incarnations only rise",
             fmt::format("{}: {} after {}", key, heartbeat.incarnation, before.incarnation));
    }
    if (same_life && heartbeat.kind == HeartbeatKind::kLive) {
      if (heartbeat.number <= before.number) {
        Broken("heartbeats are numbered in order",
               fmt::format("{}: {} after {}", key, heartbeat.number, before.number));
      }
      if (heartbeat.applied_revision < before.applied_revision &&
          !broken_[static_cast<std::size_t>(Bucket::kAssignment)]) {
        Broken("documents are applied in rising order",
               fmt::format("{}: {} after {}", key, heartbeat.applied_revision,
                           before.applied_revision));
      }
    }
  }
  // (What was sent before may land late; and who has no answer to its first heartbeat tries again.)
  const auto removed = removed_.find(key);
  if (removed != removed_.end() && removed->second.nonce == heartbeat.nonce &&
      sent.put.expected == 0 && sent.decided_at > removed->second.at &&
      heartbeat.kind != HeartbeatKind::kEvicted && rules_.HasBegun(heartbeat.nonce)) {
    Broken("a life never writes a heartbeat that was removed anew",
           fmt::format("{} (incarnation {}, number {})", key, heartbeat.incarnation,
                       heartbeat.number));
  }
  const bool known =
      last != heartbeats_.end() && !wiped_[static_cast<std::size_t>(Bucket::kHeartbeat)];
  rules_.HeartbeatAccepted(sent, known ? &last->second : nullptr);
  for (const wire::Refusal& refusal : heartbeat.refused) {
    given_back_.emplace(heartbeat.nonce, refusal.partition);
  }
  heartbeats_[key] = heartbeat;
  if (heartbeat.kind == HeartbeatKind::kEvicted) {
    shared_.tally.Add(Count::kEviction);
  } else if (heartbeat.kind == HeartbeatKind::kLeft) {
    shared_.tally.Add(Count::kLeft);
  } else {
    claims_.HeartbeatAccepted(sent.process, key, heartbeat.incarnation,
                              sent.sent + heartbeat.lease_ms * core::kMillisecond);
  }
}

bool KvJudge::MetTombstone(const SentPut& sent) const {
  const auto last = heartbeats_.find(sent.put.key);
  return sent.heartbeat && last != heartbeats_.end() &&
         sent.heartbeat->kind == HeartbeatKind::kLive &&
         last->second.kind == HeartbeatKind::kEvicted &&
         last->second.nonce == sent.heartbeat->nonce;
}

void KvJudge::CheckDoc(const SentPut& sent, std::uint64_t stream_id, std::uint64_t revision) {
  const wire::Doc& doc = *sent.doc;
  const std::string& key = sent.put.key;
  ++documents_;
  if (leader_ && doc.epoch < leader_->epoch) shared_.tally.Add(Count::kDeposedWriteLanded);
  const auto last = docs_.find(key);
  // By a leader that knows the bucket of before, it may hit a revision of the new one by chance.
  const bool old_term = rules_.FencedAt({doc.epoch, doc.nonce}) < doc_bucket_made_at_ &&
                        last != docs_.end() && doc.epoch < last->second.doc.epoch;
  const bool strayed = sent.decided_at < doc_bucket_made_at_ || old_term;
  const bool current = leader_ && leader_->epoch == doc.epoch && leader_->nonce == doc.nonce;
  if (last != docs_.end() && !strayed) {
    const wire::Doc& before = last->second.doc;
    if (std::pair(doc.epoch, doc.version) < std::pair(before.epoch, before.version)) {
      Broken("versions never go down", fmt::format("{}: ({}, {}) after ({}, {})", key, doc.epoch,
                                                   doc.version, before.epoch, before.version));
    }
    if (doc.life_incarnation < before.life_incarnation && !rules_.IsTooOld(sent.process)) {
      Broken("no document is for an older life",
             fmt::format("{}: incarnation {} after {}", key, doc.life_incarnation,
                         before.life_incarnation));
    }
  }
  // (Nobody applied what a deposed leader wrote.)
  if (last != docs_.end() && last->second.current) CheckPause(doc, last->second.doc, key);
  for (const OwnedPartition& owned : doc.owned) {
    if (std::find(doc.releasing.begin(), doc.releasing.end(), owned.id) != doc.releasing.end()) {
      Broken("owned and releasing are disjoint", fmt::format("{}: {}", key, owned.id));
    }
  }
  rules_.CheckHold(sent, stream_id);
  rules_.DocAccepted(sent, last == docs_.end() ? nullptr : &last->second.doc, current && !strayed);
  docs_[key] = {doc, revision, current};
  // A stream that lost its end uses revisions again.
  history_.emplace(std::pair(revision, stream_id),
                   Written{std::make_shared<const wire::Doc>(doc), shared_.now()});
}

// While people want a pause, and the leader has said that all is as they want it, nothing is taken
// from who lives, takes part, and did not give it back. (A leader hears of a new list a moment
// later.)
void KvJudge::CheckPause(const wire::Doc& doc, const wire::Doc& before, const std::string& worker) {
  constexpr Nanos kListIsKnown = 8 * core::kSecond;
  if (!control_ || !control_->paused || !report_ || !report_->control_settled ||
      report_->control_revision != control_revision_ || report_->epoch != doc.epoch ||
      report_->nonce != doc.nonce || before.life_nonce != doc.life_nonce || doc.unknown ||
      shared_.now() < listed_at_ + kListIsKnown) {
    return;
  }
  const auto heartbeat = heartbeats_.find(worker);
  if (heartbeat == heartbeats_.end() || heartbeat->second.kind != HeartbeatKind::kLive ||
      heartbeat->second.nonce != doc.life_nonce || heartbeat->second.capacity <= 0 ||
      std::binary_search(control_->drained.begin(), control_->drained.end(), worker)) {
    return;
  }
  for (const OwnedPartition& owned : before.owned) {
    const auto is_it = [&owned](const auto& one) { return one.id == owned.id; };
    // (What is offered again may still move, as planned when it was given back.)
    const bool given_back = given_back_.contains({doc.life_nonce, owned.id});
    const bool pinned =
        std::any_of(control_->pins.begin(), control_->pins.end(),
                    [&](const wire::Pin& pin) { return pin.partition == owned.id; });
    if (given_back || pinned || !listed_.contains(owned.id) ||
        std::any_of(doc.owned.begin(), doc.owned.end(), is_it)) {
      continue;
    }
    Broken("while paused, what has an owner stays",
           fmt::format("{} is taken from {}", owned.id, worker));
  }
}

void KvJudge::Controlled(const std::string& value, std::uint64_t revision) {
  control_.reset();
  control_revision_ = revision;
  if (auto control = wire::DecodeControl(value); control.ok()) control_ = *std::move(control);
}

void KvJudge::Listed(std::set<std::string, std::less<>> partitions) {
  listed_ = std::move(partitions);
  listed_at_ = shared_.now();
}

void KvJudge::Planned(int process, const core::RebalanceNote& note) {
  shared_.tally.Add(Count::kRebalance);
  const auto [entry, first] = versions_.try_emplace({process, note.epoch}, note.version);
  if (first) return;
  if (note.version != entry->second + 1) {
    Broken("a rebalance raises the version by one",
           fmt::format("epoch {}: version {} after {}", note.epoch, note.version, entry->second));
  }
  entry->second = note.version;
}

// A life ends when its lease has run out, or when its key bears something else: not for an answer
// that was lost, nor for one that tells of a heartbeat of its own.
void KvJudge::Lost(int process) {
  if (broken_[static_cast<std::size_t>(Bucket::kHeartbeat)] || !claims_.has_lease(process)) return;
  const auto last = heartbeats_.find(claims_.worker(process));
  if (last == heartbeats_.end() || last->second.kind != HeartbeatKind::kLive) return;
  if (!rules_.Lives(process, last->second.nonce)) return;
  Broken("a life goes on while its lease and its heartbeat stand",
         fmt::format("{} gives up its life, which its key still bears", last->first));
}

void KvJudge::Tampered(Bucket bucket, const std::string& key) {
  // No promise rests on what people and status commands read and write.
  if (bucket == Bucket::kElection && key != wire::kLeaderKey) {
    control_.reset();
    return;
  }
  Forget(bucket);
  if (bucket == Bucket::kElection) leader_.reset();
  if (bucket == Bucket::kHeartbeat) {
    if (const auto last = heartbeats_.find(key); last != heartbeats_.end()) {
      removed_[key] = {last->second.nonce, shared_.now()};
    }
    heartbeats_.erase(key);
    rules_.HeartbeatForgotten(key);
  }
  if (bucket == Bucket::kAssignment) {
    docs_.erase(key);
    rules_.DocsForged();
  }
}

void KvJudge::Wiped(Bucket bucket) {
  Forget(bucket);
  wiped_[static_cast<std::size_t>(bucket)] = true;
  if (bucket == Bucket::kElection) {
    leader_.reset();
    control_.reset();
  }
  if (bucket == Bucket::kHeartbeat) {
    for (const auto& [key, last] : heartbeats_) removed_[key] = {last.nonce, shared_.now()};
    heartbeats_.clear();
    rules_.HeartbeatsForgotten();
  }
  if (bucket == Bucket::kAssignment) {
    docs_.clear();
    doc_bucket_made_at_ = shared_.now();
    rules_.DocsWiped();
  }
}

// Which promises survive: an id's holder is known from its claim and its heartbeat, an epoch from
// `leader` and the documents.
void KvJudge::Forget(Bucket bucket) {
  rules_.Tampered();
  broken_[static_cast<std::size_t>(bucket)] = true;
  if (bucket == Bucket::kStableId || bucket == Bucket::kHeartbeat) claims_.IdsForgotten();
  if (broken_[static_cast<std::size_t>(Bucket::kElection)] &&
      broken_[static_cast<std::size_t>(Bucket::kAssignment)]) {
    claims_.EpochsForgotten();
    rules_.EpochsForgotten();
  }
}

void KvJudge::Expired(const std::string& worker) {
  rules_.Tampered();
  heartbeats_.erase(worker);
  rules_.HeartbeatForgotten(worker);
}

const wire::Doc* KvJudge::DocOf(const std::string& worker) const {
  const auto found = docs_.find(worker);
  return found == docs_.end() ? nullptr : &found->second.doc;
}

}  // namespace parti::simulation
