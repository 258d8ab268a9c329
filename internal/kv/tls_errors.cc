#include "internal/kv/tls_errors.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>

#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

// OpenSSL's verdict on the server's certificate.
struct Verdict {
  int code = 0;  // X509_V_ERR_…
  std::string reason;
  std::string subject;
  std::string issuer;
};

// "…error: CODE:REASON:depth=N:cert=SUBJECT:issuer=ISSUER", or of a host name
// "…error: CODE:REASON:expected=HOST:cert=SUBJECT".
std::optional<Verdict> ReadVerdict(std::string_view detail) {
  const std::size_t subject = detail.find(":cert=");
  if (subject == std::string_view::npos) return std::nullopt;
  std::string_view head = detail.substr(0, subject);
  head = head.substr(0, std::min(head.find(":depth="), head.find(":expected=")));
  const std::size_t colon = head.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Verdict verdict;
  verdict.reason = head.substr(colon + 1);
  head = head.substr(0, colon);
  head.remove_prefix(head.find_last_of(' ') + 1);
  if (std::from_chars(head.data(), head.data() + head.size(), verdict.code).ec != std::errc()) {
    return std::nullopt;
  }
  const std::string_view names = detail.substr(subject + 6);
  const std::size_t issuer = names.find(":issuer=");
  verdict.subject = names.substr(0, issuer);
  if (issuer != std::string_view::npos) verdict.issuer = names.substr(issuer + 8);
  return verdict;
}

// What to do about it.
std::string Remedy(const ConnectionOptions& connection, const std::string& url, int code) {
  const std::string host = HostOf(AddressOf(url));
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "have it renewed, and look at the clock of this machine";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "look at the clocks of this machine and of whoever made it";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return connection.tls.server_name.empty()
                 ? fmt::format(
                       "it must be for \"{}\", as the URL says; or set tls.server_name to "
                       "what it is for",
                       host)
                 : fmt::format("it must be for \"{}\", as tls.server_name says",
                               connection.tls.server_name);
    default:
      return connection.tls.ca_file.empty()
                 ? "tls.ca_file must name who signed it, unless the system trusts them"
                 : fmt::format("tls.ca_file must name who signed it, and \"{}\" doesn't",
                               connection.tls.ca_file);
  }
}

using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

Certificate ReadCertificate(const std::string& path) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(path.c_str(), "r"), &BIO_free);
  if (file == nullptr) return {nullptr, &X509_free};
  return {PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), &X509_free};
}

std::string NameText(const X509_NAME* name) {
  char* const line = X509_NAME_oneline(name, nullptr, 0);
  if (line == nullptr) return "?";
  std::string text = line;
  OPENSSL_free(line);
  return text;
}

std::string TimeText(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return "?";
  char text[32];
  if (std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc) == 0) return "?";
  return text;
}

}  // namespace

absl::Status ServerCertificateError(const ConnectionOptions& connection, const std::string& url,
                                    const std::string& text, const std::string& detail) {
  const std::optional<Verdict> verdict = ReadVerdict(detail);
  if (!verdict) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {}; {}", text, detail, Remedy(connection, url, X509_V_ERR_UNSPECIFIED)));
  }
  return absl::FailedPreconditionError(
      fmt::format("{}: the server's certificate ({}{}{}) is refused: {}; {}", text,
                  verdict->subject, verdict->issuer.empty() ? "" : ", signed by ", verdict->issuer,
                  verdict->reason, Remedy(connection, url, verdict->code)));
}

absl::Status ClientCertificateError(const TlsOptions& tls, const std::string& text, bool certain) {
  if (tls.certificate_file.empty()) {
    return absl::UnauthenticatedError(
        text +
        ": the server demands a client certificate; give tls.certificate_file and "
        "tls.key_file");
  }
  const Certificate certificate = ReadCertificate(tls.certificate_file);
  if (certificate == nullptr) {
    return absl::UnauthenticatedError(fmt::format(
        "{}: tls.certificate_file \"{}\" can't be read any more", text, tls.certificate_file));
  }
  const X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const X509_NAME* const issuer = X509_get_issuer_name(certificate.get());
  const ASN1_TIME* const from = X509_get0_notBefore(certificate.get());
  const ASN1_TIME* const to = X509_get0_notAfter(certificate.get());
  const std::string refused = fmt::format(
      "{}: the server demands a client certificate, and refused the one in "
      "tls.certificate_file \"{}\" ({}, signed by {})",
      text, tls.certificate_file, NameText(subject), NameText(issuer));
  if (X509_cmp_current_time(to) < 0) {
    return absl::UnauthenticatedError(
        fmt::format("{}: it has expired on {}; have it renewed", refused, TimeText(to)));
  }
  if (X509_cmp_current_time(from) > 0) {
    return absl::UnauthenticatedError(
        fmt::format("{}: it is valid from {} only; is the clock of this machine right?", refused,
                    TimeText(from)));
  }
  const char* const why =
      X509_NAME_cmp(subject, issuer) == 0
          ? "it is signed by nobody but itself; have it signed by an authority that the server "
            "trusts"
          : "does the server trust who signed it, and hasn't revoked it? Its log says why";
  if (certain) return absl::UnauthenticatedError(fmt::format("{}: {}", refused, why));
  return absl::UnavailableError(fmt::format("{}, or was too busy: {}", refused, why));
}

}  // namespace parti::kv
