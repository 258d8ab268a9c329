#include "test/chaos/servers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

namespace parti::chaos {
namespace {

using cli::Process;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kReadyTimeout(60);
constexpr std::chrono::seconds kStopTimeout(15);
constexpr int kClientPort = 4222;
constexpr int kClusterPort = 6222;

sockaddr_in SocketAddress(const std::string& address, int port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

// Below Linux's ephemeral range, so that no outgoing connection takes it meanwhile.
int FreeLoopbackPort() {
  std::random_device device;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int port = std::uniform_int_distribution<int>(15'000, 32'000)(device);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = SocketAddress("127.0.0.1", port);
    const bool is_free =
        bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (is_free) return port;
  }
  return 0;
}

// Whether the server of that name greets there.
bool Greets(const std::string& address, int port, const std::string& name) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const sockaddr_in to = SocketAddress(address, port);
  connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  std::string text;
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  char buffer[4096];
  while (text.find('\n') == std::string::npos && poll(&ready, 1, 500) == 1) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  close(fd);
  return text.find(fmt::format("\"server_name\":\"{}\"", name)) != std::string::npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Servers>> Servers::Start(const std::string& binary, int count,
                                                        const std::string& folder,
                                                        Network* network) {
  std::unique_ptr<Servers> servers(new Servers(binary, network));
  for (int i = 0; i < count; ++i) {
    Node node{.name = fmt::format("n{}", i), .folder = fmt::format("{}/n{}", folder, i)};
    if (network != nullptr) {
      const auto host = network->AddHost(node.name);
      if (!host.ok()) return host.status();
      node.host = *host;
      node.address = network->Address(*host);
      node.port = kClientPort;
      node.cluster_port = kClusterPort;
    } else {
      node.address = "127.0.0.1";
      node.port = FreeLoopbackPort();
      node.cluster_port = FreeLoopbackPort();
    }
    std::filesystem::create_directories(node.folder);
    servers->nodes_.push_back(std::move(node));
  }
  for (Node& node : servers->nodes_) {
    if (absl::Status written = servers->WriteConfig(node); !written.ok()) return written;
    if (absl::Status launched = servers->Launch(node); !launched.ok()) return launched;
  }
  for (Node& node : servers->nodes_) {
    if (absl::Status ready = servers->AwaitReady(node); !ready.ok()) return ready;
  }
  return servers;
}

std::string Servers::url(std::size_t node) const {
  return fmt::format("nats://{}:{}", nodes_[node].address, nodes_[node].port);
}

std::string Servers::urls() const {
  std::string all;
  for (std::size_t node = 0; node < size(); ++node) all += (node == 0 ? "" : ",") + url(node);
  return all;
}

absl::Status Servers::WriteConfig(const Node& node) const {
  std::ofstream file(node.folder + "/nats.conf");
  file << fmt::format(
      "server_name: {}\nlisten: \"{}:{}\"\n"
      "jetstream {{\n  store_dir: \"{}/store\"\n  max_memory_store: 256MB\n  max_file_store: 4GB\n"
      "}}\n",
      node.name, node.address, node.port, node.folder);
  if (nodes_.size() > 1) {
    std::string routes;
    for (const Node& other : nodes_) {
      routes += fmt::format("    nats://{}:{}\n", other.address, other.cluster_port);
    }
    file << fmt::format("cluster {{\n  name: chaos\n  listen: \"{}:{}\"\n  routes: [\n{}  ]\n}}\n",
                        node.address, node.cluster_port, routes);
  }
  file.close();
  return file ? absl::OkStatus() : absl::UnavailableError("can't write into " + node.folder);
}

absl::Status Servers::Launch(Node& node) const {
  std::vector<std::string> argv = {binary_, "-c", node.folder + "/nats.conf"};
  if (network_ != nullptr) argv = network_->Within(node.host, std::move(argv));
  const std::string log = node.folder + "/nats.log";
  auto process = Process::Start({.argv = argv, .stdout_file = log, .stderr_file = log});
  if (!process.ok()) return process.status();
  node.process = *std::move(process);
  return absl::OkStatus();
}

absl::Status Servers::AwaitReady(Node& node) const {
  const auto end = steady_clock::now() + kReadyTimeout;
  while (steady_clock::now() < end) {
    if (!node.process->Running()) break;
    if (Greets(node.address, node.port, node.name)) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return absl::UnavailableError(
      fmt::format("nats-server {} doesn't greet at {}:{}; its log is {}/nats.log", node.name,
                  node.address, node.port, node.folder));
}

void Servers::Kill(std::size_t node) { nodes_[node].process.reset(); }

void Servers::Stop(std::size_t node) {
  if (nodes_[node].process == nullptr) return;
  nodes_[node].process->Signal(SIGTERM).IgnoreError();
  nodes_[node].process->Wait(kStopTimeout);
  nodes_[node].process.reset();
}

void Servers::Pause(std::size_t node) {
  if (nodes_[node].process != nullptr) nodes_[node].process->Freeze();
}

void Servers::Resume(std::size_t node) {
  if (nodes_[node].process != nullptr) nodes_[node].process->Signal(SIGCONT).IgnoreError();
}

absl::Status Servers::Restart(std::size_t node) {
  if (Running(node)) return absl::OkStatus();
  if (absl::Status launched = Launch(nodes_[node]); !launched.ok()) return launched;
  return AwaitReady(nodes_[node]);
}

bool Servers::Running(std::size_t node) const {
  return nodes_[node].process != nullptr && nodes_[node].process->Running();
}

std::string Servers::LogTail(std::size_t node) const {
  std::ifstream file(nodes_[node].folder + "/nats.log");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::string text;
  for (std::size_t i = lines.size() > 10 ? lines.size() - 10 : 0; i < lines.size(); ++i) {
    text += "    " + lines[i] + "\n";
  }
  return text;
}

absl::StatusOr<std::string> VersionOf(const std::string& binary) {
  auto process = Process::Start({.argv = {binary, "--version"}, .pipe_stdout = true});
  if (!process.ok()) return process.status();
  std::string text;
  char buffer[256];
  for (ssize_t got; (got = read((*process)->stdout_fd(), buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string::npos) {
    return absl::UnavailableError(binary + " --version names no version: " + text);
  }
  return text.substr(begin, text.find_first_not_of("0123456789.", begin) - begin);
}

bool MayReplicate(const std::string& version) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch);
  return std::tie(major, minor, patch) >= std::make_tuple(2, 9, 21);
}

}  // namespace parti::chaos
