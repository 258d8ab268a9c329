// Certificates for TLS, made by the `openssl` command: an authority, a server at 127.0.0.1 and a
// client that it signed, and another authority that signed nothing.
//
//   const Certificates files(folder->path());
//   server config: files.ServerConfig(/*clients_need_one=*/false)
//   options.nats.tls.ca_file = files.File("ca.pem");
#ifndef PARTI_TEST_SUPPORT_CERTIFICATES_H_
#define PARTI_TEST_SUPPORT_CERTIFICATES_H_

#include <string>

namespace parti::test {

class Certificates {
 public:
  // Writes ca, server, client and other, each as .pem and .key. Ends the program if that fails.
  explicit Certificates(std::string folder);
  std::string File(const std::string& name) const { return folder_ + "/" + name; }
  std::string ServerConfig(bool clients_need_one) const;

 private:
  void Make(const std::string& name, bool is_authority) const;
  const std::string folder_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_SUPPORT_CERTIFICATES_H_
