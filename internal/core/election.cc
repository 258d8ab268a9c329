#include "internal/core/election.h"

#include <fmt/format.h>

#include "internal/core/rules.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
constexpr char kLeaderKey[] = "leader";
constexpr int kMaxHoldoffLevel = 4;
// A record that this worker doesn't fit is left alone longer than others: those whom it fits come
// first.
constexpr int kStrangeWait = 3;
}  // namespace

Election::Election(Context* context, Host* host)
    : context_(context),
      host_(host),
      watch_(
          context, Bucket::kElection, [this](const wire::Entry& e) { OnEntry(e); },
          [this] {
            if (!known_) {
              known_ = true;
              Changed();
            }
          }) {}

void Election::Start() { watch_.Open(kLeaderKey); }

void Election::Join(const std::string& worker) {
  worker_ = worker;
  if (role_ == Role::kIdle) role_ = Role::kCandidate;
}

void Election::Withdraw() {
  if (role_ == Role::kLeading) {
    Resign("its life ended");
  }
  scope_.Renew();
  scan_docs_.reset();
  scan_heartbeats_.reset();
  act_at_ = kNever;
  worker_.clear();
  role_ = Role::kIdle;
}

void Election::Stop() {
  Withdraw();
  watch_.Close();
}

// ---- what is known of the record

// The watch may lag behind what a read or a write of ours has shown; a fresh snapshot counts in any
// case, for a recreated stream starts again at 1.
void Election::OnEntry(const wire::Entry& entry) {
  if (watch_.ready() && entry.revision <= revision_) return;
  if (!watch_.ready() && entry.revision == revision_ && known_) return;
  // A snapshot from before our own renewals: if they are lost, the next one meets what stands.
  if (role_ == Role::kLeading && entry.revision < revision_) {
    if (!outstanding_) act_at_ = context_->now;
    return;
  }
  View(entry);
}

void Election::View(const wire::Entry& entry) {
  known_ = true;
  revision_ = entry.revision;
  record_.reset();
  unreadable_ = false;
  too_new_ = false;
  if (!entry.deleted) {
    auto record = context_->DecodeLeader(entry.value);
    if (record.ok()) {
      record_ = *std::move(record);
      context_->SawEpoch(record_->epoch);
    } else {
      unreadable_ = true;
      context_->Malformed(Bucket::kElection, entry.key);
      too_new_ = absl::IsUnimplemented(record.status());
      context_->ReportOnce("leader", Severity::kError,
                           absl::DataLossError("the leader record is unreadable (" +
                                               std::string(record.status().message()) +
                                               "); it is challenged after election_ttl"));
    }
  }
  Changed();
}

void Election::Changed() {
  since_ = context_->now;
  const Nanos ttl = context_->settings.election_ttl;
  if (const absl::Status fits = Fits(); !fits.ok()) {
    Doubt(fits);
  } else {
    strange_.reset();
    if (record_) {
      fitted_ = true;
      context_->wire_version = record_->wire_version;
    }
  }
  const bool waits = (record_ && !record_->released) || unreadable_ || strange_;
  jitter_ = context_->Jitter(waits ? ttl / 10 : std::min(ttl / 20, 20 * kMillisecond));
  const bool ours = record_ && record_->nonce == term_.nonce && record_->epoch == term_.epoch;
  if (role_ == Role::kLeading && !ours) {
    HoldOff();
    StepDown("another worker took over the leader record");
  } else if (role_ == Role::kScanning) {
    role_ = Role::kCandidate;
    scan_docs_.reset();
    scan_heartbeats_.reset();
  }
}

void Election::Learn(const wire::Entry& entry) {
  if (entry.revision > revision_) View(entry);
}

