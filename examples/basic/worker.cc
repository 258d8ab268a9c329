// One worker of the group `orders`: works on the orders of those partitions that it owns.
//
// While it owns partition p it has a thread that fetches from the subject orders.p, so that each
// partition's orders are handled in order, by one worker at a time. Start several, kill some.
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "jetstream.h"
#include "parti/manager.h"
#include "strategies/strategies.h"

namespace {

// The threads that work on partitions.
class Work {
 public:
  explicit Work(const std::string& url) : stream_(url) {}

  // Whose claims decide. To be set before the first Begin.
  void SetManager(const parti::Manager* manager) { manager_ = manager; }

  void Begin(const parti::OwnedPartition& partition) {
    std::printf("+ %s\n", partition.id.c_str());
    threads_[partition.id] =
        std::jthread([this, id = partition.id](const std::stop_token& stop) { Run(id, stop); });
  }

  // Returns when nothing of it is in flight: a jthread is told to stop and waited for when it goes.
  void End(const std::string& id) {
    if (threads_.erase(id) > 0) std::printf("- %s\n", id.c_str());
  }

 private:
  void Run(const std::string& id, const std::stop_token& stop) {
    JetStream::Consumer consumer(stream_, "orders." + id, "orders-" + id);
    while (!stop.stop_requested()) {
      consumer.Fetch([&](std::string_view order) {
        // The claim may have ended since this order was fetched: then it is another worker's.
        const auto token = manager_->TokenFor(id);
        if (!token) return false;
        // A database would be given the token along with the write, and refuse a smaller one.
        std::printf("order %.*s of partition %s, token %llu.%llu\n", static_cast<int>(order.size()),
                    order.data(), id.c_str(), static_cast<unsigned long long>(token->epoch),
                    static_cast<unsigned long long>(token->version));
        return true;
      });
    }
  }

  JetStream stream_;
  const parti::Manager* manager_ = nullptr;
  std::map<std::string, std::jthread> threads_;  // only the hooks touch it, and they share a thread
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "orders-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string url = argc > 1 ? argv[1] : "nats://127.0.0.1:4222";
  std::setvbuf(stdout, nullptr, _IOLBF, 0);

  // Ctrl-C and SIGTERM are waited for below. Blocked before the first thread begins, which inherits
  // it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Work work(url);

  parti::ManagerOptions options;
  options.config = parti::Config::Preset("fast").value();
  options.config.prefix = "example-orders";
  options.nats.url = url;
  std::vector<parti::Partition> partitions;
  for (int i = 0; i < kPartitions; ++i) partitions.push_back({.keys = {std::to_string(i)}});
  options.source = std::make_shared<parti::StaticPartitionSource>(partitions);
  options.strategy = parti::MakeConsistentHash();
  options.hooks.on_acquire = [&](const parti::OwnedPartition& partition) {
    work.Begin(partition);
    return absl::OkStatus();
  };
  options.hooks.on_release = [&](auto owned, auto /*bound*/) {
    for (const auto& partition : owned) work.End(partition.id);
  };
  options.hooks.on_lost = [&](auto owned, auto reason) {
    std::printf("lost %zu partitions: %.*s\n", owned.size(), static_cast<int>(reason.size()),
                reason.data());
    for (const auto& partition : owned) work.End(partition.id);
  };
  options.hooks.on_error = [](const absl::Status& status) { (void)Fail(status); };

  auto manager = parti::Manager::Create(std::move(options));
  if (!manager.ok()) return Fail(manager.status());
  work.SetManager(manager->get());
  if (absl::Status status = (*manager)->Start(); !status.ok()) return Fail(status);
  std::printf("this is %s; Ctrl-C ends it\n", (*manager)->worker_id().c_str());

  int signal = 0;
  sigwait(&signals, &signal);
  if (absl::Status status = (*manager)->Stop(); !status.ok()) return Fail(status);
  std::printf("left the group\n");
  return 0;
}
