// A whole group in one thread: processes on machines with clocks of their own, a simulated NATS,
// true time, and the judges that watch it all.
//
//   History history(History::Keep::kHash);
//   World world(scenario, &history);
//   int a = world.StartProcess("a");
//   world.RunFor(5 * core::kSecond);
//   if (!world.verdict().good()) …
#ifndef PARTI_TEST_SIMULATION_WORLD_H_
#define PARTI_TEST_SIMULATION_WORLD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parti/strategy.h"
#include "test/simulation/claim_judge.h"
#include "test/simulation/kv_judge.h"
#include "test/simulation/network.h"
#include "test/simulation/process.h"
#include "test/simulation/rule_judge.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

class World {
 public:
  World(const Scenario& scenario, History* history);
  ~World();

  // Where the next process starts, and as whom.
  struct Birth {
    std::string name;
    std::string identity;                    // empty: the name
    int host = -1;                           // -1: a machine of its own
    std::optional<core::Settings> settings;  // none: the scenario's
  };
  Process& StartProcess(Birth birth);
  Process& StartProcess(const std::string& name) { return StartProcess(Birth{name, "", -1, {}}); }
  // A new process on the same machine, under the same identity.
  Process& Restart(const Process& former) {
    return Restart(former, former.settings().newest_wire_version);
  }
  // The same, of a build that speaks wire versions up to this one.
  Process& Restart(const Process& former, int newest_wire_version);
  // Kills all that run on the machine; its clock starts over.
  void Reboot(int host);

  void SetPartitions(int count);  // p-0 … p-(count - 1)
  void SetPartitions(const std::vector<int>& numbers);
  void RunUntil(Nanos time);
  void RunFor(Nanos span) { RunUntil(now() + span); }
  // Until the condition holds, looking every `every`; false when `bound` passed first.
  template <typename Condition>
  bool RunUntilHolds(Nanos bound, Nanos every, const Condition& holds) {
    const Nanos limit = now() + bound;
    while (!holds()) {
      if (now() >= limit || !verdict().good()) return false;
      RunFor(every);
    }
    return true;
  }

  // No fault any more from now on.
  void StopFaults();

  // Everything is owned by exactly one, balanced as the strategy promises, under exactly one
  // leader; or else what is missing.
  std::optional<std::string> Unsettled() const;
  // Of a settled group: the leader's report tells the same; or else what it says instead.
  std::optional<std::string> Misreported() const;

  Shared& shared() { return shared_; }
  Nanos now() const { return shared_.now(); }
  const Verdict& verdict() const { return shared_.verdict; }
  Network& network() { return network_; }
  ClaimJudge& claims() { return claims_; }
  const ClaimJudge& claims() const { return claims_; }
  RuleJudge& rules() { return rules_; }
  KvJudge& kv() { return kv_; }
  const AssignmentStrategy& strategy() const { return *strategy_; }
  const std::vector<std::unique_ptr<Process>>& processes() const { return processes_; }
  Process* Find(const std::string& name);  // the newest of that name
  const std::vector<Partition>& partitions() const { return *partitions_; }
  bool ProcessExists(int host, const wire::ProcessId& process) const;
  bool SameMachine(int host, const wire::ProcessId& process) const;

  // What the world did to somebody, for the history.
  template <typename Text>
  void Note(std::string_view who, std::uint64_t code, const Text& text) {
    shared_.history.Fact(now(), who, code, text);
  }

 private:
  struct Host {
    std::string boot_id;
    std::uint64_t pid_namespace = 0;
    Clock clock{0, 0};
    std::int64_t next_pid = 100;
    int reboots = 0;
  };

  int AddHost();
  Clock DrawClock();
  void ListPartitions(Process* process, Nanos delay);
  wire::Control StandingControl() const;
  std::optional<std::string> Disobeyed(const wire::Control& control) const;
  std::optional<std::string> Unbalanced(const wire::Control& control) const;

  Shared shared_;
  ClaimJudge claims_;
  RuleJudge rules_;
  KvJudge kv_;
  Network network_;
  std::shared_ptr<const AssignmentStrategy> strategy_;
  std::vector<Host> hosts_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::shared_ptr<const std::vector<Partition>> partitions_;
  bool faults_over_ = false;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_WORLD_H_
