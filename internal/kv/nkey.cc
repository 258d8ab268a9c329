#include "internal/kv/nkey.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace parti::kv {
namespace {

// Kinds, in the upper five bits of a key's first byte, so that they are its first letter.
constexpr std::uint8_t kSeedPrefix = 18 << 3;  // 'S'
constexpr std::uint8_t kUserPrefix = 20 << 3;  // 'U'

constexpr std::size_t kRawKeyBytes = 32;
constexpr std::size_t kCrcBytes = 2;
constexpr std::size_t kSeedBytes = 2 + kRawKeyBytes + kCrcBytes;
constexpr std::size_t kSeedCharacters = 58;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

std::optional<std::string> DecodeBase32(std::string_view text) {
  std::string bytes;
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 5 | static_cast<unsigned>(value)) & 0xFFF;
    held += 5;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xFF);
  }
  return bytes;
}

std::string EncodeBase32(std::string_view bytes) {
  std::string text;
  unsigned bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xFFFF;
    held += 8;
    for (; held >= 5; held -= 5) text += kAlphabet[bits >> (held - 5) & 31];
  }
  if (held > 0) text += kAlphabet[bits << (5 - held) & 31];
  return text;
}

// CRC-16/XMODEM.
std::uint16_t Crc16(std::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int i = 0; i < 8; ++i) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021U : 0U);
    crc &= 0xFFFF;
  }
  return static_cast<std::uint16_t>(crc);
}

std::string WithCrc(std::string bytes) {
  const std::uint16_t crc = Crc16(bytes);
  bytes += static_cast<char>(crc & 0xFF);
  bytes += static_cast<char>(crc >> 8);
  return bytes;
}

std::optional<std::string> Ed25519PublicKey(std::string_view raw_seed) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                   reinterpret_cast<const unsigned char*>(raw_seed.data()),
                                   raw_seed.size()),
      &EVP_PKEY_free);
  std::array<unsigned char, kRawKeyBytes> bytes{};
  std::size_t size = bytes.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &size) != 1 ||
      size != bytes.size()) {
    return std::nullopt;
  }
  return std::string(bytes.begin(), bytes.end());
}

// Of the dashed kind: what stands between "-----BEGIN <name>-----" and the next dashes.
std::string_view Between(std::string_view text, std::string_view name) {
  const std::size_t begin = text.find(name);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + name.size());
  const std::size_t dashes = text.find_first_not_of('-');
  if (dashes == std::string_view::npos) return {};
  text.remove_prefix(dashes);
  return text.substr(0, text.find('-'));
}

constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

}  // namespace

absl::StatusOr<std::string> UserPublicKey(std::string_view seed) {
  if (seed.size() != kSeedCharacters) {
    return absl::InvalidArgumentError(
        fmt::format("the seed has {} characters instead of {}", seed.size(), kSeedCharacters));
  }
  const std::optional<std::string> bytes = DecodeBase32(seed);
  if (!bytes || bytes->size() != kSeedBytes) {
    return absl::InvalidArgumentError("the seed is not base32 (A-Z, 2-7)");
  }
  const std::string body = bytes->substr(0, kSeedBytes - kCrcBytes);
  if (WithCrc(body) != *bytes) {
    return absl::InvalidArgumentError("the seed's checksum is wrong: a character was changed");
  }
  // The kind of the key straddles the first two bytes.
  const auto first = static_cast<std::uint8_t>(body[0]);
  const auto second = static_cast<std::uint8_t>(body[1]);
  const auto kind = static_cast<std::uint8_t>((first & 7) << 5 | (second & 0xF8) >> 3);
  if ((first & 0xF8) != kSeedPrefix || kind != kUserPrefix) {
    return absl::InvalidArgumentError("it is not the seed of a user, which begins with SU");
  }
  const std::optional<std::string> public_key = Ed25519PublicKey(std::string_view(body).substr(2));
  if (!public_key) return absl::InternalError("OpenSSL could not derive the public key");
  return EncodeBase32(WithCrc(static_cast<char>(kUserPrefix) + *public_key));
}

std::string FindSeed(std::string_view text) {
  const std::string_view dashed = Trimmed(Between(text, "NKEY SEED"));
  if (dashed.starts_with('S')) {
    return std::string(dashed);
  }
  while (!text.empty()) {
    const std::string_view line = Trimmed(text.substr(0, text.find('\n')));
    if (line.starts_with('S')) return std::string(line);
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return {};
}

std::string FindJwt(std::string_view text) {
  // A JWT holds '-' itself, so it ends where the line does.
  constexpr std::string_view kName = "NATS USER JWT";
  const std::size_t begin = text.find(kName);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + kName.size());
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos) return {};
  text = text.substr(line + 1);
  return std::string(Trimmed(text.substr(0, text.find('\n'))));
}

}  // namespace parti::kv
