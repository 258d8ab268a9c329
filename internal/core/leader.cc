#include "internal/core/leader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/core/rules.h"

namespace parti::core {

using wire::Bucket;
using wire::KvCode;

namespace {
constexpr std::size_t kNamesGrowth = 4;
constexpr std::size_t kNamesAllowed = 20'000;
}  // namespace

Leader::Leader(Context* context, const Term& term, Calls calls)
    : context_(context),
      term_(term),
      calls_(std::move(calls)),
      view_(context),
      heartbeat_watch_(
          context, Bucket::kHeartbeat, [this](const wire::Entry& e) { OnHeartbeat(e); },
          [this] { OnReady(); }),
      doc_watch_(
          context, Bucket::kAssignment, [this](const wire::Entry& e) { OnDoc(e); },
          [this] { OnReady(); }),
      monitor_(context, &view_, term,
               {[this](const std::string& id) { ViewChanged(id); },
                [this](const std::function<void(bool)>& tell) {
                  context_->Info(
                      scope_, Bucket::kHeartbeat,
                      [this, tell, known = Furthest(heartbeat_watch_)](const KvAnswer& info) {
                        if (!unfit_) tell(SameStream(heartbeat_watch_, known, info));
                      });
                },
                [this] {
                  unfit_ = true;
                  calls_.refence("a bucket has lost what was in it", true);
                }}),
      calculator_(context, &view_, term, [this] { publisher_.Touch(); }),
      publisher_(
          context, &view_, &calculator_, term, [this](const std::string& id) { ViewChanged(id); },
          [this] {
            unfit_ = true;
            calls_.refence("an assignment that was there has vanished", false);
          }),
      upgrade_(context, &view_),
      control_(context,
               [this] {
                 calculator_.SetControl(control_.control());
                 reporter_.Touch();
               }),
      reporter_(context, &view_, &calculator_, &control_, term),
      wire_version_(context->wire_version) {
  view_.KnowSentBefore(term.predecessor_nonce, term.predecessor_beat, term.predecessor_seen_at);
  // Rule [1]: the fence is written; only now is anything read that this term acts on.
  doc_watch_.Open();
  heartbeat_watch_.Open();
  control_.Open();
}

// ---- what the watches show

void Leader::OnHeartbeat(const wire::Entry& entry) {
  if (unfit_) return;
  std::optional<wire::Heartbeat> before;
  if (const auto it = view_.workers.find(entry.key); it != view_.workers.end()) {
    before = it->second.heartbeat.record;
  }
  const bool met = view_.workers.contains(entry.key);
  if (!view_.TakeHeartbeat(entry) || !taken_over_) {
    Unfit();
    return;
  }
  if (holding()) {
    // The scan doesn't show who was beating just then: the message that it was to see was gone.
    if (!met) view_.SuspectOld(entry.key);
    Hold();
  }
  if (Unfit()) return;
  const std::optional<wire::Heartbeat>& after = view_.workers[entry.key].heartbeat.record;
  // An ordinary heartbeat says only that its sender lives: its deadline moves away, nothing else.
  if (before && after && before->kind == after->kind && before->incarnation == after->incarnation &&
      before->nonce == after->nonce && before->capacity == after->capacity &&
      before->labels == after->labels && before->applied_revision == after->applied_revision &&
      before->applied_nonce == after->applied_nonce && before->refused == after->refused &&
      before->highest_epoch == after->highest_epoch) {
    return;
  }
  ViewChanged(entry.key);
}

void Leader::OnDoc(const wire::Entry& entry) {
  if (unfit_) return;
  const bool news = view_.TakeDoc(entry);
  if (Unfit() || SharesEpoch(view_.workers[entry.key].doc)) return;
  if (news && taken_over_) ViewChanged(entry.key);
}

// The epochs that records tell of must not exceed ours.
bool Leader::Unfit() {
  if (unfit_) return true;
  if (context_->highest_epoch <= term_.epoch) return false;
  unfit_ = true;
  calls_.refence(fmt::format("a record tells of epoch {}", context_->highest_epoch), false);
  return true;
}

// Two terms share an epoch if the record of one was lost (a bucket restored, a server's files
// gone). Their tokens would be each other's, so neither goes on under it.
bool Leader::SharesEpoch(const DocView& doc) {
  if (!doc.valid || doc.epoch != term_.epoch || doc.nonce == term_.nonce) return false;
  if (term_.epoch == wire::kMaxExactInteger) return false;  // there is no other
  unfit_ = true;
  calls_.refence(fmt::format("a document of another term bears epoch {} too", term_.epoch), false);
  return true;
}

void Leader::ViewChanged(const std::string& id) {
  if (!taken_over_ || Unfit()) return;
  WorkerView& worker = view_.workers[id];
  monitor_.Touched(id);
  CheckRefusals(id);
  // Whichever way the news came: watch, poll, or the answer to a request.
  if (worker.MembershipChanged() || worker.condemned) calculator_.MembersTouched();
  publisher_.Touch();
  reporter_.OwnersChanged();
}

void Leader::CheckRefusals(const std::string& id) {
  const WorkerView& worker = view_.workers[id];
  if (!worker.same_life() || !worker.heartbeat.live()) return;
  for (const wire::Refusal& refusal : worker.heartbeat.record->refused) {
    const PartitionIndex p = view_.names.Intern(refusal.partition);
    const auto at = std::lower_bound(worker.doc.owned.begin(), worker.doc.owned.end(), p);
    if (at == worker.doc.owned.end() || *at != p) continue;
    const auto i = static_cast<std::size_t>(at - worker.doc.owned.begin());
    if (worker.doc.tokens[i] == refusal.token) calculator_.Refused(id, p);
  }
}

// ---- taking over

void Leader::OnReady() {
  if (unfit_ || !heartbeat_watch_.ready() || !doc_watch_.ready()) return;
  if (!taken_over_) return TakeOver();
  if (heartbeat_watch_.stream_id() != heartbeat_stream_ ||
      doc_watch_.stream_id() != assignment_stream_) {
    unfit_ = true;
    calls_.refence("a bucket was recreated", false);
  }
}

void Leader::TakeOver() {
  if (Unfit()) return;
  taken_over_ = true;
  names_at_first_ = view_.names.size();
  heartbeat_stream_ = heartbeat_watch_.stream_id();
  assignment_stream_ = doc_watch_.stream_id();
  const bool recreated =
      !term_.found_absent &&
      ((term_.heartbeat_stream != 0 && term_.heartbeat_stream != heartbeat_stream_) ||
       (term_.assignment_stream != 0 && term_.assignment_stream != assignment_stream_));
  // Without a record of what the streams were, or with other streams than the predecessor's,
  // somebody may hold what nothing here tells of: until the longest lease is over, nothing is
  // granted.
  // Model: ownership.pml, RULE first-grant-waits.
  const bool unknown_past = term_.found_absent || recreated ||
                            (term_.heartbeat_stream == 0 && term_.assignment_stream == 0);
  const bool waived = context_->settings.assume_new_group && term_.found_absent;
  confirm_at_ = context_->now;
  poll_at_ = context_->now + PollInterval();
  const bool wait = unknown_past && !waived && RuleOn(Rule::kFirstGrantWaits);
  view_.SuspectAll(term_.epoch, wait);
  if (!term_.found_absent && term_.assignment_stream != 0 &&
      term_.assignment_stream != assignment_stream_) {
    view_.DocsRecreated(term_.nonce);
  }
  if (recreated) view_.HeartbeatsRecreated();
  if (wait) {
    hold_since_ = context_->now;
    Hold();
  }
  for (auto& [id, worker] : view_.workers) worker.MembershipChanged();
  calculator_.TakeOver();
  monitor_.Look();
  for (const auto& [id, worker] : view_.workers) CheckRefusals(id);
  publisher_.Touch();
  reporter_.Begin();
}

void Leader::Hold() {
  hold_until_ = hold_since_ + context_->WithDrift(context_->longest_lease);
  publisher_.HoldUntil(hold_until_);
  confirm_at_ = hold_until_;
  monitor_.EvictSuspectsAt(hold_until_);
}

// ---- the fallback

Nanos Leader::PollInterval() const {
  const Settings& settings = context_->settings;
  return settings.poll_interval > 0 ? settings.poll_interval : settings.lease / 2;
}

// A poll that knows more than the watch proves the watch broken. Asking for the stream's last
// sequence tells that as well as reading every key would, at the cost of one message.
void Leader::Poll() {
  // Partitions that came and went are remembered for a term: a list that changes for months takes
  // a new one now and then.
  if (view_.names.size() > kNamesGrowth * names_at_first_ + kNamesAllowed) {
    unfit_ = true;
    return calls_.refence("it remembers too many partitions that are no more", false);
  }
  poll_at_ = context_->now + PollInterval();
  for (const Bucket bucket : {Bucket::kHeartbeat, Bucket::kAssignment}) {
    Watch& watch = bucket == Bucket::kHeartbeat ? heartbeat_watch_ : doc_watch_;
    context_->Info(scope_, bucket, [this, &watch, known = Furthest(watch)](const KvAnswer& answer) {
      OnPoll(watch, known, answer);
    });
  }
}

// How far the stream is known to have got: by its watch, and by the answers to our own requests.
std::uint64_t Leader::Furthest(const Watch& watch) const {
  std::uint64_t furthest = watch.furthest();
  for (const auto& [id, worker] : view_.workers) {
    furthest = std::max(
        furthest, &watch == &heartbeat_watch_ ? worker.heartbeat.revision : worker.doc.revision);
  }
  return furthest;
}

void Leader::OnPoll(Watch& watch, std::uint64_t known, const KvAnswer& answer) {
  if (unfit_ || !SameStream(watch, known, answer)) return;
  Behind& behind = &watch == &heartbeat_watch_ ? heartbeat_behind_ : doc_behind_;
  if (watch.ready() && answer.stream.last_seq > watch.position() && behind.until == kNever) {
    behind.sequence = answer.stream.last_seq;
    behind.until = context_->now + context_->settings.debounce;
  }
}

// Whether the bucket is the one that this term's picture was made of, and has what was `known` of
// it before it was asked. If it isn't, the term is over; without an answer it isn't known.
bool Leader::SameStream(Watch& watch, std::uint64_t known, const KvAnswer& info) {
  if (info.code != KvCode::kOk) return false;
  const bool heartbeats = &watch == &heartbeat_watch_;
  if (info.stream.stream_id != (heartbeats ? heartbeat_stream_ : assignment_stream_)) {
    unfit_ = true;
    calls_.refence("a bucket was recreated", false);
    return false;
  }
  Behind& behind = heartbeats ? heartbeat_behind_ : doc_behind_;
  // It lost its end, by a power cut or a backup put back. The second time in a row; a server that
  // has just begun to lead may be mistaken once.
  if (info.stream.last_seq < known) {
    poll_at_ = std::min(poll_at_, context_->now + context_->settings.debounce);
    if (std::exchange(behind.went_back, true)) {
      unfit_ = true;
      calls_.refence("a bucket has lost what was in it", heartbeats);
    }
    return false;
  }
  behind.went_back = false;
  watch.Know(info.stream.last_seq);
  return true;
}

void Leader::OnTime() {
  heartbeat_watch_.OnTime();
  doc_watch_.OnTime();
  if (!unfit_) control_.OnTime();
  if (!taken_over_ || Unfit()) return;
  for (const auto& [behind, watch] :
       {std::pair{&heartbeat_behind_, &heartbeat_watch_}, std::pair{&doc_behind_, &doc_watch_}}) {
    if (context_->now < behind->until) continue;
    behind->until = kNever;
    if (watch->ready() && watch->position() < behind->sequence) {
      context_->Report(Severity::kInfo,
                       absl::UnavailableError("a watch fell silent; it is rebuilt"));
      watch->Reopen();
    }
  }
  if (context_->now >= poll_at_) Poll();
  if (context_->now >= confirm_at_) {
    confirm_at_ = kNever;
    calls_.confirm_streams(assignment_stream_, heartbeat_stream_);
  }
  const Nanos look = monitor_.NextDeadline();
  monitor_.OnTime();
  // A lease that was waited out frees partitions without any message.
  if (context_->now >= look) publisher_.Touch();
  if (const int version = upgrade_.Due(); version != 0) calls_.raise(version);
  if (context_->wire_version != wire_version_) {
    // Whom the group has left behind gets nothing any more.
    wire_version_ = context_->wire_version;
    monitor_.Look();
    calculator_.MembersTouched();
    publisher_.Touch();
  }
  calculator_.OnTime();
  publisher_.OnTime();
  reporter_.OnTime();
}

Nanos Leader::NextDeadline() const {
  Nanos next = std::min(heartbeat_watch_.NextDeadline(), doc_watch_.NextDeadline());
  if (unfit_) return next;
  next = std::min(next, control_.NextDeadline());
  if (!taken_over_) return next;
  next = std::min({next, heartbeat_behind_.until, doc_behind_.until, poll_at_, confirm_at_});
  return std::min({next, monitor_.NextDeadline(), calculator_.NextDeadline(),
                   publisher_.NextDeadline(), upgrade_.NextDeadline(), reporter_.NextDeadline()});
}

}  // namespace parti::core
