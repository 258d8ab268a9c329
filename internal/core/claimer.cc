#include "internal/core/claimer.h"

#include <fmt/format.h>

#include <tuple>

#include "internal/core/rules.h"
#include "internal/wire/limits.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
// Heartbeats whose answers may still tell something, of a life whose first one gets no answer.
constexpr std::size_t kMaxSent = 256;
// So many ids that turn out to be taken are found out one by one, before a new snapshot tells of
// all; twice as many before the next.
constexpr int kConflictsUntilScan = 8;
}  // namespace

Claimer::Claimer(Context* context, Host* host, std::function<std::int64_t()> capacity)
    : context_(context),
      host_(host),
      capacity_(std::move(capacity)),
      claim_watch_(
          context, Bucket::kStableId, [this](const wire::Entry& e) { OnClaim(e); },
          [this] { OnReady(); }),
      heartbeat_watch_(
          context, Bucket::kHeartbeat, [this](const wire::Entry& e) { OnHeartbeat(e); },
          [this] { OnReady(); }) {}

void Claimer::Start(const std::optional<Life>& former) {
  Stop();
  former_ = former;
  window_ = 0;
  conflicts_ = 0;
  conflicts_until_scan_ = kConflictsUntilScan;
  Scan();
}

void Claimer::Scan() {
  step_ = Step::kScanning;
  claim_watch_.Reopen();
  heartbeat_watch_.Reopen();
}

void Claimer::Stop() {
  scope_.Renew();
  step_ = Step::kOff;
  claim_watch_.Close();
  heartbeat_watch_.Close();
  claims_.clear();
  heartbeats_.clear();
  blocked_until_.clear();
  sent_.clear();
  wake_at_ = kNever;
}

// A watch that was reopened shows old entries again: only another revision starts the clock anew.
void Claimer::OnClaim(const wire::Entry& entry) {
  ClaimSeen& seen = claims_[entry.key];
  seen.generation = claim_watch_.generation();
  if (seen.revision == entry.revision) return;
  seen = {entry.revision, context_->now, entry.deleted, std::nullopt, seen.generation};
  if (!entry.deleted) {
    auto record = context_->DecodeClaim(entry.value);
    if (record.ok()) {
      context_->SawLease(record->lease_ms);
      seen.record = *std::move(record);
    } else {
      context_->Malformed(wire::Bucket::kStableId, entry.key);
      context_->SawLease(wire::LeaseOfUnreadable(entry.value));
      context_->ReportOnce("claim " + entry.key, Severity::kWarning, record.status());
    }
  }
  if (step_ == Step::kWaiting) Choose();
}

void Claimer::OnHeartbeat(const wire::Entry& entry) {
  HeartbeatSeen& seen = heartbeats_[entry.key];
  seen.generation = heartbeat_watch_.generation();
  if (seen.revision == entry.revision) return;
  seen = {entry.revision, context_->now, entry.deleted, std::nullopt, seen.generation};
  if (!entry.deleted) {
    auto record = context_->DecodeHeartbeat(entry.value);
    if (record.ok()) {
      context_->SawEpoch(record->highest_epoch);
      context_->SawLease(record->lease_ms);
      seen.record = *std::move(record);
    } else {
      context_->Malformed(wire::Bucket::kHeartbeat, entry.key);
      context_->SawLease(wire::LeaseOfUnreadable(entry.value));
      context_->ReportOnce("heartbeat " + entry.key, Severity::kWarning, record.status());
    }
  }
  // A live holder that merely goes on is no news for who waits.
  if (step_ == Step::kWaiting && seen.record && seen.record->kind != wire::HeartbeatKind::kLive) {
    Choose();
  }
}

// What a complete snapshot no longer shows has vanished: the key is written anew from nothing, but
// whoever held it may live, so its watched time starts again.
template <typename Seen>
static void NoteVanished(std::map<std::string, Seen>& all, WatchId generation, Nanos now) {
  for (auto& [id, seen] : all) {
    if (seen.generation == generation || seen.revision == 0) continue;
    seen.revision = 0;
    seen.since = now;
    seen.deleted = true;
  }
}

void Claimer::OnReady() {
  if (claim_watch_.ready()) NoteVanished(claims_, claim_watch_.generation(), context_->now);
  if (heartbeat_watch_.ready()) {
    NoteVanished(heartbeats_, heartbeat_watch_.generation(), context_->now);
  }
  Choose();
}

const Claimer::ClaimSeen* Claimer::FindClaim(const std::string& id) const {
  const auto it = claims_.find(id);
  return it == claims_.end() ? nullptr : &it->second;
}

const Claimer::HeartbeatSeen* Claimer::FindHeartbeat(const std::string& id) const {
  const auto it = heartbeats_.find(id);
  return it == heartbeats_.end() ? nullptr : &it->second;
}

