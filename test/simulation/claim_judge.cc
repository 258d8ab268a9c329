#include "test/simulation/claim_judge.h"

#include <fmt/format.h>

#include <algorithm>

namespace parti::simulation {
namespace {

std::string Show(const FencingToken& token) {
  return fmt::format("({}, {})", token.epoch, token.version);
}

double Seconds(Nanos time) { return static_cast<double>(time) / 1e9; }

}  // namespace

void ClaimJudge::Started(const std::string& name, const Clock& clock) {
  Holder holder;
  holder.name = name;
  holder.clock = clock;
  holder.lease_until = clock.At(0);
  holders_.push_back(std::move(holder));
}

void ClaimJudge::Gone(int process) {
  Holder& holder = holders_[Index(process)];
  while (!holder.claimed.empty()) Drop(process, holder.claimed.begin()->first);
  holder.alive = false;
  holder.working.clear();
  holder.releasing.clear();
  holder.losing.clear();
}

void ClaimJudge::LifeBegan(int process, const core::LifeBegan& effect) {
  Holder& holder = holders_[Index(process)];
  shared_.tally.Add(Count::kLife);
  if (!holder.claimed.empty()) {
    Broken("a new life holds nothing",
           fmt::format("{} began a life as {} with {} claims set", holder.name, effect.worker,
                       holder.claimed.size()));
  }
  // Nobody waits for the life before any more: what it still works on must be over by its lease.
  if (shared_.exclusive() && Valid(holder) &&
      !(holder.losing.empty() && holder.releasing.empty())) {
    Broken("a new life waits for the work of the one before, or for its lease",
           fmt::format("{} began a life as {} with {} hooks out and {:.6f} s of its lease left",
                       holder.name, effect.worker, holder.losing.size() + holder.releasing.size(),
                       Seconds(holder.lease_until - holder.clock.At(shared_.now()))));
  }
  // What the life before left in its hooks is no longer its own to acknowledge.
  holder.losing.merge(holder.releasing);
  holder.releasing.clear();
  holder.given_back.clear();
  holder.worker = effect.worker;
  holder.incarnation = effect.incarnation;
  holder.life = ++lives_;
  holder.lease_until = holder.clock.At(0);
}

void ClaimJudge::Lease(int process, Nanos until) {
  Holder& holder = holders_[Index(process)];
  const bool lapsed = !Valid(holder);
  const auto backed = holder.backed_until.find({holder.worker, holder.incarnation});
  const Nanos limit = backed == holder.backed_until.end() ? holder.clock.At(0) : backed->second;
  // A process of the other mode that a stale read shows no leader record has a lease without an end
  // until it sees one. What it claims by it is judged like any claim.
  if (shared_.exclusive() && until != core::kNever && until > limit) {
    Broken("a lease rests on an accepted heartbeat",
           fmt::format("{} ({}, incarnation {}) extended its lease to {:.6f} on its own clock, but "
                       "its accepted heartbeats carry it to {:.6f}",
                       holder.name, holder.worker, holder.incarnation, Seconds(until),
                       Seconds(limit)));
  }
  holder.lease_until = until;
  if (!lapsed || !Valid(holder)) return;
  CheckWorkerId(process);
  for (const auto& [partition, token] : holder.claimed) ValidFromNow(process, partition);
}

void ClaimJudge::Claim(int process, const core::Claim& effect) {
  Holder& holder = holders_[Index(process)];
  ++changes_;
  for (const OwnedPartition& owned : effect.partitions) {
    const int partition = Partition(owned.id);
    if (holder.releasing.contains(partition) || holder.losing.contains(partition)) {
      Broken(
          "no claim before its last work has drained",
          fmt::format("{} claims {} while its hook is still draining it", holder.name, owned.id));
    }
    if (holder.given_back.contains({partition, owned.token})) {
      Broken("what was given back takes a new grant",
             fmt::format("{} claims {} with token {} again", holder.name, owned.id,
                         Show(owned.token)));
    }
    if (holder.left) {
      Broken("who left claims nothing", fmt::format("{} claims {}", holder.name, owned.id));
    }
    const auto standing = holder.claimed.find(partition);
    const bool already = standing != holder.claimed.end();
    if (already && standing->second != owned.token) {
      Broken("what stays keeps its token",
             fmt::format("{} claims {} with token {} and holds it with {}", holder.name, owned.id,
                         Show(owned.token), Show(standing->second)));
    }
    holder.claimed[partition] = owned.token;
    if (!already) fates_[Index(partition)].claimants.push_back(process);
    if (Valid(holder)) {
      ValidFromNow(process, partition);
    } else {
      shared_.tally.Add(Count::kClaimAfterLapse);
    }
  }
}

void ClaimJudge::Unclaim(int process, const core::Unclaim& effect) {
  Holder& holder = holders_[Index(process)];
  ++changes_;
  if (effect.all) {
    while (!holder.claimed.empty()) Drop(process, holder.claimed.begin()->first);
  }
  for (const std::string& name : effect.partitions) Drop(process, Partition(name));
}

void ClaimJudge::TakeBack(Holder* holder, const std::vector<OwnedPartition>& partitions,
                          std::set<int>* in_flight, std::string_view what) {
  for (const OwnedPartition& owned : partitions) {
    const int partition = Partition(owned.id);
    if (holder->claimed.contains(partition)) {
      Broken("a claim ends before its hook runs",
             fmt::format("{} {} {} while its claim is set", holder->name, what, owned.id));
    }
    if (holder->working.erase(partition) == 0) {
      Broken("what was acquired is taken back exactly once",
             fmt::format("{} {} {}, which the application doesn't have", holder->name, what,
                         owned.id));
    }
    in_flight->insert(partition);
  }
}

void ClaimJudge::RunRelease(int process, const core::RunRelease& effect) {
  Holder& holder = holders_[Index(process)];
  TakeBack(&holder, effect.partitions, &holder.releasing, "releases");
}

void ClaimJudge::RunLost(int process, const core::RunLost& effect) {
  Holder& holder = holders_[Index(process)];
  shared_.tally.Add(Count::kLostPartition, effect.partitions.size());
  TakeBack(&holder, effect.partitions, &holder.losing, "reports the loss of");
}

void ClaimJudge::RunAcquire(int process, const core::RunAcquire& effect) {
  Holder& holder = holders_[Index(process)];
  for (const OwnedPartition& owned : effect.partitions) {
    const int partition = Partition(owned.id);
    const auto claim = holder.claimed.find(partition);
    if (claim == holder.claimed.end() || claim->second != owned.token) {
      Broken("a hook acquires what is claimed",
             fmt::format("{} hands {} with token {} to its application without that claim",
                         holder.name, owned.id, Show(owned.token)));
    }
    if (!holder.working.insert(partition).second) {
      Broken("a partition is acquired once per claim",
             fmt::format("{} hands {} to its application a second time", holder.name, owned.id));
    }
  }
}

void ClaimJudge::ReleaseDone(int process, const std::vector<OwnedPartition>& partitions) {
  for (const OwnedPartition& owned : partitions) {
    holders_[Index(process)].releasing.erase(Partition(owned.id));
    holders_[Index(process)].losing.erase(Partition(owned.id));
  }
}

void ClaimJudge::LostDone(int process, const std::vector<OwnedPartition>& partitions) {
  for (const OwnedPartition& owned : partitions) {
    holders_[Index(process)].losing.erase(Partition(owned.id));
  }
}

void ClaimJudge::Stopped(int process) {
  const Holder& holder = holders_[Index(process)];
  if (!holder.claimed.empty() && Valid(holder)) {
    Broken("a stopped worker owns nothing",
           fmt::format("{} stopped with {} claims set", holder.name, holder.claimed.size()));
  }
}

// Whose lease runs out while it runs is told so at that moment, not when something else happens.
void ClaimJudge::Stepping(int process, Nanos resumed_at) {
  const Holder& holder = holders_[Index(process)];
  if (holder.claimed.empty() || !shared_.exclusive() || Valid(holder)) return;
  const Nanos lapsed = holder.clock.TrueTimeOf(holder.lease_until);
  if (lapsed < resumed_at || shared_.now() < lapsed + core::kMillisecond) return;
  Broken("who lost its lease is told at once",
         fmt::format("{} has {} claims set, and its lease ran out {:.6f} s ago", holder.name,
                     holder.claimed.size(), Seconds(shared_.now() - lapsed)));
}

void ClaimJudge::Stepped(int process) {
  const Holder& holder = holders_[Index(process)];
  if (!shared_.exclusive() || holder.claimed.empty() || Valid(holder)) return;
  Broken("who lost its lease is told at once",
         fmt::format("{} has {} claims set, and its lease is over", holder.name,
                     holder.claimed.size()));
}

void ClaimJudge::HeartbeatAccepted(int process, const std::string& worker,
                                   std::uint64_t incarnation, Nanos until) {
  Nanos& limit = holders_[Index(process)].backed_until[{worker, incarnation}];
  limit = std::max(limit, until);
}

void ClaimJudge::Acknowledging(int process, const std::vector<OwnedPartition>& owned,
                               std::string_view what) {
  const Holder& holder = holders_[Index(process)];
  const auto kept = [&](int partition) {
    return std::any_of(owned.begin(), owned.end(), [&](const OwnedPartition& one) {
      return one.id == fates_[Index(partition)].name;
    });
  };
  for (const int partition : holder.releasing) {
    if (kept(partition)) continue;
    Broken("no acknowledgement with work in flight",
           fmt::format("{} {} while its release of {} has not drained", holder.name, what,
                       fates_[Index(partition)].name));
  }
  for (const auto& [partition, token] : holder.claimed) {
    if (kept(partition)) continue;
    Broken("no acknowledgement of a removal that wasn't made",
           fmt::format("{} {} while it still claims {}", holder.name, what,
                       fates_[Index(partition)].name));
  }
}

void ClaimJudge::AcquireFailed(int process, const OwnedPartition& acquired) {
  Holder& holder = holders_[Index(process)];
  const int number = Partition(acquired.id);
  if (holder.claimed.contains(number)) return;
  // Given back: the application never began, so there is nothing to release.
  holder.working.erase(number);
  holder.given_back.emplace(number, acquired.token);
}

void ClaimJudge::Leaving(int process) {
  Acknowledging(process, {}, "says that it left");
  holders_[Index(process)].left = true;
}

bool ClaimJudge::Owns(int process, const std::string& partition) const {
  const auto number = numbers_.find(partition);
  const Holder& holder = holders_[Index(process)];
  return number != numbers_.end() && Valid(holder) && holder.claimed.contains(number->second);
}

std::vector<int> ClaimJudge::OwnersOf(const std::string& partition) const {
  std::vector<int> owners;
  const auto number = numbers_.find(partition);
  if (number == numbers_.end()) return owners;
  for (const int process : fates_[Index(number->second)].claimants) {
    if (Valid(holders_[Index(process)])) owners.push_back(process);
  }
  return owners;
}

bool ClaimJudge::Drains(int process, const std::string& partition) const {
  const Holder& holder = holders_[Index(process)];
  if (holder.releasing.empty() || !Valid(holder)) return false;
  const auto number = numbers_.find(partition);
  return number != numbers_.end() && holder.releasing.contains(number->second);
}

int ClaimJudge::OwnedCount(int process) const {
  const Holder& holder = holders_[Index(process)];
  return Valid(holder) ? static_cast<int>(holder.claimed.size()) : 0;
}

std::vector<OwnedPartition> ClaimJudge::Owned(int process) const {
  std::vector<OwnedPartition> owned;
  const Holder& holder = holders_[Index(process)];
  if (!Valid(holder)) return owned;
  for (const auto& [partition, token] : holder.claimed) {
    owned.push_back({fates_[Index(partition)].name, token});
  }
  std::sort(owned.begin(), owned.end());
  return owned;
}

int ClaimJudge::Partition(const std::string& name) {
  const auto [entry, inserted] = numbers_.try_emplace(name, static_cast<int>(fates_.size()));
  if (inserted) {
    fates_.emplace_back();
    fates_.back().name = name;
  }
  return entry->second;
}

void ClaimJudge::ValidFromNow(int process, int partition) {
  CheckOverlap(process, partition);
  CheckToken(process, partition);
  Fate& fate = fates_[Index(partition)];
  if (fate.process >= 0 && fate.process != process) shared_.tally.Add(Count::kMove);
  const Holder& holder = holders_[Index(process)];
  fate.process = process;
  fate.life = holder.life;
  fate.token = std::max(fate.token, holder.claimed.at(partition));
}

void ClaimJudge::CheckOverlap(int process, int partition) {
  if (!shared_.exclusive()) return;
  const Holder& holder = holders_[Index(process)];
  for (const int other : fates_[Index(partition)].claimants) {
    const Holder& rival = holders_[Index(other)];
    if (other == process || !Valid(rival)) continue;
    Broken(
        "no two valid claims to one partition",
        fmt::format("{} ({}, incarnation {}) claims {} with token {}, but {} ({}, incarnation {}) "
                    "still holds it with token {} and a lease for {:.6f} s more",
                    holder.name, holder.worker, holder.incarnation, fates_[Index(partition)].name,
                    Show(holder.claimed.at(partition)), rival.name, rival.worker, rival.incarnation,
                    Show(rival.claimed.at(partition)),
                    Seconds(rival.lease_until - rival.clock.At(shared_.now()))));
  }
}

void ClaimJudge::CheckToken(int process, int partition) {
  const Holder& holder = holders_[Index(process)];
  const Fate& fate = fates_[Index(partition)];
  const FencingToken& token = holder.claimed.at(partition);
  if (epochs_forgotten_) return;
  if (fate.life != 0 && fate.life != holder.life && token == fate.token) {
    Broken("no two lives share a fencing token",
           fmt::format("{} claims {} with token {}, which another life held before", holder.name,
                       fate.name, Show(token)));
  }
  // In fast mode a claim may come late, after a successor was granted the partition.
  if (shared_.exclusive() && token < fate.token) {
    Broken("fencing tokens of a partition never go down",
           fmt::format("{} claims {} with token {} after {} was in use", holder.name, fate.name,
                       Show(token), Show(fate.token)));
  }
}

void ClaimJudge::CheckWorkerId(int process) {
  if (!shared_.exclusive() || ids_forgotten_) return;
  const Holder& holder = holders_[Index(process)];
  for (const Holder& other : holders_) {
    if (&other == &holder || other.worker != holder.worker || other.left || !Valid(other)) continue;
    Broken(
        "a worker id has one holder",
        fmt::format("{} acts as {} (incarnation {}) while {} still does (incarnation {})",
                    holder.name, holder.worker, holder.incarnation, other.name, other.incarnation));
  }
}

void ClaimJudge::Drop(int process, int partition) {
  if (holders_[Index(process)].claimed.erase(partition) == 0) return;
  std::erase(fates_[Index(partition)].claimants, process);
}

}  // namespace parti::simulation
