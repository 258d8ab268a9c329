// Where something runs out or is refused: ids, payload, the server, its permissions. What is said
// then, and that the group goes on when it is put right. And groups that share a server.
#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "internal/wire/records.h"
#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"
#include "test/integration/local_group.h"

namespace parti::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// ---- ids

TEST(LimitsTest, AWorkerForWhomNoIdIsLeftSaysSoAndTakesTheFirstThatIsFree) {
  LocalGroup group;
  const auto options = [&](const std::string& name) {
    ManagerOptions two = group.Options(name);
    two.config.max_workers = 2;
    return two;
  };
  group.Start("a", options("a"));
  group.Start("b", options("b"));
  Manager& c = group.Create("c", options("c"));
  const absl::Status started = c.Start(milliseconds(1500));
  EXPECT_EQ(started.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Message(started), AllOf(HasSubstr("1500 ms"), HasSubstr("all 2 worker ids are taken"),
                                      HasSubstr("max_workers")));
  EXPECT_EQ(c.worker_id(), "");
  const std::string freed = group["a"].worker_id();
  EXPECT_EQ(group.Stop("a"), "");
  ASSERT_EQ(group.AwaitOwned({{"a", 0}, {"b", 4}, {"c", 4}}), "");
  EXPECT_EQ(c.worker_id(), freed);
  EXPECT_EQ(group.Finish(), "");
}

TEST(LimitsTest, AnIdOfAKilledWorkerIsFreeOnceItsLeaseIsOver) {
  Cluster cluster({.settings = {"max_workers=2"}});
  const auto a = cluster.Start("a");
  cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::string id = cluster.observer().View(a).worker;
  const auto c = cluster.Start("c");
  ASSERT_EQ(cluster.Await([&] {
    return cluster.group().ErrorTail(c).find("all 2 worker ids are taken") != std::string::npos;
  }),
            "");
  cluster.group().Kill(a);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  EXPECT_EQ(cluster.observer().View(c).worker, id);
  EXPECT_EQ(cluster.Finish(), "");
}

// ---- payload

// With 16 KiB a doc holds about 250 partitions, so 600 of them take three workers.
constexpr char kSmallPayload[] = "max_payload: 16384";

int CountLines(const Cluster& cluster, std::size_t worker, std::string_view text) {
  const std::vector<std::string> lines = ReadLines(cluster.ErrorFile(worker));
  return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.find(text) != std::string::npos;
  }));
}

TEST(LimitsTest, APlanTooLargeForTheServersPayloadIsRefusedUntilThereAreWorkersEnough) {
  Cluster cluster({.partitions = 600,
                   .server_config = kSmallPayload,
                   .settings = {"heartbeat_ttl=3s", "assume_new_group=true"}});
  const auto refusals = [&](const std::vector<std::size_t>& workers) {
    int count = 0;
    for (const std::size_t worker : workers) count += CountLines(cluster, worker, "max_payload");
    return count;
  };
  const auto a = cluster.Start("a");
  const auto b = cluster.Start("b");
  ASSERT_EQ(cluster.Await([&] { return refusals({a, b}) > 0; }), "");
  EXPECT_EQ(cluster.Owned(a) + cluster.Owned(b), 0U);
  // The leader says who, how much, the limit, and what to do.
  const std::string text = ReadFile(cluster.ErrorFile(a)) + ReadFile(cluster.ErrorFile(b));
  EXPECT_THAT(text, AllOf(HasSubstr("worker-"), HasSubstr("partitions"), HasSubstr("limit of"),
                          HasSubstr("standing assignment is kept"), HasSubstr("add workers")));

  const auto c = cluster.Start("c");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t owned = cluster.Owned(a);

  // When one dies, the others can't carry its share: they keep theirs.
  const int before = refusals({a, c});
  cluster.group().Kill(b);
  ASSERT_EQ(cluster.Await([&] { return refusals({a, c}) > before; }), "");
  // And the refusal is said now and then, not all the time.
  EXPECT_TRUE(StaysTrue(
      [&] {
        cluster.group().Poll();
        return cluster.Owned(a) == owned;
      },
      milliseconds(2000)));
  EXPECT_LE(refusals({a, c}) - before, 30);
  cluster.Start("d");
  EXPECT_EQ(cluster.Finish(), "");
}

// All of the first half to one worker and all of the second to the other, or the other way round.
class Halves : public AssignmentStrategy {
 public:
  std::string_view name() const override { return "halves"; }
  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    std::vector<std::int32_t> owners;
    const std::size_t half = input.partitions.size() / 2;
    for (std::size_t i = 0; i < input.partitions.size(); ++i) {
      const bool first = (i < half) != swapped;
      owners.push_back(first || input.workers.size() == 1 ? 0 : 1);
    }
    return owners;
  }
  std::atomic<bool> swapped{false};
};

