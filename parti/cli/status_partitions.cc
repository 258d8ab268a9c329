#include "parti/cli/status_partitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

namespace parti::cli {
namespace {

bool IsHeldByLiving(PartitionState state) {
  return state == PartitionState::kOwned || state == PartitionState::kGranted ||
         state == PartitionState::kMoving || state == PartitionState::kContested;
}

}  // namespace

PartitionLedger::PartitionLedger(std::vector<Member>* members) : waiting_(members->size(), 0) {
  for (std::size_t i = 0; i < members->size(); ++i) Take((*members)[i], i);
  for (const auto& [id, entry] : entries_) {
    if (entry.state != PartitionState::kContested) continue;
    contested_.push_back(
        fmt::format("{} ({} and {})", id, entry.from->status.id, entry.owner->status.id));
  }
  std::sort(contested_.begin(), contested_.end(), NaturalLess);
}

// Whether what the assignment says still counts for anything.
PartitionLedger::Standing PartitionLedger::StandingOf(const Member& member) {
  const WorkerRecords& records = member.records;
  if (records.newer_life()) return Standing::kOver;
  switch (member.status.life) {
    case Life::kLive:
      // A heartbeat older than the assignment: the leader ends that life.
      return records.same_life() ? Standing::kAlive : Standing::kWaiting;
    case Life::kLeft:
      return records.same_life() ? Standing::kOver : Standing::kWaiting;
    case Life::kDead:
      return Standing::kOver;
    case Life::kJoining:
      if (records.heartbeat == nullptr || !records.heartbeat->readable()) return Standing::kWaiting;
      return records.heartbeat->get()->kind == wire::HeartbeatKind::kLeft ? Standing::kOver
                                                                          : Standing::kWaiting;
    case Life::kSilent:
    case Life::kEvicted:
    case Life::kUnreadable:
    case Life::kGone:
      return Standing::kWaiting;
  }
  return Standing::kWaiting;
}

void PartitionLedger::Take(Member& member, std::size_t number) {
  const wire::Doc* doc = member.records.doc == nullptr ? nullptr : member.records.doc->get();
  if (doc == nullptr) return;
  const Standing standing = StandingOf(member);
  if (standing == Standing::kOver) {
    leftovers_ += doc->owned.size() + doc->releasing.size();
    return;
  }
  TakeOwned(member, standing, number);
  TakeReleasing(member, standing, number);
}

void PartitionLedger::TakeOwned(Member& member, Standing standing, std::size_t number) {
  const wire::Doc& doc = *member.records.doc->get();
  const bool applied = member.records.applied();
  const FencingToken newest{doc.epoch, doc.version};
  std::unordered_map<std::string_view, const wire::Refusal*> refused;
  if (standing == Standing::kAlive) {
    for (const wire::Refusal& refusal : member.records.heartbeat->get()->refused) {
      refused[refusal.partition] = &refusal;
      refusals_[refusal.partition] = fmt::format("{}: {}", member.status.id, refusal.reason);
    }
    member.status.refused = refused.size();
  }
  for (const OwnedPartition& owned : doc.owned) {
    Entry& entry = entries_[owned.id];
    if (standing == Standing::kWaiting) {
      ++waiting_[number];
      if (entry.owner == nullptr) {
        entry = {PartitionState::kWaiting, &member, nullptr, owned.token};
      }
      continue;
    }
    const auto refusal = refused.find(owned.id);
    if (refusal != refused.end() && refusal->second->token == owned.token) {
      // Given back: nobody works on it, whatever the assignment says.
      continue;
    }
    const bool granted = !applied && owned.token == newest;
    ++(granted ? member.status.granted : member.status.owned);
    if (IsHeldByLiving(entry.state)) {
      entry = {PartitionState::kContested, &member, entry.owner, owned.token};
      continue;
    }
    const Member* const from = entry.state == PartitionState::kWaiting ? nullptr : entry.from;
    const PartitionState moving =
        from == nullptr ? PartitionState::kGranted : PartitionState::kMoving;
    entry = {granted ? moving : PartitionState::kOwned, &member, from, owned.token};
  }
}

void PartitionLedger::TakeReleasing(Member& member, Standing standing, std::size_t number) {
  const wire::Doc& doc = *member.records.doc->get();
  const bool let_go = standing == Standing::kAlive && member.records.applied();
  for (const std::string& id : doc.releasing) {
    Entry& entry = entries_[id];
    if (!let_go) ++(standing == Standing::kAlive ? member.status.releasing : waiting_[number]);
    if (IsHeldByLiving(entry.state)) {
      if (entry.state == PartitionState::kGranted) entry.state = PartitionState::kMoving;
      if (entry.from == nullptr) entry.from = &member;
    } else if (let_go) {
      entry.from = &member;
    } else if (entry.owner == nullptr) {
      entry.state =
          standing == Standing::kAlive ? PartitionState::kReleasing : PartitionState::kWaiting;
      entry.owner = &member;
      entry.from = &member;
    }
  }
}

PartitionCounts PartitionLedger::Counts(const wire::Report* report) const {
  PartitionCounts counts;
  std::uint64_t known = 0;
  for (const auto& [id, entry] : entries_) {
    if (entry.state != PartitionState::kUnowned) ++known;
    switch (entry.state) {
      case PartitionState::kOwned:
        ++counts.owned;
        break;
      case PartitionState::kGranted:
      case PartitionState::kMoving:
        ++counts.granted;
        break;
      case PartitionState::kReleasing:
        ++counts.releasing;
        break;
      case PartitionState::kWaiting:
        ++counts.waiting;
        break;
      case PartitionState::kContested:
        ++counts.contested;
        break;
      case PartitionState::kUnowned:
        break;
    }
  }
  if (report == nullptr || !report->listed) return counts;
  counts.total = report->partitions;
  counts.unowned = report->partitions > known ? report->partitions - known : 0;
  std::set<std::string> sample(report->sample.begin(), report->sample.end());
  for (const auto& [id, why] : refusals_) sample.insert(id);
  for (const std::string& id : sample) {
    if (counts.unowned_sample.size() >= counts.unowned) break;
    const auto entry = entries_.find(id);
    if (entry == entries_.end() || entry->second.state == PartitionState::kUnowned) {
      counts.unowned_sample.push_back(id);
    }
  }
  std::sort(counts.unowned_sample.begin(), counts.unowned_sample.end(), NaturalLess);
  return counts;
}

std::vector<PartitionStatus> PartitionLedger::List(const wire::Report* report) const {
  std::vector<PartitionStatus> list;
  list.reserve(entries_.size());
  std::unordered_set<std::string_view> sample;
  if (report != nullptr) {
    sample.insert(report->sample.begin(), report->sample.end());
  }
  for (const auto& [id, entry] : entries_) {
    // What everybody has let go of may have left the list for good, unless there is word of it.
    const bool told = sample.erase(id) > 0 || refusals_.count(std::string(id)) > 0;
    if (entry.state == PartitionState::kUnowned && !told) continue;
    PartitionStatus one{.id = std::string(id), .state = entry.state, .token = entry.token};
    if (entry.owner != nullptr) one.owner = entry.owner->status.id;
    const bool tell_from =
        entry.state == PartitionState::kMoving || entry.state == PartitionState::kContested;
    if (tell_from && entry.from != nullptr) one.from = entry.from->status.id;
    list.push_back(std::move(one));
  }
  for (const std::string_view id : sample) list.push_back({.id = std::string(id)});
  std::sort(list.begin(), list.end(), [](const PartitionStatus& a, const PartitionStatus& b) {
    return NaturalLess(a.id, b.id);
  });
  return list;
}

}  // namespace parti::cli