// Whether this worker can be a member of the group that the record describes.
absl::Status Election::Fits() const {
  const Settings& s = context_->settings;
  const std::string spoken =
      s.oldest_wire_version == s.newest_wire_version
          ? fmt::format("only {}", s.newest_wire_version)
          : fmt::format("{} to {}", s.oldest_wire_version, s.newest_wire_version);
  if (too_new_) {
    return absl::FailedPreconditionError(
        fmt::format("the group's leader record is of a wire version that this build doesn't speak "
                    "(it speaks {}): run the build that the rest of the group runs",
                    spoken));
  }
  if (!record_) return absl::OkStatus();
  if (record_->mode != s.mode) {
    return absl::FailedPreconditionError(fmt::format(
        "this worker's mode is {} but the group runs in mode {}: use mode={}, or another prefix",
        wire::ModeName(s.mode), wire::ModeName(record_->mode), wire::ModeName(record_->mode)));
  }
  if (record_->wire_version > s.newest_wire_version) {
    return absl::FailedPreconditionError(
        fmt::format("the group speaks wire version {} but this worker's build speaks {}: run the "
                    "build that the rest of the group runs; a group never goes back to an older "
                    "version",
                    record_->wire_version, spoken));
  }
  if (record_->wire_version < s.oldest_wire_version) {
    return absl::FailedPreconditionError(
        fmt::format("the group speaks wire version {} but this worker's build speaks {}: upgrade "
                    "the group by way of a build that speaks both",
                    record_->wire_version, spoken));
  }
  return absl::OkStatus();
}

// A worker that starts takes the record's word for it. Who has been a member believes it when the
// record turns out to be somebody's who goes on renewing it.
void Election::Doubt(const absl::Status& why) {
  bool renewed = false;
  if (strange_ && strange_->revision != revision_) {
    const std::optional<wire::Leader>& before = strange_->record;
    renewed = !record_
                  ? !before
                  : before && before->epoch == record_->epoch && before->nonce == record_->nonce &&
                        before->renewals < record_->renewals;
  }
  strange_ = Strange{revision_, record_};
  if (!fitted_ || renewed) host_->Refuse(why);
}

// ---- challenging

Nanos Election::ChallengeAt() const {
  if (role_ != Role::kCandidate || !known_ || worker_.empty() || act_at_ != kNever) return kNever;
  const bool waits = (record_ && !record_->released) || unreadable_;
  Nanos wait = waits ? context_->settings.election_ttl : 0;
  if (strange_) wait = kStrangeWait * context_->settings.election_ttl;
  return std::max(since_ + wait + jitter_, holdoff_until_);
}

void Election::Challenge() {
  // The watch may have fallen silent, or the stream may be another one by now: the record itself is
  // looked at before it is overwritten.
  role_ = Role::kChallenging;
  context_->Get(
      scope_, Bucket::kElection, kLeaderKey,
      [this, waited_for = revision_](const KvAnswer& answer) { OnLook(answer, waited_for); });
}

void Election::OnLook(const KvAnswer& answer, std::uint64_t waited_for) {
  if (role_ != Role::kChallenging) return;
  role_ = Role::kCandidate;
  // Somebody was faster, or the leader is alive after all: this record has not been waited for.
  if (revision_ != waited_for) return;
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    act_at_ = backoff_.Next(*context_);
    act_ = [] {};
    return;
  }
  const bool absent = answer.code == KvCode::kNotFound;
  if ((absent ? 0 : answer.entry.revision) != revision_) {
    View(absent ? wire::Entry{kLeaderKey, 0, true, ""} : answer.entry);
    watch_.Reopen();
    return;
  }
  // Where `leader` tells no epoch, the docs and heartbeats may remember one.
  if (!record_ || strange_) return BeginScan();
  WriteChallenge();
}

void Election::BeginScan() {
  role_ = Role::kScanning;
  scanned_speak_ = wire::kMaxWireVersion;
  scan_docs_ = std::make_unique<Watch>(
      context_, Bucket::kAssignment,
      [this](const wire::Entry& entry) {
        const auto doc = context_->DecodeDoc(entry.value);
        if (doc.ok()) context_->SawEpoch(doc->epoch);
      },
      [this] { OnScanReady(); });
  scan_heartbeats_ = std::make_unique<Watch>(
      context_, Bucket::kHeartbeat,
      [this](const wire::Entry& entry) {
        const auto record = context_->DecodeHeartbeat(entry.value);
        if (record.ok()) {
          context_->SawEpoch(std::max(record->highest_epoch, record->evicting_epoch));
          if (record->kind == wire::HeartbeatKind::kLive) {
            scanned_speak_ = std::min(scanned_speak_, record->speaks);
          }
        }
      },
      [this] { OnScanReady(); });
  scan_docs_->Open();
  scan_heartbeats_->Open();
}

