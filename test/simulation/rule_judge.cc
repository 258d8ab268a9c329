#include "test/simulation/rule_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace parti::simulation {

using wire::HeartbeatKind;

namespace {

std::string Show(const FencingToken& token) {
  return fmt::format("({}, {})", token.epoch, token.version);
}

double Seconds(Nanos time) { return static_cast<double>(time) / 1e9; }

std::size_t Index(int process) { return static_cast<std::size_t>(process); }

}  // namespace

int RuleJudge::Liver(std::uint64_t life_nonce) const {
  const auto life = lives_.find(life_nonce);
  if (life == lives_.end()) return -1;
  return newest_life_.at(life->second) == life_nonce ? life->second : -1;
}

void RuleJudge::Sending(const SentPut& sent) {
  if (sent.heartbeat && sent.heartbeat->kind == HeartbeatKind::kLive) {
    lives_[sent.heartbeat->nonce] = sent.process;
    newest_life_[sent.process] = sent.heartbeat->nonce;
  }
  if (sent.heartbeat && sent.heartbeat->kind != HeartbeatKind::kEvicted) {
    std::uint64_t& newest = numbers_[sent.heartbeat->nonce];
    if (sent.heartbeat->number <= newest) {
      Broken("each heartbeat of a life bears a greater number",
             fmt::format("process {} sends number {} after {}", sent.process,
                         sent.heartbeat->number, newest));
    }
    newest = sent.heartbeat->number;
    Beating& beating = beating_[Index(sent.process)];
    if (beating.nonce == sent.heartbeat->nonce && beating.request != 0) {
      Broken("one heartbeat is outstanding at a time",
             fmt::format("process {} sends number {} before the answer to the one before",
                         sent.process, sent.heartbeat->number));
    }
    beating.nonce = sent.heartbeat->nonce;
    beating.request = sent.put.request;
    beating.sent = true;
    beating.told_epoch = std::max(beating.told_epoch, sent.heartbeat->highest_epoch);
  }
  if (sent.leader || sent.doc) CheckSender(sent);
  if (!sent.doc) return;
  auto& docs = beating_[Index(sent.process)].docs;
  Beating::UnderWay now{sent.doc->nonce, sent.put.key, sent.doc->life_nonce, sent.put.request, {}};
  for (const OwnedPartition& owned : sent.doc->owned)
    now.newest = std::max(now.newest, owned.token);
  if (std::any_of(docs.begin(), docs.end(), [&](const Beating::UnderWay& doc) {
        return doc.term == now.term && doc.worker == now.worker;
      })) {
    Broken("one document for a worker is under way at a time",
           fmt::format("process {} sends another to {} before the answer", sent.process,
                       sent.put.key));
  }
  docs.push_back(std::move(now));
  const auto term = terms_.find({sent.process, {sent.doc->epoch, sent.doc->nonce}});
  if (term == terms_.end()) {
    Broken("a leader writes its fence before any document [1]",
           fmt::format("process {} writes the document of {} in a term (epoch {}) that never was",
                       sent.process, sent.put.key, sent.doc->epoch));
  } else if (sent.decided >= term->second) {
    Broken("a leader whose term has lapsed writes no document",
           fmt::format("process {} writes the document of {} {:.6f} s after its term of epoch {}",
                       sent.process, sent.put.key, Seconds(sent.decided - term->second),
                       sent.doc->epoch));
  }
}

void RuleJudge::Answered(int process, const core::KvAnswer& answer) {
  Beating& beating = beating_[Index(process)];
  if (beating.request == answer.request) {
    beating.request = 0;
    beating.troubled = answer.code != wire::KvCode::kOk;
  }
  std::erase_if(beating.docs, [&](const auto& doc) { return doc.request == answer.request; });
}

void RuleJudge::GaveAllUp(int process) {
  Beating& beating = beating_[Index(process)];
  beating.changed = false;
  beating.owed = false;
  beating.over = true;
}

