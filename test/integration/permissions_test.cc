// docs/permissions.conf, word for word: with it everything works, and what goes beyond is refused
// with an error that names the subject.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <map>
#include <string>
#include <vector>

#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"

namespace parti::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using wire::Bucket;
using wire::KvCode;

constexpr const char* kPasswords =
    "PARTI_WORKER_PASSWORD: \"worker-secret\"\n"
    "PARTI_READER_PASSWORD: \"reader-secret\"\n"
    "PARTI_OPERATOR_PASSWORD: \"operator-secret\"\n";

// Beside the users of the file one that may do anything.
std::string ServerConfig() {
  std::string text = ReadFile(std::string(PARTI_SOURCE_DIR) + "/docs/permissions.conf");
  const std::string users = "users = [\n";
  const std::size_t at = text.find(users);
  if (at == std::string::npos) return "docs/permissions.conf has no users";
  text.insert(at + users.size(), "{ user: root, password: root }\n");
  return kPasswords + text;
}

ConnectionOptions As(const NatsServer& server, const std::string& role) {
  return {.url = server.url(),
          .user = "parti-" + role,
          .password = role + "-secret",
          .inbox_prefix = "_INBOX_parti_" + role};
}

// What a command said and how it ended.
struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class PermissionsTest : public testing::Test {
 protected:
  PermissionsTest() : cluster_({.server_config = ServerConfig(), .prefix = "parti"}) {}

  std::vector<std::string> Flags(const std::string& role) const {
    return {"--user", "parti-" + role, "--inbox-prefix", "_INBOX_parti_" + role};
  }

  std::size_t StartWorker(const std::string& name) {
    return cluster_.Start(
        name, {},
        {.arguments = Flags("worker"), .environment = {{"NATS_PASSWORD", "worker-secret"}}});
  }

  // `parti ARGUMENTS…` as this role.
  Ran Run(const std::string& role, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PARTI_BINARY);
    for (const std::string& flag : Flags(role)) arguments.push_back(flag);
    arguments.insert(arguments.end(), {"--server", cluster_.server().url()});
    const std::string out = folder_->File(fmt::format("{}.out", ++runs_));
    const std::string err = folder_->File(fmt::format("{}.err", runs_));
    const auto process = StartProcess({.argv = arguments,
                                       .environment = {{"NATS_PASSWORD", role + "-secret"}},
                                       .stdout_file = out,
                                       .stderr_file = err});
    const auto exit = process->Wait(kDeadline);
    return {exit ? exit->code : -1, ReadFile(out), ReadFile(err)};
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  int runs_ = 0;
  Cluster cluster_;
};

