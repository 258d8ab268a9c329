#include "parti/cli/event_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace parti::cli {
namespace {

std::string Reason(int error) { return std::strerror(error); }

std::int64_t Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Of one boot of one machine, whose processes share CLOCK_BOOTTIME; empty if it can't be had.
std::string BootId() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}

}  // namespace

absl::StatusOr<std::shared_ptr<EventLog>> EventLog::Open(
    const std::string& target, std::function<void(const absl::Status&)> on_failure) {
  int fd = STDOUT_FILENO;
  if (target != "-") {
    // Readable too, to see whether the last line is whole.
    fd = open(target.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 && errno != ENOENT && errno != EISDIR) {
      fd = open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
  }
  if (fd < 0) {
    return absl::InvalidArgumentError(
        fmt::format("--events {}: can't be opened for appending: {}; give a file in a folder that "
                    "exists, or - for standard output",
                    target, Reason(errno)));
  }
  std::shared_ptr<EventLog> log(new EventLog(fd, target, std::move(on_failure)));
  log->StartNewLine();
  log->WriteOpened();
  return log;
}

EventLog::EventLog(int fd, std::string target, std::function<void(const absl::Status&)> on_failure)
    : fd_(fd),
      target_(std::move(target)),
      on_failure_(std::move(on_failure)),
      life_(std::make_shared<Life>()) {}

EventLog::~EventLog() {
  if (fd_ != STDOUT_FILENO) close(fd_);
}

// Whoever wrote this file before may have been killed within a line.
void EventLog::StartNewLine() {
  struct stat info {};
  if (fd_ == STDOUT_FILENO || fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return;
  char last = '\n';
  if (info.st_size > 0 && pread(fd_, &last, 1, info.st_size - 1) == 1 && last != '\n') {
    WriteBytes("\n");
  }
}

// Every writer holds a read lock on the file as long as it exists, and nobody ever takes a write
// lock: if one could be had, there is no other writer. Two that begin at once each see the other.
bool EventLog::IsAlone() const {
  struct stat info {};
  if (fd_ == STDOUT_FILENO || fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  struct flock lock {};
  lock.l_whence = SEEK_SET;
  lock.l_type = F_RDLCK;
  if (fcntl(fd_, F_OFD_SETLK, &lock) != 0) return false;
  lock = {};
  lock.l_whence = SEEK_SET;
  lock.l_type = F_WRLCK;
  return fcntl(fd_, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

void EventLog::WriteOpened() {
  const bool alone = IsAlone();
  const std::int64_t wall = Now(CLOCK_REALTIME);
  nlohmann::ordered_json line = Line(Now(CLOCK_BOOTTIME), "opened", *life_);
  if (const std::string clock = BootId(); !clock.empty()) {
    line["clock"] = clock;
    line["wall"] = wall;
  }
  line["alone"] = alone;
  Write(line);
}

void EventLog::OnStarted(std::int64_t now, std::string_view worker, std::uint64_t incarnation) {
  life_ = std::make_shared<const Life>(Life{std::string(worker), incarnation});
  Write(Line(now, "started", *life_));
}

void EventLog::OnState(std::int64_t now, State /*from*/, State to) {
  nlohmann::ordered_json line = Line(now, "state", *life_);
  line["state"] = StateName(to);
  Write(line);
}

void EventLog::OnLeader(std::int64_t now, bool gained, std::uint64_t epoch) {
  nlohmann::ordered_json line = Line(now, "leader", *life_);
  line["epoch"] = epoch;
  line["gained"] = gained;
  Write(line);
}

void EventLog::OnAcquired(std::int64_t now, std::uint64_t /*epoch*/, std::uint64_t /*version*/,
                          std::span<const OwnedPartition> partitions) {
  for (const OwnedPartition& partition : partitions) held_[partition.id] = life_;
  WriteGrants(now, "acquired", partitions, /*ended=*/false);
}

void EventLog::OnReleased(std::int64_t now, std::span<const OwnedPartition> partitions) {
  WriteGrants(now, "released", partitions, /*ended=*/true);
}

void EventLog::OnLost(std::int64_t now, std::span<const OwnedPartition> partitions) {
  WriteGrants(now, "lost", partitions, /*ended=*/true);
}

void EventLog::WriteGrants(std::int64_t now, std::string_view event,
                           std::span<const OwnedPartition> partitions, bool ended) {
  for (const OwnedPartition& partition : partitions) {
    const auto held = held_.find(partition.id);
    nlohmann::ordered_json line = Line(now, event, held == held_.end() ? *life_ : *held->second);
    line["epoch"] = partition.token.epoch;
    line["version"] = partition.token.version;
    line["partition"] = partition.id;
    Write(line);
    if (ended && held != held_.end()) held_.erase(held);
  }
}

void EventLog::OnLease(std::int64_t now, std::int64_t until) {
  nlohmann::ordered_json line = Line(now, "lease", *life_);
  line["until"] = until;
  Write(line);
}

void EventLog::OnStopped(std::int64_t now) { Write(Line(now, "stopped", *life_)); }

nlohmann::ordered_json EventLog::Line(std::int64_t now, std::string_view event,
                                      const Life& life) const {
  nlohmann::ordered_json line;
  line["t"] = now;
  line["event"] = event;
  line["worker"] = life.worker;
  line["incarnation"] = life.incarnation;
  return line;
}

void EventLog::Write(const nlohmann::ordered_json& line) {
  // Partition ids may hold any bytes that NATS takes; JSON takes UTF-8 only.
  WriteBytes(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void EventLog::WriteBytes(std::string_view bytes) {
  while (!failed_) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written == static_cast<ssize_t>(bytes.size())) return;
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {  // a pipe that its other end has made non-blocking
      pollfd writable{fd_, POLLOUT, 0};
      poll(&writable, 1, -1);
      continue;
    }
    failed_ = true;
    on_failure_(absl::DataLossError(fmt::format(
        "--events {}: a line could not be written: {}; the worker stops, for its log is no longer "
        "complete",
        target_, written < 0 ? Reason(errno) : "the disk or pipe took only a part of it")));
  }
}

}  // namespace parti::cli
