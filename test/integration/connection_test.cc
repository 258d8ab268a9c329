// Getting to NATS: each way to say who we are, with the right and with wrong credentials; TLS; and
// a connection that the application lends.
#include "parti/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <memory>
#include <string>

#include "internal/kv/nkey.h"
#include "parti/manager.h"
#include "strategies/strategies.h"
#include "test/integration/kv_client.h"
#include "test/support/certificates.h"
#include "test/support/nkeys.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using wire::Bucket;
using wire::KvCode;

absl::Status Ready(const ConnectionOptions& nats) {
  kv::NatsKvOptions options;
  options.nats = nats;
  KvClient client(options);
  return client.WaitReady();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class ConnectionTest : public testing::Test {
 protected:
  std::string File(const std::string& name, const std::string& text) {
    const std::string path = folder_->path() + "/" + name;
    WriteFile(path, text);
    return path;
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
};

TEST_F(ConnectionTest, UserAndPassword) {
  const auto server = StartServer({.extra_config = "authorization { user: bob, password: right }"});
  ConnectionOptions nats{.url = server->url(), .user = "bob", .password = "right"};
  EXPECT_EQ(Ready(nats), absl::OkStatus());
  nats.password = "guessed";
  const absl::Status refused = Ready(nats);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("\"bob\""), HasSubstr("check user and password"),
                                      Not(HasSubstr("guessed"))));
  const absl::Status unknown = Ready({.url = server->url()});
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(unknown), HasSubstr("give user and password, token"));
}

TEST_F(ConnectionTest, Token) {
  const auto server = StartServer({.extra_config = "authorization { token: right }"});
  EXPECT_EQ(Ready({.url = server->url(), .token = "right"}), absl::OkStatus());
  const absl::Status refused = Ready({.url = server->url(), .token = "guessed"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("check token"), Not(HasSubstr("guessed"))));
}

TEST_F(ConnectionTest, ThePublicKeyIsDerivedFromTheSeed) {
  // The pair that the documentation of NATS shows.
  EXPECT_EQ(kv::UserPublicKey("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY").value(),
            "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
}

TEST_F(ConnectionTest, Nkey) {
  const Nkey user(Nkey::kUser, 1);
  const Nkey stranger(Nkey::kUser, 2);
  const auto server = StartServer(
      {.extra_config = "authorization { users = [ { nkey: " + user.public_key() + " } ] }"});
  ConnectionOptions nats{.url = server->url(), .nkey_seed_file = File("user.nk", user.seed())};
  EXPECT_EQ(Ready(nats), absl::OkStatus());
  nats.nkey_seed_file = File("lines.nk", user.seed() + "\n");
  EXPECT_EQ(Ready(nats), absl::OkStatus());
  nats.nkey_seed_file = File("stranger.nk", stranger.seed());
  const absl::Status refused = Ready(nats);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(refused),
              AllOf(HasSubstr(stranger.public_key()), HasSubstr("check nkey_seed_file"),
                    Not(HasSubstr(stranger.seed()))));
}

TEST_F(ConnectionTest, CredentialsFile) {
  const OperatorMode mode = MakeOperatorMode();
  const auto server = StartServer({.extra_config = mode.config});
  ConnectionOptions nats{.url = server->url(),
                         .credentials_file = File("user.creds", mode.credentials)};
  EXPECT_EQ(Ready(nats), absl::OkStatus());
  nats.credentials_file = File("forged.creds", mode.forged);
  const absl::Status refused = Ready(nats);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("forged.creds"), HasSubstr("have new ones made")));
  nats.credentials_file = File("old.creds", mode.expired);
  const absl::Status expired = Ready(nats);
  EXPECT_EQ(expired.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Message(expired),
              AllOf(HasSubstr("old.creds"), HasSubstr("have expired on 1970-01-01 00:00:02 UTC")));
}

