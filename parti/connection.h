// How a Manager gets to NATS: addresses and credentials, or a connection that the application has.
#ifndef PARTI_CONNECTION_H_
#define PARTI_CONNECTION_H_

#include <string>

#include "absl/status/status.h"
#include "parti/export.h"

// libnats's connection, as in <nats/nats.h>.
typedef struct __natsConnection natsConnection;

namespace parti {

struct TlsOptions {
  bool required = false;           // also without a tls:// URL
  std::string ca_file;             // PEM; empty: the system's
  std::string certificate_file;    // PEM, for mutual TLS: with key_file
  std::string key_file;            // PEM
  std::string server_name;         // expected in the server's certificate; empty: the URL's host
  bool skip_verification = false;  // accept any certificate: for tests
};

// At most one way to authenticate: user and password, token, credentials file, or nkey.
struct PARTI_EXPORT ConnectionOptions {
  // Comma-separated: any of them. A URL may carry user:password@ or token@.
  std::string url = "nats://127.0.0.1:4222";
  std::string user;
  std::string password;
  std::string token;
  std::string credentials_file;  // user JWT and nkey seed (.creds)
  std::string nkey_seed_file;    // a user nkey's seed (SU…)
  TlsOptions tls;
  std::string name;  // shown by the server's monitoring; empty: "parti <identity>"

  // The application's own connection, used instead of all of the above. Borrowed: it must outlive
  // the Manager, which never closes it. Several Managers may share one.
  natsConnection* connection = nullptr;

  // OK, or InvalidArgument with what contradicts itself, can't be read, or is malformed. Reads the
  // files named; no secret is in the message.
  absl::Status Validate() const;
};

}  // namespace parti

#endif  // PARTI_CONNECTION_H_