// Two workers swap what they own, as much as a doc can hold. One is slow to release: while it does,
// its doc has no room for all that it is to get, and so that comes in batches.
TEST(LimitsTest, AMoveTooLargeForOneDocGoesInBatches) {
  constexpr int kEach = 200;
  Gate gate;
  const auto strategy = std::make_shared<Halves>();
  LocalGroup group({.partitions = 2 * kEach, .server = {.extra_config = kSmallPayload}});
  std::atomic<int> grants{0};
  const auto options = [&](const std::string& name) {
    ManagerOptions mine = group.Options(name);
    mine.config.release_timeout = milliseconds(60'000);
    mine.config.cold_start_window = milliseconds(2000);
    mine.strategy = strategy;
    return mine;
  };
  ManagerOptions slow = options("slow");
  slow.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  slow.hooks.on_assignment_changed = [&](const AssignmentChange& change) {
    if (strategy->swapped && !change.added.empty()) ++grants;
  };
  group.Create("slow", slow);
  group.Create("quick", options("quick"));
  ASSERT_TRUE(group["slow"].Start(kDeadline).ok());
  ASSERT_TRUE(group["quick"].Start(kDeadline).ok());
  ASSERT_EQ(group.AwaitOwned({{"slow", kEach}, {"quick", kEach}}), "");

  strategy->swapped = true;
  group["slow"].TriggerRebalance();
  group["quick"].TriggerRebalance();
  ASSERT_TRUE(WaitFor([&] { return gate.reached() && group.Owned("quick") == 0; }));
  Admin admin(group.server().url());
  const nlohmann::json ask = {{"last_by_subj", "$KV.test-assignment." + group["slow"].worker_id()}};
  wire::Doc doc;
  ASSERT_TRUE(WaitFor([&] {
    const auto answer = admin.Ask("$JS.API.STREAM.MSG.GET.KV_test-assignment", ask);
    std::string bytes;
    if (!absl::Base64Unescape(answer["message"].value("data", ""), &bytes)) return false;
    doc = wire::DecodeDoc(bytes).value();
    return !doc.owned.empty() && !doc.releasing.empty();
  }));
  EXPECT_EQ(doc.releasing.size(), kEach);
  EXPECT_LT(doc.owned.size(), kEach);
  gate.Open();
  EXPECT_EQ(group.AwaitOwned({{"slow", kEach}, {"quick", kEach}}), "");
  EXPECT_TRUE(WaitFor([&] { return grants >= 2; })) << grants;
  EXPECT_EQ(group.Finish(), "");
}

// ---- the server

TEST(LimitsTest, StartSaysWhichServerItCannotReachAndTheWorkerJoinsWhenItIsThere) {
  LocalGroup group({.server = {.start = false}});
  Manager& a = group.Create("a", group.Options("a"));
  const absl::Status started = a.Start(milliseconds(1000));
  EXPECT_EQ(started.code(), absl::StatusCode::kDeadlineExceeded);
  const std::string address = fmt::format("127.0.0.1:{}", group.server().port());
  EXPECT_THAT(Message(started), AllOf(HasSubstr("can't connect"), HasSubstr(address)));
  EXPECT_TRUE(group.log("a").Has(address));
  RestartServer(group.server());
  EXPECT_EQ(group.AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group.Finish(), "");
}

struct Refusal {
  std::string what;
  std::string server;  // configuration
  std::string user;    // of the URL
  std::vector<std::string> said;
  friend void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.what; }
};

const char* Users() { return "w:open-sesame@"; }

std::string Denying(const std::string& direction, const std::string& subject) {
  return fmt::format(
      "authorization {{ users: [ {{ user: w, password: open-sesame, permissions: {{ {}: {{ deny: "
      "[\"{}\"] }} }} }} ] }}",
      direction, subject);
}

