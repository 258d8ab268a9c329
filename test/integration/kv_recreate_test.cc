// A bucket that was deleted under a running client, and when it is created again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <chrono>
#include <optional>
#include <string>

#include "test/integration/kv_client.h"
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

  // When the next one came.
  std::optional<steady_clock::time_point> Next() {
    natsMsg* message = nullptr;
    const natsStatus status = natsSubscription_NextMsg(
        &message, subscription_, std::chrono::duration_cast<milliseconds>(kDeadline).count());
    natsMsg_Destroy(message);
    if (status != NATS_OK) return std::nullopt;
    return steady_clock::now();
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
  const auto created = creations.Next();
  ASSERT_TRUE(created.has_value());
  EXPECT_GE(*created - deleted, milliseconds(300));
  EXPECT_TRUE(WaitFor([&] {
    return client.Put(wire::Bucket::kElection, "leader", 0, "me").code == wire::KvCode::kOk;
  }));
}

}  // namespace
}  // namespace parti::test