// A leader waits for what a worker has applied or given back: it is told at once, or as soon as the
// heartbeat before is answered.
void RuleJudge::Stepped(int process) {
  Beating& beating = beating_[Index(process)];
  beating.owed = (beating.owed || beating.changed) && !beating.sent;
  beating.changed = false;
  beating.sent = false;
  if (!beating.owed || beating.request != 0 || beating.troubled) return;
  Broken("what a worker has applied is told at once",
         fmt::format("{} sends no heartbeat, and none is under way", claims_.worker(process)));
}

// Only who has a life leads; what it says of its heartbeats others count leases by; and a document
// has to pass the server.
void RuleJudge::CheckSender(const SentPut& sent) {
  const bool released = sent.leader && sent.leader->released;
  if (shared_.exclusive() && !released &&
      settings_[Index(sent.process)].mode == wire::Mode::kExclusive &&
      sent.decided >= claims_.lease_until(sent.process)) {
    Broken("who has no lease doesn't lead",
           fmt::format("process {} writes {} {:.6f} s after its lease", sent.process, sent.put.key,
                       Seconds(sent.decided - claims_.lease_until(sent.process))));
  }
  if (sent.leader && sent.leader->holder_nonce != 0) {
    const auto newest = numbers_.find(sent.leader->holder_nonce);
    if (newest == numbers_.end() || sent.leader->holder_beat > newest->second) {
      Broken("the leader record names a heartbeat that was sent",
             fmt::format("number {}, sent are {}", sent.leader->holder_beat,
                         newest == numbers_.end() ? 0 : newest->second));
    }
  }
  if (!sent.doc) return;
  const Nanos fenced_at = FencedAt({sent.doc->epoch, sent.doc->nonce});
  for (const wire::Bucket bucket : {wire::Bucket::kHeartbeat, wire::Bucket::kAssignment}) {
    const auto scanned = scanned_.find({sent.process, bucket});
    if (fenced_at != core::kNever && (scanned == scanned_.end() || scanned->second < fenced_at)) {
      Broken("a leader acts on what it has read to its end since its fence was written [1]",
             fmt::format("process {} writes {}, and hasn't of {}", sent.process, sent.put.key,
                         wire::BucketName(bucket)));
    }
  }
  const std::size_t limit = settings_[Index(sent.process)].max_doc_bytes;
  if (sent.put.value.size() > limit) {
    Broken("a document is no larger than the server takes",
           fmt::format("that of {} takes {} bytes, {} are allowed", sent.put.key,
                       sent.put.value.size(), limit));
  }
}

void RuleJudge::LeaderAccepted(const SentPut& sent, const wire::Leader* before) {
  if (before != nullptr) CheckChallenge(sent, *before);
  leader_at_ = shared_.now();
  const auto [hold, is_new] = holds_.try_emplace({sent.leader->epoch, sent.leader->nonce},
                                                 Hold{shared_.now(), 0, {}, 0, false});
  const bool names = sent.leader->heartbeat_stream != 0 || sent.leader->assignment_stream != 0;
  if (is_new) {
    hold->second.past_known = names;
    hold->second.assignment = sent.leader->assignment_stream;
    hold->second.own_lease = settings_[Index(sent.process)].lease;
    for (const auto& [worker, beat] : beats_) {
      if (beat.live) hold->second.leases[beat.nonce] = beat.lease;
    }
  } else if (names && !hold->second.past_known) {
    CheckHeld(sent, hold->second, "vouches for the streams");
  }
  if (sent.leader->heartbeat_stream == 0 && sent.leader->assignment_stream == 0) {
    past_unknown_.insert(sent.leader->epoch);
  }
  const Nanos until = sent.decided + settings_[Index(sent.process)].election_ttl;
  Nanos& limit = terms_[{sent.process, {sent.leader->epoch, sent.leader->nonce}}];
  limit = std::max(limit, until);
  CheckUpgrade(*sent.leader);
}

