#include "internal/kv/connection_check.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "internal/kv/nkey.h"
#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

absl::StatusOr<std::string> ReadFile(std::string_view field, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad() || (text.empty() && errno != 0)) {
    return Invalid("{} \"{}\" can't be read: {}; is the path right, and readable to this process?",
                   field, path, errno == 0 ? "unknown error" : std::strerror(errno));
  }
  if (text.size() > kMaxFileBytes) {
    return Invalid("{} \"{}\" has {} bytes, more than 1 MiB: it is another kind of file", field,
                   path, text.size());
  }
  return text;
}

using Bio = std::unique_ptr<BIO, int (*)(BIO*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;
using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

Bio Reader(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

Certificate ReadCertificate(const std::string& pem) {
  return {PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr), &X509_free};
}

// OpenSSL would ask for a passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

Key ReadKey(const std::string& pem) {
  return {PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, &NoPassphrase, nullptr),
          &EVP_PKEY_free};
}

absl::Status CheckUrl(const std::string& url) {
  const std::string address = AddressOf(url);
  const std::string scheme = SchemeOf(url);
  if (!scheme.empty() && scheme != "nats" && scheme != "tls") {
    return Invalid("url {}://{}: the scheme must be nats or tls", scheme, address);
  }
  if (HostOf(address).empty()) {
    return Invalid("url \"{}\" names no host; one looks like nats://host:4222", address);
  }
  const std::string port = PortOf(address);
  int number = 0;
  const char* const end = port.data() + port.size();
  const auto [at, error] = std::from_chars(port.data(), end, number);
  const bool good = error == std::errc() && at == end && number >= 1 && number <= 65535;
  if (!good && (!port.empty() || address.ends_with(':'))) {
    return Invalid("url \"{}\": the port must be a number from 1 to 65535", address);
  }
  return absl::OkStatus();
}

absl::Status CheckPair(const TlsOptions& tls) {
  absl::StatusOr<std::string> pem = ReadFile("tls.certificate_file", tls.certificate_file);
  if (!pem.ok()) return pem.status();
  const Certificate certificate = ReadCertificate(*pem);
  if (certificate == nullptr) {
    return Invalid("tls.certificate_file \"{}\" holds no certificate in PEM form",
                   tls.certificate_file);
  }
  pem = ReadFile("tls.key_file", tls.key_file);
  if (!pem.ok()) return pem.status();
  const Key key = ReadKey(*pem);
  if (key == nullptr) {
    const bool encrypted = pem->find("ENCRYPTED") != std::string::npos;
    return Invalid("tls.key_file \"{}\" {}", tls.key_file,
                   encrypted ? "is encrypted; give an unencrypted one, readable to its user alone"
                             : "holds no private key in PEM form");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Invalid("tls.key_file \"{}\" is not the key of tls.certificate_file \"{}\"",
                   tls.key_file, tls.certificate_file);
  }
  return absl::OkStatus();
}

absl::Status CheckSeed(std::string_view field, const std::string& path, const std::string& seed) {
  if (seed.empty()) {
    return Invalid("{} \"{}\" holds no nkey seed, which begins with SU", field, path);
  }
  const absl::StatusOr<std::string> key = UserPublicKey(seed);
  if (key.ok()) return absl::OkStatus();
  return Invalid("{} \"{}\": {}", field, path, std::string(key.status().message()));
}

absl::Status CheckCredentialsFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile("credentials_file", path);
  if (!text.ok()) return text.status();
  const std::string jwt = FindJwt(*text);
  if (std::count(jwt.begin(), jwt.end(), '.') != 2) {
    return Invalid(
        "credentials_file \"{}\" holds no user JWT (between BEGIN NATS USER JWT and END); create "
        "one with `nsc generate creds`",
        path);
  }
  return CheckSeed("credentials_file", path, FindSeed(*text));
}

}  // namespace

