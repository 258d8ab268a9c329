// One worker whose partitions are the lines of a file. Edit the file while it runs.
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>

#include "file_source.h"
#include "parti/manager.h"
#include "strategies/strategies.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "file-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}

// What tells one state of the file from another; all zero while it is missing.
struct Stamp {
  std::filesystem::file_time_type time;
  std::uintmax_t size = 0;
  bool operator==(const Stamp&) const = default;
};

Stamp StampOf(const std::filesystem::path& path) {
  std::error_code error;
  Stamp stamp;
  stamp.time = std::filesystem::last_write_time(path, error);
  if (error) return {};
  stamp.size = std::filesystem::file_size(path, error);
  if (error) return {};
  return stamp;
}

parti::ManagerOptions Options(const std::string& url, const std::filesystem::path& path) {
  parti::ManagerOptions options;
  options.config = parti::Config::Preset("fast").value();
  options.config.prefix = "file";
  options.nats.url = url;
  options.source = std::make_shared<FileSource>(path);
  options.strategy = parti::MakeConsistentHash();
  options.hooks.on_acquire = [](const parti::OwnedPartition& partition) {
    std::printf("+ %s\n", partition.id.c_str());
    return absl::OkStatus();
  };
  options.hooks.on_release = [](auto owned, auto /*bound*/) {
    for (const auto& partition : owned) std::printf("- %s\n", partition.id.c_str());
  };
  options.hooks.on_lost = [](auto owned, auto reason) {
    for (const auto& partition : owned) {
      std::printf("- %s: %.*s\n", partition.id.c_str(), static_cast<int>(reason.size()),
                  reason.data());
    }
  };
  options.hooks.on_error = [](const absl::Status& status) { (void)Fail(status); };
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: file-worker FILE [URL]\n");
    return 2;
  }
  const std::filesystem::path path = argv[1];
  const std::string url = argc > 2 ? argv[2] : "nats://127.0.0.1:4222";
  std::setvbuf(stdout, nullptr, _IOLBF, 0);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  // A worker must be able to begin with a file that is in order; later it may be out of order.
  if (auto first = FileSource(path).List(); !first.ok()) return Fail(first.status());

  Stamp stamp = StampOf(path);
  auto manager = parti::Manager::Create(Options(url, path));
  if (!manager.ok()) return Fail(manager.status());
  if (absl::Status status = (*manager)->Start(); !status.ok()) return Fail(status);
  std::printf("this is %s; edit %s, or end it with Ctrl-C\n", (*manager)->worker_id().c_str(),
              path.c_str());

  // Until a signal comes, looks at the file twice a second.
  const timespec half_a_second = {.tv_sec = 0, .tv_nsec = 500'000'000};
  while (sigtimedwait(&signals, nullptr, &half_a_second) < 0) {
    const Stamp now = StampOf(path);
    if (now == stamp) continue;
    stamp = now;
    // Each worker lists again; the leader rebalances if its list has changed.
    (*manager)->RefreshPartitions();
  }
  if (absl::Status status = (*manager)->Stop(); !status.ok()) return Fail(status);
  return 0;
}
