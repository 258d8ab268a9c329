#include "internal/kv/jetstream.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "internal/wire/limits.h"

namespace parti::kv {
namespace {

using nlohmann::json;

// The member if it is there, else null.
const json& Member(const json& object, const char* name) {
  static const json* const null = new json;
  if (!object.is_object()) return *null;
  const auto found = object.find(name);
  return found == object.end() ? *null : *found;
}

std::string Text(const json& object, const char* name) {
  const json& member = Member(object, name);
  return member.is_string() ? member.get<std::string>() : std::string();
}

std::uint64_t Number(const json& object, const char* name) {
  const json& member = Member(object, name);
  return member.is_number_unsigned() ? member.get<std::uint64_t>() : 0;
}

int SmallNumber(const json& object, const char* name) {
  const std::uint64_t number = Number(object, name);
  return number <= 1'000'000 ? static_cast<int>(number) : 0;
}

// A stream can be made to begin at any sequence (first_seq, from nats-server 2.10 on), but no
// record could name one that isn't an exact number in JSON: heartbeats that tell of it would be
// unreadable to everybody.
bool IsExact(std::uint64_t sequence) { return sequence <= wire::kMaxExactInteger; }
constexpr std::string_view kTooFar = "its sequence is beyond 2^53 - 1; delete the bucket's stream";

ApiError Unreadable(std::string_view what) {
  return {.code = 0, .err_code = 0, .description = fmt::format("unreadable answer: {}", what)};
}

// The answer as an object, unless it is an error.
ApiResult<json> Parse(std::string_view text) {
  json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return Unreadable("not a JSON object");
  const json& error = Member(answer, "error");
  if (error.is_null()) return answer;
  return ApiError{.code = SmallNumber(error, "code"),
                  .err_code = SmallNumber(error, "err_code"),
                  .description = Text(error, "description")};
}

std::optional<std::string> Decode(const std::string& base64) {
  std::string bytes;
  if (!absl::Base64Unescape(base64, &bytes)) return std::nullopt;
  return bytes;
}

// "NATS/1.0\r\nName: value\r\n…\r\n\r\n"
std::string_view HeaderValue(std::string_view headers, std::string_view name) {
  while (!headers.empty()) {
    const std::string_view line = headers.substr(0, headers.find("\r\n"));
    headers.remove_prefix(std::min(headers.size(), line.size() + 2));
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    std::string_view value = line.substr(name.size() + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.ends_with(' ')) value.remove_suffix(1);
    return value;
  }
  return {};
}

// A key may be any bytes; dump() alone would throw on what isn't UTF-8.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::uint64_t> ReadTime(const std::string& text) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return std::nullopt;
  const std::int64_t nanos = absl::ToUnixNanos(time);
  if (nanos <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(nanos);
}

}  // namespace

bool ApiError::IsTransient() const {
  // These come with codes from 500 on.
  if (err_code == kErrReplicasNotSupported || IsDisabled() || IsOutOfResources()) return false;
  return code == 0 || code == 408 || code >= 500;
}

bool ApiError::IsDisabled() const {
  return err_code == kErrNotEnabled || err_code == kErrNotEnabledForAccount;
}

bool ApiError::IsOutOfResources() const {
  switch (err_code) {
    case kErrAccountResources:
    case kErrInsufficientResources:
    case kErrMaximumStreams:
    case kErrMemoryResources:
    case kErrStorageResources:
    case kErrStoreFailed:
      return true;
    default:
      return false;
  }
}

std::string ApiError::ToString() const {
  return code == 0 ? description : fmt::format("{} (error {}, {})", description, code, err_code);
}

ApiResult<PubAck> ReadPubAck(std::string_view text) {
  ApiResult<json> parsed = Parse(text);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const json& answer = std::get<json>(parsed);
  PubAck ack{.stream = Text(answer, "stream"), .sequence = Number(answer, "seq")};
  if (ack.sequence == 0) return Unreadable("an acknowledgement without a sequence");
  if (!IsExact(ack.sequence)) return Unreadable(kTooFar);
  return ack;
}

ApiResult<StoredMessage> ReadStoredMessage(std::string_view text) {
  ApiResult<json> parsed = Parse(text);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const json& message = Member(std::get<json>(parsed), "message");
  StoredMessage stored{.subject = Text(message, "subject"),
                       .sequence = Number(message, "seq"),
                       .deleted = false,
                       .value = {}};
  if (stored.sequence == 0) return Unreadable("a message without a sequence");
  if (!IsExact(stored.sequence)) return Unreadable(kTooFar);
  const std::optional<std::string> headers = Decode(Text(message, "hdrs"));
  std::optional<std::string> value = Decode(Text(message, "data"));
  if (!headers || !value) return Unreadable("a message that isn't base64");
  stored.deleted = IsDeletion(HeaderValue(*headers, "KV-Operation"),
                              HeaderValue(*headers, "Nats-Marker-Reason"));
  if (!stored.deleted) stored.value = *std::move(value);
  return stored;
}

ApiResult<StreamInfo> ReadStreamInfo(std::string_view text) {
  ApiResult<json> parsed = Parse(text);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const json& answer = std::get<json>(parsed);
  const json& state = Member(answer, "state");
  const std::optional<std::uint64_t> created = ReadTime(Text(answer, "created"));
  if (!created) return Unreadable("a stream without a creation time");
  if (!state.is_object() || !Member(answer, "config").is_object()) {
    return Unreadable("a stream without a state or configuration");
  }
  StreamInfo info;
  info.state.stream_id = *created;
  info.state.last_seq = Number(state, "last_seq");
  if (!IsExact(info.state.last_seq)) return Unreadable(kTooFar);
  info.messages = Number(state, "messages");
  info.state.last_seq_gone = info.messages == 0;
  info.config = std::make_shared<const json>(Member(answer, "config"));
  return info;
}

ApiResult<ConsumerCreated> ReadConsumerCreated(std::string_view text) {
  ApiResult<json> parsed = Parse(text);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  const json& answer = std::get<json>(parsed);
  if (!Member(answer, "num_pending").is_number_unsigned()) {
    return Unreadable("a consumer without num_pending");
  }
  const std::uint64_t created = ReadTime(Text(answer, "created")).value_or(0);
  return ConsumerCreated{.pending = Number(answer, "num_pending"),
                         .created = static_cast<std::int64_t>(created)};
}

std::string ConsumerCreateRequest(const ConsumerSpec& spec) {
  return fmt::format("CONSUMER.CREATE.{}.{}.{}", spec.stream, spec.name, spec.filter_subject);
}

std::string ConsumerCreateBody(const ConsumerSpec& spec) {
  const json config = {{"name", spec.name},
                       {"deliver_subject", spec.deliver_subject},
                       {"deliver_policy", "last_per_subject"},
                       {"filter_subject", spec.filter_subject},
                       {"ack_policy", "none"},
                       {"max_deliver", 1},
                       {"replay_policy", "instant"},
                       {"flow_control", true},
                       {"idle_heartbeat", spec.heartbeat},
                       {"inactive_threshold", spec.inactive_threshold},
                       {"num_replicas", 1},
                       {"mem_storage", true}};
  return Dump(json{{"stream_name", spec.stream}, {"config", config}});
}

std::string LastMessageBody(std::string_view subject) {
  return Dump(json{{"last_by_subj", subject}});
}

std::string MessageFromBody(std::uint64_t sequence) {
  return Dump(json{{"seq", sequence}, {"next_by_subj", ">"}});
}

// $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, or with
// <domain>.<account> after ACK and possibly more at the end.
std::optional<DeliveryInfo> ReadDelivery(std::string_view reply) {
  std::array<std::string_view, 12> tokens;
  std::size_t count = 0;
  while (true) {
    if (count == tokens.size()) return std::nullopt;
    const std::size_t dot = reply.find('.');
    tokens.at(count++) = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count < 9 || count == 10 || tokens[0] != "$JS" || tokens[1] != "ACK") return std::nullopt;
  const std::size_t first = count == 9 ? 2 : 4;
  const auto stream_sequence = ReadNumber(tokens.at(first + 3));
  const auto consumer_sequence = ReadNumber(tokens.at(first + 4));
  const std::uint64_t stored_at = ReadNumber(tokens.at(first + 5)).value_or(0);
  const auto pending = ReadNumber(tokens.at(first + 6));
  if (!stream_sequence || !consumer_sequence || !pending) return std::nullopt;
  if (!IsExact(*stream_sequence)) return std::nullopt;
  return DeliveryInfo{.stream = tokens.at(first),
                      .consumer = tokens.at(first + 1),
                      .stream_sequence = *stream_sequence,
                      .consumer_sequence = *consumer_sequence,
                      .stored_at = std::in_range<std::int64_t>(stored_at)
                                       ? static_cast<std::int64_t>(stored_at)
                                       : 0,
                      .pending = *pending};
}

std::optional<std::uint64_t> ReadNumber(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || at != end || text.empty()) return std::nullopt;
  return number;
}

std::string_view LastToken(std::string_view subject) {
  return subject.substr(subject.rfind('.') + 1);
}

bool IsDeletion(std::string_view operation, std::string_view marker_reason) {
  return operation == "DEL" || operation == "PURGE" || marker_reason == "MaxAge" ||
         marker_reason == "Remove" || marker_reason == "Purge";
}

}  // namespace parti::kv
