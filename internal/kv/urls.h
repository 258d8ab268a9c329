// URLs of NATS servers, which may carry secrets.
#ifndef PARTI_INTERNAL_KV_URLS_H_
#define PARTI_INTERNAL_KV_URLS_H_

#include <string>
#include <string_view>
#include <vector>

namespace parti::kv {

// Comma-separated URLs, without spaces and empty ones.
std::vector<std::string> SplitUrls(std::string_view urls);

// "nats://user:secret@host:1" -> "host:1"
std::string AddressOf(std::string_view url);

// "nats://host:1" -> "nats"; empty: none.
std::string SchemeOf(std::string_view url);

// "host:1" -> "host", "[::1]:1" -> "::1"; and "1", empty: none.
std::string HostOf(std::string_view address);
std::string PortOf(std::string_view address);

bool HasUserInfo(std::string_view url);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_URLS_H_
