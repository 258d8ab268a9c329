#include "test/integration/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace parti::test {
namespace {

constexpr std::chrono::milliseconds kQuiet(300);

}  // namespace

Cluster::Cluster(const ClusterOptions& options)
    : prefix_(options.prefix), folder_(MakeTempDir()), server_(options.server) {
  if (server_ == nullptr) {
    own_server_ =
        StartServer({.start = options.start_server, .extra_config = options.server_config});
    server_ = own_server_.get();
  }
  group_ =
      std::make_unique<cli::WorkerGroup>(cli::WorkerGroupOptions{.binary = PARTI_BINARY,
                                                                 .url = server_->url(),
                                                                 .folder = folder_->path(),
                                                                 .prefix = prefix_,
                                                                 .partitions = options.partitions,
                                                                 .strategy = options.strategy,
                                                                 .settings = options.settings});
}

std::size_t Cluster::Start(const std::string& name, const std::vector<std::string>& settings,
                           const cli::SpawnOptions& more) {
  std::vector<std::string> all = {"identity=" + name};
  all.insert(all.end(), settings.begin(), settings.end());
  const absl::StatusOr<std::size_t> worker = group_->Spawn(name, all, more);
  if (!worker.ok()) {
    fmt::print(stderr, "no worker: {}\n", worker.status().ToString());
    std::abort();
  }
  return *worker;
}

std::string Cluster::Await(const std::function<bool()>& condition) {
  const bool held = WaitFor([&] {
    group_->Poll();
    return condition();
  });
  return held ? "" : "it didn't come about in time:\n" + group_->Describe();
}

std::string Cluster::AwaitSettled() {
  std::string why;
  const bool settled = WaitFor([&] {
    group_->Poll();
    why = group_->WhyUnsettled(kQuiet);
    return why.empty() || !group_->UnexpectedEnd().empty();
  });
  if (const std::string ended = group_->UnexpectedEnd(); !ended.empty()) return ended;
  return settled ? "" : fmt::format("not settled: {}\n{}", why, group_->Describe());
}

std::string Cluster::Judge(bool ids_are_unique) {
  if (std::string why = AwaitSettled(); !why.empty()) return why;
  const cli::Verdict settled = observer().Judge(cli::BootNanos());
  const std::vector<std::size_t> living = group_->Living();
  group_->StopAll(kDeadline);
  cli::Verdict verdict = observer().Judge(cli::BootNanos());
  verdict.unowned = settled.unowned;
  verdict.gaps = settled.gaps;
  verdict.longest_gap = std::chrono::nanoseconds(kDeadline).count();
  if (!ids_are_unique) {
    verdict.id_conflicts.clear();
    verdict.incarnation_regressions.clear();
    verdict.version_regressions.clear();
  }
  for (const std::size_t worker : living) {
    if (group_->exit(worker)->ok()) continue;
    verdict.anomalies.push_back(fmt::format("{} ended with {}:\n{}", group_->name(worker),
                                            group_->exit(worker)->ToString(),
                                            group_->ErrorTail(worker)));
  }
  return verdict.Describe();
}

std::map<std::string, std::string> Cluster::OwnerIds() const {
  const cli::Observer& observer = group_->observer();
  std::map<std::string, std::string> owners;
  for (const cli::Holder& holder : observer.HoldersAt(cli::BootNanos())) {
    owners[holder.partition] =
        holder.process.has_value() ? observer.View(*holder.process).worker : std::string();
  }
  return owners;
}

std::size_t Cluster::Owned(std::size_t worker) const {
  const auto holders = group_->observer().HoldersAt(cli::BootNanos());
  return static_cast<std::size_t>(
      std::count_if(holders.begin(), holders.end(),
                    [worker](const cli::Holder& holder) { return holder.process == worker; }));
}

std::map<std::string, Held> Cluster::Claims() const {
  std::map<std::string, Held> claims;
  for (const cli::Holder& holder : group_->observer().HoldersAt(cli::BootNanos())) {
    if (holder.process.has_value()) claims[holder.partition] = {*holder.process, holder.since};
  }
  return claims;
}

std::map<std::string, Held> Cluster::ClaimsOf(const std::vector<std::size_t>& workers) const {
  std::map<std::string, Held> claims = Claims();
  std::erase_if(claims, [&](const auto& claim) {
    return std::find(workers.begin(), workers.end(), claim.second.worker) == workers.end();
  });
  return claims;
}

std::string Cluster::Disturbed(const std::map<std::string, Held>& claims) const {
  const std::map<std::string, Held> now = Claims();
  std::string text;
  for (const auto& [partition, held] : claims) {
    const auto found = now.find(partition);
    if (found != now.end() && found->second == held) continue;
    text += fmt::format("{} of {} {}\n", partition, group_->name(held.worker),
                        found == now.end() ? "is nobody's"
                        : found->second.worker == held.worker
                            ? "was interrupted"
                            : fmt::format("went to {}", group_->name(found->second.worker)));
  }
  return text;
}

std::vector<cli::EventLine> Cluster::Events(std::size_t worker) const {
  std::vector<cli::EventLine> events;
  for (const std::string& line : ReadLines(group_->EventFile(worker))) {
    absl::StatusOr<cli::EventLine> event = cli::ParseEventLine(line);
    if (event.ok()) events.push_back(*std::move(event));
  }
  return events;
}

}  // namespace parti::test