TEST_F(PermissionsTest, WithTheLeastOfThemAGroupLivesAndIsSeenAndObeys) {
  StartWorker("a");
  StartWorker("b");
  StartWorker("c");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  Ran status;
  EXPECT_TRUE(WaitFor([&] {
    status = Run("reader", {"status", "--prefix", "parti"});
    return status.code == 0;
  })) << status.out
      << status.err;
  EXPECT_THAT(status.out, HasSubstr("healthy: 3 workers own all 12 partitions"));

  const std::size_t leader = cluster_.group().Leader().value();
  cluster_.group().Kill(leader);
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::string survivor = cluster_.observer().View(cluster_.group().Living().front()).worker;
  const Ran drained = Run("operator", {"drain", survivor, "--prefix", "parti"});
  EXPECT_EQ(drained.code, 0) << drained.out << drained.err;
  EXPECT_EQ(Run("operator", {"undrain", survivor, "--prefix", "parti"}).code, 0);
  EXPECT_EQ(Run("operator", {"status", "--prefix", "parti", "--partitions"}).err, "");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  // Not one violation was needed on the way; the server logs each.
  EXPECT_THAT(cluster_.server().Log(), Not(HasSubstr("Violation")));
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(PermissionsTest, AReaderThatGivesAnOrderIsToldWhatItMayNotWrite) {
  StartWorker("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const Ran refused = Run("reader", {"pause", "--prefix", "parti"});
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(refused.out + refused.err,
              AllOf(HasSubstr("$KV.parti-election.control"), HasSubstr("docs/operations.md"),
                    Not(HasSubstr("secret"))));
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(PermissionsTest, AWorkerOfAnotherGroupIsToldWhichBucketItMayNotTouch) {
  Cluster others({.server = &cluster_.server(), .prefix = "orders"});
  const auto worker = others.Start(
      "a", {}, {.arguments = Flags("worker"), .environment = {{"NATS_PASSWORD", "worker-secret"}}});
  const std::string log = others.ErrorFile(worker);
  EXPECT_TRUE(WaitFor([&] {
    return ReadFile(log).find("$JS.API.STREAM.INFO.KV_orders-stableid") != std::string::npos;
  })) << ReadFile(log);
  EXPECT_THAT(ReadFile(log), Not(HasSubstr("worker-secret")));
}

// One after another everything that is not in the list of a role.
TEST_F(PermissionsTest, EverythingBeyondIsRefusedAndNamed) {
  StartWorker("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::map<std::string, std::vector<std::pair<Bucket, std::string>>> forbidden = {
      {"reader",
       {{Bucket::kElection, "control"},
        {Bucket::kElection, "leader"},
        {Bucket::kElection, "report"},
        {Bucket::kStableId, "worker-0"},
        {Bucket::kHeartbeat, "worker-0"},
        {Bucket::kAssignment, "worker-0"}}},
      {"operator",
       {{Bucket::kElection, "leader"},
        {Bucket::kElection, "report"},
        {Bucket::kStableId, "worker-0"},
        {Bucket::kHeartbeat, "worker-0"},
        {Bucket::kAssignment, "worker-0"}}},
      {"worker", {{Bucket::kElection, "control"}, {Bucket::kElection, "another"}}},
  };
  for (const auto& [role, keys] : forbidden) {
    SCOPED_TRACE(role);
    kv::NatsKvOptions options;
    options.nats = As(cluster_.server(), role);
    options.create_buckets = false;
    KvClient client(options);
    ASSERT_EQ(client.WaitReady(), absl::OkStatus());
    for (const auto& [bucket, key] : keys) {
      const core::KvAnswer answer = client.Put(bucket, key, 0, "x");
      const std::string subject = fmt::format("$KV.parti-{}.{}", wire::BucketName(bucket), key);
      EXPECT_EQ(answer.code, KvCode::kRefused) << subject;
      EXPECT_THAT(answer.error, HasSubstr(subject));
    }
    // Reading is what all of them may.
    EXPECT_EQ(client.Get(Bucket::kElection, "leader").code, KvCode::kOk);
    client.OpenUntilComplete(Bucket::kAssignment);
  }
  EXPECT_EQ(cluster_.Finish(), "");
}

// A plain connection of a role, on which the server's refusals are collected.
class Trespasser {
 public:
  explicit Trespasser(const std::string& url) {
    natsOptions* options = nullptr;
    EXPECT_EQ(natsOptions_Create(&options), NATS_OK);
    natsOptions_SetURL(options, url.c_str());
    EXPECT_EQ(natsConnection_Connect(&connection_, options), NATS_OK);
    natsOptions_Destroy(options);
  }
  ~Trespasser() { natsConnection_Destroy(connection_); }
  Trespasser(const Trespasser&) = delete;
  Trespasser& operator=(const Trespasser&) = delete;

  std::string Publish(const std::string& subject) {
    natsConnection_PublishString(connection_, subject.c_str(), "{}");
    return Refusal();
  }
  std::string Listen(const std::string& subject) {
    natsSubscription* subscription = nullptr;
    natsConnection_SubscribeSync(&subscription, connection_, subject.c_str());
    std::string refusal = Refusal();
    natsSubscription_Destroy(subscription);
    return refusal;
  }

 private:
  // The server's answer to a PING comes after its refusals.
  std::string Refusal() {
    natsConnection_FlushTimeout(connection_, 10'000);
    const char* text = nullptr;
    natsConnection_GetLastError(connection_, &text);
    return text == nullptr ? "" : text;
  }
  natsConnection* connection_ = nullptr;
};

TEST_F(PermissionsTest, NobodyMayRemoveABucketOrReadAnothersAnswers) {
  StartWorker("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  for (const std::string& role : std::vector<std::string>{"worker", "reader", "operator"}) {
    SCOPED_TRACE(role);
    Trespasser trespasser(
        fmt::format("nats://parti-{}:{}-secret@{}", role, role, cluster_.server().url().substr(7)));
    for (const std::string& subject : std::vector<std::string>{
             "$JS.API.STREAM.DELETE.KV_parti-election", "$JS.API.STREAM.PURGE.KV_parti-assignment",
             "$JS.API.STREAM.UPDATE.KV_parti-heartbeat",
             "$JS.API.STREAM.MSG.DELETE.KV_parti-stableid",
             "$JS.API.STREAM.CREATE.KV_orders-stableid",
             "$JS.API.STREAM.MSG.GET.KV_orders-stableid"}) {
      EXPECT_THAT(trespasser.Publish(subject), HasSubstr(subject));
    }
    EXPECT_THAT(trespasser.Listen("_INBOX.>"), HasSubstr("_INBOX.>"));
    EXPECT_THAT(trespasser.Listen("$KV.>"), HasSubstr("$KV.>"));
  }
  EXPECT_EQ(cluster_.Finish(), "");
}

// One after another what `parti status` and orders need is taken away, by reloads of the server.
TEST(MissingPermissionTest, IsNamedByStatusAndByOrders) {
  const auto config = [](const std::string& direction, const std::string& subject) {
    return fmt::format(
        "authorization {{ users: [ {{ user: root, password: root }}, {{ user: w, password: sesame, "
        "permissions: {{ {}: {{ deny: [\"{}\"] }} }} }} ] }}",
        direction, subject);
  };
  Cluster cluster({.server_config = config("publish", "nothing"), .prefix = "test"});
  cluster.Start("a", {},
                {.arguments = {"--user", "root"}, .environment = {{"NATS_PASSWORD", "root"}}});
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const auto folder = MakeTempDir();
  int runs = 0;
  const auto run = [&](const std::string& command) {
    const std::string file = folder->File(fmt::format("{}", ++runs));
    const auto process = StartProcess({.argv = {PARTI_BINARY, command, "--user", "w", "--server",
                                                cluster.server().url(), "--prefix", "test"},
                                       .environment = {{"NATS_PASSWORD", "sesame"}},
                                       .stdout_file = file,
                                       .stderr_file = file});
    const auto exit = process->Wait(kDeadline);
    return Ran{exit ? exit->code : -1, ReadFile(file), ""};
  };
  EXPECT_EQ(run("resume").code, 0);
  const struct {
    std::string direction;
    std::string denied;
    std::string named;
    bool status;  // needs it, too
  } cases[] = {
      {"publish", "$JS.API.STREAM.INFO.>", "\"$JS.API.STREAM.INFO.KV_test-", true},
      {"publish", "$JS.API.CONSUMER.CREATE.>", "\"$JS.API.CONSUMER.CREATE.KV_test-", true},
      {"subscribe", "_INBOX.>", "Subscription to \"_INBOX.", true},
      {"publish", "$JS.API.STREAM.MSG.GET.>", "\"$JS.API.STREAM.MSG.GET.KV_test-election\"", false},
      {"publish", "$KV.>", "\"$KV.test-election.control\"", false},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.denied);
    ReloadServer(cluster.server(), config(one.direction, one.denied));
    const Ran order = run("pause");
    EXPECT_EQ(order.code, 2) << order.out;
    EXPECT_THAT(order.out, AllOf(HasSubstr("Permissions Violation"), HasSubstr(one.named),
                                 HasSubstr("docs/operations.md"), Not(HasSubstr("sesame"))));
    if (!one.status) continue;
    const Ran status = run("status");
    EXPECT_EQ(status.code, 2) << status.out;
    EXPECT_THAT(status.out, AllOf(HasSubstr("can't tell"), HasSubstr(one.named),
                                  HasSubstr("docs/operations.md"), Not(HasSubstr("sesame"))));
  }
  ReloadServer(cluster.server(), config("publish", "nothing"));
  EXPECT_EQ(cluster.Finish(), "");
}

// The permission to create buckets may be taken away once they are there.
TEST_F(PermissionsTest, AWorkerWithoutTheRightToCreateUsesWhatIsThere) {
  StartWorker("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  kv::NatsKvOptions options;
  options.nats = As(cluster_.server(), "reader");  // which may not create
  options.heartbeat_ttl = core::kSecond;           // as preset fast
  KvClient client(options);
  EXPECT_EQ(client.WaitReady(), absl::OkStatus());
  EXPECT_EQ(cluster_.Finish(), "");
}

}  // namespace
}  // namespace parti::test
