#include "parti/cli/status_workers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace parti::cli {
namespace {

// A leader waits for the lease and 1 % by default before it calls an evicted life over; with some
// room for when it began to count.
constexpr double kLeaseWithDrift = 1.02;
// A claim is followed by a heartbeat at once; one that is not, after this long, never will be.
constexpr std::int64_t kLongestJoinMs = 30'000;

Life LifeOfHeartbeat(const Seen<wire::Heartbeat>& seen, LocalNanos now) {
  const wire::Heartbeat* heartbeat = seen.get();
  if (heartbeat == nullptr) return Life::kUnreadable;
  const std::int64_t age = seen.AgeMs(now);
  switch (heartbeat->kind) {
    case wire::HeartbeatKind::kLive:
      return age <= heartbeat->lease_ms ? Life::kLive : Life::kSilent;
    case wire::HeartbeatKind::kLeft:
      return Life::kLeft;
    case wire::HeartbeatKind::kEvicted:
      return static_cast<double>(age) <= static_cast<double>(heartbeat->lease_ms) * kLeaseWithDrift
                 ? Life::kEvicted
                 : Life::kDead;
  }
  return Life::kUnreadable;
}

Life LifeOf(const WorkerRecords& records, LocalNanos now) {
  const Life life =
      records.heartbeat == nullptr ? Life::kGone : LifeOfHeartbeat(*records.heartbeat, now);
  const wire::Claim* claim = records.claim == nullptr ? nullptr : records.claim->get();
  if (claim == nullptr || life == Life::kLive || life == Life::kUnreadable) return life;
  const bool newer =
      life == Life::kGone || claim->incarnation > records.heartbeat->get()->incarnation;
  return newer && records.claim->AgeMs(now) < kLongestJoinMs ? Life::kJoining : life;
}

void Describe(const WorkerRecords& records, LocalNanos now, WorkerStatus* status) {
  status->life = LifeOf(records, now);
  if (records.claim != nullptr && records.claim->readable()) {
    status->identity = records.claim->get()->identity;
    status->lease_ms = records.claim->get()->lease_ms;
  }
  if (records.heartbeat != nullptr) {
    status->silent_ms = records.heartbeat->AgeMs(now);
    if (const wire::Heartbeat* heartbeat = records.heartbeat->get()) {
      status->lease_ms = heartbeat->lease_ms;
      status->capacity = heartbeat->capacity;
      status->labels = heartbeat->labels;
      status->incarnation = heartbeat->incarnation;
      status->epoch_seen = heartbeat->highest_epoch;
      status->applied_revision = heartbeat->applied_revision;
      if (heartbeat->kind == wire::HeartbeatKind::kLive) status->state = heartbeat->state;
    }
  }
  if (records.doc != nullptr) {
    status->doc_revision = records.doc->revision;
    if (const wire::Doc* doc = records.doc->get()) {
      status->doc_epoch = doc->epoch;
      status->doc_version = doc->version;
    }
  }
  status->behind = status->life == Life::kLive && records.same_life() && !records.applied();
}

template <typename T>
void Collect(const std::map<std::string, Seen<T>>& found, const Seen<T>* WorkerRecords::*field,
             std::map<std::string, WorkerRecords>* records) {
  for (const auto& [id, seen] : found) (*records)[id].*field = &seen;
}

Finding Unreadable(Severity severity, std::string_view what, const std::string& key,
                   const absl::Status& why, std::string advice) {
  if (absl::IsUnimplemented(why)) {
    advice = "it is of a newer release: use the `parti` command of that release";
  }
  return {severity, fmt::format("unreadable-{}", what),
          fmt::format("the {} of {} is unreadable: {}", what, key, std::string(why.message())),
          std::move(advice)};
}

bool Holds(const WorkerRecords& records) {
  const wire::Doc* doc = records.doc == nullptr ? nullptr : records.doc->get();
  return doc != nullptr && (doc->unknown || !doc->owned.empty() || !doc->releasing.empty());
}

// A live heartbeat whose claim is gone or names another life: somebody else may take the id, and
// the two would then take turns at it.
void CheckClaim(const Member& member, std::vector<Finding>* findings) {
  const WorkerRecords& records = member.records;
  if (member.status.life != Life::kLive) return;
  constexpr const char* kAdvice =
      "was the stableid bucket wiped, or a key of it deleted? Restart that worker, so that it "
      "claims its id anew";
  const std::string& id = member.status.id;
  if (records.claim == nullptr) {
    findings->push_back({Severity::kError, "life-without-claim",
                         fmt::format("{} is alive, but nothing claims its id", id), kAdvice});
    return;
  }
  const wire::Claim* claim = records.claim->get();
  const wire::Heartbeat* heartbeat = records.heartbeat->get();
  if (claim == nullptr || claim->nonce == heartbeat->nonce) return;
  if (claim->incarnation > heartbeat->incarnation) return;  // about to begin a new life
  findings->push_back({Severity::kError, "claim-of-another-life",
                       fmt::format("{} is alive, but its id is claimed by another life (of {})", id,
                                   claim->identity.empty() ? "nobody named" : claim->identity),
                       kAdvice});
}

void CheckAssignment(const Member& member, std::vector<Finding>* findings) {
  const WorkerRecords& records = member.records;
  const std::string& id = member.status.id;
  if (records.heartbeat == nullptr && Holds(records)) {
    findings->push_back({Severity::kError, "assignment-without-heartbeat",
                         fmt::format("{} is assigned partitions, but has no heartbeat", id),
                         "the leader evicts it, and shares its partitions out a lease later"});
  }
  const wire::Heartbeat* heartbeat =
      records.heartbeat == nullptr ? nullptr : records.heartbeat->get();
  if (heartbeat == nullptr || member.status.life != Life::kLive) return;
  if (heartbeat->applied_revision == 0) return;
  const bool explained = records.doc != nullptr &&
                         (!records.doc->readable() ||
                          heartbeat->applied_revision < records.doc->revision || records.applied());
  if (explained) return;
  findings->push_back(
      {Severity::kError, "unexplained-assignment",
       fmt::format("{} has applied assignment {}, which no longer exists", id,
                   heartbeat->applied_revision),
       "was the assignment bucket wiped or restored? The leader evicts such workers by itself, and "
       "they join again"});
}

}  // namespace