// Everybody who has been a member for long enough to be heard of speaks what the group is raised
// to.
void RuleJudge::CheckUpgrade(const wire::Leader& leader) {
  const bool raised = leader.wire_version > wire_version_;
  wire_version_ = leader.wire_version;
  newest_spoken_ = std::max(newest_spoken_, wire_version_);
  if (!raised) return;
  const Nanos settled = 3 * shared_.scenario.longest_lease() + 2 * core::kSecond;
  for (const auto& [worker, beat] : beats_) {
    const int process = Liver(beat.nonce);
    if (!beat.live || beat.speaks >= leader.wire_version || process < 0) continue;
    if (!claims_.has_lease(process)) continue;
    if (shared_.now() < beat.first_at + settled) continue;
    Broken("the group's wire version is raised to what all its members speak",
           fmt::format("it is raised to {}, but {} speaks {}", leader.wire_version, worker,
                       beat.speaks));
  }
}

// Who lives unknown to a leader that knows nothing of the past has lost its lease by then.
void RuleJudge::CheckHeld(const SentPut& sent, const Hold& hold, std::string_view what) {
  if (!shared_.exclusive() || settings_[Index(sent.process)].assume_new_group) return;
  Nanos longest = hold.own_lease;
  for (const auto& [nonce, lease] : hold.leases) longest = std::max(longest, lease);
  if (sent.decided_at >= hold.at + longest / 10 * 9) return;
  Broken("a leader that knows nothing of the past waits for the longest lease",
         fmt::format("process {} {} {:.6f} s after its fence, the lease is {:.6f} s", sent.process,
                     what, Seconds(sent.decided_at - hold.at), Seconds(longest)));
}

void RuleJudge::CheckHold(const SentPut& sent, std::uint64_t assignment) {
  const auto hold = holds_.find({sent.doc->epoch, sent.doc->nonce});
  if (hold == holds_.end()) return;
  // (What was sent before its stream was made lands there by chance.)
  if (hold->second.at < docs_wiped_at_) return;
  const std::uint64_t known = hold->second.assignment;
  if (hold->second.past_known && (known == 0 || known == assignment)) return;
  CheckHeld(sent, hold->second, "writes a document");
}

// Whoever takes the record from another has watched it stand still for its election_ttl. (No
// clock is more than a tenth away from true time.)
void RuleJudge::CheckChallenge(const SentPut& sent, const wire::Leader& before) {
  if (before.released || before.nonce == sent.leader->nonce ||
      terms_.contains({sent.process, {before.epoch, before.nonce}})) {
    return;
  }
  const Nanos stood = shared_.now() - leader_at_;
  const Nanos ttl = settings_[Index(sent.process)].election_ttl;
  if (stood >= ttl / 10 * 9) return;
  Broken("a leader record is taken over only after it stood still for election_ttl",
         fmt::format("process {} takes it over after {:.6f} s, its election_ttl is {:.6f} s",
                     sent.process, Seconds(stood), Seconds(ttl)));
}

// ---- documents

void RuleJudge::DocAccepted(const SentPut& sent, const wire::Doc* before, bool current) {
  const wire::Doc& doc = *sent.doc;
  NoteReleasing(doc, before, sent.put.key);
  CheckLease(sent, before);
  CheckRoom(sent, before);
  CheckStanding(sent, before);
  auto& granted = granted_[doc.life_nonce];
  for (const OwnedPartition& owned : doc.owned) granted.emplace(owned.id, owned.token);
  // Nobody will apply what a deposed leader writes, nor what strayed into another bucket: who it is
  // for has applied what came after it [8].
  if (!current || !shared_.exclusive()) return;
  // Nor will anybody what lands for a life that is over.
  const int process = Liver(doc.life_nonce);
  if (process < 0 || !claims_.has_lease(process)) return;
  CheckGrants(doc, sent.put.key);
  CheckTokens(doc, sent.put.key);
  CheckComplete(doc, sent.put.key);
}