void Election::OnScanReady() {
  if (role_ != Role::kScanning || !scan_docs_->ready() || !scan_heartbeats_->ready()) return;
  // The watches are closed by OnTime: this runs inside one of them.
  role_ = Role::kCandidate;
  act_at_ = context_->now;
  act_ = [this, scanned_for = revision_] {
    scan_docs_.reset();
    scan_heartbeats_.reset();
    // Somebody may have been faster: a record that came meanwhile is nothing to challenge at once.
    if (revision_ == scanned_for) WriteChallenge();
  };
}

void Election::WriteChallenge() {
  role_ = Role::kChallenging;
  term_ = Term{};
  context_->SawEpoch(record_ ? record_->epoch : 0);
  term_.epoch = context_->NextEpoch();
  term_.nonce = context_->Nonce();
  term_.holder = worker_;
  // A record of a group that isn't ours tells nothing of ours.
  term_.found_absent = !record_ || strange_;
  wire_version_ = fitted_ ? context_->wire_version : FirstVersion();
  if (!term_.found_absent) {
    term_.assignment_stream = record_->assignment_stream;
    term_.heartbeat_stream = record_->heartbeat_stream;
    term_.predecessor_nonce = record_->holder_nonce;
    term_.predecessor_beat = record_->holder_beat;
    term_.predecessor_seen_at = since_;
  }
  // Its streams are unknown, and so are they to its successors, until the longest lease is over.
  if (unknown_past_) term_.assignment_stream = term_.heartbeat_stream = 0;
  // Until the new leader has made its own picture, its predecessor's streams stay the reference.
  assignment_stream_ = term_.assignment_stream;
  heartbeat_stream_ = term_.heartbeat_stream;
  renewals_ = 0;
  sent_ = context_->now;
  sent_record_ = Record();
  context_->Emit(ElectionNote{ElectionNote::Kind::kChallenged, term_.epoch});
  context_->Put(scope_, Bucket::kElection, kLeaderKey, revision_, context_->Encode(sent_record_),
                [this](const KvAnswer& a) { OnChallengeAnswer(a); });
  if (!RuleOn(Rule::kReadAfterFence)) host_->Elected(term_);
}

// A new group's: as new as we and all that live (of a group whose record is gone) speak.
int Election::FirstVersion() const {
  const Settings& s = context_->settings;
  const int limit = s.wire_version_limit > 0 ? s.wire_version_limit : s.newest_wire_version;
  return std::max(std::min({s.newest_wire_version, limit, scanned_speak_}), s.oldest_wire_version);
}

wire::Leader Election::Record() const {
  wire::Leader record;
  record.epoch = term_.epoch;
  record.nonce = term_.nonce;
  record.holder = worker_;
  record.renewals = renewals_;
  record.mode = context_->settings.mode;
  record.wire_version = wire_version_;
  record.assignment_stream = assignment_stream_;
  record.heartbeat_stream = heartbeat_stream_;
  record.holder_nonce = context_->beat_nonce;
  record.holder_beat = context_->beat_number;
  return record;
}

void Election::OnChallengeAnswer(const KvAnswer& answer) {
  if (role_ != Role::kChallenging) return;
  if (answer.code == KvCode::kOk) return Won(answer.revision);
  if (answer.code == KvCode::kRefused) {
    context_->ReportOnce(
        "challenge refused: " + answer.error, Severity::kError,
        absl::UnavailableError("the leader record was refused by the server: " + answer.error));
  }
  context_->Get(scope_, Bucket::kElection, kLeaderKey,
                [this](const KvAnswer& a) { OnChallengeReadBack(a); });
}

void Election::OnChallengeReadBack(const KvAnswer& answer) {
  if (role_ != Role::kChallenging) return;
  if (answer.code == KvCode::kOk && !answer.entry.deleted) {
    const auto record = context_->DecodeLeader(answer.entry.value);
    if (record.ok() && record->nonce == term_.nonce && record->epoch == term_.epoch) {
      return Won(answer.entry.revision);
    }
  }
  role_ = Role::kCandidate;
  context_->Emit(ElectionNote{ElectionNote::Kind::kLost, term_.epoch});
  if (!RuleOn(Rule::kReadAfterFence)) host_->Deposed();
  if (answer.code == KvCode::kOk) {
    if (answer.entry.revision != revision_) View(answer.entry);
  } else if (answer.code == KvCode::kNotFound && revision_ != 0) {
    View(wire::Entry{kLeaderKey, 0, true, ""});
  }
  // Not there, though it may land yet: try again, with another epoch, if the record still is the
  // one that we challenged.
  if (role_ == Role::kCandidate) {
    act_at_ = backoff_.Next(*context_);
    act_ = [] {};
  }
}

