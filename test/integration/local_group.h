// Managers in this process on one server, each with an event log, and the observer over them all:
// for hooks, sources and strategies that a test holds in its hand.
//
//   LocalGroup group;
//   ManagerOptions options = group.Options("a");
//   options.hooks.on_release = …;
//   Manager& a = group.Start("a", options);
//   …
//   EXPECT_EQ(group.Finish(), "");
//
// What hooks use must be declared before the group, or the group be finished before it goes.
#ifndef PARTI_TEST_INTEGRATION_LOCAL_GROUP_H_
#define PARTI_TEST_INTEGRATION_LOCAL_GROUP_H_

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "parti/cli/observer.h"
#include "parti/logger.h"
#include "parti/manager.h"
#include "test/support/support.h"

namespace parti::test {

// What a hook waits for until the test lets it go; at the latest when the gate is gone.
class Gate {
 public:
  ~Gate() { Open(); }
  void Open() {
    if (!opened_.exchange(true)) promise_.set_value();
  }
  void Wait() {
    ++waiting_;
    future_.wait();
  }
  bool reached() const { return waiting_ > 0; }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_{promise_.get_future().share()};
  std::atomic<bool> opened_{false};
  std::atomic<int> waiting_{0};
};

// The log lines of one Manager.
class LineLog : public Logger {
 public:
  void Log(LogLevel level, std::string_view message) override;
  std::vector<std::string> lines() const;
  int Count(std::string_view text) const;  // lines that hold it
  bool Has(std::string_view text) const { return Count(text) > 0; }
  std::string Text() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// p-0, p-1, …
std::string PartitionId(int number);
std::vector<Partition> NumberedPartitions(int count);

// A list that the test changes, and that fails, throws or waits when it is told to.
class ChangingSource : public PartitionSource {
 public:
  explicit ChangingSource(std::vector<Partition> partitions) : partitions_(std::move(partitions)) {}
  absl::StatusOr<std::vector<Partition>> List() override;
  void Set(std::vector<Partition> partitions);
  void Fail(absl::Status status);  // OK: lists again
  void Throw(bool throws) { throws_ = throws; }
  void WaitAt(std::shared_ptr<Gate> gate);  // null: waits no more
  int listed() const { return listed_; }    // how often List was called

 private:
  std::mutex mutex_;
  std::vector<Partition> partitions_;
  absl::Status failure_;
  std::shared_ptr<Gate> gate_;
  std::atomic<bool> throws_{false};
  std::atomic<int> listed_{0};
};

struct LocalGroupOptions {
  int partitions = 8;  // that the observer knows, and that a member lists by default
  std::string prefix = "test";
  NatsServerOptions server = {};
  NatsServer* on = nullptr;  // another's server; null: one of its own
};

class LocalGroup {
 public:
  explicit LocalGroup(const LocalGroupOptions& options = {});
  ~LocalGroup();

  // Preset fast with a lease of 3 s, for a loaded machine, and round robin.
  ManagerOptions Options(const std::string& name);
  ManagerOptions Options(const std::string& name, std::shared_ptr<PartitionSource> source);

  // Names are the identities, and must differ. Start expects that the id is claimed.
  Manager& Create(const std::string& name, ManagerOptions options);
  Manager& Start(const std::string& name, ManagerOptions options);
  Manager& Start(const std::string& name) { return Start(name, Options(name)); }

  Manager& operator[](const std::string& name) { return *members_.at(name).manager; }
  LineLog& log(const std::string& name) { return *members_.at(name).log; }
  NatsServer& server() { return *server_; }

  // How many of p-0 … p-<partitions - 1> it owns now.
  int Owned(const std::string& name);
  // Each of them is owned by one of these, `each` by each. "" or who owns what after kDeadline.
  std::string AwaitOwned(const std::map<std::string, int>& each);

  // Stops one, or all, and judges all event logs to their ends. "" or what was found; partitions
  // without an owner at the end are no finding. `ids_are_unique`: see Cluster.
  std::string Stop(const std::string& name);
  std::string Finish();

 private:
  struct Member {
    std::shared_ptr<LineLog> log;
    std::unique_ptr<Manager> manager;
  };

  const LocalGroupOptions options_;
  std::unique_ptr<TempDir> folder_;
  std::unique_ptr<NatsServer> own_server_;
  NatsServer* server_;
  std::map<std::string, Member> members_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_INTEGRATION_LOCAL_GROUP_H_
