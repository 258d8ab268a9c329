// Buckets with names of their own, in a JetStream domain, looked at only; and servers that can't
// keep any.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "test/integration/kv_client.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using wire::Bucket;
using wire::KvCode;

kv::NatsKvOptions Options(const NatsServer& server) {
  kv::NatsKvOptions options;
  options.nats.url = server.url();
  return options;
}

absl::Status Ready(const kv::NatsKvOptions& options) {
  KvClient client(options);
  return client.WaitReady();
}

void ExpectWorks(const kv::NatsKvOptions& options) {
  KvClient client(options);
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  const auto watch = client.Open(Bucket::kElection);
  const auto put = client.Put(Bucket::kElection, "leader", 0, "me");
  EXPECT_EQ(put.code, KvCode::kOk) << put.error;
  EXPECT_EQ(client.Get(Bucket::kElection, "leader").entry.value, "me");
  EXPECT_EQ(client.Info(Bucket::kElection).stream.last_seq, put.revision);
  EXPECT_TRUE(client.AwaitEntries(watch, 1));
  EXPECT_TRUE(client.AwaitEnd(watch));
}

TEST(KvBucketsTest, NamesOfTheirOwn) {
  const auto server = StartServer();
  kv::NatsKvOptions options = Options(*server);
  options.buckets = {"ids", "", "beats", "docs"};
  ExpectWorks(options);
  Admin admin(server->url());
  EXPECT_EQ(admin.Ask("$JS.API.STREAM.NAMES")["streams"],
            nlohmann::json({"KV_beats", "KV_docs", "KV_ids", "KV_parti-election"}));
  options.buckets[0] = "a b";
  EXPECT_EQ(kv::NatsKv::Create(options, [](const core::Event&) {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(KvBucketsTest, AJetStreamDomain) {
  const auto server = StartServer({.extra_jetstream = "domain: hub"});
  kv::NatsKvOptions options = Options(*server);
  options.jetstream_domain = "hub";
  ExpectWorks(options);
  options.jetstream_domain = "hbu";
  KvClient client(options);
  EXPECT_TRUE(WaitFor([&] { return !client.Errors().empty(); }));
  // It may be that the domain only isn't connected at present, so it goes on trying.
  EXPECT_EQ(client.Errors().front().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(client.Errors().front().message()),
              HasSubstr("is jetstream_domain \"hbu\" right"));
}

TEST(KvBucketsTest, WhoOnlyLooksCreatesNothingAndNamesWhatIsMissing) {
  const auto server = StartServer();
  kv::NatsKvOptions options = Options(*server);
  options.create_buckets = false;
  {
    KvClient client(options);
    const absl::Status missing = client.WaitReady();
    EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound) << missing;
    EXPECT_THAT(std::string(missing.message()), HasSubstr("parti-assignment don't exist"));
    EXPECT_EQ(client.kv().MissingBuckets().size(), 4u);
  }
  Admin admin(server->url());
  EXPECT_TRUE(admin.Ask("$JS.API.STREAM.NAMES")["streams"].is_null());
  ASSERT_EQ(Ready(Options(*server)), absl::OkStatus());
  EXPECT_EQ(Ready(options), absl::OkStatus());
  admin.Ask("$JS.API.STREAM.DELETE.KV_parti-election");
  KvClient client(options);
  EXPECT_EQ(client.WaitReady().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(client.kv().MissingBuckets(), ElementsAre("parti-election"));
}

TEST(KvBucketsTest, AServerWithoutJetStreamIsSaidAtOnce) {
  const auto server = StartServer({.jetstream = false});
  const absl::Status status = Ready(Options(*server));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("has no JetStream"), HasSubstr("-js")));
}

TEST(KvBucketsTest, AnAccountWithoutJetStreamIsSaidAtOnce) {
  const auto server =
      StartServer({.extra_config = "accounts { A { users = [ { user: u, password: p } ] } }"});
  kv::NatsKvOptions options = Options(*server);
  options.nats.user = "u";
  options.nats.password = "p";
  const absl::Status status = Ready(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("jetstream: enabled"));
}

TEST(KvBucketsTest, AnAccountOutOfStreamsIsSaidAtOnce) {
  const auto server =
      StartServer({.extra_config = "accounts { A { jetstream: { max_streams: 2, max_file: 1MB }, "
                                   "users = [ { user: u, password: p } ] } }"});
  kv::NatsKvOptions options = Options(*server);
  options.nats.user = "u";
  options.nats.password = "p";
  const absl::Status status = Ready(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("limits of the user's account"));
}

TEST(KvBucketsTest, StorageThatRunsOutWhileWorkingIsSaid) {
  const auto server = StartServer({.extra_jetstream = "max_file_store: 100KB"});
  KvClient client(Options(*server));
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  const std::string value(60'000, 'x');
  for (int i = 0; i < 4; ++i) {
    client.SendPut(Bucket::kAssignment, "worker-" + std::to_string(i), 0, value);
  }
  EXPECT_TRUE(WaitFor([&] { return !client.Errors().empty(); }));
  EXPECT_EQ(client.Errors().front().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(client.Errors().front().message()),
              AllOf(HasSubstr("KV_parti-assignment"), HasSubstr("max_file_store")));
}

}  // namespace
}  // namespace parti::test