void RuleJudge::CheckGrants(const wire::Doc& doc, const std::string& worker) {
  const int process = Liver(doc.life_nonce);
  for (const OwnedPartition& owned : doc.owned) {
    for (const int owner : claims_.OwnersOf(owned.id)) {
      if (owner == process) continue;
      Broken("a partition is granted only while nobody else holds it [3]",
             fmt::format("{} is granted to {} while {} still holds it", owned.id, worker,
                         claims_.worker(owner)));
    }
    for (int other = 0; other < static_cast<int>(settings_.size()); ++other) {
      if (other == process || !claims_.Drains(other, owned.id)) continue;
      Broken("a partition is granted only while nobody else holds it [3]",
             fmt::format("{} is granted to {} while {} has not drained it", owned.id, worker,
                         claims_.worker(other)));
    }
  }
}

void RuleJudge::CheckTokens(const wire::Doc& doc, const std::string& worker) {
  if (epochs_forgotten_) return;
  for (const OwnedPartition& owned : doc.owned) {
    Grants& grants = grants_[owned.id];
    const auto [grant, is_new] = grants.lives.try_emplace(owned.token, doc.life_nonce);
    if (grant->second != doc.life_nonce) {
      Broken("a fencing token is granted to one life",
             fmt::format("{} is granted to {} with token {}, as it was to another life before",
                         owned.id, worker, Show(owned.token)));
    }
    if (is_new && owned.token < grants.highest) {
      Broken("fencing tokens of later grants are greater",
             fmt::format("{} is granted to {} with token {} after {}", owned.id, worker,
                         Show(owned.token), Show(grants.highest)));
    }
    grants.highest = std::max(grants.highest, owned.token);
  }
}

void RuleJudge::CheckComplete(const wire::Doc& doc, const std::string& worker) {
  const int process = Liver(doc.life_nonce);
  // (A forged record may give one worker's life to another.)
  if (doc.unknown || process < 0 || claims_.worker(process) != worker) return;
  for (const OwnedPartition& held : claims_.Owned(process)) {
    const bool told =
        std::any_of(doc.owned.begin(), doc.owned.end(),
                    [&](const OwnedPartition& owned) { return owned.id == held.id; }) ||
        std::find(doc.releasing.begin(), doc.releasing.end(), held.id) != doc.releasing.end();
    if (told) continue;
    Broken("a document tells all that its worker may hold [4]",
           fmt::format("{} holds {}, and its new document knows nothing of it", worker, held.id));
  }
}

// A document bears the lease of its life; and it gives back what an evicted life had only after
// that.
void RuleJudge::CheckLease(const SentPut& sent, const wire::Doc* before) {
  const wire::Doc& doc = *sent.doc;
  const auto beat = beats_.find(sent.put.key);
  if (beat != beats_.end() && beat->second.nonce == doc.life_nonce &&
      doc.life_lease_ms * core::kMillisecond < beat->second.lease) {
    Broken("a document bears the lease of its life",
           fmt::format("{}: {} ms instead of {:.6f} s", sent.put.key, doc.life_lease_ms,
                       Seconds(beat->second.lease)));
  }
  const auto dying = dying_.find(sent.put.key);
  if (dying == dying_.end() || before == nullptr || !shared_.exclusive() || tampered_) return;
  if (before->life_nonce != dying->second.nonce || before->life_nonce != doc.life_nonce) return;
  if (before->owned.empty() || !doc.owned.empty() || !doc.releasing.empty()) return;
  if (sent.decided_at >= dying->second.until) return;
  Broken("the lease of an evicted life is waited out",
         fmt::format("what {} had is free {:.6f} s too early", sent.put.key,
                     Seconds(dying->second.until - sent.decided_at)));
}

// What is added to a document has room beside what stands there and what is to be released, by the
// measure that the leader plans by.
void RuleJudge::CheckRoom(const SentPut& sent, const wire::Doc* before) {
  const wire::Doc& doc = *sent.doc;
  if (before == nullptr || before->nonce != doc.nonce || before->life_nonce != doc.life_nonce) {
    return;
  }
  bool adds = false;
  std::size_t bytes = wire::kDocBaseBytes;
  for (const OwnedPartition& owned : doc.owned) {
    const bool had = std::find(before->releasing.begin(), before->releasing.end(), owned.id) !=
                         before->releasing.end() ||
                     std::any_of(before->owned.begin(), before->owned.end(),
                                 [&](const OwnedPartition& one) { return one.id == owned.id; });
    adds = adds || !had;
    bytes += wire::DocBytesPerPartition(owned.id);
  }
  for (const std::string& id : doc.releasing) bytes += wire::DocBytesPerPartition(id);
  const std::size_t limit = settings_[Index(sent.process)].max_doc_bytes;
  if (!adds || bytes <= limit) return;
  Broken("moves too big for one document go in batches",
         fmt::format("that of {} may take {} bytes, {} are allowed", sent.put.key, bytes, limit));
}

