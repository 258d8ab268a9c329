#include "test/integration/kv_tap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace parti::test {
namespace {

constexpr std::string_view kKeys = "$KV.";
constexpr std::string_view kInfo = "$JS.API.STREAM.INFO.";

// The inbox of a connection is unique in the world: "_INBOX.NZ…" of "_INBOX.NZ….r.17".
std::string WriterOf(std::string_view reply) {
  const std::size_t first = reply.find('.');
  const std::size_t second = first == std::string_view::npos ? first : reply.find('.', first + 1);
  return std::string(reply.substr(0, second));
}

}  // namespace

KvTap::KvTap(const std::string& url, std::string prefix) : prefix_(std::move(prefix)) {
  EXPECT_EQ(natsConnection_ConnectTo(&connection_, url.c_str()), NATS_OK);
  Listen("$KV.>");
  Listen("$JS.API.STREAM.INFO.>");
  EXPECT_EQ(natsConnection_Flush(connection_), NATS_OK);
}

// Closing first waits for no callback, but after it none begins.
KvTap::~KvTap() {
  for (natsSubscription* subscription : subscriptions_) {
    natsSubscription_Unsubscribe(subscription);
  }
  natsConnection_FlushTimeout(connection_, 2000);
  natsConnection_Close(connection_);
  for (natsSubscription* subscription : subscriptions_) natsSubscription_Destroy(subscription);
  natsConnection_Destroy(connection_);
}

void KvTap::Listen(const std::string& subject) {
  natsSubscription* subscription = nullptr;
  EXPECT_EQ(natsConnection_Subscribe(&subscription, connection_, subject.c_str(), &KvTap::OnMessage,
                                     this),
            NATS_OK);
  natsSubscription_SetPendingLimits(subscription, -1, -1);
  subscriptions_.push_back(subscription);
}

void KvTap::OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  auto* const tap = static_cast<KvTap*>(closure);
  const std::string_view subject = natsMsg_GetSubject(message);
  const char* const reply = natsMsg_GetReply(message);
  const std::string start = std::string(kKeys) + tap->prefix_ + "-";
  const std::lock_guard lock(tap->mutex_);
  if (subject.starts_with(kInfo)) {
    tap->polls_.emplace_back(subject.substr(kInfo.size()));
  } else if (subject.starts_with(start)) {
    const std::string_view rest = subject.substr(start.size());
    const std::size_t dot = rest.find('.');
    tap->writes_.push_back(
        {.bucket = std::string(rest.substr(0, dot)),
         .key = dot == std::string_view::npos ? std::string() : std::string(rest.substr(dot + 1)),
         .writer = WriterOf(reply == nullptr ? "" : reply),
         .value = std::string(natsMsg_GetData(message),
                              static_cast<std::size_t>(natsMsg_GetDataLength(message)))});
  }
  natsMsg_Destroy(message);
}

std::vector<KvTap::Write> KvTap::Writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

std::vector<KvTap::DocWrite> KvTap::Docs() const {
  std::vector<DocWrite> docs;
  for (const Write& write : Writes()) {
    if (write.bucket != "assignment") continue;
    auto doc = wire::DecodeDoc(write.value);
    EXPECT_TRUE(doc.ok()) << write.key << ": " << doc.status();
    if (doc.ok()) docs.push_back({write.key, write.writer, *std::move(doc)});
  }
  return docs;
}

std::vector<KvTap::LeaderWrite> KvTap::Leaders() const {
  std::vector<LeaderWrite> leaders;
  for (const Write& write : Writes()) {
    if (write.bucket != "election" || write.key != wire::kLeaderKey) continue;
    auto leader = wire::DecodeLeader(write.value);
    EXPECT_TRUE(leader.ok()) << leader.status();
    if (leader.ok()) leaders.push_back({write.writer, *std::move(leader)});
  }
  return leaders;
}

std::uint64_t KvTap::Version() const {
  std::uint64_t version = 0;
  for (const DocWrite& write : Docs()) version = std::max(version, write.doc.version);
  return version;
}

std::size_t KvTap::Polls(std::string_view bucket) const {
  const std::string stream = "KV_" + prefix_ + "-" + std::string(bucket);
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count(polls_.begin(), polls_.end(), stream));
}

}  // namespace parti::test
