// Who truly holds what: the ownership snapshots of all processes, as the application would see
// them, and the promises about them. It knows true time and every clock, and asks core nothing.
//
// A process holds a valid claim to a partition while the claim is set in its snapshot, its own
// clock has not reached the lease's end, and the process exists.
#ifndef PARTI_TEST_SIMULATION_CLAIM_JUDGE_H_
#define PARTI_TEST_SIMULATION_CLAIM_JUDGE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "parti/assignment.h"
#include "test/simulation/clock.h"
#include "test/simulation/shared.h"

namespace parti::simulation {

class ClaimJudge {
 public:
  explicit ClaimJudge(Shared* shared) : shared_(*shared) {}

  // Processes are numbered from 0 in the order of their start.
  void Started(const std::string& name, const Clock& clock);
  void Gone(int process);  // killed, or stopped

  // The effects of core that define claims, at the moment they are carried out.
  void LifeBegan(int process, const core::LifeBegan& effect);
  void Lease(int process, Nanos until);
  void Claim(int process, const core::Claim& effect);
  void Unclaim(int process, const core::Unclaim& effect);
  void RunRelease(int process, const core::RunRelease& effect);
  void RunLost(int process, const core::RunLost& effect);
  void RunAcquire(int process, const core::RunAcquire& effect);
  void Stopped(int process);
  // Core is about to be called, for the first time after a pause if `resumed_at` is now.
  void Stepping(int process, Nanos resumed_at);
  // Core has been called at this moment, and its effects are carried out.
  void Stepped(int process);

  // The application's side of the hooks.
  void ReleaseDone(int process, const std::vector<OwnedPartition>& partitions);
  void LostDone(int process, const std::vector<OwnedPartition>& partitions);
  void AcquireFailed(int process, const OwnedPartition& acquired);

  // A live heartbeat of this process was accepted: it may rely on the lease until `until`, by its
  // own clock, in the life that `worker` and `incarnation` name.
  void HeartbeatAccepted(int process, const std::string& worker, std::uint64_t incarnation,
                         Nanos until);
  // An acknowledgement (or a `left`) is being sent that says only `owned` is held.
  void Acknowledging(int process, const std::vector<OwnedPartition>& owned, std::string_view what);
  // It says that it left.
  void Leaving(int process);
  // Records were destroyed that prove which ids are taken, or that carry the highest epoch.
  void IdsForgotten() { ids_forgotten_ = true; }
  void EpochsForgotten() { epochs_forgotten_ = true; }

  bool Owns(int process, const std::string& partition) const;
  // The processes with a valid claim on it.
  std::vector<int> OwnersOf(const std::string& partition) const;
  // Gave its claim up, and its release hook has not returned: to others it still is its own.
  bool Drains(int process, const std::string& partition) const;
  int OwnedCount(int process) const;
  std::vector<OwnedPartition> Owned(int process) const;
  bool Claimed(int process) const { return !holders_[Index(process)].claimed.empty(); }
  bool has_lease(int process) const { return Valid(holders_[Index(process)]); }
  // By its own clock.
  Nanos lease_until(int process) const { return holders_[Index(process)].lease_until; }
  const std::string& worker(int process) const { return holders_[Index(process)].worker; }
  std::uint64_t incarnation(int process) const { return holders_[Index(process)].incarnation; }
  std::uint64_t changes() const { return changes_; }  // of any claim, so far

 private:
  struct Holder {
    std::string name;
    Clock clock{0, 0};
    bool alive = true;
    bool left = false;  // has said so: its id is free
    std::string worker;
    std::uint64_t incarnation = 0;
    std::uint64_t life = 0;  // numbers the lives of the whole world
    Nanos lease_until = 0;
    // How far accepted heartbeats carry the lease, by worker id and incarnation.
    std::map<std::pair<std::string, std::uint64_t>, Nanos> backed_until;
    std::map<int, FencingToken> claimed;
    std::set<int> working;    // handed to the application, not yet taken back
    std::set<int> releasing;  // a release hook was asked for and has not returned
    std::set<int> losing;
    std::set<std::pair<int, FencingToken>> given_back;  // in this life
  };
  struct Fate {
    std::string name;
    std::vector<int> claimants;
    FencingToken token;
    std::uint64_t life = 0;
    int process = -1;
  };

  static std::size_t Index(int process) { return static_cast<std::size_t>(process); }
  int Partition(const std::string& name);
  bool Valid(const Holder& holder) const {
    return holder.alive && holder.clock.At(shared_.now()) < holder.lease_until;
  }
  void ValidFromNow(int process, int partition);
  void CheckOverlap(int process, int partition);
  void CheckToken(int process, int partition);
  void CheckWorkerId(int process);
  void Drop(int process, int partition);
  void TakeBack(Holder* holder, const std::vector<OwnedPartition>& partitions,
                std::set<int>* in_flight, std::string_view what);
  void Broken(std::string invariant, std::string what) {
    shared_.verdict.Broken(shared_.now(), std::move(invariant), std::move(what));
  }

  Shared& shared_;
  std::vector<Holder> holders_;
  std::vector<Fate> fates_;
  std::map<std::string, int, std::less<>> numbers_;
  std::uint64_t lives_ = 0;
  std::uint64_t changes_ = 0;
  bool ids_forgotten_ = false;
  bool epochs_forgotten_ = false;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_CLAIM_JUDGE_H_