TEST_F(ConnectionTest, TlsTrustsOnlyWhomItIsToldTo) {
  const Certificates files(folder_->path());
  const auto server = StartServer({.extra_config = files.ServerConfig(false)});
  const std::string tls_url = "tls" + server->url().substr(4);
  EXPECT_EQ(Ready({.url = tls_url, .tls = {.ca_file = files.File("ca.pem")}}), absl::OkStatus());
  EXPECT_EQ(Ready({.url = server->url(), .tls = {.skip_verification = true}}), absl::OkStatus());
  const struct {
    TlsOptions tls;
    std::string said;
  } cases[] = {
      {{.ca_file = files.File("other.pem")}, "tls.ca_file must name who signed"},
      {{}, "tls.ca_file must name who signed"},
      {{.ca_file = files.File("ca.pem"), .server_name = "nats.example"},
       "for \"nats.example\", as tls.server_name says"},
  };
  for (const auto& one : cases) {
    const absl::Status refused = Ready({.url = tls_url, .tls = one.tls});
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(Message(refused), HasSubstr(one.said));
  }
  // A server that wants TLS gets it, and is not trusted for that.
  const absl::Status plain = Ready({.url = server->url()});
  EXPECT_EQ(plain.code(), absl::StatusCode::kFailedPrecondition) << plain;
  EXPECT_THAT(Message(plain), HasSubstr("tls.ca_file must name who signed"));
}

TEST_F(ConnectionTest, TlsWithClientCertificates) {
  const Certificates files(folder_->path());
  const auto server = StartServer({.extra_config = files.ServerConfig(true)});
  ConnectionOptions nats{.url = server->url(),
                         .tls = {.ca_file = files.File("ca.pem"),
                                 .certificate_file = files.File("client.pem"),
                                 .key_file = files.File("client.key")}};
  EXPECT_EQ(Ready(nats), absl::OkStatus());
  nats.tls.key_file = files.File("server.key");
  EXPECT_THAT(Message(nats.Validate()), HasSubstr("is not the key of tls.certificate_file"));
  nats.tls.key_file.clear();
  EXPECT_THAT(Message(nats.Validate()), HasSubstr("tls.certificate_file is given without tls.key"));
}

TEST_F(ConnectionTest, TlsThatTheServerHasNotIsTold) {
  const auto server = StartServer();
  const absl::Status refused = Ready({.url = server->url(), .tls = {.required = true}});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(Message(refused), HasSubstr("the server has none"));
}

TEST_F(ConnectionTest, WhatCannotWorkIsRefusedBeforeConnecting) {
  const Nkey user(Nkey::kUser, 1);
  std::string mistyped = user.seed();
  mistyped[20] = mistyped[20] == 'A' ? 'B' : 'A';
  const struct {
    ConnectionOptions nats;
    std::string text;
  } cases[] = {
      {{.url = " , "}, "url is empty"},
      {{.url = "http://a:1"}, "url http://a:1: the scheme must be nats or tls"},
      {{.url = "nats://u:secret@a:x"}, "url \"a:x\": the port"},
      {{.url = "nats://:4222"}, "names no host"},
      {{.user = "u"}, "password of user \"u\" is empty"},
      {{.password = "secret"}, "password is given without user"},
      {{.user = "u", .password = "secret", .token = "secret"}, "user and password and token are"},
      {{.url = "nats://secret@a", .token = "secret"}, "credentials in the url and token are"},
      {{.credentials_file = "/no/such"}, "credentials_file \"/no/such\" can't be read: No such"},
      {{.credentials_file = File("a.creds", "secret")}, "holds no user JWT"},
      {{.nkey_seed_file = File("a.nk", "secret")}, "holds no nkey seed"},
      {{.nkey_seed_file = File("b.nk", mistyped)}, "checksum is wrong"},
      {{.nkey_seed_file = File("c.nk", "SUsecret")}, "8 characters instead of 58"},
      {{.nkey_seed_file = File("d.nk", Nkey(Nkey::kAccount, 1).seed())}, "begins with SU"},
      {{.tls = {.ca_file = File("ca.pem", "secret")}}, "holds no certificate"},
      {{.tls = {.ca_file = "x", .skip_verification = true}}, "tls.ca_file meaningless"},
      {{.inbox_prefix = "a..b"}, "inbox_prefix \"a..b\""},
  };
  for (const auto& one : cases) {
    const absl::Status status = one.nats.Validate();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << one.text;
    EXPECT_THAT(Message(status), AllOf(HasSubstr(one.text), Not(HasSubstr("secret"))));
  }
}

