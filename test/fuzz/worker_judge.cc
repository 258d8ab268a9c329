#include "test/fuzz/worker_judge.h"

#include <algorithm>
#include <charconv>

#include "test/fuzz/targets.h"

namespace parti::fuzz {

using wire::Bucket;
using wire::KvCode;

// ---- what it is told

void WorkerJudge::Told(const core::Event& event) {
  if (const auto* entry = std::get_if<core::WatchEntry>(&event)) {
    const auto watch = watches_.find(entry->watch);
    if (watch != watches_.end()) ToldEntry(watch->second, entry->entry);
  }
  if (const auto* answer = std::get_if<core::KvAnswer>(&event)) ToldAnswer(*answer);
}

void WorkerJudge::ToldEntry(Bucket bucket, const wire::Entry& entry) {
  revisions_[{bucket, entry.key}].insert(entry.revision);
  if (bucket != Bucket::kAssignment || entry.deleted || !life_ || entry.key != life_->worker)
    return;
  auto doc = wire::DecodeDoc(entry.value, settings_.newest_wire_version);
  if (!doc.ok() || doc->unknown) return;
  if (doc->life_incarnation != life_->incarnation || doc->life_nonce != life_->nonce) return;
  docs_.push_back({*std::move(doc), last_request_, false});
}

void WorkerJudge::ToldAnswer(const core::KvAnswer& answer) {
  if (const auto put = puts_.find(answer.request); put != puts_.end()) {
    if (answer.code == KvCode::kOk) {
      revisions_[{put->second.bucket, put->second.key}].insert(answer.revision);
      const auto beat = wire::DecodeHeartbeat(put->second.value, settings_.newest_wire_version);
      if (put->second.bucket == Bucket::kHeartbeat && beat.ok()) {
        Acknowledged(beat->nonce, beat->number);
      }
    }
    puts_.erase(put);
  }
  const auto get = gets_.find(answer.request);
  if (get == gets_.end()) return;
  const core::KvGet request = get->second;
  gets_.erase(get);
  if (answer.code != KvCode::kOk) return;
  // The entry may claim to be of another key.
  revisions_[{request.bucket, request.key}].insert(answer.entry.revision);
  wire::Entry entry = answer.entry;
  ToldEntry(request.bucket, entry);
  if (entry.deleted) return;
  if (request.bucket == Bucket::kElection && request.key == wire::kLeaderKey) {
    const auto leader = wire::DecodeLeader(entry.value, settings_.newest_wire_version);
    if (!leader.ok() || leader->mode != settings_.mode) return;
    for (GrantDoc& grant : docs_) {
      if (request.request > grant.seen_after && leader->epoch == grant.doc.epoch &&
          leader->nonce == grant.doc.nonce) {
        grant.fenced = true;
      }
    }
  }
  if (request.bucket == Bucket::kHeartbeat) {
    const auto beat = wire::DecodeHeartbeat(entry.value, settings_.newest_wire_version);
    if (beat.ok() && beat->kind == wire::HeartbeatKind::kLive)
      Acknowledged(beat->nonce, beat->number);
  }
}

void WorkerJudge::Acknowledged(std::uint64_t nonce, std::uint64_t number) {
  const auto sent = sent_.find({nonce, number});
  if (sent == sent_.end()) return;
  core::Nanos& until = proven_[nonce];
  until = std::max(until, sent->second + settings_.lease);
}

// ---- what it does

void WorkerJudge::Did(const core::Effect& effect, core::Nanos now) {
  if (const auto* get = std::get_if<core::KvGet>(&effect)) {
    Require(get->request > last_request_, "a request's number comes again");
    last_request_ = get->request;
    gets_.emplace(get->request, *get);
  } else if (const auto* put = std::get_if<core::KvPut>(&effect)) {
    Require(put->request > last_request_, "a request's number comes again");
    last_request_ = put->request;
    CheckPut(*put, now);
    puts_.emplace(put->request, *put);
  } else if (const auto* info = std::get_if<core::KvInfo>(&effect)) {
    last_request_ = info->request;
  } else if (const auto* open = std::get_if<core::OpenWatch>(&effect)) {
    Require(watches_.emplace(open->watch, open->bucket).second, "a watch's number comes again");
  } else if (const auto* close = std::get_if<core::CloseWatch>(&effect)) {
    Require(watches_.erase(close->watch) == 1, "a watch is closed that isn't open");
  } else if (const auto* began = std::get_if<core::LifeBegan>(&effect)) {
    BeginLife(*began);
  } else if (const auto* lease = std::get_if<core::LeaseUntil>(&effect)) {
    CheckLease(lease->until);
  } else if (const auto* claim = std::get_if<core::Claim>(&effect)) {
    CheckClaim(*claim);
  } else if (const auto* unclaim = std::get_if<core::Unclaim>(&effect)) {
    for (const std::string& id : unclaim->partitions) owned_.erase(id);
    if (unclaim->all) {
      // Its lease may go on: a worker that leaves releases everything first.
      owned_.clear();
      docs_.clear();
      may_claim_ = false;
    }
  } else if (const auto* leads = std::get_if<core::LeadershipChanged>(&effect)) {
    if (leads->gained) {
      term_ = leads->epoch;
    } else {
      term_.reset();
    }
  }
}

void WorkerJudge::BeginLife(const core::LifeBegan& began) {
  const auto tried = tried_.find(began.worker);
  Require(tried != tried_.end() && tried->second.incarnation == began.incarnation,
          "a life without a heartbeat of its own");
  life_ = tried->second;
  Require(proven_.contains(life_->nonce), "a life whose heartbeat nobody acknowledged");
  Require(owned_.empty(), "a life begins with partitions of an earlier one");
  docs_.clear();
  may_claim_ = true;
}

void WorkerJudge::CheckClaim(const core::Claim& claim) {
  Require(may_claim_, "partitions claimed without a life");
  for (const OwnedPartition& partition : claim.partitions) {
    const bool granted = std::any_of(docs_.begin(), docs_.end(), [&](const GrantDoc& grant) {
      return grant.fenced && grant.doc.epoch == claim.epoch && grant.doc.version == claim.version &&
             std::find(grant.doc.owned.begin(), grant.doc.owned.end(), partition) !=
                 grant.doc.owned.end();
    });
    Require(granted, "a partition claimed that no doc of this life granted behind its fence");
    owned_.insert(partition.id);
  }
}

void WorkerJudge::CheckLease(core::Nanos until) const {
  if (settings_.mode == wire::Mode::kFast) return;
  Require(life_.has_value(), "a lease without a life");
  const auto proven = proven_.find(life_->nonce);
  Require(proven != proven_.end() && until <= proven->second, "a lease that no heartbeat proves");
}

void WorkerJudge::CheckPut(const core::KvPut& put, core::Nanos now) {
  const int newest = settings_.newest_wire_version;
  if (put.expected != 0) {
    const auto told = revisions_.find({put.bucket, put.key});
    Require(told != revisions_.end() && told->second.contains(put.expected),
            "a write expects a revision that nobody told");
  }
  switch (put.bucket) {
    case Bucket::kStableId:
      Require(wire::DecodeClaim(put.value, newest).ok(), "an unreadable claim is written");
      Require(put.key.starts_with(settings_.worker_id_prefix), "a claim to another's id");
      return;
    case Bucket::kElection:
      if (put.key == wire::kLeaderKey) {
        Require(wire::DecodeLeader(put.value, newest).ok(),
                "an unreadable leader record is written");
      } else {
        Require(put.key == wire::kReportKey, "a worker writes what is people's to write");
        Require(wire::DecodeReport(put.value, newest).ok(),
                "an unreadable report is written: " + put.value);
      }
      return;
    case Bucket::kHeartbeat:
      return CheckHeartbeat(put, now);
    case Bucket::kAssignment:
      return CheckDoc(put);
  }
}

void WorkerJudge::CheckHeartbeat(const core::KvPut& put, core::Nanos now) {
  const auto beat = wire::DecodeHeartbeat(put.value, settings_.newest_wire_version);
  Require(beat.ok(), "an unreadable heartbeat is written: " + put.value);
  if (beat->kind == wire::HeartbeatKind::kEvicted) {
    Require(term_.has_value(), "a tombstone by who doesn't lead");
    return;
  }
  if (may_claim_)
    Require(put.key == life_->worker && beat->nonce == life_->nonce, "another's heartbeat");
  if (beat->kind != wire::HeartbeatKind::kLive) return;
  tried_[put.key] = {put.key, beat->incarnation, beat->nonce};
  // Sent again under its number, an earlier sending counts.
  sent_.emplace(std::pair(beat->nonce, beat->number), now);
}

void WorkerJudge::CheckDoc(const core::KvPut& put) const {
  const auto doc = wire::DecodeDoc(put.value, settings_.newest_wire_version);
  Require(doc.ok(), "an unreadable doc is written");
  Require(term_.has_value() && doc->epoch == *term_, "a doc outside of an own term");
  Require(put.value.size() <= settings_.max_doc_bytes, "a doc larger than the server takes");
}

}  // namespace parti::fuzz
