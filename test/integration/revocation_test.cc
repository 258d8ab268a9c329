// Access that is taken away while a worker runs, by a reload of the server's configuration: it owns
// nothing after its lease, says once why and what to do, and goes on when it has access again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "test/integration/kv_client.h"
#include "test/integration/local_group.h"
#include "test/support/nkeys.h"

namespace parti::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr milliseconds kAWhile(1500);  // tries to connect are a second apart

class RevocationTest : public testing::Test {
 protected:
  // A group of one on a server of this configuration, that owns everything.
  void Start(const std::string& config, const std::function<void(ConnectionOptions&)>& as) {
    config_ = config;
    group_ = std::make_unique<LocalGroup>(LocalGroupOptions{.server = {.extra_config = config}});
    ManagerOptions options = group_->Options("a");
    as(options.nats);
    group_->Start("a", options);
    ASSERT_EQ(group_->AwaitOwned({{"a", 8}}), "");
  }

  // Whatever is said of it is said `times`, and what is said holds all of `said`.
  void IsSaid(const std::string& cause, int times, const std::vector<std::string>& said) {
    LineLog& log = group_->log("a");
    EXPECT_TRUE(WaitFor([&] { return log.Count(cause) >= times; })) << log.Text();
    EXPECT_TRUE(StaysTrue([&] { return log.Count(cause) == times; }, kAWhile)) << log.Text();
    for (const std::string& line : log.lines()) {
      if (line.find(cause) == std::string::npos) continue;
      for (const std::string& one : said) EXPECT_THAT(line, HasSubstr(one));
    }
    EXPECT_THAT(log.Text(), Not(HasSubstr("sesame")));
  }

  // Taken away and given back, twice: `cause` tells the line by which it is said.
  void TakeAwayAndGiveBack(const std::string& without, const std::string& cause,
                           const std::vector<std::string>& said) {
    for (int times = 1; times <= 2; ++times) {
      ReloadServer(group_->server(), without);
      ASSERT_EQ(group_->AwaitOwned({{"a", 0}}), "");
      IsSaid(cause, times, said);
      ReloadServer(group_->server(), config_);
      ASSERT_EQ(group_->AwaitOwned({{"a", 8}}), "");
    }
    EXPECT_EQ(group_->Finish(), "");
  }

  std::string Address() const { return fmt::format("127.0.0.1:{}", group_->server().port()); }

  std::string config_;
  std::unique_ptr<LocalGroup> group_;
};

// w with these permissions, and somebody else.
std::string Users(const std::string& permissions) {
  return fmt::format(
      "authorization {{ users: [ {{ user: other, password: x }}, {{ user: w, password: "
      "open-sesame, permissions: {{ {} }} }} ] }}",
      permissions);
}

void AsW(ConnectionOptions& nats) {
  nats.user = "w";
  nats.password = "open-sesame";
}

TEST_F(RevocationTest, AUserThatIsTakenAway) {
  Start(Users(""), AsW);
  TakeAwayAndGiveBack("authorization { users: [ { user: other, password: x } ] }",
                      "user \"w\" or its password was refused",
                      {Address(), "check user and password"});
}

TEST_F(RevocationTest, APasswordThatIsChanged) {
  Start(Users(""), AsW);
  TakeAwayAndGiveBack("authorization { users: [ { user: w, password: another } ] }",
                      "user \"w\" or its password was refused",
                      {Address(), "check user and password"});
}

TEST_F(RevocationTest, TheRightToWriteHeartbeats) {
  Start(Users(""), AsW);
  TakeAwayAndGiveBack(Users("publish: { deny: \"$KV.test-heartbeat.>\" }"), "NATS refuses",
                      {"Publish to \"$KV.test-heartbeat.worker-", "grant the user"});
}

TEST_F(RevocationTest, TheRightToHearAnswers) {
  Start(Users(""), AsW);
  TakeAwayAndGiveBack(Users("subscribe: { deny: \"_INBOX.>\" }"), "NATS refuses",
                      {"Subscription to \"_INBOX.", "set inbox_prefix"});
}

TEST_F(RevocationTest, TheRightToPublishAnything) {
  Start(Users(""), AsW);
  ReloadServer(group_->server(), Users("publish: { deny: \">\" }"));
  ASSERT_EQ(group_->AwaitOwned({{"a", 0}}), "");
  IsSaid("NATS refuses: Permissions Violation for Publish to \"$KV.test-heartbeat.", 1,
         {"grant the user"});
  EXPECT_TRUE(WaitFor([&] { return group_->log("a").Has("$JS.API."); }));
  // Of each kind of subject one, whichever consumers and workers they name.
  EXPECT_LE(group_->log("a").Count("NATS refuses"), 30) << group_->log("a").Text();
  ReloadServer(group_->server(), config_);
  ASSERT_EQ(group_->AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group_->Finish(), "");
}

TEST_F(RevocationTest, AnNkey) {
  const Nkey user(Nkey::kUser, 1);
  const auto folder = MakeTempDir();
  const std::string file = folder->File("user.nk");
  WriteFile(file, user.seed());
  const std::string others = "{ user: other, password: x }";
  Start(fmt::format("authorization {{ users: [ {}, {{ nkey: {} }} ] }}", others, user.public_key()),
        [&](ConnectionOptions& nats) { nats.nkey_seed_file = file; });
  TakeAwayAndGiveBack(fmt::format("authorization {{ users: [ {} ] }}", others),
                      "nkey " + user.public_key() + " was refused",
                      {Address(), "check nkey_seed_file"});
}

TEST_F(RevocationTest, CredentialsThatAreRevokedAndThenReplaced) {
  const OperatorMode mode = MakeOperatorMode();
  const auto folder = MakeTempDir();
  const std::string file = folder->File("user.creds");
  WriteFile(file, mode.credentials);
  Start(mode.config, [&](ConnectionOptions& nats) { nats.credentials_file = file; });
  ReloadServer(group_->server(), mode.revoking);
  ASSERT_EQ(group_->AwaitOwned({{"a", 0}}), "");
  IsSaid("were refused", 1, {Address(), file, "revoked", "have new ones made"});
  // The file is read at each attempt: whatever becomes of it is noticed.
  WriteFile(file, "none any more");
  IsSaid("holds no user JWT", 1, {file});
  WriteFile(file, mode.renewed);
  ASSERT_EQ(group_->AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group_->Finish(), "");
}

// Each of several servers has its own reason; they take turns, and each is said once.
TEST(RefusedByAllTest, EachServersReasonIsSaidOnce) {
  const auto one = StartServer({.extra_config = "authorization { token: x }"});
  const auto another = StartServer({.extra_config = "authorization { token: x }"});
  kv::NatsKvOptions options;
  options.heartbeat_ttl = core::kSecond;
  options.nats.url = one->url() + "," + another->url();
  KvClient client(options);
  EXPECT_EQ(client.WaitReady().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(WaitFor([&] { return client.Errors().size() == 2; }));
  EXPECT_TRUE(StaysTrue([&] { return client.Errors().size() == 2; }, milliseconds(4000)));
  EXPECT_NE(client.Errors()[0], client.Errors()[1]);
}

}  // namespace
}  // namespace parti::test
