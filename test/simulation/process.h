// One process with one worker: core in the middle, and around it what the runtime does for it in
// the real world: a loop that carries out effects, a hook thread, a strategy thread, a clock, a
// process table.
#ifndef PARTI_TEST_SIMULATION_PROCESS_H_
#define PARTI_TEST_SIMULATION_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "internal/core/worker.h"
#include "parti/strategy.h"
#include "test/simulation/claim_judge.h"
#include "test/simulation/clock.h"
#include "test/simulation/hook_thread.h"
#include "test/simulation/kv_judge.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

class Network;
class World;

class Process final : public core::Environment {
 public:
  enum class Life { kRunning, kPaused, kCrashed, kStopped };

  // `number` counts the processes of a world from 0. `settings` name identity and process.
  Process(World* world, int number, std::string name, int host, const Clock& clock,
          core::Settings settings, std::uint64_t seed);
  ~Process() override;

  void Start();
  void Deliver(core::Event event);
  // Runs now, or once the process is resumed, or never if it is gone.
  void Run(std::function<void()> what);

  // SIGKILL: nothing of it is left.
  void Crash();
  // SIGSTOP: nothing runs, the clock goes on, what arrives waits.
  void Pause();
  void Resume();
  // The next step that has several effects is broken off amid them, by a crash or by a pause.
  void BreakOffNextStep(std::optional<Nanos> pause);
  void BreakOffNoMore() { break_off_.reset(); }
  void Leave();

  // core::Environment
  std::uint64_t RandomBits() override { return random_.Bits(); }
  bool ProcessIsGone(const wire::ProcessId& process) override;

  // The hook thread's results.
  void HookReturned(const core::RunRelease& hook);
  void HookReturned(const core::RunLost& hook);
  void HookReturned(const OwnedPartition& acquired, const absl::Status& status);

  int number() const { return number_; }
  int host() const { return host_; }
  const std::string& name() const { return name_; }
  const core::Settings& settings() const { return settings_; }
  const Clock& clock() const { return clock_; }
  Nanos clock_now() const;
  Nanos step_time() const { return step_time_; }  // true time of the step that is carried out
  Life life() const { return life_; }
  bool exists() const { return life_ == Life::kRunning || life_ == Life::kPaused; }
  bool running() const { return life_ == Life::kRunning; }
  bool leaving() const { return leaving_; }
  bool leads() const { return leads_; }
  std::uint64_t epoch() const { return epoch_; }
  State state() const { return state_; }
  HookThread& hooks() { return hooks_; }

 private:
  friend class EffectRunner;

  struct BreakOff {
    std::optional<Nanos> pause;
    std::size_t after = 0;
  };

  void Step(const core::Event& event);
  void CarryOut();
  bool BrokenOff();
  void PlanTick();
  void OnTick(Nanos planned);

  World& world_;
  Shared& shared_;
  const int number_;
  const std::string name_;
  const int host_;
  const Clock clock_;
  const core::Settings settings_;
  Random random_;
  std::unique_ptr<core::Worker> worker_;
  HookThread hooks_;

  Life life_ = Life::kRunning;
  std::vector<std::function<void()>> frozen_;  // what arrived while paused
  std::vector<core::Effect> effects_;
  std::size_t next_effect_ = 0;
  std::optional<BreakOff> break_off_;
  Nanos tick_at_ = core::kNever;
  Nanos step_time_ = -1;
  Nanos resumed_at_ = 0;
  int steps_at_once_ = 0;
  Nanos plans_since_ = 0;
  int plans_ = 0;
  bool leaving_ = false;
  bool gives_up_ = false;  // it doesn't fit the group
  bool leads_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t last_request_ = 0;
  State state_ = State::kInit;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_PROCESS_H_
