#include "test/chaos/nats_client.h"

#include <fmt/format.h>

#include <utility>

namespace parti::chaos {
namespace {

constexpr std::chrono::milliseconds kTimeout(2000);

absl::Status ApiError(const absl::StatusOr<nlohmann::json>& answer) {
  if (!answer.ok()) return answer.status();
  if (!answer->is_object() || !answer->contains("error")) return absl::OkStatus();
  return absl::FailedPreconditionError((*answer)["error"].dump());
}

}  // namespace

absl::Status NatsError(natsStatus status, const std::string& what) {
  return absl::UnavailableError(fmt::format("{}: {}", what, natsStatus_GetText(status)));
}

absl::Status NatsClient::Connect() {
  if (connection_ != nullptr && !natsConnection_IsClosed(connection_)) return absl::OkStatus();
  Close();
  natsOptions* options = nullptr;
  natsStatus status = natsOptions_Create(&options);
  std::string urls = urls_;
  std::vector<const char*> servers;
  for (std::size_t begin = 0; begin <= urls.size();) {
    servers.push_back(urls.data() + begin);
    const std::size_t comma = urls.find(',', begin);
    if (comma == std::string::npos) break;
    urls[comma] = '\0';
    begin = comma + 1;
  }
  const auto set = [&](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  if (status == NATS_OK) {
    set(natsOptions_SetServers(options, servers.data(), static_cast<int>(servers.size())));
    set(natsOptions_SetMaxReconnect(options, -1));
    set(natsOptions_SetReconnectWait(options, 100));
    set(natsOptions_SetReconnectBufSize(options, 0));
    set(natsOptions_SetPingInterval(options, 500));
    set(natsOptions_SetMaxPingsOut(options, 2));
    set(natsOptions_SetTimeout(options, 1000));
    set(natsOptions_SetSendAsap(options, true));
    // cnats would else join the servers that it hears of, past the ones that it was given.
    set(natsOptions_SetIgnoreDiscoveredServers(options, true));
  }
  if (status == NATS_OK) status = natsConnection_Connect(&connection_, options);
  natsOptions_Destroy(options);
  jsOptions js_options;
  jsOptions_Init(&js_options);
  js_options.Wait = kTimeout.count();
  if (status == NATS_OK) status = natsConnection_JetStream(&js_, connection_, &js_options);
  if (status == NATS_OK) return absl::OkStatus();
  Close();
  return NatsError(status, "can't connect to " + urls_);
}

void NatsClient::Close() {
  jsCtx_Destroy(std::exchange(js_, nullptr));
  natsConnection_Destroy(std::exchange(connection_, nullptr));
}

absl::StatusOr<nlohmann::json> NatsClient::Ask(const std::string& subject,
                                               const nlohmann::json& body,
                                               std::chrono::milliseconds timeout) {
  if (absl::Status connected = Connect(); !connected.ok()) return connected;
  natsMsg* reply = nullptr;
  const std::string text = body.is_null() ? "" : body.dump();
  const natsStatus status = natsConnection_RequestString(&reply, connection_, subject.c_str(),
                                                         text.c_str(), timeout.count());
  if (status != NATS_OK) return NatsError(status, subject);
  const std::string answer(natsMsg_GetData(reply),
                           static_cast<std::size_t>(natsMsg_GetDataLength(reply)));
  natsMsg_Destroy(reply);
  return nlohmann::json::parse(answer, nullptr, false);
}

absl::Status NatsClient::DeleteKey(const std::string& bucket, const std::string& key) {
  if (absl::Status connected = Connect(); !connected.ok()) return connected;
  const std::string subject = fmt::format("$KV.{}.{}", bucket, key);
  natsMsg* message = nullptr;
  natsMsg* reply = nullptr;
  natsStatus status = natsMsg_Create(&message, subject.c_str(), nullptr, nullptr, 0);
  if (status == NATS_OK) status = natsMsgHeader_Set(message, "KV-Operation", "DEL");
  if (status == NATS_OK) {
    status = natsConnection_RequestMsg(&reply, connection_, message, kTimeout.count());
  }
  natsMsg_Destroy(message);
  natsMsg_Destroy(reply);
  return status == NATS_OK ? absl::OkStatus() : NatsError(status, subject);
}

absl::Status NatsClient::PurgeKey(const std::string& bucket, const std::string& key) {
  return ApiError(Ask("$JS.API.STREAM.PURGE.KV_" + bucket,
                      {{"filter", fmt::format("$KV.{}.{}", bucket, key)}}, kTimeout));
}

absl::Status NatsClient::PurgeBucket(const std::string& bucket) {
  return ApiError(Ask("$JS.API.STREAM.PURGE.KV_" + bucket, nullptr, kTimeout));
}

absl::Status NatsClient::DeleteBucket(const std::string& bucket) {
  return ApiError(Ask("$JS.API.STREAM.DELETE.KV_" + bucket, nullptr, kTimeout));
}

absl::Status NatsClient::StepDown(const std::string& bucket) {
  return ApiError(Ask("$JS.API.STREAM.LEADER.STEPDOWN.KV_" + bucket, nullptr, kTimeout));
}

}  // namespace parti::chaos
