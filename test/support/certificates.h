// Certificates for TLS: an authority, a server at 127.0.0.1 and a client that it signed, another
// authority that signed nothing; and whatever else a test wants made, right or wrong.
//
//   Certificates files(folder->path());
//   server config: files.ServerConfig(/*clients_need_one=*/false)
//   options.nats.tls.ca_file = files.File("ca.pem");
//   files.Make({.name = "old", .issuer = "ca", .from = -48h, .to = -24h});    // old.pem, old.key
//
// Thread safety: none.
#ifndef PARTI_TEST_SUPPORT_CERTIFICATES_H_
#define PARTI_TEST_SUPPORT_CERTIFICATES_H_

#include <chrono>
#include <string>

namespace parti::test {

struct CertificateSpec {
  std::string name = {};              // its common name, and of its files
  std::string issuer = {};            // the name of one made before; empty: itself
  bool is_authority = false;          // else it is for a server or a client
  std::string host = "IP:127.0.0.1";  // subjectAltName, as openssl spells it
  std::chrono::hours from{-24};       // valid from now + this
  std::chrono::hours to{48};          // to now + this
};

class Certificates {
 public:
  // Writes ca, server, client and other, each as .pem and .key. Ends the program if that fails.
  explicit Certificates(std::string folder);
  // Writes NAME.pem and NAME.key, in place of older ones.
  void Make(const CertificateSpec& spec) const;
  std::string File(const std::string& name) const { return folder_ + "/" + name; }
  // A server that shows this certificate, and trusts what `ca` signed.
  std::string ServerConfig(bool clients_need_one, const std::string& server = "server") const;

 private:
  const std::string folder_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_SUPPORT_CERTIFICATES_H_
