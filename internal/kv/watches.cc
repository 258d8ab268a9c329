#include "internal/kv/watches.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <variant>

#include "internal/kv/buckets.h"

namespace parti::kv {
namespace {

using std::chrono::milliseconds;

constexpr core::Nanos kHeartbeat = 500 * core::kMillisecond;
constexpr milliseconds kSilence(2'000);  // four heartbeats missed: the consumer is lost
constexpr core::Nanos kInactiveThreshold = 5 * core::kSecond;
constexpr milliseconds kApiTimeout(2'000);
// Opening again at once would only spin.
constexpr milliseconds kNoConnectionDelay(50);
constexpr std::size_t kMaxStrays = 1'000;

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

Watches::Watches(std::string prefix, Timers* timers, Requests* requests, Callbacks callbacks)
    : prefix_(std::move(prefix)),
      timers_(timers),
      requests_(requests),
      callbacks_(std::move(callbacks)) {}

void Watches::SetInbox(std::string inbox) {
  const std::lock_guard lock(mutex_);
  while (!watches_.empty()) Break(watches_.begin()->first, "the connection to NATS was lost");
  strays_.clear();
  inbox_ = std::move(inbox);
  // The inbox's last token is unique in the world.
  consumer_base_ = fmt::format("parti_{}_", inbox_.substr(inbox_.rfind('.') + 1));
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
  watch.bucket_name = FullBucketName(prefix_, open.bucket);
  watch.key = open.key;
  watch.consumer = ConsumerName(serial);
  watch.last_sign = Timers::Clock::now();
  ArmSilence(serial, watch.last_sign + kSilence);
  RequestCreate(serial, watch);
}

void Watches::Close(const core::CloseWatch& close) {
  const std::lock_guard lock(mutex_);
  for (auto at = watches_.begin(); at != watches_.end(); ++at) {
    if (at->second.id != close.watch) continue;
    DeleteConsumer(StreamName(at->second.bucket_name), at->second.consumer);
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
  ConsumerSpec spec{
      .stream = StreamName(watch.bucket_name),
      .name = watch.consumer,
      .deliver_subject = fmt::format("{}.w.{}.{}", inbox_, static_cast<int>(watch.bucket), serial),
      .filter_subject = {},
      .heartbeat = kHeartbeat,
      .inactive_threshold = kInactiveThreshold};
  if (!watch.key.empty()) spec.filter_subject = KeySubject(watch.bucket_name, watch.key);
  requests_->Send({.subject = ConsumerCreateSubject(spec), .data = ConsumerCreateBody(spec)},
                  kApiTimeout, [this, serial](const Reply& reply) { OnCreated(serial, reply); });
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
  watch->caught_up = watch->caught_up || watch->delivered >= *watch->snapshot;
  RequestStream(serial, *watch);
}

void Watches::RequestStream(Serial serial, const Watch& watch) {
  requests_->Send({.subject = "$JS.API.STREAM.INFO." + StreamName(watch.bucket_name)}, kApiTimeout,
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
// snapshot didn't reach it, the message there may be gone, or may still come: that is for core to
// await.
void Watches::CheckSnapshotEnd(Serial serial, Watch& watch) {
  if (watch.ended || !watch.caught_up || !watch.stream) return;
  const bool unreached =
      watch.key.empty() && watch.highest < watch.stream->last_seq && !watch.stream->last_seq_gone;
  if (unreached) {
    if (!std::exchange(watch.asked_for_last, true)) RequestLast(serial, watch);
    return;
  }
  watch.ended = true;
  callbacks_.emit(core::WatchSnapshotEnd{watch.id, *watch.stream});
}

void Watches::RequestLast(Serial serial, const Watch& watch) {
  requests_->Send({.subject = "$JS.API.STREAM.MSG.GET." + StreamName(watch.bucket_name),
                   .data = MessageAtBody(watch.stream->last_seq)},
                  kApiTimeout, [this, serial](const Reply& reply) { OnLast(serial, reply); });
}

void Watches::OnLast(Serial serial, const Reply& reply) {
  const ApiResult<StoredMessage> result = ReadStoredMessage(reply.data);
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(serial);
  if (watch == nullptr || watch->ended) return;
  const auto* error = std::get_if<ApiError>(&result);
  const bool gone = reply.kind == Reply::Kind::kAnswer && error != nullptr &&
                    error->err_code == kErrMessageNotFound;
  if (const auto problem = Problem(reply, result); problem && !gone) {
    Break(serial, "can't ask for the stream's last message: " + *problem);
    return;
  }
  watch->stream->last_seq_gone = gone;
  watch->ended = true;
  callbacks_.emit(core::WatchSnapshotEnd{watch->id, *watch->stream});
}

void Watches::OnDelivery(const Message& message) {
  const std::optional<DeliveryInfo> info = ReadDelivery(message.reply());
  if (!info) return;
  const bool deleted = IsDeleteOperation(message.Header("KV-Operation"));
  const std::lock_guard lock(mutex_);
  const std::optional<Serial> serial = SerialOf(info->consumer);
  if (!serial) return;
  Watch* const watch = Find(*serial);
  if (watch == nullptr) {
    DeleteStray(std::string(info->stream), std::string(info->consumer));
    return;
  }
  if (info->consumer_sequence != watch->delivered + 1 || info->stream_sequence <= watch->highest) {
    Break(*serial, fmt::format("message {} (of the stream: {}) came after {} (of the stream: {})",
                               info->consumer_sequence, info->stream_sequence, watch->delivered,
                               watch->highest));
    return;
  }
  watch->delivered = info->consumer_sequence;
  watch->highest = info->stream_sequence;
  watch->last_sign = Timers::Clock::now();
  const std::string before_key = KeySubject(watch->bucket_name, "");
  if (message.subject().starts_with(before_key)) {
    callbacks_.emit(
        core::WatchEntry{watch->id,
                         {.key = std::string(message.subject().substr(before_key.size())),
                          .revision = info->stream_sequence,
                          .deleted = deleted,
                          .value = deleted ? std::string() : std::string(message.data())}});
  }
  if (info->pending == 0 || (watch->snapshot && watch->delivered >= *watch->snapshot)) {
    watch->caught_up = true;
  }
  CheckSnapshotEnd(*serial, *watch);
}

void Watches::OnStatus(std::string_view address, const Message& message) {
  const std::size_t dot = address.find('.');
  if (dot == std::string_view::npos) return;
  const auto bucket = ReadNumber(address.substr(0, dot));
  const auto serial = ReadNumber(address.substr(dot + 1));
  if (!bucket || *bucket >= wire::kBucketCount || !serial) return;
  const std::lock_guard lock(mutex_);
  Watch* const watch = Find(*serial);
  if (watch == nullptr) {
    const std::string name = FullBucketName(prefix_, static_cast<wire::Bucket>(*bucket));
    DeleteStray(StreamName(name), ConsumerName(*serial));
    return;
  }
  if (message.Header("Status") != "100") {
    Break(*serial, fmt::format("the consumer says {} {}", message.Header("Status"),
                               message.Header("Description")));
    return;
  }
  watch->last_sign = Timers::Clock::now();
  AnswerFlowControl(message);
  const std::string_view last = message.Header("Nats-Last-Consumer");
  if (last.empty()) return;  // flow control, not a heartbeat
  if (ReadNumber(last) != watch->delivered) {
    Break(*serial,
          fmt::format("messages were lost: got {}, but {} were sent", watch->delivered, last));
    return;
  }
  // Idle and not held back: nothing is left to deliver, even if fewer messages came than the
  // snapshot held when it was begun (some were replaced or expired meanwhile).
  if (watch->snapshot && message.Header("Nats-Consumer-Stalled").empty()) watch->caught_up = true;
  CheckSnapshotEnd(*serial, *watch);
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
  const Timers::Clock::time_point due = watch->last_sign + kSilence;
  if (Timers::Clock::now() < due) {
    ArmSilence(serial, due);
  } else {
    Break(serial, fmt::format("no sign of life for {} ms", kSilence.count()));
  }
}

void Watches::Break(Serial serial, const std::string& reason) {
  const auto found = watches_.find(serial);
  const Watch watch = std::move(found->second);
  watches_.erase(found);
  DeleteConsumer(StreamName(watch.bucket_name), watch.consumer);
  callbacks_.emit(
      core::WatchBroken{watch.id, fmt::format("watch of {}{}{}: {}", watch.bucket_name,
                                              watch.key.empty() ? "" : " ", watch.key, reason)});
}

// The answer tells nothing: a consumer that stays is removed by the server for lack of interest, or
// shows itself as a stray.
void Watches::DeleteConsumer(const std::string& stream, const std::string& consumer) {
  requests_->Send({.subject = fmt::format("$JS.API.CONSUMER.DELETE.{}.{}", stream, consumer)},
                  kApiTimeout, [](const Reply&) {});
}

// The creation was carried out after the deletion.
void Watches::DeleteStray(const std::string& stream, const std::string& consumer) {
  if (strays_.size() >= kMaxStrays) strays_.clear();
  if (strays_.insert(consumer).second) DeleteConsumer(stream, consumer);
}

Watches::Watch* Watches::Find(Serial serial) {
  const auto found = watches_.find(serial);
  return found == watches_.end() ? nullptr : &found->second;
}

std::string Watches::ConsumerName(Serial serial) const {
  return fmt::format("{}{}", consumer_base_, serial);
}

std::optional<Watches::Serial> Watches::SerialOf(std::string_view consumer) const {
  if (!consumer.starts_with(consumer_base_)) return std::nullopt;
  return ReadNumber(consumer.substr(consumer_base_.size()));
}

}  // namespace parti::kv
