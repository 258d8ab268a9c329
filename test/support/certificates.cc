#include "test/support/certificates.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "test/support/support.h"

namespace parti::test {

Certificates::Certificates(std::string folder) : folder_(std::move(folder)) {
  Make("ca", true);
  Make("other", true);
  Make("server", false);
  Make("client", false);
}

void Certificates::Make(const std::string& name, bool is_authority) const {
  std::vector<std::string> command = {"openssl",
                                      "req",
                                      "-x509",
                                      "-newkey",
                                      "ec",
                                      "-pkeyopt",
                                      "ec_paramgen_curve:P-256",
                                      "-nodes",
                                      "-days",
                                      "2",
                                      "-subj",
                                      "/CN=" + name,
                                      "-keyout",
                                      File(name + ".key"),
                                      "-out",
                                      File(name + ".pem")};
  if (!is_authority) {
    for (const std::string& more :
         {std::string("-CA"), File("ca.pem"), std::string("-CAkey"), File("ca.key"),
          std::string("-addext"), std::string("subjectAltName=IP:127.0.0.1")}) {
      command.push_back(more);
    }
  }
  const std::string log = File(name + ".log");
  const auto process = StartProcess({.argv = command, .stdout_file = log, .stderr_file = log});
  process->Wait(kDeadline);
  if (ReadFile(File(name + ".pem")).empty()) {
    fmt::print(stderr, "openssl made no certificate: {}\n", ReadFile(log));
    std::abort();
  }
}

std::string Certificates::ServerConfig(bool clients_need_one) const {
  return fmt::format("tls {{\ncert_file: \"{}\"\nkey_file: \"{}\"\nca_file: \"{}\"\nverify: {}\n}}",
                     File("server.pem"), File("server.key"), File("ca.pem"), clients_need_one);
}

}  // namespace parti::test
