#include "test/chaos/register.h"

#include <fmt/format.h>
#include <time.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

namespace parti::chaos {
namespace {

constexpr int kWrongLastSequence = 10071;
constexpr int kNoMessageFound = 10037;
constexpr std::int64_t kWriteTimeoutMs = 500;
constexpr std::int64_t kReadTimeoutMs = 5000;
constexpr std::chrono::milliseconds kThink(5);
constexpr std::chrono::milliseconds kThinkUnguarded(50);

class Message {
 public:
  Message() = default;
  ~Message() { natsMsg_Destroy(message_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  natsMsg** out() { return &message_; }
  natsMsg* get() const { return message_; }
  std::string_view data() const {
    return {natsMsg_GetData(message_), static_cast<std::size_t>(natsMsg_GetDataLength(message_))};
  }

 private:
  natsMsg* message_ = nullptr;
};

}  // namespace

std::int64_t BootNow() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::string Encode(const RegisterEntry& entry) {
  const nlohmann::ordered_json json{{"epoch", entry.token.epoch}, {"version", entry.token.version},
                                    {"count", entry.count},       {"writer", entry.writer},
                                    {"asked", entry.asked},       {"sent", entry.sent}};
  return json.dump();
}

absl::StatusOr<RegisterEntry> Decode(std::string_view value) {
  const auto json = nlohmann::json::parse(value, nullptr, false);
  RegisterEntry entry;
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  try {
    entry.token = {json.at("epoch").get<std::uint64_t>(), json.at("version").get<std::uint64_t>()};
    entry.count = json.at("count").get<std::uint64_t>();
    entry.writer = json.at("writer").get<std::string>();
    entry.asked = json.at("asked").get<std::int64_t>();
    entry.sent = json.at("sent").get<std::int64_t>();
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return entry;
}

absl::Status FencedRegister::Create(int replicas) {
  // Everything that a KV bucket has but the limit of 64 values a key. No direct reads: a replica
  // may answer them with what is no longer true.
  const nlohmann::json config{{"name", Stream()},      {"subjects", {Subject(">")}},
                              {"retention", "limits"}, {"max_consumers", -1},
                              {"max_msgs", -1},        {"max_bytes", -1},
                              {"max_age", 0},          {"max_msgs_per_subject", -1},
                              {"max_msg_size", -1},    {"discard", "new"},
                              {"storage", "file"},     {"num_replicas", replicas},
                              {"deny_delete", true},   {"allow_rollup_hdrs", false},
                              {"allow_direct", false}};
  const auto answer =
      client_.Ask("$JS.API.STREAM.CREATE." + Stream(), config, std::chrono::milliseconds(5000));
  if (!answer.ok()) return answer.status();
  if (answer->is_object() && !answer->contains("error")) return absl::OkStatus();
  return absl::UnavailableError("can't create the register: " + answer->dump());
}

WriteResult FencedRegister::Append(RegisterEntry entry) {
  WriteResult result;
  if (!client_.Connect().ok()) return result;
  const std::string subject = Subject(entry.partition);
  Message last;
  jsErrCode code{};
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = kWriteTimeoutMs;
  natsStatus status =
      js_GetLastMsg(last.out(), client_.js(), Stream().c_str(), subject.c_str(), &options, &code);
  std::uint64_t revision = 0;
  if (status == NATS_OK) {
    revision = natsMsg_GetSequence(last.get());
    absl::StatusOr<RegisterEntry> stored = Decode(last.data());
    if (!stored.ok()) return result;
    result.stored = *std::move(stored);
    result.stored->sequence = revision;
    if (rules_.compares_tokens && result.stored->token > entry.token) {
      result.outcome = WriteOutcome::kRefused;
      return result;
    }
    entry.count = result.stored->count + 1;
  } else if (code == kNoMessageFound) {
    entry.count = 1;
  } else {
    return result;  // nothing was written
  }
  // Work takes its time. Whoever is stopped or cut off now comes too late with its write.
  std::this_thread::sleep_for(rules_.compares_revisions ? kThink : kThinkUnguarded);
  entry.sent = BootNow();
  jsPubOptions publish;
  jsPubOptions_Init(&publish);
  publish.MaxWait = kWriteTimeoutMs;
  if (!rules_.compares_revisions) {
    // Whatever was written meanwhile is overwritten.
  } else if (revision > 0) {
    publish.ExpectLastSubjectSeq = revision;
  } else {
    publish.ExpectNoMessage = true;
  }
  const std::string value = Encode(entry);
  jsPubAck* ack = nullptr;
  status = js_Publish(&ack, client_.js(), subject.c_str(), value.data(),
                      static_cast<int>(value.size()), &publish, &code);
  jsPubAck_Destroy(ack);
  if (status == NATS_OK) {
    result.outcome = WriteOutcome::kWritten;
  } else if (code == kWrongLastSequence) {
    result.outcome = WriteOutcome::kConflict;
  }
  return result;
}

absl::StatusOr<FencedRegister::Contents> FencedRegister::ReadAll() {
  if (absl::Status connected = client_.Connect(); !connected.ok()) return connected;
  const auto info = client_.Ask("$JS.API.STREAM.INFO." + Stream(), nullptr,
                                std::chrono::milliseconds(kReadTimeoutMs));
  if (!info.ok()) return info.status();
  if (!info->is_object() || !info->contains("state")) {
    return absl::UnavailableError("no state of the register's stream: " + info->dump());
  }
  const std::uint64_t end = (*info)["state"].value("last_seq", std::uint64_t{0});
  Contents contents;
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Ordered = true;
  options.Config.DeliverPolicy = js_DeliverAll;
  natsSubscription* subscription = nullptr;
  jsErrCode code{};
  natsStatus status =
      js_SubscribeSync(&subscription, client_.js(), Subject(">").c_str(), nullptr, &options, &code);
  if (status != NATS_OK) return NatsError(status, "can't read the register");
  // They come faster than they are read, and there may be hundreds of thousands.
  status = natsSubscription_SetPendingLimits(subscription, -1, -1);
  if (status != NATS_OK) {
    natsSubscription_Destroy(subscription);
    return NatsError(status, "can't read the register");
  }
  std::uint64_t at = 0;
  const std::string prefix = Subject("");
  while (at < end) {
    Message message;
    status = natsSubscription_NextMsg(message.out(), subscription, kReadTimeoutMs);
    if (status != NATS_OK) break;
    jsMsgMetaData* meta = nullptr;
    status = natsMsg_GetMetaData(&meta, message.get());
    if (status != NATS_OK) break;
    const std::uint64_t sequence = meta->Sequence.Stream;
    jsMsgMetaData_Destroy(meta);
    if (sequence != at + 1) {
      contents.broken.push_back(
          fmt::format("writes {} to {} of the register are missing", at + 1, sequence - 1));
    }
    at = sequence;
    absl::StatusOr<RegisterEntry> entry = Decode(message.data());
    if (!entry.ok()) {
      contents.broken.push_back(fmt::format("write {} of the register can't be read: {}", sequence,
                                            std::string(entry.status().message())));
      continue;
    }
    entry->sequence = sequence;
    entry->partition = std::string(natsMsg_GetSubject(message.get())).substr(prefix.size());
    contents.entries.push_back(*std::move(entry));
  }
  natsSubscription_Unsubscribe(subscription);
  natsSubscription_Destroy(subscription);
  if (at < end) {
    return NatsError(status, fmt::format("the register was read up to write {} of {}", at, end));
  }
  return contents;
}

}  // namespace parti::chaos
