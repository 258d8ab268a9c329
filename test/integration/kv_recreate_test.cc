// A bucket that was deleted under a running client, and when it is created again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <chrono>
#include <optional>
#include <string>

#include "test/integration/kv_client.h"
#include "test/support/proxy.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Hears requests to the JetStream API.
class Eavesdropper {
 public:
  Eavesdropper(const std::string& url, const std::string& subject) {
    EXPECT_EQ(natsConnection_ConnectTo(&connection_, url.c_str()), NATS_OK);
    EXPECT_EQ(natsConnection_SubscribeSync(&subscription_, connection_, subject.c_str()), NATS_OK);
    EXPECT_EQ(natsConnection_FlushTimeout(connection_, 10'000), NATS_OK);
  }
  ~Eavesdropper() {
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
  }
  Eavesdropper(const Eavesdropper&) = delete;
  Eavesdropper& operator=(const Eavesdropper&) = delete;

  // What the next one asked for.
  std::optional<std::string> NextSubject() {
    natsMsg* message = nullptr;
    const natsStatus status = natsSubscription_NextMsg(
        &message, subscription_, std::chrono::duration_cast<milliseconds>(kDeadline).count());
    if (status != NATS_OK) return std::nullopt;
    std::string subject = natsMsg_GetSubject(message);
    natsMsg_Destroy(message);
    return subject;
  }

 private:
  natsConnection* connection_ = nullptr;
  natsSubscription* subscription_ = nullptr;
};

// Chaos found: the server answers that a deleted stream is gone while it is still removing its
// files; workers that created the bucket at once got a stream whose files were then removed, too.
// It took creates of the leader record from four of them, under one epoch.
TEST(KvRecreateTest, ADeletedBucketIsNotCreatedAgainWhileTheServerMayStillRemoveItsFiles) {
  const auto server = StartServer();
  kv::NatsKvOptions options;
  options.nats.url = server->url();
  KvClient client(options);
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  Eavesdropper creations(server->url(), "$JS.API.STREAM.CREATE.KV_parti-election");
  Admin admin(server->url());

  const auto deleted = steady_clock::now();
  ASSERT_TRUE(admin.Ask("$JS.API.STREAM.DELETE.KV_parti-election").value("success", false));
  client.Get(wire::Bucket::kElection, "leader");  // so that it notices
  ASSERT_TRUE(creations.NextSubject().has_value());
  EXPECT_GE(steady_clock::now() - deleted, milliseconds(300));
  EXPECT_TRUE(WaitFor([&] {
    return client.Put(wire::Bucket::kElection, "leader", 0, "me").code == wire::KvCode::kOk;
  }));
}

// How often somebody looks for the bucket before it is created.
std::size_t LooksBeforeCreation(Eavesdropper& requests) {
  for (std::size_t looks = 0;; ++looks) {
    const std::optional<std::string> request = requests.NextSubject();
    if (!request.has_value()) ADD_FAILURE() << "it isn't created";
    if (!request.has_value() || request->find("STREAM.CREATE") != std::string::npos) return looks;
  }
}

// The second look may come of the same call that creates, so two prove nothing.
constexpr std::size_t kLooksOfWhoWaits = 3;

TEST(KvRecreateTest, ABucketDeletedWhileTheConnectionIsDownIsNotCreatedAtOnceWhenItIsBack) {
  const auto server = StartServer();
  Proxy proxy(server->port());
  kv::NatsKvOptions options;
  options.nats.url = proxy.url();
  KvClient client(options);
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  Admin admin(server->url());
  proxy.Partition();
  ASSERT_TRUE(WaitFor([&] { return !client.Connected(); }));
  // All four: with none left, a group that has been looks like one that never was.
  for (const char* const bucket : {"stableid", "election", "heartbeat", "assignment"}) {
    const std::string subject = std::string("$JS.API.STREAM.DELETE.KV_parti-") + bucket;
    ASSERT_TRUE(admin.Ask(subject).value("success", false));
  }
  Eavesdropper requests(server->url(), "$JS.API.STREAM.*.KV_parti-election");
  proxy.Heal();
  EXPECT_GE(LooksBeforeCreation(requests), kLooksOfWhoWaits);
  EXPECT_TRUE(WaitFor([&] {
    return client.Put(wire::Bucket::kElection, "leader", 0, "me").code == wire::KvCode::kOk;
  }));
}

TEST(KvRecreateTest, WhoStartsWhereOneOfTheBucketsHasGoneDoesNotCreateItAtOnce) {
  const auto server = StartServer();
  kv::NatsKvOptions options;
  options.nats.url = server->url();
  {
    KvClient first(options);
    ASSERT_EQ(first.WaitReady(), absl::OkStatus());
  }
  Admin admin(server->url());
  ASSERT_TRUE(admin.Ask("$JS.API.STREAM.DELETE.KV_parti-election").value("success", false));
  Eavesdropper requests(server->url(), "$JS.API.STREAM.*.KV_parti-election");
  KvClient second(options);
  EXPECT_GE(LooksBeforeCreation(requests), kLooksOfWhoWaits);
  ASSERT_EQ(second.WaitReady(), absl::OkStatus());
}

}  // namespace
}  // namespace parti::test
