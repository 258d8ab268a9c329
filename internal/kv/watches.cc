#include "internal/kv/watches.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <variant>

#include "internal/kv/buckets.h"

namespace parti::kv {
namespace {

using std::chrono::milliseconds;

constexpr int kMissedHeartbeats = 4;  // the consumer is lost
constexpr core::Nanos kInactiveThreshold = 5 * core::kSecond;
// Opening again at once would only spin.
constexpr milliseconds kNoConnectionDelay(50);

// What is wrong with an answer, or nothing.
template <typename T>
std::optional<std::string> Problem(const Reply& reply, const ApiResult<T>& result) {
  if (reply.kind != Reply::Kind::kAnswer) return reply.error;
  if (const auto* error = std::get_if<ApiError>(&result)) return error->ToString();
  return std::nullopt;
}

template <typename T>
bool StreamIsMissing(const Reply& reply, const ApiResult<T>& result) {
  const auto* error = std::get_if<ApiError>(&result);
  return reply.kind == Reply::Kind::kAnswer && error != nullptr &&
         error->err_code == kErrStreamNotFound;
}

}  // namespace

Watches::Watches(const Names& names, const Pace& pace, Timers* timers, Requests* requests,
                 Callbacks callbacks)
    : names_(names),
      pace_(pace),
      timers_(timers),
      requests_(requests),
      callbacks_(std::move(callbacks)) {}

std::chrono::milliseconds Watches::Silence() const {
  return kMissedHeartbeats * pace_.watch_heartbeat;
}

void Watches::SetInbox(std::string inbox) {
  const std::lock_guard lock(mutex_);
  while (!watches_.empty()) Break(watches_.begin()->first, "the connection to NATS was lost");
  inbox_ = std::move(inbox);
}

void Watches::Open(const core::OpenWatch& open) {
  const std::lock_guard lock(mutex_);
  if (inbox_.empty()) {
    timers_->After(kNoConnectionDelay, [this, id = open.watch] {
      const std::lock_guard emit_lock(mutex_);
      callbacks_.emit(core::WatchBroken{id, "no connection to NATS"});
    });
    return;
  }
  const Serial serial = next_serial_++;
  Watch& watch = watches_[serial];
  watch.id = open.watch;
  watch.bucket = open.bucket;
  watch.key = open.key;
  // The inbox's last token is unique in the world.
  watch.consumer = fmt::format("parti_{}_{}", LastToken(inbox_), serial);
  watch.subject = fmt::format("{}.w.{}", inbox_, serial);
  watch.last_sign = Timers::Clock::now();
  ArmSilence(serial, watch.last_sign + Silence());
  requests_->Subscribe(watch.subject);
  RequestCreate(serial, watch);
}

void Watches::Close(const core::CloseWatch& close) {
  const std::lock_guard lock(mutex_);
  for (auto at = watches_.begin(); at != watches_.end(); ++at) {
    if (at->second.id != close.watch) continue;
    Abandon(at->second);
    watches_.erase(at);
    return;
  }
}

void Watches::BreakAll(wire::Bucket bucket, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  for (auto at = watches_.begin(); at != watches_.end();) {
    const auto one = at++;
    if (one->second.bucket == bucket) Break(one->first, reason);
  }
}

void Watches::RequestCreate(Serial serial, const Watch& watch) {
  const ConsumerSpec spec{
      .stream = names_.Stream(watch.bucket),
      .name = watch.consumer,
      .deliver_subject = watch.subject,
      .filter_subject = names_.Subject(watch.bucket, watch.key.empty() ? ">" : watch.key),
      .heartbeat = core::Nanos{pace_.watch_heartbeat.count()} * core::kMillisecond,
      .inactive_threshold = kInactiveThreshold};
  requests_->Send(
      {.subject = names_.Api(ConsumerCreateRequest(spec)), .data = ConsumerCreateBody(spec)},
      pace_.api_timeout, [this, serial](const Reply& reply) { OnCreated(serial, reply); });
}

void Watches::OnCreated(Serial serial, const Reply& reply) {
  const ApiResult<ConsumerCreated> result = ReadConsumerCreated(reply.data);
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(serial);
  if (watch == nullptr) return;
  if (StreamIsMissing(reply, result)) callbacks_.on_missing_bucket();
  if (const auto problem = Problem(reply, result)) {
    Break(serial, "can't create a consumer: " + *problem);
    return;
  }
  watch->snapshot = std::get<ConsumerCreated>(result).pending;
  watch->created = std::get<ConsumerCreated>(result).created;
  watch->caught_up = watch->caught_up || watch->delivered >= *watch->snapshot;
  RequestStream(serial, *watch);
}

void Watches::RequestStream(Serial serial, const Watch& watch) {
  requests_->Send({.subject = names_.Api("STREAM.INFO." + names_.Stream(watch.bucket))},
                  pace_.api_timeout,
                  [this, serial](const Reply& reply) { OnStream(serial, reply); });
}

void Watches::OnStream(Serial serial, const Reply& reply) {
  const ApiResult<StreamInfo> result = ReadStreamInfo(reply.data);
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(serial);
  if (watch == nullptr) return;
  if (StreamIsMissing(reply, result)) callbacks_.on_missing_bucket();
  if (const auto problem = Problem(reply, result)) {
    Break(serial, "can't ask for the stream's state: " + *problem);
    return;
  }
  watch->stream = std::get<StreamInfo>(result).state;
  CheckSnapshotEnd(serial, *watch);
}

// Rule [1] needs the stream's last sequence, asked for after the watch was opened. Where the
// snapshot didn't reach it, the message there may still come, or be gone: what stands after those
// that were delivered tells. (Not whether that message itself is gone: under constant writing it is
// soon replaced, and what stands before it may be on its way still.)
void Watches::CheckSnapshotEnd(Serial serial, Watch& watch) {
  if (watch.ended || !watch.caught_up || !watch.stream || watch.highest < watch.awaited) return;
  const bool unreached =
      watch.key.empty() && watch.highest < watch.stream->last_seq && !watch.stream->last_seq_gone;
  if (unreached) {
    if (!std::exchange(watch.asked_for_next, true)) RequestNext(serial, watch);
    return;
  }
  watch.ended = true;
  callbacks_.emit(core::WatchSnapshotEnd{watch.id, *watch.stream, watch.created});
}

void Watches::RequestNext(Serial serial, const Watch& watch) {
  requests_->Send({.subject = names_.Api("STREAM.MSG.GET." + names_.Stream(watch.bucket)),
                   .data = MessageFromBody(watch.highest + 1)},
                  pace_.api_timeout, [this, serial](const Reply& reply) { OnNext(serial, reply); });
}

void Watches::OnNext(Serial serial, const Reply& reply) {
  const ApiResult<StoredMessage> result = ReadStoredMessage(reply.data);
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(serial);
  if (watch == nullptr || watch->ended) return;
  const auto* error = std::get_if<ApiError>(&result);
  const bool gone = reply.kind == Reply::Kind::kAnswer && error != nullptr &&
                    error->err_code == kErrMessageNotFound;
  if (const auto problem = Problem(reply, result); problem && !gone) {
    Break(serial, "can't ask for the stream's next message: " + *problem);
    return;
  }
  watch->stream->last_seq_gone = gone;
  if (!gone && std::get<StoredMessage>(result).sequence < watch->stream->last_seq) {
    watch->awaited = std::get<StoredMessage>(result).sequence;
    watch->asked_for_next = false;
    return CheckSnapshotEnd(serial, *watch);
  }
  watch->ended = true;  // what still comes reaches the end: that is for core to await
  callbacks_.emit(core::WatchSnapshotEnd{watch->id, *watch->stream, watch->created});
}

void Watches::OnMessage(std::string_view subscribed, const Message& message) {
  const std::lock_guard lock(mutex_);
  const std::optional<Serial> serial = ReadNumber(LastToken(subscribed));
  Watch* const watch = serial ? Find(*serial) : nullptr;
  if (watch == nullptr || watch->subject != subscribed) return;
  if (!message.Header("Status").empty()) return OnStatus(*serial, *watch, message);
  const std::optional<DeliveryInfo> info = ReadDelivery(message.reply());
  if (info && info->consumer == watch->consumer) OnEntry(*serial, *watch, *info, message);
}

void Watches::OnEntry(Serial serial, Watch& watch, const DeliveryInfo& info,
                      const Message& message) {
  if (info.consumer_sequence != watch.delivered + 1 || info.stream_sequence < watch.highest) {
    Break(serial, fmt::format("message {} (of the stream: {}) came after {} (of the stream: {})",
                              info.consumer_sequence, info.stream_sequence, watch.delivered,
                              watch.highest));
    return;
  }
  // A key that is written just when its watch begins is delivered twice.
  const bool is_new = info.stream_sequence > watch.highest;
  watch.delivered = info.consumer_sequence;
  watch.highest = info.stream_sequence;
  watch.last_sign = Timers::Clock::now();
  const std::string before_key = names_.Subject(watch.bucket, "");
  if (is_new && message.subject().starts_with(before_key)) {
    const bool deleted =
        IsDeletion(message.Header("KV-Operation"), message.Header("Nats-Marker-Reason"));
    callbacks_.emit(
        core::WatchEntry{watch.id,
                         {.key = std::string(message.subject().substr(before_key.size())),
                          .revision = info.stream_sequence,
                          .deleted = deleted,
                          .value = deleted ? std::string() : std::string(message.data()),
                          .stored_at = info.stored_at}});
  }
  if (info.pending == 0 || (watch.snapshot && watch.delivered >= *watch.snapshot)) {
    watch.caught_up = true;
  }
  CheckSnapshotEnd(serial, watch);
}

void Watches::OnStatus(Serial serial, Watch& watch, const Message& message) {
  if (message.Header("Status") != "100") {
    Break(serial, fmt::format("the consumer says {} {}", message.Header("Status"),
                              message.Header("Description")));
    return;
  }
  watch.last_sign = Timers::Clock::now();
  AnswerFlowControl(message);
  const std::string_view last = message.Header("Nats-Last-Consumer");
  if (last.empty()) return;  // flow control, not a heartbeat
  if (ReadNumber(last) != watch.delivered) {
    Break(serial,
          fmt::format("messages were lost: got {}, but {} were sent", watch.delivered, last));
    return;
  }
  // Idle and not held back: nothing is left to deliver, even if fewer messages came than the
  // snapshot held when it was begun (some were replaced or expired meanwhile).
  if (watch.snapshot && message.Header("Nats-Consumer-Stalled").empty()) watch.caught_up = true;
  CheckSnapshotEnd(serial, watch);
}

void Watches::AnswerFlowControl(const Message& message) {
  if (!message.reply().empty()) requests_->Publish({.subject = std::string(message.reply())});
  const std::string_view stalled = message.Header("Nats-Consumer-Stalled");
  if (!stalled.empty()) requests_->Publish({.subject = std::string(stalled)});
}

void Watches::ArmSilence(Serial serial, Timers::Clock::time_point due) {
  timers_->At(due, [this, serial] { OnSilence(serial); });
}

void Watches::OnSilence(Serial serial) {
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(serial);
  if (watch == nullptr) return;
  const Timers::Clock::time_point due = watch->last_sign + Silence();
  if (Timers::Clock::now() < due) {
    ArmSilence(serial, due);
  } else {
    Break(serial, fmt::format("no sign of life for {} ms", Silence().count()));
  }
}

void Watches::Break(Serial serial, const std::string& reason) {
  const auto found = watches_.find(serial);
  const Watch watch = std::move(found->second);
  watches_.erase(found);
  Abandon(watch);
  callbacks_.emit(
      core::WatchBroken{watch.id, fmt::format("watch of {}{}{}: {}", names_.Bucket(watch.bucket),
                                              watch.key.empty() ? "" : " ", watch.key, reason)});
}

// Whether the consumer was deleted doesn't matter: without a subscription, which the server looks
// for, it delivers nothing and is removed after kInactiveThreshold.
void Watches::Abandon(const Watch& watch) {
  requests_->Unsubscribe(watch.subject);
  requests_->Send({.subject = names_.Api(fmt::format("CONSUMER.DELETE.{}.{}",
                                                     names_.Stream(watch.bucket), watch.consumer))},
                  pace_.api_timeout, [](const Reply&) {});
}

Watches::Watch* Watches::Find(Serial serial) {
  const auto found = watches_.find(serial);
  return found == watches_.end() ? nullptr : &found->second;
}

}  // namespace parti::kv