bool WorkerRecords::same_life() const {
  const wire::Heartbeat* beat = heartbeat == nullptr ? nullptr : heartbeat->get();
  const wire::Doc* assignment = doc == nullptr ? nullptr : doc->get();
  return beat != nullptr && assignment != nullptr &&
         beat->incarnation == assignment->life_incarnation && beat->nonce == assignment->life_nonce;
}

bool WorkerRecords::newer_life() const {
  const wire::Heartbeat* beat = heartbeat == nullptr ? nullptr : heartbeat->get();
  const wire::Doc* assignment = doc == nullptr ? nullptr : doc->get();
  return beat != nullptr && assignment != nullptr &&
         beat->incarnation > assignment->life_incarnation;
}

bool WorkerRecords::applied() const {
  if (!same_life() || heartbeat->get()->kind != wire::HeartbeatKind::kLive) return false;
  return heartbeat->get()->applied_revision == doc->revision &&
         heartbeat->get()->applied_nonce == doc->get()->nonce;
}

std::vector<Member> ReadMembers(const GroupSnapshot& snapshot) {
  std::map<std::string, WorkerRecords> records;
  Collect(snapshot.claims, &WorkerRecords::claim, &records);
  Collect(snapshot.heartbeats, &WorkerRecords::heartbeat, &records);
  Collect(snapshot.docs, &WorkerRecords::doc, &records);
  std::vector<Member> members;
  members.reserve(records.size());
  for (auto& [id, one] : records) {
    Member member{.status = {.id = id}, .records = one};
    Describe(one, snapshot.now, &member.status);
    members.push_back(std::move(member));
  }
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return NaturalLess(a.status.id, b.status.id); });
  return members;
}

std::vector<Finding> FindBadRecords(const GroupSnapshot& snapshot,
                                    const std::vector<Member>& members) {
  std::vector<Finding> findings;
  for (const Member& member : members) {
    const WorkerRecords& records = member.records;
    const std::string& id = member.status.id;
    if (records.heartbeat != nullptr && !records.heartbeat->readable()) {
      findings.push_back(Unreadable(Severity::kError, "heartbeat", id,
                                    records.heartbeat->record.status(),
                                    "the leader evicts it within a lease or so; find out who "
                                    "writes into the bucket"));
    }
    if (records.doc != nullptr && !records.doc->readable()) {
      findings.push_back(Unreadable(Severity::kError, "assignment", id,
                                    records.doc->record.status(),
                                    "the leader replaces it and evicts the worker, which joins "
                                    "again; find out who writes into the bucket"));
    }
    if (records.claim != nullptr && !records.claim->readable()) {
      findings.push_back(Unreadable(Severity::kWarning, "claim", id, records.claim->record.status(),
                                    "nobody takes this id before a lease has been watched to run "
                                    "out"));
    }
    CheckClaim(member, &findings);
    CheckAssignment(member, &findings);
  }
  if (snapshot.control && !snapshot.control->readable()) {
    findings.push_back(Unreadable(Severity::kWarning, "control", "the group",
                                  snapshot.control->record.status(),
                                  "delete the key `control` of the election bucket and give the "
                                  "orders (pause, drain, pin) again"));
  }
  return findings;
}

}  // namespace parti::cli
