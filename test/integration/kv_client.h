// What the KV tests talk through: a NatsKv whose events are recorded, and a plain connection to do
// what an administrator might.
#ifndef PARTI_TEST_INTEGRATION_KV_CLIENT_H_
#define PARTI_TEST_INTEGRATION_KV_CLIENT_H_

#include <gtest/gtest.h>
#include <nats/nats.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "internal/kv/nats_kv.h"
#include "test/support/support.h"

namespace parti::test {

class KvClient {
 public:
  struct WatchView {
    std::vector<wire::Entry> entries;  // in the order of arrival
    std::optional<wire::StreamState> end;
    std::int64_t opened_at = 0;
    std::size_t entries_before_end = 0;
    int breaks = 0;
    std::string reason;
  };

  explicit KvClient(kv::NatsKvOptions options) {
    options.on_error = [this](const absl::Status& status) {
      const std::lock_guard lock(mutex_);
      errors_.push_back(status);
    };
    kv_ = kv::NatsKv::Create(options, [this](core::Event event) { Record(event); }).value();
  }

  kv::NatsKv& kv() { return *kv_; }
  absl::Status WaitReady() { return kv_->WaitReady(kDeadline); }

  // Requests: sent at once; their answers are awaited with Await.
  core::RequestId SendPut(wire::Bucket bucket, const std::string& key, std::uint64_t expected,
                          const std::string& value, core::Nanos timeout = kTimeout) {
    const core::RequestId request = NextRequest();
    kv_->Put({request, bucket, key, expected, value, timeout});
    return request;
  }
  core::RequestId SendGet(wire::Bucket bucket, const std::string& key,
                          core::Nanos timeout = kTimeout) {
    const core::RequestId request = NextRequest();
    kv_->Get({request, bucket, key, timeout});
    return request;
  }
  core::KvAnswer Await(core::RequestId request) {
    EXPECT_TRUE(WaitFor([&] { return AnswersTo(request) > 0; })) << "request " << request;
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(request);
    return found == answers_.end() ? core::KvAnswer{} : found->second.front();
  }
  std::size_t AnswersTo(core::RequestId request) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(request);
    return found == answers_.end() ? 0 : found->second.size();
  }

  core::KvAnswer Put(wire::Bucket bucket, const std::string& key, std::uint64_t expected,
                     const std::string& value) {
    return Await(SendPut(bucket, key, expected, value));
  }
  core::KvAnswer Get(wire::Bucket bucket, const std::string& key) {
    return Await(SendGet(bucket, key));
  }
  core::KvAnswer Info(wire::Bucket bucket) {
    const core::RequestId request = NextRequest();
    kv_->Info({request, bucket, kTimeout});
    return Await(request);
  }

  core::WatchId Open(wire::Bucket bucket, const std::string& key = "") {
    const core::WatchId watch = NextRequest();
    kv_->Open({watch, bucket, key});
    return watch;
  }
  // Opens one, again if it breaks, until the snapshot has ended: what core does.
  core::WatchId OpenUntilComplete(wire::Bucket bucket) {
    core::WatchId watch = Open(bucket);
    EXPECT_TRUE(WaitFor([&] {
      const WatchView view = Watch(watch);
      if (view.breaks > 0) watch = Open(bucket);
      return view.breaks == 0 && view.end.has_value();
    }));
    return watch;
  }
  WatchView Watch(core::WatchId watch) {
    const std::lock_guard lock(mutex_);
    return watches_[watch];
  }
  bool AwaitEnd(core::WatchId watch) {
    return WaitFor([&] { return Watch(watch).end.has_value(); });
  }
  bool AwaitBroken(core::WatchId watch) {
    return WaitFor([&] { return Watch(watch).breaks > 0; });
  }
  bool AwaitEntries(core::WatchId watch, std::size_t count) {
    return WaitFor([&] { return Watch(watch).entries.size() >= count; });
  }