// Claim and heartbeat bear one nonce, and whoever wrote them holds nothing any more: it was this
// very process, or a process that is proven gone, or the user vouches for the identity.
bool Claimer::FormerLifeIsOver(const ClaimSeen& claim, const HeartbeatSeen* heartbeat) const {
  if (!claim.record || heartbeat == nullptr || !heartbeat->record) return false;
  if (claim.record->nonce != heartbeat->record->nonce) return false;
  if (former_ && former_->nonce == claim.record->nonce) return true;
  if (claim.record->identity != context_->settings.identity) return false;
  return context_->settings.identity_is_exclusive ||
         context_->environment->ProcessIsGone(claim.record->process);
}

Nanos Claimer::FreeAt(const std::string& id) {
  const auto blocked = blocked_until_.find(id);
  const Nanos not_before = blocked == blocked_until_.end() ? 0 : blocked->second;
  const ClaimSeen* claim = FindClaim(id);
  const HeartbeatSeen* heartbeat = FindHeartbeat(id);
  if (claim == nullptr && heartbeat == nullptr) return not_before;
  if (claim != nullptr && FormerLifeIsOver(*claim, heartbeat)) return not_before;
  if (claim != nullptr && claim->record && heartbeat != nullptr && heartbeat->record &&
      heartbeat->record->kind == wire::HeartbeatKind::kLeft &&
      heartbeat->record->nonce == claim->record->nonce) {
    return not_before;
  }
  if (!RuleOn(Rule::kJoinerWatches)) return not_before;
  // Everything else must have been watched unchanged for the recorded lease; where none can be
  // read, for the longest known.
  // Model: twins.pml, RULE joiner-watches.
  std::int64_t lease_ms = 0;
  Nanos since = 0;
  bool recorded = false;
  if (claim != nullptr) {
    since = std::max(since, claim->since);
    if (claim->record) {
      lease_ms = std::max(lease_ms, claim->record->lease_ms);
      recorded = true;
    }
  }
  if (heartbeat != nullptr) {
    since = std::max(since, heartbeat->since);
    if (heartbeat->record) {
      lease_ms = std::max(lease_ms, heartbeat->record->lease_ms);
    } else {
      recorded = false;
    }
  }
  const Nanos lease = recorded ? lease_ms * kMillisecond : context_->longest_lease;
  return std::max(not_before, since + context_->WithDrift(lease));
}

std::vector<std::string> Claimer::OwnIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, seen] : claims_) {
    if (!seen.record) continue;
    const bool ours = seen.record->identity == context_->settings.identity ||
                      (former_ && former_->nonce == seen.record->nonce);
    if (ours && id.starts_with(context_->settings.worker_id_prefix)) ids.push_back(id);
  }
  return ids;
}

// Random among the free ids of a window that starts a little larger than the group and doubles: ids
// stay small, and a thousand processes that start at once still find one each in a few tries.
std::optional<std::string> Claimer::PickRandomFree() {
  const auto limit = static_cast<std::uint64_t>(context_->settings.max_workers);
  if (window_ == 0) window_ = 4 + 2 * std::max(claims_.size(), heartbeats_.size());
  for (;; window_ *= 2) {
    window_ = std::min(window_, limit);
    std::vector<std::string> free;
    for (std::uint64_t i = 0; i < window_; ++i) {
      std::string id = context_->settings.worker_id_prefix + std::to_string(i);
      if (FreeAt(id) <= context_->now) free.push_back(std::move(id));
    }
    if (!free.empty()) return free[context_->Random(free.size())];
    if (window_ == limit) return std::nullopt;
  }
}

void Claimer::Choose() {
  if (step_ != Step::kScanning && step_ != Step::kWaiting) return;
  if (!claim_watch_.ready() || !heartbeat_watch_.ready()) return;
  for (const std::string& id : OwnIds()) {
    if (FreeAt(id) <= context_->now) return Try(id);
  }
  if (const auto id = PickRandomFree()) return Try(*id);
  step_ = Step::kWaiting;
  Nanos earliest = kNever;
  for (int i = 0; i < context_->settings.max_workers; ++i) {
    earliest = std::min(earliest, FreeAt(context_->settings.worker_id_prefix + std::to_string(i)));
  }
  context_->ReportOnce(
      "ids exhausted", Severity::kWarning,
      absl::ResourceExhaustedError(fmt::format(
          "all {} worker ids are taken (max_workers): waiting for one to become free; raise "
          "max_workers in every worker of the group, or stop some",
          context_->settings.max_workers)));
  wake_at_ = earliest;
  on_wake_ = [this] { Choose(); };
}

