#include "internal/core/lease.h"

#include "internal/core/rules.h"

namespace parti::core {

namespace {
// Heartbeats whose answers may still tell something. At one outstanding heartbeat per request
// timeout this is far beyond any lease.
constexpr std::size_t kMaxSent = 256;
}  // namespace

void Lease::Begin(const Life& life, const FirstHeartbeat& first) {
  scope_.Renew();
  alive_ = true;
  leaving_ = false;
  left_number_ = 0;
  life_ = life;
  revision_ = first.revision;
  number_ = first.tried;
  outstanding_ = false;
  changed_ = false;
  sent_.clear();
  sent_.push_back({first.number, first.sent});
  read_back_at_ = kNever;
  backoff_.Reset();
  until_ = 0;
  context_->beat_nonce = life.nonce;
  context_->beat_number = first.number;
  acknowledged_ = first.sent;
  Accepted(first.revision, first.number);
}

void Lease::End() {
  scope_.Renew();
  alive_ = false;
  beat_at_ = kNever;
  read_back_at_ = kNever;
}

void Lease::Leave() {
  leaving_ = true;
  if (!alive_) return host_->Left();
  // What has yet to be read back comes first: one is outstanding at a time.
  if (!outstanding_ && read_back_at_ == kNever) Send();
}

void Lease::BeatSoon() {
  changed_ = true;
  if (alive_ && !outstanding_ && read_back_at_ == kNever) Send();
}

bool Lease::degraded() const {
  const Settings& s = context_->settings;
  return alive_ && context_->now > acknowledged_ + s.heartbeat_interval + s.lease / 2;
}

wire::Heartbeat Lease::Record() {
  HeartbeatContent content = content_();
  wire::Heartbeat record;
  record.kind = leaving_ ? wire::HeartbeatKind::kLeft : wire::HeartbeatKind::kLive;
  record.incarnation = life_.incarnation;
  record.nonce = life_.nonce;
  record.number = number_;
  record.lease_ms = context_->settings.lease / kMillisecond;
  record.applied_revision = content.applied_revision;
  record.applied_nonce = content.applied_nonce;
  record.highest_epoch = content.highest_epoch;
  context_->beat_epoch = content.highest_epoch;
  record.capacity = content.capacity;
  record.state = std::move(content.state);
  record.labels = context_->settings.labels;
  record.refused = std::move(content.refused);
  record.speaks = context_->settings.newest_wire_version;
  return record;
}

void Lease::Send() {
  const Nanos interval = context_->settings.heartbeat_interval;
  ++number_;
  if (leaving_ && left_number_ == 0) left_number_ = number_;
  context_->beat_nonce = life_.nonce;
  context_->beat_number = number_;
  sent_.push_back({number_, context_->now});
  if (sent_.size() > kMaxSent) sent_.pop_front();
  outstanding_ = true;
  beat_sent_ = context_->now;
  changed_ = false;
  beat_at_ = context_->now + interval - interval / 10 + context_->Jitter(interval / 10 + 1);
  const std::uint64_t number = number_;
  context_->Put(scope_, wire::Bucket::kHeartbeat, life_.worker, revision_,
                context_->Encode(Record()),
                [this, number](const KvAnswer& answer) { OnAnswer(answer, number); });
}

void Lease::OnAnswer(const KvAnswer& answer, std::uint64_t number) {
  outstanding_ = false;
  switch (answer.code) {
    case wire::KvCode::kOk:
      Note(true);
      Accepted(answer.revision, number);
      return;
    case wire::KvCode::kConflict:
    case wire::KvCode::kNotFound:
      ReadBack();
      return;
    case wire::KvCode::kUnknown:
    case wire::KvCode::kRefused:
      Note(false);
      if (answer.code == wire::KvCode::kRefused) {
        context_->ReportOnce("heartbeat refused: " + answer.error, Severity::kError,
                             absl::UnavailableError("heartbeat of " + life_.worker +
                                                    " refused by the server: " + answer.error));
      }
      // It may have been accepted, or be accepted later: the next one is sent at the same revision,
      // and whichever is first wins.
      beat_at_ = std::min(beat_at_, backoff_.Next(*context_));
      return;
  }
}

void Lease::Note(bool ok) {
  context_->Emit(HeartbeatNote{ok, context_->now - beat_sent_, until_ - context_->now});
}

// The lease counts from the sending of the very heartbeat that was accepted, not of a later one.
// Model: lease.pml, RULE lease-from-send.
void Lease::Accepted(std::uint64_t revision, std::uint64_t number) {
  revision_ = revision;
  backoff_.Reset();
  if (left_number_ != 0 && number >= left_number_) {
    End();
    return host_->Left();
  }
  if (!RuleOn(Rule::kLeaseFromSend) && !sent_.empty()) sent_.back() = {number, context_->now};
  while (!sent_.empty() && sent_.front().number < number) sent_.pop_front();
  if (!sent_.empty() && sent_.front().number == number) {
    acknowledged_ = std::max(acknowledged_, sent_.front().at);
    const Nanos until = sent_.front().at + context_->settings.lease;
    if (until > until_) {
      until_ = until;
      context_->Emit(LeaseUntil{context_->settings.mode == wire::Mode::kFast ? kNever : until_});
    }
  }
  if (beat_at_ == kNever) beat_at_ = context_->now + context_->settings.heartbeat_interval;
  if (leaving_ || changed_) Send();
}

void Lease::ReadBack() {
  read_back_at_ = kNever;
  outstanding_ = true;
  context_->Get(scope_, wire::Bucket::kHeartbeat, life_.worker,
                [this](const KvAnswer& answer) { OnReadBack(answer); });
}

void Lease::OnReadBack(const KvAnswer& answer) {
  outstanding_ = false;
  if (answer.code == wire::KvCode::kUnknown || answer.code == wire::KvCode::kRefused) {
    read_back_at_ = backoff_.Next(*context_);
    return;
  }
  if (answer.code == wire::KvCode::kOk && !answer.entry.deleted) {
    const auto record = context_->DecodeHeartbeat(answer.entry.value);
    const bool ours =
        record.ok() && record->nonce == life_.nonce && record->incarnation == life_.incarnation;
    if (ours && record->kind == wire::HeartbeatKind::kLive) {
      Note(true);
      return Accepted(answer.entry.revision, record->number);
    }
    if (ours && record->kind == wire::HeartbeatKind::kLeft && leaving_) {
      End();
      return host_->Left();
    }
    if (ours && !RuleOn(Rule::kStopAtTombstone)) {
      return Accepted(answer.entry.revision, number_);
    }
  }
  Note(false);
  // A tombstone with our own nonce, another life, a deleted key: a life never overwrites those.
  // Model: lease.pml, RULE stop-at-tombstone.
  host_->LifeEnded("evicted: the heartbeat key of " + life_.worker + " no longer bears this life");
}

void Lease::OnTime() {
  if (!alive_) return;
  if (context_->settings.mode == wire::Mode::kExclusive && context_->now >= until_) {
    return host_->LifeEnded("the lease ran out: no heartbeat was acknowledged in time");
  }
  if (context_->now >= read_back_at_) return ReadBack();
  if (!outstanding_ && read_back_at_ == kNever && context_->now >= beat_at_) Send();
}

Nanos Lease::NextDeadline() const {
  if (!alive_) return kNever;
  Nanos next = context_->settings.mode == wire::Mode::kExclusive ? until_ : kNever;
  if (read_back_at_ != kNever) return std::min(next, read_back_at_);
  if (!outstanding_) next = std::min(next, beat_at_);
  return next;
}

}  // namespace parti::core
