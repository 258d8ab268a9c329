#include "test/support/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

namespace parti::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxHeld = 1 << 20;
constexpr int kBacklog = 1024;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

[[noreturn]] void Die(const char* what) {
  fmt::print(stderr, "proxy: {}: {}\n", what, std::strerror(errno));
  std::abort();
}

void NoDelay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// With a RST instead of a FIN.
void Reset(int fd) {
  if (fd < 0) return;
  const linger abort_now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
  close(fd);
}

// One direction of a connection: what was read and may not pass yet. A connection's end is held
// back like any byte.
class Flow {
 public:
  bool CanTake() const { return held_ < kMaxHeld && !ended_; }
  void Read(int fd, Clock::time_point due) {
    char buffer[64 * 1024];
    const ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ended_ = got <= 0;
    if (ended_ || failed_) return;
    const auto size = static_cast<std::size_t>(got);
    chunks_.push_back({due, std::string(buffer, size)});
    held_ += size;
  }
  void Write(int fd, Clock::time_point now, std::uint64_t* passed) {
    while (!chunks_.empty() && chunks_.front().due <= now) {
      std::string& bytes = chunks_.front().bytes;
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (sent < 0) {
        failed_ = true;
        chunks_.clear();
        held_ = 0;
        return;
      }
      const auto size = static_cast<std::size_t>(sent);
      *passed += size;
      held_ -= size;
      bytes.erase(0, size);
      if (bytes.empty()) chunks_.pop_front();
    }
    end_passed_ = ended_ && chunks_.empty();
  }
  bool EndPassed() const { return end_passed_; }  // the source is gone, and the sink may know it
  bool Failed() const { return failed_; }         // the sink is gone
  bool Empty() const { return chunks_.empty(); }
  Clock::time_point due() const { return chunks_.front().due; }

 private:
  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  std::deque<Chunk> chunks_;
  std::size_t held_ = 0;
  bool ended_ = false;
  bool end_passed_ = false;
  bool failed_ = false;
};

}  // namespace

struct Proxy::Link {
  int client = -1;
  int server = -1;
  Flow to_server;
  Flow to_client;

  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    Reset(client);
    Reset(server);
  }
};

Proxy::Proxy(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) Die("socket");
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, kBacklog) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    Die("listen");
  }
  port_ = ntohs(address.sin_port);
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) Die("pipe");
  thread_ = std::thread([this] { Run(); });
}

Proxy::~Proxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  close(listener_);
  close(wake_[0]);
  close(wake_[1]);
}

std::string Proxy::url() const { return fmt::format("nats://127.0.0.1:{}", port_); }

std::string Proxy::url(const std::string& user_password) const {
  return fmt::format("nats://{}@127.0.0.1:{}", user_password, port_);
}

void Proxy::Wake() const { static_cast<void>(!write(wake_[1], "x", 1)); }

void Proxy::ResetAll() { links_.clear(); }

void Proxy::Cut() {
  const std::lock_guard lock(mutex_);
  ResetAll();
  Wake();
}

void Proxy::Partition() {
  const std::lock_guard lock(mutex_);
  partitioned_ = true;
  ResetAll();
  Wake();
}

void Proxy::Freeze(Direction direction) {
  const std::lock_guard lock(mutex_);
  if (direction != Direction::kToClient) frozen_to_server_ = true;
  if (direction != Direction::kToServer) frozen_to_client_ = true;
  Wake();
}

void Proxy::Delay(std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  delay_ = delay;
}

void Proxy::Heal() {
  const std::lock_guard lock(mutex_);
  partitioned_ = frozen_to_server_ = frozen_to_client_ = false;
  Wake();
}

std::size_t Proxy::connections() const {
  const std::lock_guard lock(mutex_);
  return links_.size();
}

std::uint64_t Proxy::total_connections() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

std::uint64_t Proxy::bytes_to_server() const {
  const std::lock_guard lock(mutex_);
  return to_server_;
}

std::uint64_t Proxy::bytes_to_client() const {
  const std::lock_guard lock(mutex_);
  return to_client_;
}

// Without the lock only poll() runs. What it found is used for links that are still there: a file
// descriptor's number may have been given to another, so each is asked again by non-blocking calls.
void Proxy::Run() {
  std::vector<pollfd> polled;
  while (true) {
    auto next_due = Clock::time_point::max();
    polled.assign({{.fd = wake_[0], .events = POLLIN, .revents = 0},
                   {.fd = listener_, .events = POLLIN, .revents = 0}});
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return ResetAll();
      const auto watch = [&](int fd, const Flow& in, const Flow& out, bool frozen_out) {
        short events = 0;
        if (in.CanTake()) events |= POLLIN;
        if (!out.Empty() && !frozen_out) {
          if (out.due() <= Clock::now()) {
            events |= POLLOUT;
          } else {
            next_due = std::min(next_due, out.due());
          }
        }
        // A negative one is passed over; else the end of a frozen connection would keep us awake.
        polled.push_back({.fd = events == 0 ? -1 : fd, .events = events, .revents = 0});
      };
      for (const auto& link : links_) {
        watch(link->client, link->to_server, link->to_client, frozen_to_client_);
        watch(link->server, link->to_client, link->to_server, frozen_to_server_);
      }
    }
    int timeout = -1;
    if (next_due != Clock::time_point::max()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(next_due - Clock::now()).count();
      timeout = static_cast<int>(std::max<std::int64_t>(left, 0));
    }
    poll(polled.data(), polled.size(), timeout);
    char drained[256];
    while (read(wake_[0], drained, sizeof(drained)) > 0) {
    }
    const std::lock_guard lock(mutex_);
    Accept();
    std::erase_if(links_, [this](const std::unique_ptr<Link>& link) { return !Serve(*link); });
  }
}

void Proxy::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    if (partitioned_) {
      Reset(client);
      continue;
    }
    auto link = std::make_unique<Link>();
    link->client = client;
    link->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->server < 0) Die("socket");
    NoDelay(link->client);
    NoDelay(link->server);
    // On loopback it is accepted or refused at once.
    const sockaddr_in address = Loopback(server_port_);
    if (connect(link->server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      continue;
    }
    ++total_;
    links_.push_back(std::move(link));
  }
}

bool Proxy::Serve(Link& link) {
  const Clock::time_point now = Clock::now();
  const auto move = [&](Flow& flow, int from, int to, bool frozen, std::uint64_t* passed) {
    if (flow.CanTake()) flow.Read(from, now + delay_);
    if (!frozen) flow.Write(to, now, passed);
  };
  move(link.to_server, link.client, link.server, frozen_to_server_, &to_server_);
  move(link.to_client, link.server, link.client, frozen_to_client_, &to_client_);
  // That one side is gone is news for the other, which a freeze keeps from it.
  const bool over = link.to_server.EndPassed() || link.to_client.EndPassed() ||
                    (link.to_server.Failed() && !frozen_to_client_) ||
                    (link.to_client.Failed() && !frozen_to_server_);
  return !over;
}

}  // namespace parti::test