TEST_F(ConnectionTest, AUserMayBeConfinedToAnInboxOfItsOwn) {
  const auto server = StartServer(
      {.extra_config =
           "authorization { users = [ { user: u, password: p, permissions: { subscribe: "
           "[\"_INBOX_u.>\"] } } ] }"});
  ConnectionOptions nats{.url = server->url(), .user = "u", .password = "p"};
  const absl::Status refused = Ready(nats);
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied) << refused;
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("_INBOX."), HasSubstr("set inbox_prefix")));
  nats.inbox_prefix = "_INBOX_u";
  EXPECT_EQ(Ready(nats), absl::OkStatus());
}

// The application's own connection, with the settings that it recommends.
class Lent {
 public:
  explicit Lent(const std::string& url) {
    natsOptions* options = nullptr;
    EXPECT_EQ(natsOptions_Create(&options), NATS_OK);
    natsOptions_SetURL(options, url.c_str());
    natsOptions_SetMaxReconnect(options, -1);
    natsOptions_SetReconnectWait(options, 20);
    natsOptions_SetReconnectBufSize(options, 0);
    natsOptions_SetPingInterval(options, 500);
    natsOptions_SetMaxPingsOut(options, 2);
    natsOptions_SetSendAsap(options, true);
    EXPECT_EQ(natsConnection_Connect(&connection_, options), NATS_OK);
    natsOptions_Destroy(options);
  }
  ~Lent() { natsConnection_Destroy(connection_); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  natsConnection* get() const { return connection_; }

 private:
  natsConnection* connection_ = nullptr;
};

TEST_F(ConnectionTest, ABorrowedConnectionIsUsedAndLeftOpen) {
  const auto server = StartServer();
  const Lent lent(server->url());
  for (int i = 0; i < 3; ++i) {
    kv::NatsKvOptions options;
    options.nats.connection = lent.get();
    KvClient client(options);
    ASSERT_EQ(client.WaitReady(), absl::OkStatus());
    const std::string key = "worker-" + std::to_string(i);
    const auto watch = client.Open(Bucket::kHeartbeat);
    EXPECT_EQ(client.Put(Bucket::kHeartbeat, key, 0, "x").code, KvCode::kOk);
    EXPECT_TRUE(client.AwaitEntries(watch, 1));
    EXPECT_TRUE(client.AwaitEnd(watch));
  }
  EXPECT_EQ(natsConnection_Status(lent.get()), NATS_CONN_STATUS_CONNECTED);
}

TEST_F(ConnectionTest, ABorrowedConnectionThatReconnectedIsANewOne) {
  const auto server = StartServer();
  const Lent lent(server->url());
  kv::NatsKvOptions options;
  options.nats.connection = lent.get();
  KvClient client(options);
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  const auto watch = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(watch));
  RestartServer(*server);
  EXPECT_TRUE(client.AwaitBroken(watch));
  EXPECT_TRUE(WaitFor([&] { return client.Connections().size() >= 3 && client.Connected(); }));
  const auto again = client.OpenUntilComplete(Bucket::kHeartbeat);
  EXPECT_EQ(client.Put(Bucket::kHeartbeat, "worker-0", 0, "x").code, KvCode::kOk);
  EXPECT_TRUE(client.AwaitEntries(again, 1));
  EXPECT_TRUE(client.Watch(watch).entries.empty());
}

