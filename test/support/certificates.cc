#include "test/support/certificates.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace parti::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;
using OpenFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void Check(bool worked, const std::string& what) {
  if (worked) return;
  fmt::print(stderr, "no certificate: {}\n", what);
  std::abort();
}

OpenFile Open(const std::string& path, const char* mode) {
  OpenFile file(std::fopen(path.c_str(), mode), &std::fclose);
  Check(file != nullptr, path);
  return file;
}

void SetName(X509_NAME* name, const std::string& common_name) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(common_name.data());
  Check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes,
                                   static_cast<int>(common_name.size()), -1, 0) == 1,
        common_name);
}

void AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  Check(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, value);
  X509_EXTENSION_free(extension);
}

}  // namespace

Certificates::Certificates(std::string folder) : folder_(std::move(folder)) {
  Make({.name = "ca", .is_authority = true});
  Make({.name = "other", .is_authority = true});
  Make({.name = "server", .issuer = "ca"});
  Make({.name = "client", .issuer = "ca"});
}

void Certificates::Make(const CertificateSpec& spec) const {
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Certificate certificate(X509_new(), &X509_free);
  Check(key != nullptr && certificate != nullptr, spec.name);
  X509* const made = certificate.get();
  Key issuers_key(nullptr, &EVP_PKEY_free);
  Certificate issuers(nullptr, &X509_free);
  if (!spec.issuer.empty()) {
    issuers_key.reset(PEM_read_PrivateKey(Open(File(spec.issuer + ".key"), "r").get(), nullptr,
                                          nullptr, nullptr));
    issuers.reset(
        PEM_read_X509(Open(File(spec.issuer + ".pem"), "r").get(), nullptr, nullptr, nullptr));
    Check(issuers_key != nullptr && issuers != nullptr, spec.issuer);
  }
  X509* const issuer = issuers ? issuers.get() : made;
  std::uint32_t serial = 0;
  Check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1, "random");
  X509_set_version(made, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial);
  X509_gmtime_adj(X509_getm_notBefore(made), std::chrono::seconds(spec.from).count());
  X509_gmtime_adj(X509_getm_notAfter(made), std::chrono::seconds(spec.to).count());
  X509_set_pubkey(made, key.get());
  SetName(X509_get_subject_name(made), spec.name);
  X509_set_issuer_name(made, X509_get_subject_name(issuer));
  AddExtension(made, issuer, NID_basic_constraints,
               spec.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!spec.is_authority) AddExtension(made, issuer, NID_subject_alt_name, spec.host);
  Check(X509_sign(made, issuers_key ? issuers_key.get() : key.get(), EVP_sha256()) > 0, spec.name);
  Check(PEM_write_X509(Open(File(spec.name + ".pem"), "w").get(), made) == 1, spec.name);
  Check(PEM_write_PrivateKey(Open(File(spec.name + ".key"), "w").get(), key.get(), nullptr, nullptr,
                             0, nullptr, nullptr) == 1,
        spec.name);
}

std::string Certificates::ServerConfig(bool clients_need_one, const std::string& server) const {
  return fmt::format("tls {{\ncert_file: \"{}\"\nkey_file: \"{}\"\nca_file: \"{}\"\nverify: {}\n}}",
                     File(server + ".pem"), File(server + ".key"), File("ca.pem"),
                     clients_need_one);
}

}  // namespace parti::test