// Within a term a grant stands, with its token, until the very grant was given back.
void RuleJudge::CheckStanding(const SentPut& sent, const wire::Doc* before) {
  const wire::Doc& doc = *sent.doc;
  if (tampered_ || before == nullptr || before->nonce != doc.nonce ||
      before->life_nonce != doc.life_nonce) {
    return;
  }
  const auto& refused = refused_[doc.life_nonce];
  for (const OwnedPartition& owned : doc.owned) {
    for (const OwnedPartition& had : before->owned) {
      if (had.id != owned.id || had.token == owned.token) continue;
      if (refused.contains({had.id, had.token})) continue;
      Broken("a grant stands until it was given back",
             fmt::format("{} is granted to {} with token {}, and {} stands", owned.id, sent.put.key,
                         Show(owned.token), Show(had.token)));
    }
  }
}

// A leader that wrote a document which has forgotten all that the one before took away knew that it
// was acknowledged: what it takes away now is to be released from now on.
void RuleJudge::NoteReleasing(const wire::Doc& doc, const wire::Doc* before,
                              const std::string& worker) {
  const auto tells = [&doc](const std::string& id) {
    return std::find(doc.releasing.begin(), doc.releasing.end(), id) != doc.releasing.end() ||
           std::any_of(doc.owned.begin(), doc.owned.end(),
                       [&](const OwnedPartition& owned) { return owned.id == id; });
  };
  if (doc.releasing.empty()) {
    releasing_since_.erase(worker);
    return;
  }
  const auto asked = releasing_since_.find(worker);
  const bool goes_on = asked != releasing_since_.end() &&
                       asked->second.life_nonce == doc.life_nonce &&
                       (before == nullptr || before->life_nonce != doc.life_nonce ||
                        std::any_of(before->releasing.begin(), before->releasing.end(), tells));
  if (!goes_on) releasing_since_[worker] = {doc.life_nonce, shared_.now()};
}

// ---- workers

void RuleJudge::LeaderServed(int process, const wire::Leader& leader) {
  fences_[{process, {leader.epoch, leader.nonce}}] = shared_.now();
}

void RuleJudge::Acknowledging(int process, const wire::Doc& doc, Nanos accepted_at) {
  const auto fence = fences_.find({process, {doc.epoch, doc.nonce}});
  if (fence != fences_.end() && fence->second >= accepted_at) return;
  Broken("a document is applied after its fence was read, later than it was written [2]",
         fmt::format("{} applied a document of epoch {}, written at {:.6f}; {}",
                     claims_.worker(process), doc.epoch, Seconds(accepted_at),
                     fence == fences_.end()
                         ? "it never read that term from `leader`"
                         : fmt::format("it read that term from `leader` at {:.6f} last",
                                       Seconds(fence->second))));
}

void RuleJudge::Claim(int process, const core::Claim& effect) {
  if (beating_[Index(process)].over) {
    Broken("who gave everything up claims nothing before its next life",
           fmt::format("process {} claims under epoch {}", process, effect.epoch));
  }
  if (const std::uint64_t told = beating_[Index(process)].told_epoch; effect.epoch < told) {
    Broken("who has told of an epoch adds nothing under an older one [2]",
           fmt::format("{} told of epoch {} and claims under epoch {}", claims_.worker(process),
                       told, effect.epoch));
  }
  const auto life = newest_life_.find(process);
  if (docs_forged_ || life == newest_life_.end()) return;
  const auto& granted = granted_[life->second];
  for (const OwnedPartition& owned : effect.partitions) {
    if (granted.contains({owned.id, owned.token})) continue;
    Broken("a life claims what a document granted to it",
           fmt::format("{} claims {} with token {}, which no document of this life tells of",
                       claims_.worker(process), owned.id, Show(owned.token)));
  }
}

