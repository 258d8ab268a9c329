#include "test/chaos/network.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

namespace parti::chaos {
namespace {

using cli::Process;

constexpr std::chrono::seconds kCommandTimeout(60);
constexpr const char* kNobody = "02:00:00:00:00:01";

// Runs a short command; what it prints goes nowhere.
bool RunQuietly(std::vector<std::string> argv) {
  auto process = Process::Start(
      {.argv = std::move(argv), .stdout_file = "/dev/null", .stderr_file = "/dev/null"});
  if (!process.ok()) return false;
  const auto exit = (*process)->Wait(kCommandTimeout);
  return exit.has_value() && exit->ok();
}

ino_t NamespaceOf(const std::string& pid) {
  struct stat info {};
  return stat(fmt::format("/proc/{}/ns/net", pid).c_str(), &info) == 0 ? info.st_ino : 0;
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// An ordinary user is root in a user namespace of its own, where the kernel allows that.
bool EnterNamespaces() {
  if (unshare(CLONE_NEWNET) == 0) return true;
  const std::string user = fmt::format("0 {} 1", geteuid());
  const std::string group = fmt::format("0 {} 1", getegid());
  if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  const auto write = [](const char* file, const std::string& text) { std::ofstream(file) << text; };
  write("/proc/self/setgroups", "deny");  // or the next isn't taken
  write("/proc/self/gid_map", group);
  write("/proc/self/uid_map", user);
  return geteuid() == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> Network::Create() {
  if (!EnterNamespaces()) {
    return absl::UnavailableError(
        fmt::format("no network namespace can be made: {}", std::strerror(errno)));
  }
  std::unique_ptr<Network> network(new Network);
  if (!RunQuietly({"ip", "link", "set", "lo", "up"}) ||
      !RunQuietly({"ip", "link", "add", "bridge0", "type", "bridge"}) ||
      !RunQuietly({"ip", "address", "add", "10.77.0.1/16", "dev", "bridge0"}) ||
      !RunQuietly({"ip", "link", "set", "bridge0", "up"})) {
    return absl::UnavailableError("`ip` makes no bridge: is the package iproute2 there?");
  }
  // The lasting answer whether the kernel has netem.
  network->has_netem_ =
      RunQuietly({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"}) &&
      RunQuietly({"tc", "qdisc", "del", "dev", "lo", "root"});
  return network;
}

std::string Network::Address(HostId host) const {
  return fmt::format("10.77.{}.{}", 1 + host / 200, 2 + host % 200);
}

std::vector<std::string> Network::Enter(HostId host) const {
  return {"nsenter", fmt::format("--net=/proc/{}/ns/net", hosts_[host].keeper->pid())};
}

std::vector<std::string> Network::Within(HostId host, std::vector<std::string> argv) const {
  return Enter(host) + argv;
}

absl::StatusOr<HostId> Network::AddHost(const std::string& name) {
  const HostId host = hosts_.size();
  auto keeper = Process::Start({.argv = {"unshare", "--net", "sleep", "infinity"}});
  if (!keeper.ok()) return keeper.status();
  const std::string pid = fmt::format("{}", (*keeper)->pid());
  hosts_.push_back({.name = name, .keeper = *std::move(keeper)});
  const auto end = std::chrono::steady_clock::now() + kCommandTimeout;
  while (NamespaceOf(pid) == NamespaceOf("self")) {
    if (std::chrono::steady_clock::now() > end) {
      return absl::UnavailableError("`unshare --net` made no namespace for " + name);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const std::string port = fmt::format("port{}", host);
  const std::vector<std::string> in = Enter(host);
  if (!RunQuietly(
          {"ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid}) ||
      !RunQuietly({"ip", "link", "set", port, "master", "bridge0", "up"}) ||
      !RunQuietly(in + std::vector<std::string>{"ip", "link", "set", "lo", "up"}) ||
      !RunQuietly(in + std::vector<std::string>{"ip", "address", "add", Address(host) + "/16",
                                                "dev", "eth0"}) ||
      !RunQuietly(in + std::vector<std::string>{"ip", "link", "set", "eth0", "up"})) {
    return absl::UnavailableError("`ip` can't join the namespace of " + name + " to the others");
  }
  return host;
}

void Network::SetNeighbour(HostId from, HostId to, bool blocked) {
  if (blocked) {
    RunQuietly(Within(from, {"ip", "neighbour", "replace", Address(to), "lladdr", kNobody, "dev",
                             "eth0", "nud", "permanent"}));
  } else {
    RunQuietly(Within(from, {"ip", "neighbour", "del", Address(to), "dev", "eth0"}));
  }
}

void Network::Block(HostId from, HostId to) {
  if (hosts_[from].blocked.insert(to).second) SetNeighbour(from, to, true);
}

void Network::Unblock(HostId from, HostId to) {
  if (hosts_[from].blocked.erase(to) > 0) SetNeighbour(from, to, false);
}

void Network::Slow(HostId host) {
  // Both ends of the cable: what it sends, and what it gets.
  const std::vector<std::string> how =
      has_netem_
          ? std::vector<std::string>{"netem", "delay", "80ms", "40ms", "distribution", "normal"}
          : std::vector<std::string>{"tbf", "rate", "96kbit", "burst", "2kb", "latency", "300ms"};
  RunQuietly(Within(host, {"tc", "qdisc", "add", "dev", "eth0", "root"}) + how);
  RunQuietly(
      std::vector<std::string>{"tc", "qdisc", "add", "dev", fmt::format("port{}", host), "root"} +
      how);
}

void Network::Lossy(HostId host) {
  if (!has_netem_) {
    hosts_[host].lossy = true;
    return;
  }
  const std::vector<std::string> how = {"netem", "delay", "5ms", "5ms", "loss", "15%"};
  RunQuietly(Within(host, {"tc", "qdisc", "add", "dev", "eth0", "root"}) + how);
  RunQuietly(
      std::vector<std::string>{"tc", "qdisc", "add", "dev", fmt::format("port{}", host), "root"} +
      how);
}

void Network::Mend(HostId host) {
  hosts_[host].lossy = false;
  Darken(host, false);
  RunQuietly(Within(host, {"tc", "qdisc", "del", "dev", "eth0", "root"}));
  RunQuietly({"tc", "qdisc", "del", "dev", fmt::format("port{}", host), "root"});
}

void Network::Darken(HostId host, bool dark) {
  if (hosts_[host].dark == dark) return;
  hosts_[host].dark = dark;
  const std::vector<std::string> port = {"ip", "link", "set", fmt::format("port{}", host)};
  RunQuietly(port + (dark ? std::vector<std::string>{"nomaster"}
                          : std::vector<std::string>{"master", "bridge0"}));
}

void Network::Tick() {
  for (HostId host = 0; host < hosts_.size(); ++host) {
    if (!hosts_[host].lossy) continue;
    const std::uint64_t die = random_() % 100;
    Darken(host, hosts_[host].dark ? die < 40 : die < 20);
  }
}

}  // namespace parti::chaos
