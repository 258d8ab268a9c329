// The loop: one thread that owns core::Worker, feeds it events and carries its effects out in
// order.
#ifndef PARTI_INTERNAL_RUNTIME_LOOP_H_
#define PARTI_INTERNAL_RUNTIME_LOOP_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/core/settings.h"
#include "internal/core/worker.h"
#include "internal/kv/kv.h"
#include "internal/runtime/environment.h"
#include "internal/runtime/event_queue.h"
#include "internal/runtime/hook_runner.h"
#include "internal/runtime/kv_meter.h"
#include "internal/runtime/ownership.h"
#include "internal/runtime/planner.h"
#include "internal/runtime/recorder.h"
#include "internal/runtime/status_board.h"
#include "parti/hooks.h"
#include "parti/logger.h"

namespace parti::runtime {

// Takes what the KV says is wrong; may be called from any thread, and only enqueues.
using KvTroubleSink = std::function<void(const absl::Status&)>;

// Makes a KV that connects in the background and says ConnectionChanged{true} when it can be used.
using KvFactory = std::function<absl::StatusOr<std::unique_ptr<kv::Kv>>(kv::Sink, KvTroubleSink)>;

class Loop {
 public:
  // What it acts on. Everything outlives the loop; observer and logger may be null.
  struct World {
    EventQueue* queue;
    Ownership* ownership;
    HookRunner* hooks;
    Planner* planner;
    StatusBoard* board;
    OwnershipObserver* observer;
    Logger* logger;
    const Recorder* recorder;
    // Between tries to list the partitions after a failure: doubling from the one to the other.
    core::Nanos list_backoff_min = 200 * core::kMillisecond;
    core::Nanos list_backoff_max = 30 * core::kSecond;
  };

  Loop(core::Settings settings, KvFactory kv_factory, World world);

  // Connects, works until core says Stopped, and disconnects. Once.
  void Run();

 private:
  bool Connect();
  void Work();
  void Take(const Incoming& incoming);
  bool GivesBack(const core::AcquireDone& failed);
  std::vector<OwnedPartition> WithoutGivenBack(std::vector<OwnedPartition> partitions) const;
  void Deliver(const core::Event& event);
  void OnStopDeadline();
  void OnListingFailed();
  void OnConnection(bool connected);
  void SetOwned();
  void OnKvTrouble(const absl::Status& status);
  bool SaidLately(std::string text);
  void LogBrokenWatch(const std::string& reason);
  void End();

  // One for each effect.
  void Do(const core::KvGet& get);
  void Do(const core::KvPut& put);
  void Do(const core::KvInfo& info);
  void Do(const core::OpenWatch& open);
  void Do(const core::CloseWatch& close);
  void Do(const core::LifeBegan& began);
  void Do(const core::LeaseUntil& lease);
  void Do(const core::Claim& claim);
  void Do(const core::Unclaim& unclaim);
  void Do(const core::RunRelease& release);
  void Do(const core::RunLost& lost);
  void Do(const core::RunAcquire& acquire);
  void Do(const core::Released& released);
  void Do(const core::AssignmentChanged& changed);
  void Do(const core::StateChanged& changed);
  void Do(const core::LeadershipChanged& changed);
  void Do(const core::Report& report);
  void Do(const core::RebalanceNote& note);
  void Do(const core::HeartbeatNote& note);
  void Do(const core::ElectionNote& note);
  void Do(const core::EvictionNote& note);
  void Do(const core::MalformedNote& note);
  void Do(const core::RunStrategy& run);
  void Do(const core::Stopped& stopped);

  void Observe(const std::function<void(OwnershipObserver&)>& call);
  void Log(LogLevel level, std::string_view message);

  core::Settings settings_;
  const KvFactory kv_factory_;
  const World world_;
  RealEnvironment environment_;
  KvMeter meter_;
  std::unique_ptr<kv::Kv> kv_;
  std::unique_ptr<core::Worker> worker_;
  std::vector<core::Effect> effects_;
  std::vector<Incoming> before_start_;  // came while connecting, with or after the connection
  bool stopped_ = false;
  core::Nanos stop_deadline_ = core::kNever;
  core::Nanos list_again_at_ = core::kNever;
  core::Nanos list_backoff_ = 0;
  std::set<OwnedPartition> giving_back_;  // on_acquire failed, and on_release has not returned yet
  std::map<std::string, core::Nanos> said_;  // a text without its digits → when it was said
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_LOOP_H_
