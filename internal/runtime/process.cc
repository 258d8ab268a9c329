#include "internal/runtime/process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>

namespace parti::runtime {
namespace {

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad() || text.empty()) return std::nullopt;
  return text;
}

// What /proc/PID/stat says of a process (proc(5)).
struct ProcStat {
  char state = 0;                 // field 3
  std::int64_t threads = 0;       // field 20
  std::uint64_t start_ticks = 0;  // field 22
};

std::optional<ProcStat> ReadStat(const std::string& pid) {
  const std::optional<std::string> text = ReadFile(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  // Field 2 is the program's name in parentheses, and may hold blanks and parentheses itself.
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text->substr(name_end + 1));
  ProcStat stat;
  std::string skipped;
  fields >> stat.state;
  for (int field = 4; field < 20; ++field) fields >> skipped;
  fields >> stat.threads >> skipped >> stat.start_ticks;
  if (!fields) return std::nullopt;
  return stat;
}

// A /proc that belongs to another pid namespace than ours shows other processes under our pids.
bool ProcShowsOurPids() {
  std::array<char, 32> target{};
  const ssize_t length = readlink("/proc/self", target.data(), target.size() - 1);
  return length > 0 && std::string(target.data()) == std::to_string(getpid());
}

}  // namespace

wire::ProcessId OwnProcess() {
  wire::ProcessId own;
  own.pid = getpid();
  if (!ProcShowsOurPids()) return own;
  struct stat pid_namespace {};
  const std::optional<std::string> boot_id = ReadFile("/proc/sys/kernel/random/boot_id");
  const std::optional<ProcStat> self = ReadStat("self");
  if (!boot_id || !self || stat("/proc/self/ns/pid", &pid_namespace) != 0) return own;
  own.boot_id = boot_id->substr(0, boot_id->find_last_not_of(" \n") + 1);
  own.pid_namespace = pid_namespace.st_ino;
  own.start_ticks = self->start_ticks;
  return own;
}

bool ProcessIsGone(const wire::ProcessId& process) {
  const wire::ProcessId own = OwnProcess();
  if (own.boot_id.empty() || process.boot_id != own.boot_id) return false;
  if (process.pid_namespace != own.pid_namespace) return false;
  // The record is untrusted, and kill() gives 0 and below a meaning of their own.
  if (process.pid <= 0 || process.pid > std::numeric_limits<pid_t>::max()) return false;

  // kill() first: a /proc mounted with hidepid hides living processes, kill() doesn't.
  if (kill(static_cast<pid_t>(process.pid), 0) != 0 && errno == ESRCH) return true;
  const std::optional<ProcStat> stat = ReadStat(std::to_string(process.pid));
  if (!stat) return false;
  if (stat->start_ticks != process.start_ticks) return true;
  // Killed, and only not waited for by its parent. A zombie with more threads is a process whose
  // main thread has left: the others run on.
  return stat->state == 'Z' && stat->threads <= 1;
}

std::string DefaultIdentity() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return fmt::format("{}-{}", host[0] == '\0' ? "localhost" : host.data(), getpid());
}

}  // namespace parti::runtime
