// The proxy that network faults are made with: what it forbids doesn't pass, and what it holds back
// passes later.
#include "test/support/proxy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "test/integration/kv_client.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using wire::Bucket;
using wire::KvCode;

class ProxyTest : public testing::Test {
 protected:
  static kv::NatsKvOptions Options(const std::string& url) {
    kv::NatsKvOptions options;
    options.nats.url = url;
    return options;
  }

  std::unique_ptr<NatsServer> server_ = StartServer();
  Proxy proxy_{server_->port()};
  KvClient client_{Options(proxy_.url())};
};

TEST_F(ProxyTest, ACutConnectionIsReplaced) {
  ASSERT_TRUE(client_.WaitReady().ok());
  const std::uint64_t before = proxy_.total_connections();
  proxy_.Cut();
  EXPECT_TRUE(WaitFor([&] { return proxy_.total_connections() > before && client_.Connected(); }));
  EXPECT_EQ(client_.Put(Bucket::kHeartbeat, "a", 0, "x").code, KvCode::kOk);
}

TEST_F(ProxyTest, APartitionLetsNobodyThroughUntilItHeals) {
  ASSERT_TRUE(client_.WaitReady().ok());
  proxy_.Partition();
  EXPECT_TRUE(WaitFor([&] { return !client_.Connected(); }));
  const std::uint64_t passed = proxy_.bytes_to_server();
  EXPECT_TRUE(StaysTrue([&] { return !client_.Connected() && proxy_.connections() == 0; },
                        std::chrono::milliseconds(500)));
  EXPECT_EQ(proxy_.bytes_to_server(), passed);
  proxy_.Heal();
  EXPECT_TRUE(WaitFor([&] { return client_.Connected(); }));
}

TEST_F(ProxyTest, AFrozenDirectionHoldsBackAndTheOtherPasses) {
  ASSERT_TRUE(client_.WaitReady().ok());
  KvClient other(Options(server_->url()));
  ASSERT_TRUE(other.WaitReady().ok());
  proxy_.Freeze(Proxy::Direction::kToClient);
  const auto unanswered = client_.SendPut(Bucket::kHeartbeat, "a", 0, "landed");
  EXPECT_TRUE(WaitFor([&] { return other.Get(Bucket::kHeartbeat, "a").code == KvCode::kOk; }));
  EXPECT_EQ(client_.Await(unanswered).code, KvCode::kUnknown);
}

TEST_F(ProxyTest, WhatWasSentIntoAFreezePassesAfterIt) {
  ASSERT_TRUE(client_.WaitReady().ok());
  KvClient other(Options(server_->url()));
  ASSERT_TRUE(other.WaitReady().ok());
  proxy_.Freeze(Proxy::Direction::kToServer);
  client_.SendPut(Bucket::kHeartbeat, "a", 0, "late");
  // Given up by the client long before: it is the proxy that still holds it.
  EXPECT_TRUE(WaitFor([&] { return !client_.Connected(); }));
  EXPECT_EQ(other.Get(Bucket::kHeartbeat, "a").code, KvCode::kNotFound);
  proxy_.Heal();
  EXPECT_TRUE(WaitFor([&] { return other.Get(Bucket::kHeartbeat, "a").entry.value == "late"; }));
}

TEST_F(ProxyTest, ADelayIsAddedToEveryAnswer) {
  ASSERT_TRUE(client_.WaitReady().ok());
  constexpr std::chrono::milliseconds kDelay(150);
  proxy_.Delay(kDelay);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client_.Get(Bucket::kHeartbeat, "a").code, KvCode::kNotFound);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 2 * kDelay);  // there and back
}

}  // namespace
}  // namespace parti::test
