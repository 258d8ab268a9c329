// JetStream's JSON: what is sent to its API and how its answers are read. Answers are untrusted:
// any bytes give a value or an error. Sequences beyond 2^53 - 1 are errors.
#ifndef PARTI_INTERNAL_KV_JETSTREAM_H_
#define PARTI_INTERNAL_KV_JETSTREAM_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "internal/core/time.h"
#include "internal/wire/kv_types.h"

namespace parti::kv {

// The error of an answer. code is like HTTP's, err_code NATS's own.
struct ApiError {
  int code = 0;  // 0: the answer can't be read
  int err_code = 0;
  std::string description;

  // The same request may succeed later without anybody doing something.
  bool IsTransient() const;
  bool IsDisabled() const;        // no JetStream on the server, or not for the account
  bool IsOutOfResources() const;  // of storage or a limit
  std::string ToString() const;
};

inline constexpr int kErrWrongLastSequence = 10071;
inline constexpr int kErrWrongLastSequenceConstant = 10164;  // how 2.11 and newer may say it
inline constexpr int kErrMessageNotFound = 10037;
inline constexpr int kErrStreamNotFound = 10059;
inline constexpr int kErrStreamNameInUse = 10058;
inline constexpr int kErrReplicasNotSupported = 10074;
inline constexpr int kErrAccountResources = 10002;
inline constexpr int kErrInsufficientResources = 10023;
inline constexpr int kErrMaximumStreams = 10027;
inline constexpr int kErrMemoryResources = 10028;
inline constexpr int kErrNotEnabledForAccount = 10039;
inline constexpr int kErrStorageResources = 10047;
inline constexpr int kErrStoreFailed = 10077;
inline constexpr int kErrNotEnabled = 10076;

template <typename T>
using ApiResult = std::variant<T, ApiError>;

struct PubAck {
  std::string stream;
  std::uint64_t sequence = 0;
};
ApiResult<PubAck> ReadPubAck(std::string_view json);

struct StoredMessage {
  std::string subject;
  std::uint64_t sequence = 0;
  bool deleted = false;  // a KV delete or purge marker
  std::string value;
};
ApiResult<StoredMessage> ReadStoredMessage(std::string_view json);

struct StreamInfo {
  wire::StreamState state;  // last_seq_gone: whether it is empty
  std::uint64_t messages = 0;
  std::shared_ptr<const nlohmann::json> config;  // an object
};
ApiResult<StreamInfo> ReadStreamInfo(std::string_view json);

struct ConsumerCreated {
  std::uint64_t pending = 0;  // messages that it has yet to deliver
  std::int64_t created = 0;   // in ns by the server's clock; 0: not told
};
ApiResult<ConsumerCreated> ReadConsumerCreated(std::string_view json);

// For an ordered push consumer: the newest message of each key, then every change.
struct ConsumerSpec {
  std::string stream;
  std::string name;
  std::string deliver_subject;
  std::string filter_subject;  // required, even for all
  core::Nanos heartbeat = 0;
  core::Nanos inactive_threshold = 0;
};
// Without what all API subjects begin with.
std::string ConsumerCreateRequest(const ConsumerSpec& spec);
std::string ConsumerCreateBody(const ConsumerSpec& spec);

std::string LastMessageBody(std::string_view subject);
// The first message from `sequence` on that stands.
std::string MessageFromBody(std::uint64_t sequence);

// What the reply subject of a delivered message says.
struct DeliveryInfo {
  std::string_view stream;
  std::string_view consumer;
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  std::int64_t stored_at = 0;  // in ns by the server's clock; 0: unreadable
  std::uint64_t pending = 0;
};
std::optional<DeliveryInfo> ReadDelivery(std::string_view reply_subject);

// Digits only, the whole text.
std::optional<std::uint64_t> ReadNumber(std::string_view text);

// What follows the last dot.
std::string_view LastToken(std::string_view subject);

// What a KV leaves where a key was deleted: the values of a message's headers KV-Operation (ADR-8)
// and Nats-Marker-Reason (ADR-43; nats-server 2.11 and newer, in a stream that was set up for it).
bool IsDeletion(std::string_view operation, std::string_view marker_reason);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_JETSTREAM_H_