// From here on compare-and-set decides. Watches that stayed open would tell each of a thousand
// processes that start at once of every step of the others: a million messages.
void Claimer::Try(const std::string& id) {
  step_ = Step::kReadingDoc;
  wake_at_ = kNever;
  claim_watch_.Close();
  heartbeat_watch_.Close();
  scope_.Renew();
  life_ = Life{id, 0, context_->Nonce()};
  const ClaimSeen* claim = FindClaim(id);
  const HeartbeatSeen* heartbeat = FindHeartbeat(id);
  claim_expected_ = claim == nullptr ? 0 : claim->revision;
  heartbeat_expected_ = heartbeat == nullptr ? 0 : heartbeat->revision;
  context_->Get(scope_, Bucket::kAssignment, id, [this](const KvAnswer& a) { OnDoc(a); });
}

// The incarnation rises above all that is known of the id, so also when some of the buckets were
// recreated.
void Claimer::OnDoc(const KvAnswer& answer) {
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    // By then the id may be taken: choose again.
    return Retry([this] { Scan(); });
  }
  const ClaimSeen* claim = FindClaim(life_.worker);
  const HeartbeatSeen* heartbeat = FindHeartbeat(life_.worker);
  std::uint64_t incarnation = claim_expected_;
  if (claim != nullptr && claim->record) {
    incarnation = std::max(incarnation, claim->record->incarnation);
  }
  if (heartbeat != nullptr && heartbeat->record) {
    incarnation = std::max(incarnation, heartbeat->record->incarnation);
  }
  if (answer.code == KvCode::kOk && !answer.entry.deleted) {
    const auto doc = context_->DecodeDoc(answer.entry.value);
    if (doc.ok()) {
      context_->SawEpoch(doc->epoch);
      incarnation = std::max(incarnation, doc->life_incarnation);
    }
    const bool may_hold = !doc.ok() || !doc->owned.empty() || !doc->releasing.empty();
    // Claim and heartbeat were removed under a life that a doc still names: it may be alive.
    if (claim == nullptr && heartbeat == nullptr && may_hold &&
        !blocked_until_.contains(life_.worker) && RuleOn(Rule::kJoinerWatches)) {
      const Nanos lease =
          std::max(context_->longest_lease, doc.ok() ? doc->life_lease_ms * kMillisecond : 0);
      blocked_until_[life_.worker] = context_->now + context_->WithDrift(lease);
      return GiveUp(false);
    }
  }
  if (incarnation >= wire::kMaxExactInteger) {
    // No life can come after that one: somebody wrote the number by hand.
    blocked_until_[life_.worker] = kNever;
    context_->ReportOnce(
        "incarnation of " + life_.worker, Severity::kError,
        absl::OutOfRangeError(fmt::format(
            "worker id {} can't be used: a record of it bears the largest incarnation there is; "
            "delete its keys in the buckets to free it",
            life_.worker)));
    return GiveUp(false);
  }
  life_.incarnation = incarnation + 1;
  WriteClaim();
}

void Claimer::WriteClaim() {
  step_ = Step::kClaiming;
  claim_ = wire::Claim{context_->settings.identity, life_.incarnation, life_.nonce,
                       context_->settings.lease / kMillisecond, context_->settings.process};
  context_->Put(scope_, Bucket::kStableId, life_.worker, claim_expected_, context_->Encode(claim_),
                [this](const KvAnswer& a) { OnClaimAnswer(a); });
}

void Claimer::OnClaimAnswer(const KvAnswer& answer) {
  if (answer.code == KvCode::kOk) return Look();
  if (answer.code == KvCode::kRefused) {
    context_->ReportOnce("claim refused: " + answer.error, Severity::kError,
                         absl::UnavailableError("claim of " + life_.worker +
                                                " refused by the server: " + answer.error));
  }
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    return Retry([this] { WriteClaim(); });
  }
  // A conflict after a try without an answer may be that very try.
  context_->Get(scope_, Bucket::kStableId, life_.worker,
                [this](const KvAnswer& a) { OnClaimReadBack(a); });
}

void Claimer::OnClaimReadBack(const KvAnswer& answer) {
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    return Retry([this] { WriteClaim(); });
  }
  if (answer.code == KvCode::kOk) {
    OnClaim(answer.entry);
    const ClaimSeen* seen = FindClaim(life_.worker);
    if (seen != nullptr && seen->record && seen->record->nonce == life_.nonce) return Look();
  }
  GiveUp(true);
}

// The heartbeat that is to be replaced is the one that was watched, and not another of its revision
// in a bucket that was recreated while the watch of it was broken.
// Model: twins.pml, RULE joiner-watches.
void Claimer::Look() {
  if (heartbeat_expected_ == 0 || !RuleOn(Rule::kJoinerWatches)) return Beat();
  context_->Get(scope_, Bucket::kHeartbeat, life_.worker, [this](const KvAnswer& a) { OnLook(a); });
}

