#include "test/integration/local_group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parti/cli/event_log.h"
#include "parti/cli/worker_group.h"
#include "strategies/strategies.h"

namespace parti::test {

using std::chrono::milliseconds;

void LineLog::Log(LogLevel, std::string_view message) {
  const std::lock_guard lock(mutex_);
  lines_.emplace_back(message);
}

std::vector<std::string> LineLog::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

int LineLog::Count(std::string_view text) const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
    return line.find(text) != std::string::npos;
  }));
}

std::string LineLog::Text() const { return fmt::format("{}\n", fmt::join(lines(), "\n")); }

std::string PartitionId(int number) { return fmt::format("p-{}", number); }

std::vector<Partition> NumberedPartitions(int count) {
  std::vector<Partition> partitions;
  for (int i = 0; i < count; ++i) partitions.push_back({.keys = {"p", fmt::format("{}", i)}});
  return partitions;
}

absl::StatusOr<std::vector<Partition>> ChangingSource::List() {
  ++listed_;
  std::shared_ptr<Gate> gate;
  {
    const std::lock_guard lock(mutex_);
    gate = gate_;
  }
  if (gate) gate->Wait();
  if (throws_) throw std::runtime_error("the list is in flames");
  const std::lock_guard lock(mutex_);
  if (!failure_.ok()) return failure_;
  return partitions_;
}

void ChangingSource::Set(std::vector<Partition> partitions) {
  const std::lock_guard lock(mutex_);
  partitions_ = std::move(partitions);
}

void ChangingSource::Fail(absl::Status status) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(status);
}

void ChangingSource::WaitAt(std::shared_ptr<Gate> gate) {
  const std::lock_guard lock(mutex_);
  gate_ = std::move(gate);
}

LocalGroup::LocalGroup(const LocalGroupOptions& options)
    : options_(options), folder_(MakeTempDir()), server_(options.on) {
  if (server_ == nullptr) {
    own_server_ = StartServer(options.server);
    server_ = own_server_.get();
  }
}

LocalGroup::~LocalGroup() {
  for (auto& [name, member] : members_) (void)member.manager->Stop();
}

ManagerOptions LocalGroup::Options(const std::string& name) {
  return Options(name,
                 std::make_shared<StaticPartitionSource>(NumberedPartitions(options_.partitions)));
}

ManagerOptions LocalGroup::Options(const std::string& name,
                                   std::shared_ptr<PartitionSource> source) {
  ManagerOptions options;
  options.config = Config::Preset("fast").value();
  options.config.prefix = options_.prefix;
  options.config.identity = name;
  options.config.assume_new_group = true;
  options.config.heartbeat_ttl = milliseconds(3000);
  options.config.election_ttl = milliseconds(3000);
  options.config.cold_start_window = milliseconds(100);
  options.nats.url = server_->url();
  options.source = std::move(source);
  options.strategy = MakeRoundRobin();
  return options;
}

Manager& LocalGroup::Create(const std::string& name, ManagerOptions options) {
  Member member{.log = std::make_shared<LineLog>(), .manager = nullptr};
  options.logger = member.log;
  options.observer = cli::EventLog::Open(folder_->File(name), [](const absl::Status& status) {
                       ADD_FAILURE() << status;
                     }).value();
  member.manager = Manager::Create(std::move(options)).value();
  return *members_.emplace(name, std::move(member)).first->second.manager;
}

Manager& LocalGroup::Start(const std::string& name, ManagerOptions options) {
  Manager& manager = Create(name, std::move(options));
  const absl::Status started = manager.Start(kDeadline);
  EXPECT_TRUE(started.ok()) << name << ": " << started << "\n" << log(name).Text();
  return manager;
}

int LocalGroup::Owned(const std::string& name) {
  int owned = 0;
  for (int i = 0; i < options_.partitions; ++i) {
    owned += members_.at(name).manager->Owns(PartitionId(i)) ? 1 : 0;
  }
  return owned;
}

std::string LocalGroup::AwaitOwned(const std::map<std::string, int>& each) {
  const auto present = [&] {
    std::map<std::string, int> owned;
    for (const auto& [name, count] : each) owned[name] = Owned(name);
    return owned;
  };
  if (WaitFor([&] { return present() == each; })) return "";
  std::string text;
  for (const auto& [name, count] : present()) {
    text +=
        fmt::format("{} owns {} instead of {}\n{}", name, count, each.at(name), log(name).Text());
  }
  return text;
}

std::string LocalGroup::Stop(const std::string& name) {
  const absl::Status status = members_.at(name).manager->Stop();
  return status.ok() ? "" : fmt::format("{}: {}\n", name, std::string(status.message()));
}

std::string LocalGroup::Finish() {
  std::string found;
  for (auto& [name, member] : members_) found += Stop(name);
  std::vector<std::string> ids;
  for (int i = 0; i < options_.partitions; ++i) ids.push_back(PartitionId(i));
  cli::Observer observer(ids);
  for (auto& [name, member] : members_) {
    const std::size_t process = observer.AddProcess(name);
    for (const std::string& line : ReadLines(folder_->File(name))) {
      observer.AddLine(process, line);
    }
  }
  cli::Verdict verdict = observer.Judge(cli::BootNanos());
  verdict.unowned.clear();
  return found + verdict.Describe();
}

}  // namespace parti::test