std::vector<Refusal> Refusals() {
  const std::string users = "authorization { user: w, password: open-sesame }";
  return {
      {"wrong password", users, "w:close-sesame@", {"127.0.0.1:", "check the user and password"}},
      {"no password", users, "", {"127.0.0.1:", "give user and password"}},
      {"no JetStream for the account",
       "accounts: { JS: { jetstream: enabled, users: [ { user: js, password: open-sesame } ] }\n"
       "            PLAIN: { users: [ { user: w, password: open-sesame } ] } }",
       Users(),
       {"JetStream not enabled for account", "enable JetStream"}},
      {"may not create buckets",
       Denying("publish", "$JS.API.STREAM.CREATE.>"),
       Users(),
       {"$JS.API.STREAM.CREATE.KV_test-stableid", "Permissions Violation"}},
      {"may not look at buckets",
       Denying("publish", "$JS.API.STREAM.INFO.>"),
       Users(),
       {"$JS.API.STREAM.INFO.KV_test-stableid", "Permissions Violation"}},
      {"may not write claims",
       Denying("publish", "$KV.test-stableid.>"),
       Users(),
       {"$KV.test-stableid.worker-", "Permissions Violation"}},
      {"may not write heartbeats",
       Denying("publish", "$KV.test-heartbeat.>"),
       Users(),
       {"$KV.test-heartbeat.worker-", "Permissions Violation"}},
      {"may not read",
       Denying("publish", "$JS.API.STREAM.MSG.GET.>"),
       Users(),
       {"$JS.API.STREAM.MSG.GET.KV_test-", "Permissions Violation"}},
      {"may not watch",
       Denying("publish", "$JS.API.CONSUMER.CREATE.>"),
       Users(),
       {"$JS.API.CONSUMER.CREATE.KV_test-", "Permissions Violation"}},
      {"may not hear answers",
       Denying("subscribe", "_INBOX.>"),
       Users(),
       {"_INBOX", "Permissions Violation"}},
  };
}

class RefusalTest : public testing::TestWithParam<Refusal> {};

// Start fails with what is wrong, or if it may pass says so when its time is up; the command ends
// with status 1, having said it. No password is in any text.
TEST_P(RefusalTest, IsSaidByStartAndByTheCommand) {
  const Refusal& refusal = GetParam();
  LocalGroup group({.server = {.extra_config = refusal.server}});
  const std::string url = fmt::format("nats://{}127.0.0.1:{}", refusal.user, group.server().port());
  ManagerOptions options = group.Options("a");
  options.nats.url = url;
  const absl::Status started = group.Create("a", options).Start(milliseconds(5000));
  EXPECT_FALSE(started.ok());
  for (const std::string& said : refusal.said) EXPECT_THAT(Message(started), HasSubstr(said));
  EXPECT_THAT(Message(started) + group.log("a").Text(), Not(HasSubstr("sesame")));

  const auto folder = MakeTempDir();
  const auto worker = StartProcess({.argv = {PARTI_BINARY, "worker", "--server", url, "--prefix",
                                             "test", "--partitions", "3", "--preset", "fast"},
                                    .stdout_file = folder->File("out"),
                                    .stderr_file = folder->File("err")});
  const auto text = [&] { return ReadFile(folder->File("err")); };
  const auto exit = worker->Wait(std::chrono::seconds(5));
  ASSERT_TRUE(exit.has_value()) << text();
  EXPECT_EQ(exit->code, 1) << text();
  for (const std::string& said : refusal.said) EXPECT_THAT(text(), HasSubstr(said));
  EXPECT_THAT(text(), Not(HasSubstr("sesame")));
}

INSTANTIATE_TEST_SUITE_P(Server, RefusalTest, testing::ValuesIn(Refusals()),
                         [](const testing::TestParamInfo<Refusal>& refusal) {
                           std::string name;
                           bool upper = true;
                           for (const char c : refusal.param.what) {
                             if (c == ' ') {
                               upper = true;
                               continue;
                             }
                             name += upper ? static_cast<char>(std::toupper(c)) : c;
                             upper = false;
                           }
                           return name;
                         });

// ---- neighbours

TEST(LimitsTest, TwoGroupsOnOneServerDoNotDisturbEachOther) {
  const std::vector<std::string> settings = {"heartbeat_ttl=3s", "assume_new_group=true"};
  Cluster orders({.prefix = "orders", .settings = settings});
  Cluster mails({.server = &orders.server(), .prefix = "mails", .settings = settings});
  for (const char* name : {"a", "b", "c"}) {
    orders.Start(name);
    mails.Start(name);
  }
  ASSERT_EQ(orders.AwaitSettled(), "");
  ASSERT_EQ(mails.AwaitSettled(), "");
  const auto before = mails.OwnerIds();
  const std::int64_t settled = cli::BootNanos();
  orders.group().Kill(orders.group().Leader().value());
  ASSERT_EQ(orders.AwaitSettled(), "");
  orders.Start("d");
  ASSERT_EQ(orders.AwaitSettled(), "");
  mails.group().Poll();
  EXPECT_EQ(mails.OwnerIds(), before);
  for (const std::size_t worker : mails.group().Living()) {
    for (const cli::EventLine& event : mails.Events(worker)) {
      if (event.t > settled) {
        EXPECT_EQ(event.kind, cli::EventKind::kLease);
      }
    }
  }
  EXPECT_EQ(orders.Finish(), "");
  EXPECT_EQ(mails.Finish(), "");
}

}  // namespace
}  // namespace parti::test