void Claimer::OnLook(const KvAnswer& answer) {
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    return Retry([this] { Look(); });
  }
  if (answer.code != KvCode::kOk) return GiveUp(true);
  const HeartbeatSeen watched = heartbeats_[life_.worker];
  heartbeats_.erase(life_.worker);
  OnHeartbeat(answer.entry);
  HeartbeatSeen& stands = heartbeats_[life_.worker];
  const auto told = [](const HeartbeatSeen& seen) {
    const wire::Heartbeat none;
    const wire::Heartbeat& record = seen.record ? *seen.record : none;
    return std::tuple(seen.revision, seen.deleted, seen.record.has_value(), record.kind,
                      record.incarnation, record.nonce, record.number);
  };
  if (told(stands) != told(watched)) return GiveUp(true);
  stands = watched;
  Beat();
}

void Claimer::Beat() {
  if (step_ != Step::kBeating) {
    step_ = Step::kBeating;
    number_ = 0;
    sent_.clear();
  }
  const std::uint64_t number = ++number_;
  sent_[number] = context_->now;
  if (sent_.size() > kMaxSent) sent_.erase(sent_.begin());
  wire::Heartbeat record;
  record.incarnation = life_.incarnation;
  record.nonce = life_.nonce;
  record.number = number;
  record.lease_ms = context_->settings.lease / kMillisecond;
  record.highest_epoch = context_->highest_epoch;
  context_->beat_epoch = record.highest_epoch;
  record.capacity = capacity_();
  record.state = StateName(State::kClaimingId);
  record.labels = context_->settings.labels;
  record.speaks = context_->settings.newest_wire_version;
  context_->Put(scope_, Bucket::kHeartbeat, life_.worker, heartbeat_expected_,
                context_->Encode(record),
                [this, number](const KvAnswer& a) { OnBeatAnswer(a, number); });
}

void Claimer::OnBeatAnswer(const KvAnswer& answer, std::uint64_t number) {
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    return Retry([this] { Beat(); });
  }
  if (answer.code == KvCode::kOk) {
    const Life life = life_;
    // The newest: one is under way at a time.
    const FirstHeartbeat first{answer.revision, number, sent_.at(number), number_};
    Stop();
    return host_->Joined(life, first);
  }
  context_->Get(scope_, Bucket::kHeartbeat, life_.worker,
                [this](const KvAnswer& a) { OnBeatReadBack(a); });
}

void Claimer::OnBeatReadBack(const KvAnswer& answer) {
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    return Retry([this] { Beat(); });
  }
  if (answer.code == KvCode::kOk && !answer.entry.deleted) {
    const auto record = context_->DecodeHeartbeat(answer.entry.value);
    if (record.ok() && record->nonce == life_.nonce && record->incarnation == life_.incarnation &&
        record->kind == wire::HeartbeatKind::kLive && sent_.contains(record->number)) {
      const Life life = life_;
      const FirstHeartbeat first{answer.entry.revision, record->number, sent_[record->number],
                                 number_};
      Stop();
      return host_->Joined(life, first);
    }
  }
  if (answer.code == KvCode::kOk) OnHeartbeat(answer.entry);
  GiveUp(true);
}

void Claimer::Retry(std::function<void()> what) {
  wake_at_ = backoff_.Next(*context_);
  on_wake_ = std::move(what);
}

// Another id, after a moment.
void Claimer::GiveUp(bool conflict) {
  scope_.Renew();
  step_ = Step::kWaiting;
  if (conflict) {
    // What we ran into is taken from now on; its watched time starts again.
    if (const auto it = claims_.find(life_.worker); it != claims_.end()) {
      it->second.since = context_->now;
    } else {
      claims_[life_.worker] = {0, context_->now, false, std::nullopt, 0};
    }
    window_ *= 2;
    if (++conflicts_ < conflicts_until_scan_) {
      wake_at_ = context_->now + context_->Jitter(context_->settings.retry_backoff_min);
      on_wake_ = [this] {
        const auto id = PickRandomFree();
        id ? Try(*id) : Scan();
      };
      return;
    }
    conflicts_ = 0;
    conflicts_until_scan_ *= 2;
  }
  // Stale knowledge would only run into the same again.
  Retry([this] { Scan(); });
}

void Claimer::OnTime() {
  if (!active()) return;
  claim_watch_.OnTime();
  heartbeat_watch_.OnTime();
  if (context_->now >= wake_at_) {
    wake_at_ = kNever;
    const std::function<void()> what = std::move(on_wake_);
    what();
  }
}

Nanos Claimer::NextDeadline() const {
  if (!active()) return kNever;
  return std::min({wake_at_, claim_watch_.NextDeadline(), heartbeat_watch_.NextDeadline()});
}

}  // namespace parti::core
