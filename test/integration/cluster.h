// A nats-server, worker processes on it, and the observer over their event logs.
//
//   Cluster cluster;
//   const std::size_t a = cluster.Start("a");
//   cluster.Start("b");
//   ASSERT_EQ(cluster.AwaitSettled(), "");
//   cluster.group().Kill(a);
//   ASSERT_EQ(cluster.AwaitSettled(), "");
//   EXPECT_EQ(cluster.Finish(), "");
#ifndef PARTI_TEST_INTEGRATION_CLUSTER_H_
#define PARTI_TEST_INTEGRATION_CLUSTER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parti/cli/event_line.h"
#include "parti/cli/worker_group.h"
#include "test/support/support.h"

namespace parti::test {

struct ClusterOptions {
  int partitions = 12;
  std::string strategy = "round-robin";
  bool start_server = true;
  std::string server_config = {};  // more lines for the server's configuration
  NatsServer* server = nullptr;    // another's; null: one of its own
  std::string prefix = "test";
  std::vector<std::string> settings = {};  // name=value, for every worker
};

struct Held {
  std::size_t worker = 0;
  std::int64_t since = 0;  // CLOCK_BOOTTIME, ns
  friend bool operator==(const Held&, const Held&) = default;
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options = {});

  // A worker with preset fast; its identity is `name`, unless `settings` say another.
  std::size_t Start(const std::string& name, const std::vector<std::string>& settings = {},
                    const cli::SpawnOptions& more = {});

  // Reads the logs again and again until `condition` holds; "" or why not.
  std::string Await(const std::function<bool()>& condition);

  // Until everything is owned by exactly the workers that run, and nothing moves. "" or why not.
  // A worker that ended by itself is a failure.
  std::string AwaitSettled();

  // Settles, stops all workers in order, and judges all logs to their ends: overlaps, gaps longer
  // than kDeadline, regressions of tokens, epochs, versions and ids, what a correct worker doesn't
  // write, and how they ended. "" or what was found.
  std::string Finish() { return Judge(/*ids_are_unique=*/true); }
  // The same for a server that forgot its buckets, and with them who bears which id: there is no
  // way to tell then, only that nothing is owned twice.
  std::string FinishAfterAmnesia() { return Judge(/*ids_are_unique=*/false); }

  // Partition → worker id, now.
  std::map<std::string, std::string> OwnerIds() const;
  std::size_t Owned(std::size_t worker) const;
  // Partition → its present claim. A claim that is equal later was neither moved nor interrupted.
  std::map<std::string, Held> Claims() const;
  // The same, of these workers only.
  std::map<std::string, Held> ClaimsOf(const std::vector<std::size_t>& workers) const;
  // Which of these claims have ended or were interrupted, and who has the partition now; "" if
  // none.
  std::string Disturbed(const std::map<std::string, Held>& claims) const;
  // What the worker wrote, as far as it can be read.
  std::vector<cli::EventLine> Events(std::size_t worker) const;

  std::string ErrorFile(std::size_t worker) const { return group_->ErrorFile(worker); }

  NatsServer& server() { return *server_; }
  cli::WorkerGroup& group() { return *group_; }
  cli::Observer& observer() { return group_->observer(); }
  const std::string& prefix() const { return prefix_; }

 private:
  std::string Judge(bool ids_are_unique);

  const std::string prefix_;
  std::unique_ptr<TempDir> folder_;
  std::unique_ptr<NatsServer> own_server_;
  NatsServer* server_;
  std::unique_ptr<cli::WorkerGroup> group_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_INTEGRATION_CLUSTER_H_
