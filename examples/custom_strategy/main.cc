// Three workers in two zones, and what each owns: all together, and when a zone's only worker is
// gone.
//
// A Manager is one worker. Here three of them live in one process, so that there is one thing to
// start; a real service has one Manager per process.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "parti/manager.h"
#include "zone_strategy.h"

namespace {

using Managers = std::vector<std::pair<std::string, std::unique_ptr<parti::Manager>>>;

std::vector<parti::Partition> Partitions() {
  std::vector<parti::Partition> partitions;
  for (const char* zone : {"east", "west"}) {
    for (int i = 0; i < 6; ++i) partitions.push_back({.keys = {zone, std::to_string(i)}});
  }
  return partitions;
}

parti::ManagerOptions Options(const std::string& url, const std::string& name,
                              const std::string& zone) {
  parti::ManagerOptions options;
  options.config = parti::Config::Preset("fast").value();
  options.config.prefix = "zones";
  options.config.identity = name;
  options.config.labels = {{"zone", zone}};
  options.nats.url = url;
  options.source = std::make_shared<parti::StaticPartitionSource>(Partitions());
  options.strategy = std::make_shared<ZoneStrategy>();
  options.hooks.on_error = [name](const absl::Status& status) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), std::string(status.message()).c_str());
  };
  return options;
}

// Each partition of a zone is owned by a worker of that zone, or, if it has none, by any.
bool Settled(const Managers& managers) {
  std::size_t owned = 0;
  for (const auto& partition : Partitions()) {
    bool has_worker = false;
    for (const auto& [zone, manager] : managers) has_worker |= zone == partition.keys.front();
    for (const auto& [zone, manager] : managers) {
      const bool allowed = !has_worker || zone == partition.keys.front();
      if (allowed && manager->Owns(partition.Id())) ++owned;
    }
  }
  return owned == Partitions().size();
}

bool ShowWhenSettled(const char* title, const Managers& managers) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!Settled(managers)) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::fprintf(stderr, "%s: the partitions are not where they belong after a minute\n", title);
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::printf("%s\n", title);
  for (const auto& [zone, manager] : managers) {
    std::printf("  %s (%s):", manager->worker_id().c_str(), zone.c_str());
    for (const auto& partition : Partitions()) {
      if (manager->Owns(partition.Id())) std::printf(" %s", partition.Id().c_str());
    }
    std::printf("\n");
  }
  return true;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "zones: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string url = argc > 1 ? argv[1] : "nats://127.0.0.1:4222";
  Managers managers;
  for (const auto& [name, zone] :
       {std::pair("anna", "east"), std::pair("bert", "east"), std::pair("carl", "west")}) {
    auto manager = parti::Manager::Create(Options(url, name, zone));
    if (!manager.ok()) return Fail(manager.status());
    if (absl::Status status = (*manager)->Start(); !status.ok()) return Fail(status);
    managers.emplace_back(zone, std::move(*manager));
  }
  if (!ShowWhenSettled("three workers:", managers)) return 1;

  if (absl::Status status = managers.back().second->Stop(); !status.ok()) return Fail(status);
  managers.pop_back();
  if (!ShowWhenSettled("without the west's only worker:", managers)) return 1;
  return 0;
}
