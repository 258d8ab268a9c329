// Texts of others: NATS's answers, what people give as addresses and keys, event logs.
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "internal/kv/jetstream.h"
#include "internal/kv/nkey.h"
#include "internal/kv/server_version.h"
#include "internal/kv/urls.h"
#include "internal/wire/limits.h"
#include "parti/cli/event_line.h"
#include "test/fuzz/targets.h"

namespace parti::fuzz {
namespace {

template <typename T>
void CheckAnswer(const kv::ApiResult<T>& result) {
  const auto* error = std::get_if<kv::ApiError>(&result);
  if (error == nullptr) return;
  // Each has to end somewhere: as an error that goes away, or as one that doesn't.
  static_cast<void>(error->IsTransient() || error->IsDisabled() || error->IsOutOfResources());
  Require(error->code >= 0 && error->err_code >= 0, "an error's code out of range");
  static_cast<void>(error->ToString());
}

void CheckRevision(std::uint64_t revision) {
  Require(revision > 0, "no revision");
  Require(revision <= wire::kMaxExactInteger, "a revision beyond what records can tell");
}

void CheckRequest(const std::string& body) {
  Require(nlohmann::json::accept(body), "a request that isn't JSON");
}

}  // namespace

void FuzzJetstream(Input input) {
  const std::string_view text = TextOf(input);
  const auto ack = kv::ReadPubAck(text);
  CheckAnswer(ack);
  if (const auto* read = std::get_if<kv::PubAck>(&ack)) {
    CheckRevision(read->sequence);
  }
  const auto message = kv::ReadStoredMessage(text);
  CheckAnswer(message);
  if (const auto* read = std::get_if<kv::StoredMessage>(&message)) {
    CheckRevision(read->sequence);
    Require(!read->deleted || read->value.empty(), "a marker with a value");
  }
  const auto info = kv::ReadStreamInfo(text);
  CheckAnswer(info);
  if (const auto* read = std::get_if<kv::StreamInfo>(&info)) {
    Require(read->state.stream_id != 0 && read->config != nullptr && read->config->is_object(),
            "a stream without an identity or configuration");
    Require(read->state.last_seq <= wire::kMaxExactInteger,
            "a stream beyond what records can tell");
  }
  CheckAnswer(kv::ReadConsumerCreated(text));
  if (const auto delivery = kv::ReadDelivery(text)) {
    Require(delivery->stored_at >= 0, "stored before the epoch");
    Require(delivery->stream_sequence <= wire::kMaxExactInteger, "a revision beyond all records");
  }
  if (const auto number = kv::ReadNumber(text)) {
    Require(text.find_first_not_of("0123456789") == std::string_view::npos, "not a number");
  }
  Require(kv::LastToken(text).find('.') == std::string_view::npos, "more than a token");
  CheckRequest(kv::LastMessageBody(text));
  const std::string name(text);
  CheckRequest(kv::ConsumerCreateBody({.stream = name,
                                       .name = name,
                                       .deliver_subject = name,
                                       .filter_subject = name,
                                       .heartbeat = 1,
                                       .inactive_threshold = 1}));
}

void FuzzConnection(Input input) {
  const std::string_view text = TextOf(input);
  for (const std::string& url : kv::SplitUrls(text)) {
    Require(!url.empty() && url.find(',') == std::string::npos, "a URL that isn't one");
    // Addresses go into logs.
    const std::string address = kv::AddressOf(url);
    Require(address.find('@') == std::string::npos, "an address with credentials in it");
    static_cast<void>(kv::SchemeOf(url) + kv::HostOf(address) + kv::PortOf(address));
    static_cast<void>(kv::HasUserInfo(url));
  }
  const std::string seed = kv::FindSeed(text);
  Require(seed.empty() || seed.front() == 'S', "a seed that isn't one");
  const auto key = kv::UserPublicKey(seed.empty() ? text : seed);
  if (key.ok()) Require(key->size() == 56 && key->front() == 'U', "not a user's public key");
  if (!key.ok() && seed.size() >= 8) {
    Require(std::string(key.status().message()).find(seed) == std::string::npos,
            "a seed in an error");
  }
  static_cast<void>(kv::FindJwt(text));
  const auto greeting = kv::ReadGreeting(text);
  if (greeting.ok()) {
    const kv::ServerVersion& version = greeting->version;
    Require(version.major >= 0 && version.minor >= 0 && version.patch >= 0, "a negative version");
  }
}

void FuzzEventLine(Input input) {
  const auto line = cli::ParseEventLine(TextOf(input));
  if (line.ok()) Require(line->t >= 0 && line->until >= 0, "a time before the beginning");
}

}  // namespace parti::fuzz