// ---- the end of a life

void RuleJudge::HeartbeatAccepted(const SentPut& sent, const wire::Heartbeat* before) {
  const wire::Heartbeat& heartbeat = *sent.heartbeat;
  if (before != nullptr && before->nonce != heartbeat.nonce) died_at_ = shared_.now();
  if (heartbeat.kind == HeartbeatKind::kEvicted) {
    died_at_ = shared_.now();
    return CheckTombstone(sent, before);
  }
  for (const wire::Refusal& refusal : heartbeat.refused) {
    refused_[heartbeat.nonce].emplace(refusal.partition, refusal.token);
  }
  Beat& beat = beats_[sent.put.key];
  if (beat.nonce != heartbeat.nonce) beat = {heartbeat.nonce, 0, shared_.now(), 0, 0, false};
  beat.sent_at = sent.decided_at;
  beat.lease = heartbeat.lease_ms * core::kMillisecond;
  beat.speaks = heartbeat.speaks;
  beat.live = heartbeat.kind == HeartbeatKind::kLive;
  if (heartbeat.kind == HeartbeatKind::kLeft) {
    for (auto& [term, hold] : holds_) hold.leases.erase(heartbeat.nonce);
  }
}

void RuleJudge::CheckTombstone(const SentPut& sent, const wire::Heartbeat* before) {
  const wire::Heartbeat& tombstone = *sent.heartbeat;
  if (tombstone.replaced_revision != sent.put.expected) {
    Broken("a tombstone names the revision that it replaces",
           fmt::format("{}: {} instead of {}", sent.put.key, tombstone.replaced_revision,
                       sent.put.expected));
  }
  if (before != nullptr && before->kind == HeartbeatKind::kLive && !IsTooOld(sent.process)) {
    if (tombstone.incarnation < before->incarnation) {
      Broken("a tombstone ends the life that it replaces",
             fmt::format("{}: incarnation {} instead of {}", sent.put.key, tombstone.incarnation,
                         before->incarnation));
    }
    if (tombstone.lease_ms < before->lease_ms) {
      Broken("a tombstone bears the lease of the life that it ends",
             fmt::format("{}: {} ms instead of {} ms", sent.put.key, tombstone.lease_ms,
                         before->lease_ms));
    }
  }
  silences_.erase({sent.process, sent.put.key});
  const auto beat = beats_.find(sent.put.key);
  if (beat == beats_.end()) return;
  // (A document that changes it may have been under way.)
  const auto releasing = releasing_since_.find(sent.put.key);
  const bool asked = releasing != releasing_since_.end() && releasing->second.at <= sent.decided_at;
  silences_[{sent.process, sent.put.key}] = {
      shared_.now() - beat->second.sent_at, beat->second.lease,
      asked ? sent.decided_at - releasing->second.at : core::kNever, tombstone.evicting_epoch,
      before != nullptr && before->highest_epoch >= tombstone.evicting_epoch};
  beat->second.live = false;
  dying_[sent.put.key] = {tombstone.nonce, beat->second.sent_at + beat->second.lease / 10 * 9};
}