void Election::Won(std::uint64_t revision) {
  role_ = Role::kLeading;
  unknown_past_ = false;
  context_->Emit(ElectionNote{ElectionNote::Kind::kWon, term_.epoch});
  revision_ = revision;
  record_ = sent_record_;
  unreadable_ = false;
  too_new_ = false;
  strange_.reset();
  fitted_ = true;
  context_->wire_version = sent_record_.wire_version;
  since_ = context_->now;
  context_->SawEpoch(term_.epoch);
  until_ = sent_ + context_->settings.election_ttl;
  outstanding_ = false;
  confirm_pending_ = false;
  renewals_sent_.clear();
  backoff_.Reset();
  act_at_ = sent_ + context_->settings.election_ttl / 3;
  act_ = [this] { Renew(); };
  // Rule [1]: only now, with the fence written, the new leader begins to read.
  // Model: ownership.pml, RULE read-after-fence.
  if (RuleOn(Rule::kReadAfterFence)) host_->Elected(term_);
}

// ---- leading

void Election::Renew() {
  act_at_ = context_->now + context_->settings.election_ttl / 3;
  act_ = [this] { Renew(); };
  if (outstanding_) return;
  renewed_at_ = context_->now;
  outstanding_ = true;
  confirm_pending_ = false;
  ++renewals_;
  const Nanos sent = context_->now;
  renewals_sent_[renewals_] = sent;
  sent_record_ = Record();
  context_->Put(scope_, Bucket::kElection, kLeaderKey, revision_, context_->Encode(sent_record_),
                [this, sent](const KvAnswer& a) { OnRenewAnswer(a, sent); });
}

void Election::OnRenewAnswer(const KvAnswer& answer, Nanos sent) {
  outstanding_ = false;
  if (role_ != Role::kLeading) return;
  switch (answer.code) {
    case KvCode::kOk:
      revision_ = answer.revision;
      record_ = sent_record_;
      context_->wire_version = sent_record_.wire_version;
      since_ = context_->now;
      if (confirm_pending_) act_at_ = context_->now;
      until_ = std::max(until_, sent + context_->settings.election_ttl);
      renewals_sent_.clear();
      backoff_.Reset();
      return;
    case KvCode::kUnknown:
    case KvCode::kRefused:
      act_at_ = std::min(act_at_, backoff_.Next(*context_));
      return;
    case KvCode::kConflict:
    case KvCode::kNotFound:
      outstanding_ = true;
      context_->Get(scope_, Bucket::kElection, kLeaderKey,
                    [this](const KvAnswer& a) { OnRenewReadBack(a); });
      return;
  }
}

void Election::OnRenewReadBack(const KvAnswer& answer) {
  outstanding_ = false;
  if (role_ != Role::kLeading) return;
  if (answer.code == KvCode::kUnknown || answer.code == KvCode::kRefused) {
    act_at_ = std::min(act_at_, backoff_.Next(*context_));
    return;
  }
  if (answer.code == KvCode::kOk && !answer.entry.deleted) {
    const auto record = context_->DecodeLeader(answer.entry.value);
    if (record.ok() && record->nonce == term_.nonce && record->epoch == term_.epoch &&
        !record->released && record->mode == context_->settings.mode &&
        record->wire_version <= wire_version_) {
      // A renewal of ours whose answer was lost: the term counts from the sending of that one.
      const bool went_back = answer.entry.revision < revision_;
      revision_ = answer.entry.revision;
      record_ = *record;
      if (went_back) return Refence("the leader record has lost renewals", true);
      context_->wire_version = record->wire_version;
      since_ = context_->now;
      if (const auto it = renewals_sent_.find(record->renewals); it != renewals_sent_.end()) {
        until_ = std::max(until_, it->second + context_->settings.election_ttl);
      }
      return;
    }
  }
  if (answer.code == KvCode::kNotFound) {
    View(wire::Entry{kLeaderKey, 0, true, ""});
  } else {
    View(answer.entry);
  }
  if (role_ == Role::kLeading) {
    HoldOff();
    StepDown("the leader record is no longer ours");
  }
}

