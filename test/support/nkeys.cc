#include "test/support/nkeys.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace parti::test {
namespace {

constexpr std::string_view kLimits =
    R"("subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"conn":-1,"leaf":-1,)"
    R"("mem_storage":-1,"disk_storage":-1,"streams":-1,"consumer":-1,"wildcards":true)";

// Groups of `bits` bits, most significant first, as characters of an alphabet.
std::string Encode(std::string_view bytes, int bits, std::string_view alphabet) {
  std::string text;
  unsigned held = 0;
  int count = 0;
  for (const char c : bytes) {
    held = (held << 8 | static_cast<unsigned char>(c)) & 0xFFFF;
    for (count += 8; count >= bits; count -= bits) {
      text += alphabet[held >> (count - bits) & ((1U << bits) - 1)];
    }
  }
  if (count > 0) text += alphabet[held << (bits - count) & ((1U << bits) - 1)];
  return text;
}

std::string Base64Url(std::string_view bytes) {
  return Encode(bytes, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

std::string Base32WithCrc(std::string bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int i = 0; i < 8; ++i) crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021U : 0U)) & 0xFFFF;
  }
  bytes += static_cast<char>(crc & 0xFF);
  bytes += static_cast<char>(crc >> 8);
  return Encode(bytes, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
}

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

Key Ed25519(const std::string& raw) {
  return {
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                   reinterpret_cast<const unsigned char*>(raw.data()), raw.size()),
      &EVP_PKEY_free};
}

// `more`: further claims, each with a comma behind it.
std::string Jwt(const Nkey& issuer, const Nkey& subject, std::string_view nats,
                std::string_view more = R"("iat":1,)") {
  const std::string body =
      Base64Url(R"({"typ":"JWT","alg":"ed25519-nkey"})") + "." +
      Base64Url(fmt::format(R"({{"jti":"x",{}"iss":"{}","sub":"{}","name":"test","nats":{{)"
                            R"({},"version":2}}}})",
                            more, issuer.public_key(), subject.public_key(), nats));
  return body + "." + Base64Url(issuer.Sign(body));
}

std::string Credentials(const Nkey& account, const Nkey& user,
                        std::string_view more = R"("iat":1,)") {
  return fmt::format(
      "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n"
      "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
      Jwt(account, user, R"("subs":-1,"data":-1,"payload":-1,"type":"user")", more), user.seed());
}

}  // namespace

Nkey::Nkey(Kind kind, std::uint8_t number) : kind_(kind), raw_(32, static_cast<char>(number)) {}

std::string Nkey::public_key() const {
  std::array<unsigned char, 32> bytes{};
  std::size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(Ed25519(raw_).get(), bytes.data(), &size) != 1) std::abort();
  return Base32WithCrc(static_cast<char>(kind_) + std::string(bytes.begin(), bytes.end()));
}

std::string Nkey::seed() const {
  constexpr unsigned kSeed = 18 << 3;
  std::string bytes;
  bytes += static_cast<char>(kSeed | kind_ >> 5);
  bytes += static_cast<char>((kind_ & 31) << 3);
  return Base32WithCrc(bytes + raw_);
}

std::string Nkey::Sign(const std::string& text) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free);
  std::array<unsigned char, 64> signature{};
  std::size_t size = signature.size();
  const Key key = Ed25519(raw_);
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    std::abort();
  }
  return {signature.begin(), signature.end()};
}

OperatorMode MakeOperatorMode() {
  const Nkey the_operator(Nkey::kOperator, 1);
  const Nkey system(Nkey::kAccount, 2);
  const Nkey account(Nkey::kAccount, 3);
  const Nkey stranger(Nkey::kAccount, 4);
  const Nkey user(Nkey::kUser, 5);
  const auto config = [&](const std::string& revocations) {
    const std::string limits =
        fmt::format(R"("limits":{{{}}},{}"type":"account")", kLimits, revocations);
    return fmt::format(
        "operator: {}\nresolver: MEMORY\nsystem_account: {}\nresolver_preload: {{\n{}: {}\n{}: "
        "{}\n}}",
        Jwt(the_operator, the_operator, R"("type":"operator")"), system.public_key(),
        system.public_key(),
        Jwt(the_operator, system,
            R"("limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"conn":-1,)"
            R"("leaf":-1,"wildcards":true},"type":"account")"),
        account.public_key(), Jwt(the_operator, account, limits));
  };
  OperatorMode mode;
  mode.config = config("");
  mode.revoking = config(fmt::format(R"("revocations":{{"{}":2}},)", user.public_key()));
  mode.credentials = Credentials(account, user);
  mode.renewed = Credentials(account, user, R"("iat":3,)");
  mode.expired = Credentials(account, user, R"("iat":1,"exp":2,)");
  mode.forged = Credentials(stranger, user);
  return mode;
}

}  // namespace parti::test
