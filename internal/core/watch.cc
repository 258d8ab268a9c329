#include "internal/core/watch.h"

#include "internal/core/rules.h"

namespace parti::core {

void Watch::Open(std::string key) {
  Close();
  key_ = std::move(key);
  stream_id_ = 0;
  furthest_ = 0;
  position_ = 0;
  Begin();
}

void Watch::Close() {
  if (id_ != 0) {
    context_->Unregister(id_);
    context_->Emit(CloseWatch{id_});
  }
  id_ = 0;
  ready_ = false;
  reopen_at_ = kNever;
  stuck_at_ = kNever;
}

void Watch::Reopen() {
  Close();
  Begin();
}

void Watch::Begin() {
  ended_ = false;
  ready_ = false;
  highest_seen_ = 0;
  furthest_ = furthest();
  position_ = 0;
  reopen_at_ = kNever;
  // A snapshot of many keys takes longer than one request; a stuck one is begun anew.
  stuck_at_ = context_->now + 10 * context_->settings.request_timeout;
  id_ = context_->Register(this);
  context_->Emit(OpenWatch{id_, bucket_, key_});
}

void Watch::OnEntry(const wire::Entry& entry) {
  if (!key_.empty() && entry.key != key_) return;
  highest_seen_ = std::max(highest_seen_, entry.revision);
  position_ = std::max(position_, entry.revision);
  if (ended_ && !ready_) stuck_at_ = context_->now + 2 * context_->settings.request_timeout;
  const WatchId before = id_;
  on_entry_(entry);
  if (id_ == before) CheckReady();
}

void Watch::OnSnapshotEnd(const wire::StreamState& stream) {
  ended_ = true;
  stream_ = stream;
  stuck_at_ = context_->now + 2 * context_->settings.request_timeout;
  CheckReady();
}

// Rule [1]: a scan counts only once it reached the last sequence reported after it was begun. (A
// watch of one key can't reach other keys' messages: its snapshot is that key alone.)
// Model: ownership.pml, RULE scan-reaches-end.
void Watch::CheckReady() {
  if (!ended_ || ready_) return;
  const bool reached = !key_.empty() || highest_seen_ >= stream_.last_seq || stream_.last_seq_gone;
  if (!reached && RuleOn(Rule::kScanReachesEnd)) return;
  ready_ = true;
  stuck_at_ = kNever;
  if (stream_id_ != stream_.stream_id) furthest_ = 0;
  stream_id_ = stream_.stream_id;
  position_ = std::max(position_, stream_.last_seq);
  backoff_.Reset();
  on_ready_();
}

void Watch::OnBroken() {
  Close();
  reopen_at_ = backoff_.Next(*context_);
}

void Watch::OnTime() {
  if (context_->now >= reopen_at_) Begin();
  if (context_->now >= stuck_at_) Reopen();
}

Nanos Watch::NextDeadline() const { return std::min(reopen_at_, stuck_at_); }

}  // namespace parti::core
