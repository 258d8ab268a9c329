// The NATS servers of a chaos run: one, or a cluster of three, each on a host of its own where
// there are namespaces, else all on loopback. Their files outlive their processes.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_SERVERS_H_
#define PARTI_TEST_CHAOS_SERVERS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/process.h"
#include "test/chaos/network.h"

namespace parti::chaos {

class Servers {
 public:
  // Starts `count` servers with their files in `folder`. `network` may be null.
  static absl::StatusOr<std::unique_ptr<Servers>> Start(const std::string& binary, int count,
                                                        const std::string& folder,
                                                        Network* network);

  std::size_t size() const { return nodes_.size(); }
  const std::string& name(std::size_t node) const { return nodes_[node].name; }
  HostId host(std::size_t node) const { return nodes_[node].host; }  // with a network only
  int port(std::size_t node) const { return nodes_[node].port; }
  std::string url(std::size_t node) const;
  std::string urls() const;  // of all, comma-separated

  void Kill(std::size_t node);  // SIGKILL
  void Stop(std::size_t node);  // SIGTERM: in order
  void Pause(std::size_t node);
  void Resume(std::size_t node);
  // On its files and port; returns once it greets.
  absl::Status Restart(std::size_t node);
  bool Running(std::size_t node) const;

  // The last lines of a server's log.
  std::string LogTail(std::size_t node) const;

 private:
  struct Node {
    std::string name = {};
    HostId host = 0;
    std::string address = {};
    int port = 0;
    int cluster_port = 0;
    std::string folder = {};
    std::unique_ptr<cli::Process> process = {};
  };

  Servers(std::string binary, Network* network) : binary_(std::move(binary)), network_(network) {}
  absl::Status WriteConfig(const Node& node) const;
  absl::Status Launch(Node& node) const;
  absl::Status AwaitReady(Node& node) const;

  const std::string binary_;
  Network* const network_;
  std::vector<Node> nodes_;
};

// "2.10.27", as the server at `binary` says.
absl::StatusOr<std::string> VersionOf(const std::string& binary);

// Whether that version's compare-and-set holds on replicated streams (2.9.21 and newer).
bool MayReplicate(const std::string& version);

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_SERVERS_H_