void RuleJudge::Evicted(int process, const core::EvictionNote& note) {
  // The answer may come late, to a leader that was paused, after others' tombstones.
  const auto silence = silences_.find({process, note.worker});
  if (silence == silences_.end()) return;
  const Nanos patience = settings_[Index(process)].release_timeout / 10 * 9;
  if (note.reason == core::EvictionReason::kRelease && !docs_forged_ &&
      silence->second.releasing < patience) {
    Broken("nobody is evicted for a release before release_timeout",
           fmt::format("{}: it was asked {:.6f} s ago", note.worker,
                       Seconds(silence->second.releasing)));
  }
  const bool for_what_it_shows = note.reason == core::EvictionReason::kUnexplained ||
                                 note.reason == core::EvictionReason::kUnreadable ||
                                 note.reason == core::EvictionReason::kDeleted;
  if (for_what_it_shows && !tampered_ &&
      (silence->second.saw_fence || !past_unknown_.contains(silence->second.epoch))) {
    Broken("nobody is evicted for records that nobody touched",
           fmt::format("{}: {}", note.worker, core::EvictionReasonName(note.reason)));
  }
  if (note.reason != core::EvictionReason::kSilent) return;
  if (silence->second.span >= silence->second.lease) return;
  // The leader of a bucket of before knows another heartbeat of that revision. (Its tombstone
  // proves nothing to it.)
  const auto of_before = holds_.lower_bound({silence->second.epoch, 0});
  if (of_before != holds_.end() && of_before->first.first == silence->second.epoch &&
      of_before->second.at < beats_forgotten_at_) {
    return;
  }
  Broken("nobody is evicted for silence before its lease was over",
         fmt::format("{}: {:.6f} s after its last heartbeat, its lease is {:.6f} s", note.worker,
                     Seconds(silence->second.span), Seconds(silence->second.lease)));
}

// (A worker that dies again and again counts as one that left.)
void RuleJudge::CheckWindow(const core::RebalanceNote& note, const core::Settings& settings) {
  using core::RebalanceCause;
  Nanos window = 0;
  switch (note.reason) {
    case RebalanceCause::kColdStart:
    case RebalanceCause::kOutage:
      window = settings.cold_start_window;
      break;
    case RebalanceCause::kJoin:
    case RebalanceCause::kLeave:
    case RebalanceCause::kAltered:
      window = settings.planned_scale_window;
      break;
    case RebalanceCause::kDeath:
      window = std::min(settings.emergency_grace_period, settings.planned_scale_window);
      break;
    default:
      return;
  }
  if (note.detection >= window) return;
  Broken("a change of members is given its window",
         fmt::format("version {} ({}) comes after {:.6f} s, its window is {:.6f} s", note.version,
                     note.cause, Seconds(note.detection), Seconds(window)));
}

// Rebalances that can wait are rebalance_cooldown apart; deaths, plans that failed and what a term
// begins with can't wait, and what comes with them needn't.
void RuleJudge::Planned(int process, const core::RebalanceNote& note, Nanos decided) {
  using core::RebalanceCause;
  Plans& plans = plans_[{process, note.epoch}];
  const Nanos since = decided - std::exchange(plans.at, decided);
  const bool can_wait =
      note.reason == RebalanceCause::kJoin || note.reason == RebalanceCause::kLeave ||
      note.reason == RebalanceCause::kAltered || note.reason == RebalanceCause::kPartitions ||
      note.reason == RebalanceCause::kRequested || note.reason == RebalanceCause::kRefused ||
      note.reason == RebalanceCause::kControl;
  const core::Settings& settings = settings_[Index(process)];
  const bool urgent = died_at_ > decided - since - 2 * settings.lease - 5 * core::kSecond ||
                      shared_.scenario.strategy_faults.fail > 0 || shared_.scenario.tight_docs;
  CheckWindow(note, settings);
  if (++plans.count <= 2 || !can_wait || urgent) return;
  if (since >= settings.rebalance_cooldown / 10 * 9) return;
  Broken("planned rebalances are rebalance_cooldown apart",
         fmt::format("version {} ({}) comes {:.6f} s after the one before", note.version,
                     note.cause, Seconds(since)));
}

void RuleJudge::Settled(int process, const core::RebalanceNote& note) {
  for (const Beating::UnderWay& doc : beating_[Index(process)].docs) {
    if (doc.newest != FencingToken{note.epoch, note.version}) continue;
    const auto beat = beats_.find(doc.worker);
    if (beat == beats_.end() || !beat->second.live || beat->second.nonce != doc.life) continue;
    Broken("a rebalance is settled once its grants have been answered",
           fmt::format("({}, {}) is, while a grant of it to {} is under way", note.epoch,
                       note.version, doc.worker));
  }
}

}  // namespace parti::simulation
