#include "internal/kv/urls.h"

#include <utility>

namespace parti::kv {
namespace {

// Where the port's colon is, if there is one.
std::size_t Colon(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  const bool within_brackets =
      colon != std::string_view::npos && address.find(']', colon) != std::string_view::npos;
  return within_brackets ? std::string_view::npos : colon;
}

std::string_view WithoutScheme(std::string_view url) {
  const std::size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? url : url.substr(scheme + 3);
}

}  // namespace

std::vector<std::string> SplitUrls(std::string_view urls) {
  std::vector<std::string> split;
  std::string url;
  for (const char c : std::string(urls) + ",") {
    if (c == ' ' || c == '\t') continue;
    if (c != ',') {
      url += c;
    } else if (!url.empty()) {
      split.push_back(std::exchange(url, {}));
    }
  }
  return split;
}

std::string AddressOf(std::string_view url) {
  const std::string_view address = WithoutScheme(url);
  const std::size_t at = address.rfind('@');
  return std::string(at == std::string_view::npos ? address : address.substr(at + 1));
}

std::string SchemeOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  return std::string(scheme == std::string_view::npos ? "" : url.substr(0, scheme));
}

std::string HostOf(std::string_view address) {
  std::string_view host = address.substr(0, Colon(address));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

std::string PortOf(std::string_view address) {
  const std::size_t colon = Colon(address);
  return std::string(colon == std::string_view::npos ? "" : address.substr(colon + 1));
}

bool HasUserInfo(std::string_view url) {
  return WithoutScheme(url).find('@') != std::string_view::npos;
}

}  // namespace parti::kv
