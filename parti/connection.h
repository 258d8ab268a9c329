// How a Manager gets to NATS: addresses and credentials, or a connection that the application has.
//
//   parti::ManagerOptions options;
//   options.nats.url = "tls://nats-1:4222,tls://nats-2:4222";
//   options.nats.credentials_file = "/etc/orders/orders.creds";
//   options.nats.tls.ca_file = "/etc/orders/ca.pem";
//
// Thread safety: plain values.
#ifndef PARTI_CONNECTION_H_
#define PARTI_CONNECTION_H_

#include <string>

#include "absl/status/status.h"
#include "parti/export.h"

// libnats's connection, as in <nats/nats.h>.
typedef struct __natsConnection natsConnection;

namespace parti {

// TLS is used for a tls:// URL, and for every URL once any of these is set.
struct TlsOptions {
  bool required = false;              // TLS even if nothing else here is set
  std::string ca_file = {};           // PEM, whom to trust; empty: whom the system trusts
  std::string certificate_file = {};  // PEM, this client's own, with its chain: needs key_file
  std::string key_file = {};          // PEM, not encrypted
  std::string server_name = {};    // that the server's certificate must bear; empty: the URL's host
  bool skip_verification = false;  // accept any certificate: for tests only

  bool used() const {
    return required || skip_verification || !ca_file.empty() || !certificate_file.empty() ||
           !key_file.empty() || !server_name.empty();
  }
};

// At most one way to authenticate: user and password, token, credentials file, nkey, or what the
// URL carries. Files are read anew for each connection attempt, so that they can be replaced while
// the Manager runs.
struct PARTI_EXPORT ConnectionOptions {
  static constexpr const char* kDefaultUrl = "nats://127.0.0.1:4222";

  // Comma-separated: any of them, tried in turn. [nats://|tls://][user:password@|token@]host[:port]
  std::string url = kDefaultUrl;
  std::string user = {};
  std::string password = {};
  std::string token = {};
  std::string credentials_file = {};  // user JWT and nkey seed (.creds)
  std::string nkey_seed_file = {};    // a user nkey's seed (SU…)
  TlsOptions tls = {};
  std::string name = {};  // shown by the server's monitoring; empty: "parti <identity>"

  // What the subjects that answers arrive on begin with, where the user's permissions demand
  // another than usual: tokens of letters, digits, '_' and '-'.
  std::string inbox_prefix = "_INBOX";

  // The application's own connection, used instead of all of the above but inbox_prefix. Borrowed:
  // it must outlive the Manager, which never closes it and sets no callback of it. Several Managers
  // may share one.
  //
  // libnats reconnects it as the application has set it up; the Manager takes each reconnection for
  // a new connection, and begins anew. Recommended: natsOptions_SetMaxReconnect(-1),
  // SetReconnectBufSize(0), SetPingInterval(500), SetMaxPingsOut(2), SetSendAsap(true), as the
  // Manager's own connections have them (but for reconnecting): with libnats's defaults a dead
  // server is noticed after minutes only, by when the lease is long gone. Once the connection is
  // closed for good, the Manager says so (FailedPrecondition) and owns nothing after its lease.
  natsConnection* connection = nullptr;

  // OK, or InvalidArgument with the field that contradicts another, can't be read or is malformed,
  // and what to do. Reads the files named; no secret is in the message.
  absl::Status Validate() const;
};

}  // namespace parti

#endif  // PARTI_CONNECTION_H_
