// The hosts of a chaos run: network namespaces, joined by a bridge, in which workers and servers
// run, and the ways to cut and to slow what passes between them.
//
//   absl::StatusOr<std::unique_ptr<Network>> network = Network::Create();   // first thing in main
//   const HostId a = (*network)->AddHost("a").value();
//   Process::Start({.argv = (*network)->Within(a, {"nats-server", …})});
//   (*network)->Block(a, b);     // what a sends doesn't reach b; no one is told
//   (*network)->Unblock(a, b);
//
// Create moves the whole program into a namespace of its own, so it needs root or a kernel that
// gives users namespaces of their own, and must come before any thread is started. Nothing has a
// name on the machine: when this process is gone, however it ended, the kernel has removed every
// trace.
//
// A block is silent, as a pulled cable is: packets leave for a hardware address that nobody has. It
// works one way at a time. Slowness is `tc netem` where the kernel has it; where it hasn't, a slow
// link is one of little bandwidth (`tc tbf`), and a lossy one is blocked for moments at random.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_NETWORK_H_
#define PARTI_TEST_CHAOS_NETWORK_H_

#include <cstddef>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/process.h"

namespace parti::chaos {

using HostId = std::size_t;

class Network {
 public:
  // Unavailable says why there are no namespaces to be had here.
  static absl::StatusOr<std::unique_ptr<Network>> Create();

  absl::StatusOr<HostId> AddHost(const std::string& name);
  std::string Address(HostId host) const;
  std::vector<std::string> Within(HostId host, std::vector<std::string> argv) const;

  void Block(HostId from, HostId to);
  void Unblock(HostId from, HostId to);

  // What the host sends and gets is late or lost; Mend undoes it.
  void Slow(HostId host);
  void Lossy(HostId host);
  void Mend(HostId host);
  // Called again and again: where there is no netem, it makes the lossy links lossy.
  void Tick();

  bool has_netem() const { return has_netem_; }

 private:
  struct Host {
    std::string name;
    std::unique_ptr<cli::Process> keeper;  // keeps the namespace
    bool lossy = false;
    bool dark = false;  // a moment's loss
    std::set<HostId> blocked = {};
  };

  Network() = default;
  std::vector<std::string> Enter(HostId host) const;
  void SetNeighbour(HostId from, HostId to, bool blocked);
  void Darken(HostId host, bool dark);

  std::vector<Host> hosts_;
  bool has_netem_ = false;
  std::mt19937_64 random_{1};
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_NETWORK_H_
