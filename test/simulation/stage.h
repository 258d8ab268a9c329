// Where schedules are played: a small world, calm but for what a schedule does to it, and a
// strategy whose word decides who is given what.
//
//   Stage s(seed, history, /*partitions=*/2);
//   Process& leader = s.StartLeader();
//   if (!s.Settle()) return s.Verdict(false);   // the situation did not arise
//
// Thread safety: none, like the world's.
#ifndef PARTI_TEST_SIMULATION_STAGE_H_
#define PARTI_TEST_SIMULATION_STAGE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "internal/wire/records.h"
#include "test/simulation/schedules.h"
#include "test/simulation/world.h"

namespace parti::simulation {

using core::kMillisecond;
using core::kSecond;
using core::Rule;
using wire::Bucket;
using Fate = Network::Ambush::Fate;

// Quick elections and long lives, so that leaders change while the lives of the others go on.
inline Scenario Calm(std::uint64_t seed) {
  Scenario s;
  s.seed = seed;
  core::Settings& c = s.settings;
  c.assume_new_group = true;
  c.lease = 20 * kSecond;
  c.heartbeat_interval = kSecond;
  c.election_ttl = kSecond;
  c.debounce = 20 * kMillisecond;
  c.cold_start_window = 300 * kMillisecond;
  c.planned_scale_window = 100 * kMillisecond;
  c.rebalance_cooldown = 100 * kMillisecond;
  c.release_timeout = 60 * kSecond;
  return s;
}

class Stage {
 public:
  Stage(std::uint64_t seed, History* history, int partitions)
      : Stage(Calm(seed), history, partitions) {}
  Stage(Scenario scenario, History* history, int partitions)
      : world_(
            [&] {
              scenario.partitions = partitions;
              return scenario;
            }(),
            history) {}

  World& world() { return world_; }
  Network& network() { return world_.network(); }

  // The first leader owns nothing, so that its death moves nothing.
  Process& StartLeader() {
    World::Birth birth;
    birth.name = "a";
    birth.settings = world_.shared().scenario.settings;
    birth.settings->capacity = 0;
    Process& leader = world_.StartProcess(birth);
    world_.RunFor(200 * kMillisecond);
    return leader;
  }
  Process& Start(const std::string& name) { return world_.StartProcess(name); }

  bool Settle() {
    return world_.RunUntilHolds(30 * kSecond, 5 * kMillisecond,
                                [this] { return !world_.Unsettled().has_value(); });
  }
  template <typename Condition>
  bool Until(Nanos bound, const Condition& condition) {
    return world_.RunUntilHolds(bound, kMillisecond, condition);
  }
  Process* LeaderOtherThan(const Process& former) {
    for (const auto& process : world_.processes()) {
      if (process->leads() && process.get() != &former) return process.get();
    }
    return nullptr;
  }
  const std::string& Id(const Process& process) { return world_.claims().worker(process.number()); }
  bool Owns(const Process& process, const std::string& partition) {
    return world_.claims().Owns(process.number(), partition);
  }
  static bool Grants(const SentPut& put, const std::string& partition) {
    return put.doc && std::any_of(put.doc->owned.begin(), put.doc->owned.end(),
                                  [&](const OwnedPartition& one) { return one.id == partition; });
  }
  Played Verdict(bool set_up) { return {set_up, world_.verdict().violation()}; }

  // The leader's document that would grant `partition` is under way for `delay`; those that follow
  // it to the same worker get lost. Its worker is put down in `to`.
  void DelayGrant(const Process& leader, const std::string& partition, Nanos delay,
                  std::string* to) {
    Network::Ambush late;
    late.process = &leader;
    late.bucket = Bucket::kAssignment;
    late.fate = Fate::kLandLate;
    late.delay = delay;
    late.when = [partition, to](const SentPut& put) {
      if (!to->empty() || !Grants(put, partition)) return false;
      *to = put.put.key;
      return true;
    };
    network().Lay(late);
    Network::Ambush lost = late;
    lost.fate = Fate::kLoseRequest;
    lost.times = 1000;
    lost.when = [to](const SentPut& put) { return put.put.key == *to; };
    network().Lay(lost);
  }

 private:
  World world_;
};

// Gives each partition to the worker that the schedule names.
class Script : public AssignmentStrategy {
 public:
  std::string_view name() const override { return "consistent-hash"; }  // judged by its bound
  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    std::vector<std::int32_t> owners;
    for (const Partition& partition : input.partitions) {
      const auto at = std::find_if(
          input.workers.begin(), input.workers.end(),
          [&, id = owner(partition.Id())](const WorkerInfo& one) { return one.id == id; });
      owners.push_back(
          at == input.workers.end() ? 0 : static_cast<std::int32_t>(at - input.workers.begin()));
    }
    return owners;
  }

  std::function<std::string(const std::string& partition)> owner;
};

// Where `owner` decides who is given what; set it before partitions are given.
class ScriptedStage : public Stage {
 public:
  ScriptedStage(const Scenario& scenario, History* history, int partitions)
      : ScriptedStage(scenario, history, partitions, std::make_shared<Script>()) {}

  std::function<std::string(const std::string&)>& owner;

 private:
  ScriptedStage(Scenario scenario, History* history, int partitions,
                const std::shared_ptr<Script>& script)
      : Stage((scenario.scripted = script, std::move(scenario)), history, partitions),
        owner(script->owner),
        script_(script) {}

  const std::shared_ptr<Script> script_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_STAGE_H_
