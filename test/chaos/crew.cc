#include "test/chaos/crew.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <utility>

#include "test/support/support.h"

namespace parti::chaos {
namespace {

constexpr std::chrono::milliseconds kProxyDelay(60);
constexpr std::chrono::seconds kStopTimeout(30);

}  // namespace

absl::StatusOr<std::unique_ptr<Crew>> Crew::Create(const CrewOptions& options, Servers* servers,
                                                   Network* network) {
  std::unique_ptr<Crew> crew(new Crew(options, servers, network));
  if (absl::Status prepared = crew->Prepare(); !prepared.ok()) return prepared;
  return crew;
}

Crew::Crew(const CrewOptions& options, Servers* servers, Network* network)
    : options_(options),
      servers_(*servers),
      network_(network),
      group_(std::make_unique<cli::WorkerGroup>(cli::WorkerGroupOptions{
          .binary = options.binary,
          .url = servers->urls(),
          .folder = options.folder,
          .prefix = options.prefix,
          .partitions = options.partitions,
          .preset = options.preset,
          .settings = {fmt::format("max_workers={}", 2 * options.places + 2),
                       fmt::format("replicas={}", options.replicas)}})) {}

absl::Status Crew::Prepare() {
  for (int i = 0; i < options_.places; ++i) {
    At at{.name = fmt::format("w{}", i)};
    if (network_ != nullptr) {
      const auto host = network_->AddHost(at.name);
      if (!host.ok()) return host.status();
      at.host = *host;
      at.script = fmt::format("{}/{}.sh", options_.folder, at.name);
      std::ofstream script(at.script);
      script << "#!/bin/sh\nexec";
      for (const std::string& word : network_->Within(at.host, {options_.binary})) {
        script << " '" << word << "'";
      }
      script << " \"$@\"\n";
      script.close();
      if (!script || chmod(at.script.c_str(), 0755) != 0) {
        return absl::UnavailableError("can't write " + at.script);
      }
    } else {
      for (std::size_t node = 0; node < servers_.size(); ++node) {
        at.proxies.push_back(std::make_unique<test::Proxy>(servers_.port(node)));
      }
    }
    places_.push_back(std::move(at));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Crew::Spawn(Place place, const std::string& name) {
  const At& at = places_[place];
  std::string urls;
  for (const auto& proxy : at.proxies) urls += (urls.empty() ? "" : ",") + proxy->url();
  cli::SpawnOptions options{.url = urls.empty() ? servers_.urls() : urls,
                            .binary = at.script,
                            .arguments = {"--name", name}};
  if (!options_.broken.empty() && (place == 0 || options_.broken == "cas")) {
    options.arguments.insert(options.arguments.end(), {"--break", options_.broken});
  }
  return group_->Spawn(name, {"identity=" + at.name}, options);
}

absl::Status Crew::Start(Place place) {
  At& at = places_[place];
  if (Runs(place)) return absl::OkStatus();
  const auto worker = Spawn(place, fmt::format("{}-{}", at.name, ++at.starts));
  if (!worker.ok()) return worker.status();
  at.worker = *worker;
  group_->SetAside(*worker, at.cut);
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Crew::StartTwin(Place place) {
  At& at = places_[place];
  return Spawn(place, fmt::format("{}-{}-twin", at.name, ++at.starts));
}

void Crew::Kill(Place place) {
  const std::size_t worker = *places_[place].worker;
  group_->Kill(worker);
  group_->CountAsGone(worker);
  // For whoever judges the logs later.
  const std::string file = group_->EventFile(worker);
  const std::string written = test::ReadFile(file);
  std::ofstream log(file, std::ios::app);
  // It may have been killed within a line.
  log << (written.empty() || written.back() == '\n' ? "" : "\n")
      << fmt::format("{{\"t\":{},\"event\":\"gone\"}}\n", cli::BootNanos());
}

void Crew::Terminate(Place place) { group_->Terminate(*places_[place].worker); }
void Crew::Pause(Place place) { group_->Pause(*places_[place].worker); }
void Crew::Resume(Place place) { group_->Resume(*places_[place].worker); }

void Crew::Cut(Place place, Way way) {
  At& at = places_[place];
  at.cut = true;
  if (at.worker.has_value()) group_->SetAside(*at.worker, true);
  for (const auto& proxy : at.proxies) {
    using Direction = test::Proxy::Direction;
    if (way == Way::kBoth) proxy->Partition();
    if (way == Way::kDeaf) proxy->Freeze(Direction::kToClient);
    if (way == Way::kMute) proxy->Freeze(Direction::kToServer);
  }
  if (network_ == nullptr) return;
  for (std::size_t node = 0; node < servers_.size(); ++node) {
    if (way != Way::kMute) network_->Block(servers_.host(node), at.host);
    if (way != Way::kDeaf) network_->Block(at.host, servers_.host(node));
  }
}

void Crew::Heal(Place place) {
  At& at = places_[place];
  at.cut = false;
  if (at.worker.has_value()) group_->SetAside(*at.worker, false);
  for (const auto& proxy : at.proxies) proxy->Heal();
  if (network_ == nullptr) return;
  for (std::size_t node = 0; node < servers_.size(); ++node) {
    network_->Unblock(servers_.host(node), at.host);
    network_->Unblock(at.host, servers_.host(node));
  }
}

void Crew::Slow(Place place) {
  At& at = places_[place];
  if (network_ != nullptr) network_->Slow(at.host);
  for (const auto& proxy : at.proxies) proxy->Delay(kProxyDelay);
}

void Crew::Lossy(Place place) { network_->Lossy(places_[place].host); }

void Crew::Mend(Place place) {
  At& at = places_[place];
  if (network_ != nullptr) network_->Mend(at.host);
  for (const auto& proxy : at.proxies) proxy->Delay(std::chrono::milliseconds(0));
}

bool Crew::Runs(Place place) const {
  const auto& worker = places_[place].worker;
  return worker.has_value() && group_->Running(*worker);
}

std::optional<Place> Crew::Leader() const {
  const std::optional<std::size_t> leader = group_->Leader();
  for (Place place = 0; leader.has_value() && place < size(); ++place) {
    if (places_[place].worker == leader) return place;
  }
  return std::nullopt;
}

void Crew::StopAll() { group_->StopAll(kStopTimeout); }

}  // namespace parti::chaos
