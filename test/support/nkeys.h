// Keys and JWTs of NATS, made by hand: what `nk` and `nsc` make, neither of which Debian has.
//
//   const Nkey user(Nkey::kUser, 3);
//   server config: "authorization { users = [ { nkey: " + user.public_key() + " } ] }"
//   WriteFile("user.nk", user.seed());
//
// Thread safety: immutable.
#ifndef PARTI_TEST_SUPPORT_NKEYS_H_
#define PARTI_TEST_SUPPORT_NKEYS_H_

#include <cstdint>
#include <string>

namespace parti::test {

class Nkey {
 public:
  enum Kind : std::uint8_t { kAccount = 0, kOperator = 14 << 3, kUser = 20 << 3 };

  // `number` is its secret: the same number, the same key.
  Nkey(Kind kind, std::uint8_t number);

  std::string public_key() const;
  std::string seed() const;
  std::string Sign(const std::string& text) const;  // raw bytes

 private:
  const Kind kind_;
  const std::string raw_;
};

// A server in operator mode with one account, which has JetStream.
struct OperatorMode {
  std::string config;       // for the server
  std::string revoking;     // the same, with `credentials` revoked
  std::string credentials;  // a .creds file of a user of the account
  std::string renewed;      // the same, issued after the revocation
  std::string expired;      // the same, valid until long ago
  std::string forged;       // the same, but signed by another account
};
OperatorMode MakeOperatorMode();

}  // namespace parti::test

#endif  // PARTI_TEST_SUPPORT_NKEYS_H_
