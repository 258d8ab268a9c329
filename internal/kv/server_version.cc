#include "internal/kv/server_version.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxGreeting = 64 * 1024;

class Socket {
 public:
  explicit Socket(const addrinfo& info)
      : fd_(socket(info.ai_family, info.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   info.ai_protocol)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  bool Await(short events, Clock::time_point deadline) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{.fd = fd_, .events = events, .revents = 0};
    return left > 0 && poll(&ready, 1, static_cast<int>(left)) == 1;
  }

 private:
  const int fd_;
};

// The first line that it sends; empty if there was none in time.
std::string FirstLine(const addrinfo& info, Clock::time_point deadline) {
  const Socket socket(info);
  std::string text;
  if (socket.fd() < 0) return text;
  if (connect(socket.fd(), info.ai_addr, info.ai_addrlen) != 0 && errno != EINPROGRESS) return text;
  if (!socket.Await(POLLOUT, deadline)) return text;
  char buffer[4096];
  while (text.find('\n') == std::string::npos && text.size() < kMaxGreeting &&
         socket.Await(POLLIN, deadline)) {
    const ssize_t got = read(socket.fd(), buffer, sizeof(buffer));
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string ServerVersion::ToString() const { return fmt::format("{}.{}.{}", major, minor, patch); }

absl::StatusOr<Greeting> ReadGreeting(std::string_view line) {
  const absl::Status unreadable =
      absl::UnavailableError("the NATS server's greeting names no version");
  if (!line.starts_with("INFO ")) return unreadable;
  const auto info = nlohmann::json::parse(line.substr(5), nullptr, /*allow_exceptions=*/false);
  if (!info.is_object() || !info.contains("version") || !info["version"].is_string()) {
    return unreadable;
  }
  const std::string text = info["version"].get<std::string>();
  ServerVersion version;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int* const part : {&version.major, &version.minor, &version.patch}) {
    if (part != &version.major && (at == end || *at++ != '.')) return unreadable;
    const auto [next, error] = std::from_chars(at, end, *part);
    if (error != std::errc() || *part < 0) return unreadable;
    at = next;
  }
  const auto says = [&info](const char* what) {
    const auto found = info.find(what);
    return found != info.end() && found->is_boolean() && found->get<bool>();
  };
  return Greeting{
      .version = version, .jetstream = says("jetstream"), .tls_verify = says("tls_verify")};
}

absl::StatusOr<Greeting> AskForGreeting(const std::string& address,
                                        std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const std::string host = HostOf(address);
  const std::string given_port = PortOf(address);
  const std::string port = given_port.empty() ? "4222" : given_port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(
        fmt::format("can't resolve {}: {}", address, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &freeaddrinfo);
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    const std::string line = FirstLine(*info, deadline);
    if (!line.empty()) return ReadGreeting(line);
  }
  return absl::UnavailableError(fmt::format("no greeting from the NATS server at {}", address));
}

}  // namespace parti::kv