  // What the newest ConnectionChanged said.
  bool Connected() {
    const std::lock_guard lock(mutex_);
    return !connections_.empty() && connections_.back();
  }
  std::vector<bool> Connections() {
    const std::lock_guard lock(mutex_);
    return connections_;
  }
  std::vector<absl::Status> Errors() {
    const std::lock_guard lock(mutex_);
    return errors_;
  }
  std::size_t EventCount() {
    const std::lock_guard lock(mutex_);
    return event_count_;
  }

  static constexpr core::Nanos kTimeout = 30 * core::kSecond;

 private:
  core::RequestId NextRequest() {
    const std::lock_guard lock(mutex_);
    return next_++;
  }

  void Record(const core::Event& event) {
    const std::lock_guard lock(mutex_);
    ++event_count_;
    if (const auto* answer = std::get_if<core::KvAnswer>(&event)) {
      answers_[answer->request].push_back(*answer);
    } else if (const auto* entry = std::get_if<core::WatchEntry>(&event)) {
      watches_[entry->watch].entries.push_back(entry->entry);
    } else if (const auto* end = std::get_if<core::WatchSnapshotEnd>(&event)) {
      WatchView& view = watches_[end->watch];
      EXPECT_FALSE(view.end) << "a second end of watch " << end->watch;
      view.end = end->stream;
      view.opened_at = end->opened_at;
      view.entries_before_end = view.entries.size();
    } else if (const auto* broken = std::get_if<core::WatchBroken>(&event)) {
      ++watches_[broken->watch].breaks;
      watches_[broken->watch].reason = broken->reason;
    } else if (const auto* changed = std::get_if<core::ConnectionChanged>(&event)) {
      connections_.push_back(changed->connected);
    }
  }

  std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::size_t event_count_ = 0;
  std::map<core::RequestId, std::vector<core::KvAnswer>> answers_;
  std::map<core::WatchId, WatchView> watches_;
  std::vector<bool> connections_;
  std::vector<absl::Status> errors_;
  std::unique_ptr<kv::NatsKv> kv_;  // last: it goes first, and calls the sink until then
};

class Admin {
 public:
  explicit Admin(const std::string& url) {
    EXPECT_EQ(natsConnection_ConnectTo(&connection_, url.c_str()), NATS_OK);
  }
  ~Admin() { natsConnection_Destroy(connection_); }
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // A request to the JetStream API, or to whoever else listens.
  nlohmann::json Ask(const std::string& subject, const nlohmann::json& body = nullptr) {
    return AskRaw(subject, body.is_null() ? "" : body.dump());
  }
  nlohmann::json AskRaw(const std::string& subject, const std::string& body) {
    natsMsg* reply = nullptr;
    const natsStatus status =
        natsConnection_RequestString(&reply, connection_, subject.c_str(), body.c_str(), 10'000);
    if (status != NATS_OK) return {{"status", natsStatus_GetText(status)}};
    const std::string text(natsMsg_GetData(reply),
                           static_cast<std::size_t>(natsMsg_GetDataLength(reply)));
    natsMsg_Destroy(reply);
    return nlohmann::json::parse(text, nullptr, false);
  }
  // What `nats kv del` does, or leaves another mark.
  nlohmann::json DeleteKey(const std::string& subject, const char* header = "KV-Operation",
                           const char* mark = "DEL") {
    natsMsg* message = nullptr;
    natsMsg* reply = nullptr;
    EXPECT_EQ(natsMsg_Create(&message, subject.c_str(), nullptr, nullptr, 0), NATS_OK);
    natsMsgHeader_Set(message, header, mark);
    EXPECT_EQ(natsConnection_RequestMsg(&reply, connection_, message, 10'000), NATS_OK);
    const std::string text(natsMsg_GetData(reply),
                           static_cast<std::size_t>(natsMsg_GetDataLength(reply)));
    natsMsg_Destroy(message);
    natsMsg_Destroy(reply);
    return nlohmann::json::parse(text, nullptr, false);
  }
  int Consumers(const std::string& stream) {
    return Ask("$JS.API.STREAM.INFO." + stream)["state"].value("consumer_count", -1);
  }

 private:
  natsConnection* connection_ = nullptr;
};

}  // namespace parti::test

#endif  // PARTI_TEST_INTEGRATION_KV_CLIENT_H_
