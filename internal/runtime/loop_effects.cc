// How the loop carries each effect of core out. The order within a claim's effects is the contract
// of OwnershipObserver: a claim is on record before Owns() can say yes, and an end is recorded
// after Owns() says no.
#include <fmt/format.h>

#include <string>

#include "internal/kv/unshared.h"
#include "internal/runtime/clock.h"
#include "internal/runtime/loop.h"

namespace parti::runtime {
namespace {

std::string_view SeverityLabel(core::Severity severity) {
  switch (severity) {
    case core::Severity::kInfo:
    case core::Severity::kWarning:
      return "warning";
    case core::Severity::kError:
      return "error";
    case core::Severity::kFatal:
      return "fatal";
  }
  return "fatal";
}

std::string_view ElectionLabel(core::ElectionNote::Kind kind) {
  switch (kind) {
    case core::ElectionNote::Kind::kChallenged:
      return "challenged";
    case core::ElectionNote::Kind::kWon:
      return "won";
    case core::ElectionNote::Kind::kLost:
      return "lost";
    case core::ElectionNote::Kind::kDeposed:
      return "deposed";
  }
  return "deposed";
}

}  // namespace

void Loop::Do(const core::KvGet& get) {
  meter_.Sent(get);
  kv_->Get(get);
}
void Loop::Do(const core::KvPut& put) {
  meter_.Sent(put);
  kv_->Put(put);
}
void Loop::Do(const core::KvInfo& info) {
  meter_.Sent(info);
  kv_->Info(info);
}
void Loop::Do(const core::OpenWatch& open) {
  meter_.Opened(open);
  kv_->Open(open);
}
void Loop::Do(const core::CloseWatch& close) {
  meter_.Closed(close.watch);
  kv_->Close(close);
}

void Loop::Do(const core::LifeBegan& began) {
  world_.ownership->BeginLife();
  Observe([&](OwnershipObserver& observer) {
    observer.OnStarted(BootNow(), began.worker, began.incarnation);
  });
  world_.board->BeginLife({began.worker, began.incarnation});
  world_.recorder->Add(Metric::kLives);
  Log(LogLevel::kInfo,
      fmt::format("joined as {} (incarnation {})", began.worker, began.incarnation));
}

void Loop::Do(const core::LeaseUntil& lease) {
  Observe([&](OwnershipObserver& observer) { observer.OnLease(BootNow(), lease.until); });
  world_.ownership->ExtendLease(lease.until);
  world_.board->SetLease(lease.until);
}

void Loop::Do(const core::Claim& claim) {
  Observe([&](OwnershipObserver& observer) {
    observer.OnAcquired(BootNow(), claim.epoch, claim.version, claim.partitions);
  });
  const std::size_t before = world_.ownership->size();
  world_.ownership->Claim(claim.partitions);
  // Those that were claimed already got new tokens only.
  world_.recorder->Add(Metric::kPartitionsAcquired, {},
                       static_cast<double>(world_.ownership->size() - before));
  SetOwned();
  Log(LogLevel::kDebug, fmt::format("claims {} more (epoch {}, version {})",
                                    claim.partitions.size(), claim.epoch, claim.version));
}

void Loop::Do(const core::Unclaim& unclaim) {
  if (unclaim.all) {
    world_.ownership->UnclaimAll();
    world_.board->SetAssignment({});
  } else {
    world_.ownership->Unclaim(unclaim.partitions);
  }
  SetOwned();
}

void Loop::Do(const core::RunRelease& release) {
  world_.hooks->Release({release.ticket, WithoutGivenBack(release.partitions), release.deadline});
}

void Loop::Do(const core::RunLost& lost) {
  world_.hooks->Lost({lost.ticket, WithoutGivenBack(lost.partitions), lost.reason});
}

void Loop::Do(const core::RunAcquire& acquire) { world_.hooks->Acquire(acquire); }

void Loop::Do(const core::Released& released) {
  Observe([&](OwnershipObserver& observer) {
    if (released.lost) {
      observer.OnLost(BootNow(), released.partitions);
    } else {
      observer.OnReleased(BootNow(), released.partitions);
    }
  });
  world_.recorder->Add(released.lost ? Metric::kPartitionsLost : Metric::kPartitionsReleased, {},
                       static_cast<double>(released.partitions.size()));
  Log(released.lost ? LogLevel::kWarning : LogLevel::kDebug,
      fmt::format("{} {} partitions", released.lost ? "lost" : "released",
                  released.partitions.size()));
}

void Loop::Do(const core::AssignmentChanged& changed) {
  world_.board->SetAssignment(changed.assignment);
  Log(LogLevel::kInfo,
      fmt::format("assignment: owns {} partitions, {} added, {} removed (epoch {}, version {})",
                  changed.assignment.partitions.size(), changed.added.size(),
                  changed.removed.size(), changed.assignment.epoch, changed.assignment.version));
  world_.hooks->AssignmentChanged({changed.assignment, changed.added, changed.removed});
}

void Loop::Do(const core::StateChanged& changed) {
  Observe(
      [&](OwnershipObserver& observer) { observer.OnState(BootNow(), changed.from, changed.to); });
  Log(LogLevel::kInfo,
      fmt::format("state {} → {}", StateName(changed.from), StateName(changed.to)));
  world_.board->SetState(changed.to);
  world_.recorder->Set(Metric::kState, 0, {StateName(changed.from)});
  world_.recorder->Set(Metric::kState, 1, {StateName(changed.to)});
  world_.hooks->StateChanged(changed.from, changed.to);
}

void Loop::Do(const core::LeadershipChanged& changed) {
  Observe([&](OwnershipObserver& observer) {
    observer.OnLeader(BootNow(), changed.gained, changed.epoch);
  });
  Log(LogLevel::kInfo, fmt::format("{} leadership (epoch {})",
                                   changed.gained ? "gained" : "gave up", changed.epoch));
  world_.board->SetLeader(changed.gained, changed.epoch);
  world_.recorder->Set(Metric::kLeader, changed.gained ? 1 : 0);
  world_.hooks->LeadershipChanged(changed.gained, changed.epoch);
}

void Loop::Do(const core::Report& report) {
  LogLevel level = LogLevel::kError;
  if (report.severity == core::Severity::kInfo) level = LogLevel::kInfo;
  if (report.severity == core::Severity::kWarning) level = LogLevel::kWarning;
  Log(level, std::string(report.status.message()));
  if (report.severity == core::Severity::kInfo) return;
  world_.board->SetError(std::string(report.status.message()));
  world_.recorder->Add(Metric::kReports, {SeverityLabel(report.severity)});
  if (report.severity == core::Severity::kFatal)
    world_.board->SetFatal(kv::Unshared(report.status));
  world_.hooks->Error(kv::Unshared(report.status));
}

void Loop::Do(const core::RebalanceNote& note) {
  const bool planned = note.phase == core::RebalanceNote::Phase::kPlanned;
  Log(LogLevel::kInfo,
      fmt::format("rebalance {} ({}): {} of {} partitions move, {} workers (epoch {}, version {})",
                  planned ? "planned" : "settled", note.cause, note.moved, note.partitions,
                  note.workers, note.epoch, note.version));
  if (planned) {
    world_.recorder->Add(Metric::kRebalances, {core::RebalanceCauseName(note.reason)});
    world_.recorder->Add(Metric::kPartitionsMoved, {}, note.moved);
    world_.recorder->Observe(Metric::kDetectionSeconds, note.detection);
  } else if (note.settle > 0) {
    world_.recorder->Observe(Metric::kSettleSeconds, note.settle);
  }
}

void Loop::Do(const core::HeartbeatNote& note) {
  world_.recorder->Add(Metric::kHeartbeats, {note.ok ? "ok" : "failed"});
  if (!note.ok) return;
  world_.recorder->Observe(Metric::kHeartbeatSeconds, note.round_trip);
  world_.recorder->Observe(Metric::kLeaseMarginSeconds, note.margin_left);
}

void Loop::Do(const core::ElectionNote& note) {
  world_.recorder->Add(Metric::kElections, {ElectionLabel(note.kind)});
}

void Loop::Do(const core::EvictionNote& note) {
  world_.recorder->Add(Metric::kEvictions, {core::EvictionReasonName(note.reason)});
}

void Loop::Do(const core::MalformedNote& note) {
  world_.recorder->Add(Metric::kMalformedValues, {wire::BucketName(note.bucket)});
}

void Loop::Do(const core::RunStrategy& run) { world_.planner->Plan(run); }

void Loop::Do(const core::Stopped&) { stopped_ = true; }

}  // namespace parti::runtime
