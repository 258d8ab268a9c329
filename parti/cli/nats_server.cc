#include "parti/cli/nats_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

namespace parti::cli {
namespace {

// Below Linux's ephemeral range (32768 and up): a port from that range may be taken by any outgoing
// connection while the server is down, even by a client's own attempt to reconnect to it.
constexpr int kFirstPort = 15'000;
constexpr int kLastPort = 32'000;
constexpr int kPortAttempts = 50;
constexpr std::chrono::seconds kReadyTimeout(30);
constexpr std::chrono::seconds kStopTimeout(10);
constexpr std::chrono::milliseconds kPollInterval(5);

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool PortIsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = Loopback(port);
  const bool is_free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return is_free;
}

int RandomPort() {
  std::random_device device;
  return std::uniform_int_distribution<int>(kFirstPort, kLastPort)(device);
}

// The INFO line that a server greets with, or nothing within a moment.
std::optional<std::string> Greeting(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const sockaddr_in address = Loopback(port);
  std::string text;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    char buffer[4096];
    while (text.find('\n') == std::string::npos && text.size() < 64 * 1024 &&
           poll(&ready, 1, 2000) == 1) {
      const ssize_t got = read(fd, buffer, sizeof(buffer));
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  if (text.empty()) return std::nullopt;
  return text;
}

absl::StatusOr<std::string> FindBinary(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (const char* set = getenv("NATS_SERVER"); set != nullptr && *set != '\0') return {set};
  const char* path = getenv("PATH");
  // Debian installs it to /usr/sbin, which isn't on an ordinary user's PATH.
  std::istringstream folders(std::string(path == nullptr ? "" : path) +
                             ":/usr/sbin:/usr/local/bin:/usr/local/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/nats-server";
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return absl::NotFoundError(
      "nats-server is neither on PATH nor in /usr/sbin; install the package nats-server or set "
      "NATS_SERVER to its path");
}

}  // namespace

absl::StatusOr<std::unique_ptr<NatsServer>> NatsServer::Start(const NatsServerOptions& options) {
  absl::StatusOr<std::string> binary = FindBinary(options.binary);
  if (!binary.ok()) return binary.status();
  absl::StatusOr<std::unique_ptr<TempFolder>> folder = TempFolder::Create("nats");
  if (!folder.ok()) return folder.status();
  std::unique_ptr<NatsServer> server(
      new NatsServer(*std::move(binary), *std::move(folder), options));
  std::random_device device;
  server->name_ = fmt::format("parti-{:08x}{:08x}", device(), device());
  absl::Status status = absl::ResourceExhaustedError(
      fmt::format("no free port found between {} and {}", kFirstPort, kLastPort));
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    server->port_ = RandomPort();
    if (!PortIsFree(server->port_)) continue;
    if (!options.start) return server;
    status = server->Launch();
    if (status.ok()) return server;
    // Someone may have taken the port in between; anything else would fail again.
    if (server->Log().find("address already in use") == std::string::npos) return status;
  }
  return status;
}

NatsServer::~NatsServer() { Kill(); }

std::string NatsServer::url() const { return fmt::format("nats://127.0.0.1:{}", port_); }

absl::Status NatsServer::WriteConfig() {
  std::ofstream file(folder_->File("nats.conf"));
  // Of what is given twice within, the last counts.
  const std::string jetstream = !jetstream_
                                    ? std::string()
                                    : fmt::format(
                                          "jetstream {{\nstore_dir: \"{}\"\nmax_memory_store: 1GB\n"
                                          "max_file_store: 4GB\n{}\n}}",
                                          folder_->File("store"), extra_jetstream_);
  file << fmt::format(
      "server_name: {}\n"
      "listen: \"127.0.0.1:{}\"\n"
      "{}\n"
      "{}\n",
      name_, port_, jetstream, extra_config_);
  file.close();
  if (!file) return absl::UnavailableError("can't write " + folder_->File("nats.conf"));
  return absl::OkStatus();
}

absl::Status NatsServer::Launch() {
  if (absl::Status written = WriteConfig(); !written.ok()) return written;
  const std::string log = folder_->File("nats.log");
  absl::StatusOr<std::unique_ptr<Process>> process =
      Process::Start({.argv = {binary_, "-c", folder_->File("nats.conf")},
                      .stdout_file = log,
                      .stderr_file = log});
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  return AwaitReady();
}

absl::Status NatsServer::AwaitReady() {
  const std::string name = fmt::format("\"server_name\":\"{}\"", name_);
  const auto deadline = std::chrono::steady_clock::now() + kReadyTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (const auto exit = process_->Wait(std::chrono::milliseconds(0))) {
      process_.reset();
      return absl::UnavailableError(
          fmt::format("nats-server on port {} ended with {}: {}", port_, exit->ToString(), Log()));
    }
    const std::optional<std::string> greeting = Greeting(port_);
    if (greeting && greeting->find(name) != std::string::npos) return absl::OkStatus();
    std::this_thread::sleep_for(kPollInterval);
  }
  Kill();
  return absl::DeadlineExceededError(fmt::format(
      "nats-server on port {} was not ready within {} s: {}", port_, kReadyTimeout.count(), Log()));
}

void NatsServer::Stop() {
  if (process_ == nullptr) return;
  Resume();  // a stopped process can't act on SIGTERM
  process_->Signal(SIGTERM).IgnoreError();
  process_->Wait(kStopTimeout);
  process_.reset();  // kills it, if that took too long
}

void NatsServer::Kill() { process_.reset(); }

absl::Status NatsServer::Restart() {
  Stop();
  return Launch();
}

absl::Status NatsServer::Reload() {
  if (process_ == nullptr) return absl::FailedPreconditionError("the nats-server doesn't run");
  if (absl::Status written = WriteConfig(); !written.ok()) return written;
  const std::size_t before = Log().size();
  if (absl::Status told = process_->Signal(SIGHUP); !told.ok()) return told;
  const auto deadline = std::chrono::steady_clock::now() + kReadyTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::string news = Log().substr(before);
    if (news.find("Reloaded server configuration") != std::string::npos) return absl::OkStatus();
    if (news.find("Failed to reload server configuration") != std::string::npos) {
      return absl::FailedPreconditionError(news);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return absl::DeadlineExceededError(
      fmt::format("nats-server on port {} has not reloaded its configuration within {} s: {}",
                  port_, kReadyTimeout.count(), Log()));
}

void NatsServer::Pause() {
  if (process_ != nullptr) process_->Freeze();
}

void NatsServer::Resume() {
  if (process_ != nullptr) process_->Signal(SIGCONT).IgnoreError();
}

std::string NatsServer::Log() const {
  std::ifstream file(folder_->File("nats.log"));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace parti::cli
