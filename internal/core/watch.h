// A watch that mends itself: it reopens when it breaks or its snapshot gets stuck, and tells when a
// snapshot is complete.
#ifndef PARTI_INTERNAL_CORE_WATCH_H_
#define PARTI_INTERNAL_CORE_WATCH_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

#include "internal/core/context.h"

namespace parti::core {

class Watch {
 public:
  // `on_entry` gets each entry, snapshots' and changes', `on_ready` the end of each snapshot.
  Watch(Context* context, wire::Bucket bucket, std::function<void(const wire::Entry&)> on_entry,
        std::function<void()> on_ready)
      : context_(context),
        bucket_(bucket),
        on_entry_(std::move(on_entry)),
        on_ready_(std::move(on_ready)) {}
  ~Watch() { Close(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // One key, or the whole bucket when `key` is empty. A snapshot comes first, begun after this
  // call.
  void Open(std::string key = "");
  void Close();
  // A fresh snapshot: what is known may be incomplete.
  void Reopen();

  bool is_open() const { return id_ != 0 || reopen_at_ != kNever; }
  // The snapshot is complete: it reached the last sequence that the stream reported after Open.
  bool ready() const { return ready_; }
  // Every message up to here was seen or is known to be gone.
  std::uint64_t position() const { return position_; }
  // How far this stream is known to have got since Open, by all snapshots and otherwise.
  std::uint64_t furthest() const { return std::max(furthest_, position_); }
  void Know(std::uint64_t sequence) { furthest_ = std::max(furthest_, sequence); }
  // The highest revision that was delivered since the watch was opened.
  std::uint64_t highest_seen() const { return highest_seen_; }
  std::uint64_t stream_id() const { return stream_id_; }

  // Tells one snapshot from the next.
  WatchId generation() const { return id_; }

  void OnEntry(const wire::Entry& entry);
  void OnSnapshotEnd(const wire::StreamState& stream);
  void OnBroken();

  void OnTime();
  Nanos NextDeadline() const;

 private:
  void Begin();
  void CheckReady();

  Context* const context_;
  const wire::Bucket bucket_;
  const std::function<void(const wire::Entry&)> on_entry_;
  const std::function<void()> on_ready_;

  std::string key_;
  WatchId id_ = 0;
  bool ended_ = false;  // SnapshotEnd was seen
  bool ready_ = false;
  wire::StreamState stream_;
  std::uint64_t stream_id_ = 0;
  std::uint64_t highest_seen_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t furthest_ = 0;
  Nanos reopen_at_ = kNever;
  Nanos stuck_at_ = kNever;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_WATCH_H_
