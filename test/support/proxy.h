// A TCP proxy in this process, between one client (or many) and a server: to cut, freeze or delay
// what passes, for one worker and not for others.
//
//   Proxy proxy(server->port());
//   StartWorker("a", proxy.url());      // "b" goes to server->url()
//   proxy.Partition();                  // "a" is alone: connections reset, new ones refused …
//   …
//   proxy.Heal();                       // … and may connect again
//
//   proxy.Freeze();                     // nothing passes, connections stay open: a black hole
//   proxy.Freeze(Proxy::Direction::kToClient);   // writes arrive, answers don't
//   proxy.Heal();                       // what was held back goes on its way, late
//
// A freeze holds back what has not passed yet, and connections made meanwhile are accepted and held
// back as well, as with a network that drops packets. Memory is bounded: once a direction holds
// 1 MiB, it isn't read any more, and the sender blocks.
//
// Thread safety: every method may be called from any thread. The proxy has one thread of its own.
#ifndef PARTI_TEST_SUPPORT_PROXY_H_
#define PARTI_TEST_SUPPORT_PROXY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace parti::test {

class Proxy {
 public:
  enum class Direction { kToServer, kToClient, kBoth };

  // Listens on a free loopback port, and connects each client to 127.0.0.1:server_port; the server
  // may come and go. Ends the program if it can't listen.
  explicit Proxy(int server_port);
  ~Proxy();  // resets what is connected
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  std::string url() const;                                  // nats://127.0.0.1:port
  std::string url(const std::string& user_password) const;  // nats://user:password@127.0.0.1:port

  // Each of these has happened when it returns: from then on nothing passes that it forbids.

  void Cut();        // resets what is connected (RST); new connections are welcome
  void Partition();  // resets what is connected, and new connections at once, until Heal
  void Freeze(Direction direction = Direction::kBoth);  // holds back, until Heal
  // Every byte passes this much after it came, in order; zero: at once. Stays after Heal.
  void Delay(std::chrono::milliseconds delay);
  void Heal();  // undoes Partition and Freeze

  std::size_t connections() const;          // right now
  std::uint64_t total_connections() const;  // so far, refused ones not counted
  std::uint64_t bytes_to_server() const;    // that have passed
  std::uint64_t bytes_to_client() const;

 private:
  struct Link;

  void Run();
  void Wake() const;
  void Accept();
  void ResetAll();
  // False: the link is over.
  bool Serve(Link& link);

  const int server_port_;
  int port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  mutable std::mutex mutex_;  // guards everything below
  bool stopping_ = false;
  bool partitioned_ = false;
  bool frozen_to_server_ = false;
  bool frozen_to_client_ = false;
  std::chrono::milliseconds delay_{0};
  std::uint64_t total_ = 0;
  std::uint64_t to_server_ = 0;
  std::uint64_t to_client_ = 0;
  std::list<std::unique_ptr<Link>> links_;
  std::thread thread_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_SUPPORT_PROXY_H_
