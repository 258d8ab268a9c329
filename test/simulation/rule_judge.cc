#include "test/simulation/rule_judge.h"

#include <fmt/format.h>

#include <algorithm>

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
  if (!sent.doc) return;
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

void RuleJudge::LeaderAccepted(const SentPut& sent) {
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

// ---- documents

void RuleJudge::DocAccepted(const SentPut& sent, bool current) {
  const wire::Doc& doc = *sent.doc;
  auto& granted = granted_[doc.life_nonce];
  for (const OwnedPartition& owned : doc.owned) granted.emplace(owned.id, owned.token);
  // Nobody will apply what a deposed leader writes.
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
  if (heartbeat.kind == HeartbeatKind::kEvicted) return CheckTombstone(sent, before);
  Beat& beat = beats_[sent.put.key];
  if (beat.nonce != heartbeat.nonce) beat = {heartbeat.nonce, 0, shared_.now(), 0, 0, false};
  beat.sent_at = sent.decided_at;
  beat.lease = heartbeat.lease_ms * core::kMillisecond;
  beat.speaks = heartbeat.speaks;
  beat.live = heartbeat.kind == HeartbeatKind::kLive;
}

void RuleJudge::CheckTombstone(const SentPut& sent, const wire::Heartbeat* before) {
  const wire::Heartbeat& tombstone = *sent.heartbeat;
  if (tombstone.replaced_revision != sent.put.expected) {
    Broken("a tombstone names the revision that it replaces",
           fmt::format("{}: {} instead of {}", sent.put.key, tombstone.replaced_revision,
                       sent.put.expected));
  }
  if (before != nullptr && before->kind == HeartbeatKind::kLive) {
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
  silences_[{sent.process, sent.put.key}] = {shared_.now() - beat->second.sent_at,
                                             beat->second.lease};
  beat->second.live = false;
}

void RuleJudge::Evicted(int process, const core::EvictionNote& note) {
  // The answer may come late, to a leader that was paused, after others' tombstones.
  const auto silence = silences_.find({process, note.worker});
  if (silence == silences_.end() || note.reason != core::EvictionReason::kSilent) return;
  if (silence->second.span >= silence->second.lease) return;
  Broken("nobody is evicted for silence before its lease was over",
         fmt::format("{}: {:.6f} s after its last heartbeat, its lease is {:.6f} s", note.worker,
                     Seconds(silence->second.span), Seconds(silence->second.lease)));
}

}  // namespace parti::simulation
