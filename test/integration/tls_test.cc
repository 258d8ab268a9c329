// TLS that doesn't come about: what is wrong with whose certificate, and what to do, in words.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "parti/connection.h"
#include "test/integration/kv_client.h"
#include "test/support/certificates.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using std::chrono::hours;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr hours kLongAgo(-72);
constexpr hours kYesterday(-24);

absl::Status Ready(const ConnectionOptions& nats) {
  kv::NatsKvOptions options;
  options.nats = nats;
  KvClient client(options);
  return client.WaitReady();
}

struct Bad {
  std::string what;  // of the test's name
  CertificateSpec certificate;
  std::vector<std::string> said;
  friend void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.what; }
};

std::string NameOf(const testing::TestParamInfo<Bad>& bad) { return bad.param.what; }

class ServerCertificateTest : public testing::TestWithParam<Bad> {};

TEST_P(ServerCertificateTest, IsRefusedForWhatIsWrongWithIt) {
  const auto folder = MakeTempDir();
  const Certificates files(folder->path());
  CertificateSpec spec = GetParam().certificate;
  spec.name = "bad";
  files.Make(spec);
  const auto server = StartServer({.extra_config = files.ServerConfig(false, "bad")});
  const absl::Status refused =
      Ready({.url = server->url(), .tls = {.ca_file = files.File("ca.pem")}});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  const std::string text(refused.message());
  for (const std::string& said : GetParam().said) EXPECT_THAT(text, HasSubstr(said));
  EXPECT_THAT(text, HasSubstr(fmt::format("127.0.0.1:{}", server->port())));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, ServerCertificateTest,
    testing::Values(
        Bad{"Expired",
            {.issuer = "ca", .from = kLongAgo, .to = kYesterday},
            {"certificate has expired", "renew"}},
        Bad{"NotYetValid", {.issuer = "ca", .from = hours(24), .to = hours(48)}, {"not yet valid"}},
        Bad{"OfAnotherAuthority", {.issuer = "other"}, {"ca.pem", "signed"}},
        Bad{"SignedByItself", {}, {"ca.pem", "signed"}},
        Bad{"ForAnotherAddress",
            {.issuer = "ca", .host = "IP:127.0.0.2"},
            {"127.0.0.1", "tls.server_name"}},
        Bad{"ForAName",
            {.issuer = "ca", .host = "DNS:nats.example"},
            {"127.0.0.1", "tls.server_name"}}),
    NameOf);

class ClientCertificateTest : public testing::TestWithParam<Bad> {};

TEST_P(ClientCertificateTest, IsRefusedForWhatIsWrongWithIt) {
  const auto folder = MakeTempDir();
  const Certificates files(folder->path());
  const auto server = StartServer({.extra_config = files.ServerConfig(true)});
  ConnectionOptions nats{.url = server->url(), .tls = {.ca_file = files.File("ca.pem")}};
  if (GetParam().what != "Missing") {
    CertificateSpec spec = GetParam().certificate;
    spec.name = "bad";
    files.Make(spec);
    nats.tls.certificate_file = files.File("bad.pem");
    nats.tls.key_file = files.File("bad.key");
  }
  kv::NatsKvOptions options;
  options.nats = nats;
  KvClient client(options);
  ASSERT_TRUE(WaitFor([&] { return !client.Errors().empty(); }));
  const absl::Status refused = client.Errors().front();
  const std::string text(refused.message());
  // On a slow machine a server that has had enough of waiting does the same.
  const bool certain = text.find("or was too busy") == std::string::npos;
  EXPECT_EQ(refused.code(),
            certain ? absl::StatusCode::kUnauthenticated : absl::StatusCode::kUnavailable)
      << refused;
  for (const std::string& said : GetParam().said) EXPECT_THAT(text, HasSubstr(said));
  EXPECT_THAT(text, HasSubstr(fmt::format("127.0.0.1:{}", server->port())));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, ClientCertificateTest,
    testing::Values(Bad{"Missing", {}, {"tls.certificate_file and tls.key_file"}},
                    Bad{"Expired",
                        {.issuer = "ca", .from = kLongAgo, .to = kYesterday},
                        {"bad.pem", "has expired"}},
                    Bad{"OfAnotherAuthority", {.issuer = "other"}, {"bad.pem", "CN=other"}},
                    Bad{"SignedByItself", {}, {"bad.pem", "itself"}}),
    NameOf);

// The command says it in the words of its flags.
TEST(TlsCommandTest, AWorkerAndStatusNameTheFlag) {
  const auto folder = MakeTempDir();
  const Certificates files(folder->path());
  files.Make({.name = "old", .issuer = "ca", .from = kLongAgo, .to = kYesterday});
  const auto server = StartServer({.extra_config = files.ServerConfig(true)});
  for (const char* command : {"worker", "status"}) {
    const std::string log = folder->File(command);
    std::vector<std::string> argv = {PARTI_BINARY, command,
                                     "--server",   server->url(),
                                     "--tls-ca",   files.File("ca.pem"),
                                     "--tls-cert", files.File("old.pem"),
                                     "--tls-key",  files.File("old.key")};
    if (argv[1] == "worker") argv.insert(argv.end(), {"--partitions", "3"});
    const auto process = StartProcess({.argv = argv, .stdout_file = log, .stderr_file = log});
    if (argv[1] == "status") {
      const auto exit = process->Wait(kDeadline);
      ASSERT_TRUE(exit.has_value());
      EXPECT_EQ(exit->code, 2);
    }
    EXPECT_TRUE(WaitFor([&] { return ReadFile(log).find("has expired") != std::string::npos; }));
    EXPECT_THAT(ReadFile(log), AllOf(HasSubstr("--tls-cert \"" + files.File("old.pem")),
                                     Not(HasSubstr("tls.certificate_file"))));
  }
}

}  // namespace
}  // namespace parti::test
