// What goes wrong in a world, and when, drawn from its seed.
//
// Besides strikes at random times some lurk for the moments that matter, which chance meets too
// seldom: a document that takes something away, a tombstone, a change of leader, a life that
// begins, a life that left. Core doesn't know of it: what was written tells the moment.
#ifndef PARTI_TEST_SIMULATION_CHAOS_H_
#define PARTI_TEST_SIMULATION_CHAOS_H_

#include <set>
#include <string>
#include <vector>

#include "test/simulation/random.h"
#include "test/simulation/world.h"

namespace parti::simulation {

class Chaos {
 public:
  explicit Chaos(World* world);

  // Starts the first workers, then strikes now and then until the scenario's chaos is over.
  void Begin();
  // Heals everything, and sees to it that enough workers live.
  void End();

 private:
  void PlanStrike();
  void Hit(Strike strike);
  Process* Victim();  // running, often the leader; null if there is none
  std::vector<Process*> Existing() const;
  core::Settings NewSettings();
  int DrawBuild();
  void Upgrade(Process* process);
  void StartNew();
  void ReturnLater(Process* gone);

  void Crash();
  void Reboot();
  void Pause();
  void Leave();
  void Join();
  void Twin();
  void Cut();
  void Outage();
  void FreezeServer();
  void DeleteKey();
  void WriteGarbage();
  void Wipe(bool all);
  void RollBack();
  void Lurk(wire::Bucket bucket, const std::string& key);
  void LurkForLeader(const wire::Leader& leader);
  void LurkForHeartbeat(const std::string& worker, const wire::Heartbeat& heartbeat);
  void LurkForDoc(const std::string& worker, const wire::Doc& doc);
  Process* Holder(const std::string& worker);  // running; null if there is none
  void PauseFor(Process* victim, Nanos span);
  void DelayNextDoc(const Process& leader);
  void WipeBucket(wire::Bucket bucket);
  void ChangePartitions();
  wire::Control SomeControl();
  void WriteControl();
  void LastControl();

  std::string Garbage(wire::Bucket bucket, const std::string& key);
  wire::Bucket SomeBucket();
  std::string SomeKey(wire::Bucket bucket);

  World& world_;
  Shared& shared_;
  Random random_;
  Nanos end_ = 0;
  int names_ = 0;
  std::set<const Process*> returning_;  // a process comes back once
  bool over_ = false;
  bool wiped_ = false;
  std::uint64_t epoch_ = 0;  // of the leader that was lurked for last
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_CHAOS_H_