absl::Status CheckOneWay(const ConnectionOptions& options) {
  const std::vector<std::string> urls = SplitUrls(options.url);
  std::vector<std::string_view> ways;
  if (std::any_of(urls.begin(), urls.end(), &HasUserInfo)) ways.push_back("credentials in the url");
  if (!options.user.empty() || !options.password.empty()) ways.push_back("user and password");
  if (!options.token.empty()) ways.push_back("token");
  if (!options.credentials_file.empty()) ways.push_back("credentials_file");
  if (!options.nkey_seed_file.empty()) ways.push_back("nkey_seed_file");
  if (options.connection != nullptr) {
    if (options.url != ConnectionOptions::kDefaultUrl) ways.push_back("url");
    if (options.tls.used()) ways.push_back("tls");
    if (ways.empty()) return absl::OkStatus();
    return Invalid("connection is given, and so is {}, which it makes meaningless: drop one",
                   ways.front());
  }
  if (ways.size() < 2) return absl::OkStatus();
  return Invalid("{} are both given; choose one way to authenticate", fmt::join(ways, " and "));
}

absl::Status CheckUrls(const ConnectionOptions& options) {
  const std::vector<std::string> urls = SplitUrls(options.url);
  if (urls.empty()) {
    return Invalid("url is empty; give the address of a NATS server, such as {}",
                   ConnectionOptions::kDefaultUrl);
  }
  for (const std::string& url : urls) {
    if (absl::Status status = CheckUrl(url); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckCredentials(const ConnectionOptions& options) {
  if (options.user.empty() && !options.password.empty()) {
    return Invalid("password is given without user");
  }
  if (!options.user.empty() && options.password.empty()) {
    return Invalid("password of user \"{}\" is empty", options.user);
  }
  if (!options.credentials_file.empty()) return CheckCredentialsFile(options.credentials_file);
  if (!options.nkey_seed_file.empty()) return NkeyOf(options).status();
  return absl::OkStatus();
}

absl::Status CheckTls(const ConnectionOptions& options) {
  const TlsOptions& tls = options.tls;
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return Invalid("tls.{} is given without tls.{}: a certificate needs its key, and a key its {}",
                   tls.key_file.empty() ? "certificate_file" : "key_file",
                   tls.key_file.empty() ? "key_file" : "certificate_file", "certificate");
  }
  if (tls.skip_verification && (!tls.ca_file.empty() || !tls.server_name.empty())) {
    return Invalid("tls.skip_verification makes tls.{} meaningless: drop one",
                   tls.ca_file.empty() ? "server_name" : "ca_file");
  }
  if (!tls.ca_file.empty()) {
    const absl::StatusOr<std::string> pem = ReadFile("tls.ca_file", tls.ca_file);
    if (!pem.ok()) return pem.status();
    if (ReadCertificate(*pem) == nullptr) {
      return Invalid("tls.ca_file \"{}\" holds no certificate in PEM form", tls.ca_file);
    }
  }
  return tls.certificate_file.empty() ? absl::OkStatus() : CheckPair(tls);
}

absl::Status CheckInboxPrefix(const ConnectionOptions& options) {
  const std::string& prefix = options.inbox_prefix;
  const bool known = std::all_of(prefix.begin(), prefix.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
  });
  if (known && !prefix.empty() && prefix.front() != '.' && prefix.back() != '.' &&
      prefix.find("..") == std::string::npos && prefix.size() <= 100) {
    return absl::OkStatus();
  }
  return Invalid(
      "inbox_prefix \"{}\" can't begin a subject; give at most 100 letters, digits, '_' and '-', "
      "with single dots between, such as _INBOX",
      prefix);
}

std::string ExpiryOf(const ConnectionOptions& options) {
  const absl::StatusOr<std::string> text = ReadFile("credentials_file", options.credentials_file);
  if (!text.ok()) return {};
  const std::string jwt = FindJwt(*text);
  const std::size_t begin = jwt.find('.') + 1;
  std::string claims;
  if (!absl::WebSafeBase64Unescape(jwt.substr(begin, jwt.find('.', begin) - begin), &claims)) {
    return {};
  }
  const auto json = nlohmann::json::parse(claims, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("exp") || !json["exp"].is_number_integer()) return {};
  const auto expiry = json["exp"].get<std::int64_t>();
  if (expiry <= 0 || expiry > absl::ToUnixSeconds(absl::Now())) return {};
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(expiry),
                          absl::UTCTimeZone());
}

absl::StatusOr<std::string> NkeyOf(const ConnectionOptions& options) {
  const std::string& path = options.nkey_seed_file;
  const absl::StatusOr<std::string> text = ReadFile("nkey_seed_file", path);
  if (!text.ok()) return text.status();
  const std::string seed = FindSeed(*text);
  if (absl::Status status = CheckSeed("nkey_seed_file", path, seed); !status.ok()) return status;
  return UserPublicKey(seed);
}

}  // namespace parti::kv