void Election::ConfirmStreams(std::uint64_t assignment, std::uint64_t heartbeat) {
  if (assignment_stream_ == assignment && heartbeat_stream_ == heartbeat) return;
  assignment_stream_ = assignment;
  heartbeat_stream_ = heartbeat;
  confirm_pending_ = true;
  if (role_ == Role::kLeading && !outstanding_) act_at_ = context_->now;
}

void Election::Raise(int wire_version) {
  if (role_ != Role::kLeading || wire_version <= wire_version_) return;
  wire_version_ = wire_version;
  if (!outstanding_) act_at_ = context_->now;
}

// Deposed alive: whoever is deposed again and again waits longer and longer, or two would take
// turns.
void Election::HoldOff() {
  const Nanos ttl = context_->settings.election_ttl;
  if (context_->now - deposed_at_ > 20 * ttl) holdoff_level_ = 0;
  deposed_at_ = context_->now;
  holdoff_level_ = std::min(holdoff_level_ + 1, kMaxHoldoffLevel);
  const Nanos first =
      context_->settings.election_holdoff > 0 ? context_->settings.election_holdoff : ttl / 4;
  const Nanos span = first * (1 << holdoff_level_);
  holdoff_until_ = context_->now + span / 2 + context_->Jitter(span / 2);
}

void Election::StepDown(const std::string& why) {
  const std::uint64_t epoch = term_.epoch;
  scope_.Renew();
  role_ = worker_.empty() ? Role::kIdle : Role::kCandidate;
  outstanding_ = false;
  act_at_ = kNever;
  term_ = Term{};
  context_->Emit(ElectionNote{ElectionNote::Kind::kDeposed, epoch});
  context_->Report(Severity::kInfo,
                   absl::AbortedError(fmt::format("no longer leader of epoch {}: {}", epoch, why)));
  host_->Deposed();
}

void Election::Refence(const std::string& why, bool unknown_past) {
  if (role_ != Role::kLeading) return;
  StepDown(why);
  unknown_past_ = unknown_past_ || unknown_past;
  holdoff_until_ = 0;
  role_ = Role::kCandidate;
  act_at_ = context_->now;
  act_ = [this, unfit = revision_] {
    if (revision_ == unfit) return WriteChallenge();
    // What made the term unfit was a successor, who lives.
    HoldOff();
  };
}

void Election::Resign(const std::string& why) {
  if (role_ != Role::kLeading) return;
  wire::Leader record = Record();
  record.released = true;
  record.renewals = renewals_ + 1;
  const std::uint64_t expected = revision_;
  const bool was_outstanding = outstanding_;
  StepDown(why);
  // One try: if it fails, the others wait for election_ttl, which is no more than slow.
  if (was_outstanding) return;
  releasing_ = true;
  context_->Put(release_scope_, Bucket::kElection, kLeaderKey, expected, context_->Encode(record),
                [this](const KvAnswer&) { releasing_ = false; });
}

// ---- time

// A renewal follows each heartbeat of ours: so the record nearly always names the newest one, and a
// successor needn't wait for a lease of its own.
Nanos Election::RenewForBeatAt() const {
  if (role_ != Role::kLeading || outstanding_) return kNever;
  if (sent_record_.holder_beat == context_->beat_number) return kNever;
  return renewed_at_ + context_->settings.election_ttl / 12;
}

void Election::OnTime() {
  watch_.OnTime();
  if (scan_docs_) scan_docs_->OnTime();
  if (scan_heartbeats_) scan_heartbeats_->OnTime();
  if (role_ == Role::kLeading && context_->now >= until_) {
    StepDown("no renewal was acknowledged for election_ttl");
  }
  if (context_->now >= RenewForBeatAt()) act_at_ = context_->now;
  if (context_->now >= act_at_) {
    act_at_ = kNever;
    const std::function<void()> act = act_;
    act();
  }
  if (context_->now >= ChallengeAt()) Challenge();
}

Nanos Election::NextDeadline() const {
  Nanos next = std::min({watch_.NextDeadline(), act_at_, ChallengeAt()});
  if (scan_docs_) next = std::min(next, scan_docs_->NextDeadline());
  if (scan_heartbeats_) next = std::min(next, scan_heartbeats_->NextDeadline());
  if (role_ == Role::kLeading) next = std::min({next, until_, RenewForBeatAt()});
  return next;
}

}  // namespace parti::core
