#include "test/support/support.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

namespace parti::test {
namespace {

constexpr std::chrono::milliseconds kPollInterval(3);

[[noreturn]] void Die(std::string_view what, const absl::Status& status) {
  fmt::print(stderr, "{}: {}\n", what, status.ToString());
  std::abort();
}

}  // namespace

bool WaitFor(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

bool StaysTrue(const std::function<bool()>& condition, std::chrono::milliseconds span) {
  return !WaitFor([&] { return !condition(); }, span);
}

std::unique_ptr<NatsServer> StartServer(const NatsServerOptions& options) {
  auto server = NatsServer::Start(options);
  if (!server.ok()) Die("no NATS server", server.status());
  return *std::move(server);
}

void RestartServer(NatsServer& server) {
  if (absl::Status status = server.Restart(); !status.ok()) Die("NATS server lost", status);
}

void ReloadServer(NatsServer& server, const std::string& config) {
  server.SetExtraConfig(config);
  if (absl::Status status = server.Reload(); !status.ok()) Die("NATS server not reloaded", status);
}

std::unique_ptr<Process> StartProcess(const ProcessOptions& options) {
  auto process = Process::Start(options);
  if (!process.ok()) Die("no process", process.status());
  return *std::move(process);
}

std::unique_ptr<TempDir> MakeTempDir() {
  auto folder = TempDir::Create("test");
  if (!folder.ok()) Die("no temporary folder", folder.status());
  return *std::move(folder);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  return lines;
}

void WriteFile(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace parti::test