TEST_F(ConnectionTest, WhatABorrowedConnectionMayNotDoIsToldOnce) {
  const auto server = StartServer(
      {.extra_config =
           "authorization { users = [ { user: u, password: p, permissions: { publish: { "
           "deny: \"$KV.parti-election.>\" } } } ] }"});
  const Lent lent("nats://u:p@" + server->url().substr(7));
  kv::NatsKvOptions options;
  options.nats.connection = lent.get();
  KvClient client(options);
  ASSERT_EQ(client.WaitReady(), absl::OkStatus());
  for (int i = 0; i < 2; ++i) client.SendPut(Bucket::kElection, "leader", 0, "x", core::kSecond);
  ASSERT_TRUE(WaitFor([&] { return !client.Errors().empty(); }));
  EXPECT_EQ(client.Errors().front().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(client.Errors().front()), HasSubstr("$KV.parti-election.leader"));
  EXPECT_TRUE(
      StaysTrue([&] { return client.Errors().size() == 1; }, std::chrono::milliseconds(300)));
}

class LentManagerTest : public ConnectionTest {
 protected:
  std::unique_ptr<Manager> Start(const std::string& identity, natsConnection* connection) {
    ManagerOptions options;
    options.config = Config::Preset("fast").value();
    options.config.identity = identity;
    options.config.assume_new_group = true;
    options.config.heartbeat_ttl = options.config.election_ttl = std::chrono::milliseconds(3000);
    options.nats.connection = connection;
    std::vector<Partition> partitions;
    for (int i = 0; i < 8; ++i) partitions.push_back({.keys = {"p", std::to_string(i)}});
    options.source = std::make_shared<StaticPartitionSource>(partitions);
    options.strategy = MakeRoundRobin();
    options.hooks.on_error = [this](const absl::Status& status) {
      const std::lock_guard lock(mutex_);
      errors_ += status.ToString() + "\n";
    };
    auto manager = Manager::Create(options).value();
    EXPECT_EQ(manager->Start(kDeadline), absl::OkStatus());
    return manager;
  }
  static std::size_t Owned(const Manager& manager) {
    std::size_t owned = 0;
    for (int i = 0; i < 8; ++i) owned += manager.Owns("p-" + std::to_string(i)) ? 1 : 0;
    return owned;
  }
  std::string Errors() {
    const std::lock_guard lock(mutex_);
    return errors_;
  }

 private:
  std::mutex mutex_;
  std::string errors_;
};

TEST_F(LentManagerTest, TwoManagersShareAConnectionAndSurviveTheServersRestart) {
  const auto server = StartServer();
  const Lent lent(server->url());
  const auto first = Start("first", lent.get());
  const auto second = Start("second", lent.get());
  const auto shared = [&] { return Owned(*first) == 4 && Owned(*second) == 4; };
  EXPECT_TRUE(WaitFor(shared));
  RestartServer(*server);
  EXPECT_TRUE(WaitFor([&] { return Errors().find("was lost") != std::string::npos; }));
  EXPECT_TRUE(WaitFor(shared));
  EXPECT_EQ(first->Stop(), absl::OkStatus());
  EXPECT_TRUE(WaitFor([&] { return Owned(*second) == 8; }));
  EXPECT_EQ(second->Stop(), absl::OkStatus());
  EXPECT_EQ(natsConnection_Status(lent.get()), NATS_CONN_STATUS_CONNECTED);
}

TEST_F(LentManagerTest, AConnectionClosedByItsOwnerEndsTheLeaseAndIsSaid) {
  const auto server = StartServer();
  const Lent lent(server->url());
  const auto manager = Start("first", lent.get());
  EXPECT_TRUE(WaitFor([&] { return Owned(*manager) == 8; }));
  natsConnection_Close(lent.get());
  EXPECT_TRUE(WaitFor([&] { return Owned(*manager) == 0; }));
  EXPECT_TRUE(WaitFor([&] {
    return Errors().find("that the application gave is closed") != std::string::npos;
  })) << Errors();
  EXPECT_EQ(manager->Stop(), absl::OkStatus());
}

TEST_F(LentManagerTest, AClosedConnectionFailsTheStart) {
  const auto server = StartServer();
  const Lent lent(server->url());
  natsConnection_Close(lent.get());
  const absl::Status status = Ready({.connection = lent.get()});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  ConnectionOptions both{.user = "u", .password = "p", .connection = lent.get()};
  EXPECT_THAT(Message(both.Validate()), HasSubstr("connection is given, and so is user"));
}

}  // namespace
}  // namespace parti::test
