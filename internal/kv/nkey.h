// NATS nkeys: an Ed25519 key as text, base32 with a prefix that tells its kind and a checksum.
//
//   absl::StatusOr<std::string> public_key = UserPublicKey("SUAB…");   // "UC4…"
//
// libnats signs with a seed but wants to be told the public key; this derives it.
//
// Thread safety: pure functions.
#ifndef PARTI_INTERNAL_KV_NKEY_H_
#define PARTI_INTERNAL_KV_NKEY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace parti::kv {

// The public key (U…) that belongs to a user's seed (SU…). InvalidArgument says what is wrong with
// the seed, without showing any of it.
absl::StatusOr<std::string> UserPublicKey(std::string_view seed);

// The first seed in the text of a file: alone on a line, as `nk` writes it, or between the dashed
// lines of a .creds file. Empty: none. Only looks for what begins with 'S'.
std::string FindSeed(std::string_view text);

// The JWT between the dashed lines of a .creds file. Empty: none.
std::string FindJwt(std::string_view text);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_NKEY_H_
