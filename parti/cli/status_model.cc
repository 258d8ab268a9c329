#include "parti/cli/status_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "parti/cli/status_partitions.h"
#include "parti/cli/status_workers.h"

namespace parti::cli {
namespace {

// What nobody has begun to see to after this long won't be seen to by itself.
constexpr std::int64_t kGraceMs = 5'000;
// A leader that has renewed no more often than this has only just begun.
constexpr std::uint64_t kFirstRenewals = 10;
// Renewals come several times in this at least.
constexpr std::int64_t kLongestRenewalMs = 60'000;
constexpr std::size_t kNamesShown = 5;

std::string Plural(std::uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string Have(std::uint64_t count) { return count == 1 ? "has" : "have"; }
std::string Are(std::uint64_t count) { return count == 1 ? "is" : "are"; }

std::string WithState(const LeaderStatus& leader, const std::optional<ReportStatus>& report) {
  return fmt::format("{} (epoch {}{})", leader.worker, leader.epoch,
                     report && report->current ? fmt::format(", version {}", report->version) : "");
}

class Judge {
 public:
  Judge(const GroupSnapshot& snapshot, const JudgeOptions& options)
      : snapshot_(snapshot),
        options_(options),
        members_(ReadMembers(snapshot)),
        ledger_(&members_) {
    status_.prefix = options.prefix;
    status_.server = options.server;
  }

  GroupStatus Run() {
    ReadElection();
    MarkWorkers();
    const wire::Report* report = Report();
    status_.partitions = ledger_.Counts(report);
    status_.refusals = ledger_.refusals();
    status_.quiet_ms = QuietMs();
    status_.listed = options_.list_partitions;
    if (options_.list_partitions) status_.partition_list = ledger_.List(report);

    CheckLeader();
    CheckWorkersExist();
    CheckDead();
    CheckContested();
    CheckEpochs();
    for (Finding& finding : FindBadRecords(snapshot_, members_)) Add(std::move(finding));
    CheckReport();
    CheckUnowned();
    CheckMoves();
    CheckOrders();
    CheckSmallThings();
    for (Member& member : members_) status_.workers.push_back(std::move(member.status));
    Conclude();
    return std::move(status_);
  }

 private:
  // ---- reading ----

  const wire::Report* Report() const {
    return snapshot_.report ? snapshot_.report->get() : nullptr;
  }
  const wire::Leader* LeaderRecord() const {
    return snapshot_.leader ? snapshot_.leader->get() : nullptr;
  }

  const Member* Find(const std::string& id) const {
    for (const Member& member : members_) {
      if (member.status.id == id) return &member;
    }
    return nullptr;
  }

  void ReadElection() {
    if (const wire::Leader* leader = LeaderRecord()) {
      const Member* const holder = Find(leader->holder);
      status_.leader = {
          .worker = leader->holder,
          .epoch = leader->epoch,
          .renewed_ms = snapshot_.leader->AgeMs(snapshot_.now),
          .released = leader->released,
          .alive = !leader->released && holder != nullptr && holder->status.life == Life::kLive,
          .mode = leader->mode};
    }
    if (const wire::Report* report = Report()) {
      const wire::Leader* leader = LeaderRecord();
      status_.report = {.epoch = report->epoch,
                        .version = report->version,
                        .state = report->state,
                        .cause = report->cause,
                        .age_ms = snapshot_.report->AgeMs(snapshot_.now),
                        .current = leader != nullptr && leader->epoch == report->epoch &&
                                   leader->nonce == report->nonce};
    }
    if (!snapshot_.control || !snapshot_.control->readable()) return;
    const wire::Report* report = Report();
    status_.control = {.revision = snapshot_.control->revision,
                       .orders = *snapshot_.control->get()};
    if (!status_.report || !status_.report->current) return;
    const bool read = report->control_revision >= snapshot_.control->revision;
    status_.control->confirmed = read && report->control_settled;
    if (read) status_.control->problems = report->problems;
  }

  void MarkWorkers() {
    for (Member& member : members_) {
      WorkerStatus& worker = member.status;
      worker.leader =
          status_.leader && !status_.leader->released && status_.leader->worker == worker.id;
      if (!status_.control) continue;
      const std::vector<std::string>& drained = status_.control->orders.drained;
      worker.drained = std::find(drained.begin(), drained.end(), worker.id) != drained.end();
    }
  }

  // Since anything but plain heartbeats and renewals was written.
  std::int64_t QuietMs() const {
    LocalNanos newest = 0;
    for (const auto& [id, claim] : snapshot_.claims) newest = std::max(newest, claim.since);
    for (const auto& [id, doc] : snapshot_.docs) newest = std::max(newest, doc.since);
    for (const auto& [id, beat] : snapshot_.heartbeats) {
      const wire::Heartbeat* record = beat.get();
      if (record != nullptr && record->kind == wire::HeartbeatKind::kLive) continue;
      newest = std::max(newest, beat.since);
    }
    if (snapshot_.report) newest = std::max(newest, snapshot_.report->since);
    if (snapshot_.control) newest = std::max(newest, snapshot_.control->since);
    if (LeaderIsNew()) newest = snapshot_.now;
    return std::max<std::int64_t>(0, (snapshot_.now - newest) / 1'000'000);
  }

  bool LeaderIsNew() const {
    const wire::Leader* leader = LeaderRecord();
    return leader != nullptr && leader->renewals <= kFirstRenewals;
  }
  bool LeaderAlive() const { return status_.leader && status_.leader->alive; }
  bool ReportCounts() const { return status_.report && status_.report->current; }

  std::vector<const Member*> With(Life life) const {
    std::vector<const Member*> found;
    for (const Member& member : members_) {
      if (member.status.life == life) found.push_back(&member);
    }
    return found;
  }
  std::size_t Live() const { return With(Life::kLive).size(); }

  void Add(Finding finding) { status_.findings.push_back(std::move(finding)); }
  void Error(std::string code, std::string text, std::string advice) {
    Add({Severity::kError, std::move(code), std::move(text), std::move(advice)});
  }

  // ---- leaders and workers ----

  void CheckWorkersExist() {
    if (Live() > 0) return;
    if (members_.empty() && !snapshot_.leader) {
      return Error("no-workers", "no worker has joined yet",
                   "start workers with this server and prefix");
    }
    const std::size_t joining = With(Life::kJoining).size();
    if (joining > 0) {
      return Error(
          "no-workers",
          fmt::format("no worker is alive; {} {} joining", Plural(joining, "worker"), Are(joining)),
          "wait a moment; if it lasts, see the workers' logs");
    }
    std::int64_t last = -1;
    for (const Member& member : members_) {
      const auto& silent = member.status.silent_ms;
      if (silent && (last < 0 || *silent < last)) last = *silent;
    }
    Error("no-workers",
          fmt::format("no worker is alive{}",
                      last < 0 ? "" : fmt::format("; the last was heard {} ago", TextOfAge(last))),
          "start workers with this server and prefix; if some run, see their logs");
  }

  void CheckLeader() {
    if (snapshot_.leader && !snapshot_.leader->readable()) {
      const absl::Status& why = snapshot_.leader->record.status();
      unreadable_leader_ = true;
      return Error("unreadable-leader",
                   fmt::format("the leader record is unreadable: {}", std::string(why.message())),
                   absl::IsUnimplemented(why)
                       ? "the group is of a newer release: use the `parti` command of that release"
                       : "the workers replace it within election_ttl; if it stays, find out who "
                         "writes into the election bucket");
    }
    if (Live() == 0) return;  // said already
    constexpr const char* kAdvice =
        "everybody keeps what they own, but nothing moves until the living workers have elected "
        "another, which takes about election_ttl; if it lasts, see their logs";
    if (!status_.leader) {
      return Error("no-leader", "there is no leader, and no record of one", kAdvice);
    }
    const LeaderStatus& leader = *status_.leader;
    const std::string ago = TextOfAge(leader.renewed_ms);
    if (leader.released) {
      return Error("no-leader", fmt::format("no leader for {}: {} resigned", ago, leader.worker),
                   kAdvice);
    }
    const Member* const holder = Find(leader.worker);
    if (holder == nullptr) {
      return Error(
          "no-leader",
          fmt::format("no leader: {} leads by record, but there is no such worker", leader.worker),
          kAdvice);
    }
    if (!leader.alive) {
      const std::int64_t silent = holder->status.silent_ms.value_or(leader.renewed_ms);
      return Error("no-leader",
                   fmt::format("no leader: {} leads by record, but is {} ({} since its last sign "
                               "of life; lease {})",
                               leader.worker, LifeName(holder->status.life),
                               TextOfAge(std::min(silent, leader.renewed_ms)),
                               TextOfAge(holder->status.lease_ms)),
                   kAdvice);
    }
    if (leader.renewed_ms > std::max(kLongestRenewalMs, 3 * holder->status.lease_ms)) {
      Add({Severity::kWarning, "leader-not-renewing",
           fmt::format("{} is alive, but has not renewed its leadership for {}", leader.worker,
                       ago),
           "another worker takes over when election_ttl is over, unless that is set very long"});
    }
  }

  // Workers that died and still hold partitions.
  void CheckDead() {
    struct Dead {
      std::vector<std::string> names;
      std::size_t partitions = 0;
      std::int64_t wait_ms = 0;
    };
    Dead silent;
    Dead evicted;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const WorkerStatus& worker = members_[i].status;
      const std::size_t held = ledger_.waiting()[i];
      const std::int64_t left = worker.lease_ms - worker.silent_ms.value_or(0);
      if (worker.life == Life::kSilent) {
        silent.names.push_back(worker.id);
        silent.partitions += held;
      } else if (worker.life == Life::kDead) {
        anybody_dead_ =
            anybody_dead_ || worker.silent_ms.value_or(INT64_MAX) <= options_.patience_ms;
        continue;
      } else if (worker.life == Life::kEvicted) {
        // What it held may be without an owner already: that is its death, and no planned move.
        anybody_dead_ = true;
        if (held == 0) continue;
        evicted.names.push_back(worker.id);
        evicted.partitions += held;
        evicted.wait_ms = std::max(evicted.wait_ms, left);
      } else {
        continue;
      }
      anybody_dead_ = true;
    }
    if (!silent.names.empty()) {
      Error("worker-silent",
            fmt::format("{} gave no sign of life for longer than {} lease{}",
                        TextOfList(silent.names, kNamesShown),
                        silent.names.size() == 1 ? "its" : "their",
                        silent.partitions == 0 ? ""
                                               : fmt::format("; {} wait{} to be shared out anew",
                                                             Plural(silent.partitions, "partition"),
                                                             silent.partitions == 1 ? "s" : "")),
            LeaderAlive() ? "the leader evicts it and gives its partitions to others by itself; "
                            "find out whether the process died or can't reach NATS"
                          : "nobody can evict it as long as there is no leader");
    }
    if (!evicted.names.empty()) {
      Error("worker-dead",
            fmt::format("{} died; {} for the end of its lease, at most {} from now",
                        TextOfList(evicted.names, kNamesShown),
                        evicted.partitions == 1
                            ? "its partition waits"
                            : fmt::format("{} partitions wait", evicted.partitions),
                        TextOfAge(std::max<std::int64_t>(0, evicted.wait_ms))),
            "nothing: they go to others by themselves. Find out why it died or lost NATS");
    }
  }

  void CheckContested() {
    const std::vector<std::string>& contested = ledger_.contested();
    if (contested.empty()) return;
    Error("two-owners",
          fmt::format("{} assigned to two living workers: {}",
                      contested.size() == 1 ? "a partition is"
                                            : fmt::format("{} partitions are", contested.size()),
                      TextOfList(contested, kNamesShown)),
          "this must never be: keep the buckets (`nats kv`, see docs/operations.md) and the "
          "workers' logs, then restart one of the two; has somebody written into the assignment "
          "bucket, or restored it?");
  }

  void CheckEpochs() {
    const wire::Leader* leader = LeaderRecord();
    if (leader == nullptr) return;
    std::vector<std::string> ahead;
    std::vector<std::string> twice;
    for (const Member& member : members_) {
      const WorkerStatus& worker = member.status;
      if (worker.life == Life::kLive && worker.epoch_seen > leader->epoch) {
        ahead.push_back(fmt::format("{} has seen epoch {}", worker.id, worker.epoch_seen));
      }
      const wire::Doc* doc = member.records.doc == nullptr ? nullptr : member.records.doc->get();
      if (doc == nullptr) continue;
      if (doc->epoch > leader->epoch) {
        ahead.push_back(fmt::format("the assignment of {} is of epoch {}", worker.id, doc->epoch));
      } else if (doc->epoch == leader->epoch && doc->nonce != leader->nonce) {
        twice.push_back(worker.id);
      }
    }
    if (!ahead.empty()) {
      Error("epoch-went-back",
            fmt::format("the leader record is of epoch {}, but {}", leader->epoch,
                        TextOfList(ahead, kNamesShown)),
            "was the election bucket restored or wiped? The next leader goes above every epoch "
            "that it finds; if this stays, restart the leader");
    }
    if (!twice.empty()) {
      Error("epoch-of-two-leaders",
            fmt::format("epoch {} has two leaders: the {} of {} {} by another one", leader->epoch,
                        twice.size() == 1 ? "assignment" : "assignments",
                        TextOfList(twice, kNamesShown), Are(twice.size())),
            "was the election bucket restored or wiped? Workers refuse such assignments, and the "
            "leader replaces them");
    }
  }

  // ---- partitions ----

  void CheckReport() {
    if (!LeaderAlive()) return;
    if (snapshot_.report && !snapshot_.report->readable()) {
      unreported_ = true;
      const absl::Status& why = snapshot_.report->record.status();
      return Error("unreadable-report",
                   fmt::format("the leader's report is unreadable: {}", std::string(why.message())),
                   "the leader writes it anew when something changes; if it stays, find out who "
                   "writes into the election bucket");
    }
    if (ReportCounts()) {
      if (Report()->listed || status_.quiet_ms <= options_.patience_ms) return;
      return Error("no-partition-list",
                   fmt::format("{} leads without knowing the partitions", status_.leader->worker),
                   "its PartitionSource hangs or fails: see its log");
    }
    const bool newer = status_.report && status_.report->epoch > status_.leader->epoch;
    if (newer) {
      return Error(
          "report-of-another-leader",
          fmt::format("there is a report of epoch {}, but {} leads with epoch {}",
                      status_.report->epoch, status_.leader->worker, status_.leader->epoch),
          "was the election bucket restored? If this stays, restart the leader");
    }
    if (LeaderIsNew()) {
      taking_over_ = true;
      return;
    }
    unreported_ = true;
    Error("no-report",
          fmt::format("{} leads, but reports nothing: how many partitions there are isn't known",
                      status_.leader->worker),
          "is it of an older release, or may it not write the key `report` of the election bucket? "
          "See its log");
  }

  std::int64_t Assigned() const {
    const PartitionCounts& p = status_.partitions;
    return static_cast<std::int64_t>(p.owned + p.granted + p.contested);
  }

  bool CalculatorAtWork() const { return ReportCounts() && status_.report->state != "Idle"; }

  // A planned move is no fault as long as it gets on.
  bool PlannedAndInTime() const {
    const bool planned =
        !anybody_dead_ && (!status_.report || status_.report->state != "Emergency");
    const bool busy = CalculatorAtWork() || taking_over_ || status_.partitions.releasing > 0 ||
                      status_.partitions.granted > 0;
    return planned && LeaderAlive() && status_.quiet_ms <= (busy ? options_.patience_ms : kGraceMs);
  }

  void CheckUnowned() {
    const PartitionCounts& partitions = status_.partitions;
    if (partitions.unowned == 0 || Live() == 0 || !LeaderAlive() || !ReportCounts()) return;
    if (PlannedAndInTime()) return;
    std::vector<std::string> named;
    for (const std::string& id : partitions.unowned_sample) {
      const auto refusal = status_.refusals.find(id);
      named.push_back(refusal == status_.refusals.end()
                          ? id
                          : fmt::format("{} (given back by {})", id, refusal->second));
      if (named.size() > kNamesShown) break;
    }
    const std::string names =
        named.empty() ? "" : ": " + TextOfList(named, kNamesShown, partitions.unowned);
    Error("unowned",
          fmt::format("{} of {} {} no owner{}", partitions.unowned,
                      Plural(partitions.total.value_or(0), "partition"), Have(partitions.unowned),
                      names),
          AdviceForUnowned());
  }

  std::string AdviceForUnowned() const {
    if (!status_.refusals.empty()) {
      return "workers give partitions back because their acquire hook fails: mend what it says; "
             "they are offered again after refusal_backoff";
    }
    bool any_takes = false;
    for (const Member* member : With(Life::kLive)) {
      any_takes = any_takes || (member->status.capacity > 0 && !member->status.drained);
    }
    if (!any_takes) {
      return "every living worker is drained or has capacity 0: start workers, or `parti undrain` "
             "one";
    }
    if (CalculatorAtWork()) {
      return status_.quiet_ms > options_.patience_ms
                 ? "the leader wants to share them out but doesn't get on: see its log"
                 : "the leader is sharing them out";
    }
    return "the leader has not noticed or can't place them: see its log";
  }

  // Moves that don't come to their end.
  void CheckMoves() {
    const PartitionCounts& p = status_.partitions;
    std::vector<std::string> names;
    std::size_t releasing = 0;
    for (const Member& member : members_) {
      if (!member.status.behind) continue;
      names.push_back(member.status.id);
      releasing += member.status.releasing;
    }
    status_.moving = !names.empty() || p.releasing > 0 || p.granted > 0 || p.unowned > 0 ||
                     taking_over_ || CalculatorAtWork() || ledger_.leftovers() > 0;
    if (status_.quiet_ms <= options_.patience_ms || !LeaderAlive()) return;
    const std::string since = TextOfAge(status_.quiet_ms);
    if (!names.empty()) {
      Error("stuck",
            fmt::format("{} {} not applied the newest assignment for {}{}",
                        TextOfList(names, kNamesShown), Have(names.size()), since,
                        releasing == 0 ? ""
                                       : fmt::format("; {} still to be released",
                                                     Plural(releasing, "partition"))),
            "its release hook hangs, or it doesn't see the assignment bucket: see its log. The "
            "leader evicts a worker that doesn't release within release_timeout");
    } else if (CalculatorAtWork() && p.unowned == 0) {
      Error("stuck", fmt::format("{} without progress for {}", status_.report->state, since),
            "see the leader's log");
    }
    if (ledger_.leftovers() > 0) {
      Error("assignment-of-the-dead",
            fmt::format("{} still assigned to lives that are over",
                        ledger_.leftovers() == 1
                            ? "a partition is"
                            : fmt::format("{} partitions are", ledger_.leftovers())),
            "the leader should have cleaned that up: see its log");
    }
    const std::int64_t told = static_cast<std::int64_t>(p.total.value_or(0));
    if (ReportCounts() && p.total && Assigned() > told) {
      Error("report-differs",
            fmt::format("{} are assigned, but the leader's list has {}",
                        Plural(static_cast<std::uint64_t>(Assigned()), "partition"), told),
            "was the assignment bucket restored? See the leader's log");
    }
  }

  // ---- what needn't worry anybody ----

  void CheckOrders() {
    if (!status_.control) return;
    const ControlStatus& control = *status_.control;
    for (const std::string& problem : control.problems) {
      Add({Severity::kWarning, "order-impossible", "an order can't be carried out: " + problem,
           "take it back: parti undrain, parti unpin"});
    }
    const bool any =
        control.orders.paused || !control.orders.drained.empty() || !control.orders.pins.empty();
    if (control.orders.paused) {
      Add({Severity::kNote, "paused", "planned rebalances are paused",
           "`parti resume` lets them go on"});
    }
    if (any && !control.confirmed && control.problems.empty() && LeaderAlive()) {
      Add({Severity::kNote, "orders-under-way", "the leader has yet to carry out what was ordered",
           ""});
    }
  }

  void CheckSmallThings() {
    if (!snapshot_.strangers.empty()) {
      std::vector<std::string> keys;
      for (const auto& [key, revision] : snapshot_.strangers) keys.push_back(key);
      Add({Severity::kNote, "unknown-key",
           fmt::format("the election bucket has {} that nobody knows: {}",
                       keys.size() == 1 ? "a key" : "keys", TextOfList(keys, kNamesShown)),
           "written by a newer release, or by mistake"});
    }
    // heartbeat_interval is a third of the lease at most.
    std::vector<std::string> late;
    for (const Member* member : With(Life::kLive)) {
      const std::int64_t silent = member->status.silent_ms.value_or(0);
      if (2 * silent <= member->status.lease_ms) continue;
      late.push_back(fmt::format("{} ({} of a lease of {})", member->status.id, TextOfAge(silent),
                                 TextOfAge(member->status.lease_ms)));
    }
    if (!late.empty()) {
      Add({Severity::kWarning, "heartbeat-late",
           fmt::format("no heartbeat for half a lease: {}", TextOfList(late, kNamesShown)),
           "has it died, or is NATS slow? It is counted as dead when the lease is over"});
    }
    if (status_.refusals.empty()) return;
    std::vector<std::string> given;
    for (const auto& [partition, why] : status_.refusals) {
      given.push_back(fmt::format("{} by {}", partition, why));
      if (given.size() > kNamesShown) break;
    }
    Add({Severity::kWarning, "given-back",
         fmt::format("acquire hooks failed, and gave back {}",
                     TextOfList(given, kNamesShown, status_.refusals.size())),
         "mend what the hooks say; the partitions are offered again after refusal_backoff"});
  }

  // ---- the verdict ----

  void Conclude() {
    std::stable_sort(status_.findings.begin(), status_.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    std::size_t errors = 0;
    for (const Finding& finding : status_.findings) errors += finding.severity == Severity::kError;
    if (errors == 0) return Healthy();
    const Finding& worst = status_.findings.front();
    // Without a leader record nothing else can be judged; what a report would have told is missed
    // only where nothing is wrong anyway.
    const bool blind = unreadable_leader_ || (unreported_ && errors == 1);
    status_.verdict = blind ? Verdict::kUnknown : Verdict::kUnhealthy;
    status_.headline = fmt::format("{}: {}", VerdictName(status_.verdict), worst.text);
    if (errors > 1) status_.headline += fmt::format("; and {} more", errors - 1);
    status_.advice = worst.advice;
  }

  void Healthy() {
    status_.verdict = Verdict::kHealthy;
    const PartitionCounts& p = status_.partitions;
    const std::uint64_t total = p.total.value_or(static_cast<std::uint64_t>(Assigned()));
    const std::size_t live = Live();
    const bool all = p.unowned == 0 && p.releasing == 0 && p.granted == 0 && p.waiting == 0;
    std::string text;
    if (taking_over_) {
      text = fmt::format("healthy, new leader: {} has just taken over; {} of {}",
                         WithState(*status_.leader, status_.report), p.owned,
                         Plural(total, "partition") + " owned");
    } else if (status_.moving && !all) {
      std::vector<std::string> rest;
      if (p.granted > 0) rest.push_back(fmt::format("{} arriving", p.granted));
      if (p.releasing > 0) rest.push_back(fmt::format("{} being released", p.releasing));
      if (p.waiting > 0) rest.push_back(fmt::format("{} waiting for a lease to end", p.waiting));
      if (p.unowned > 0) rest.push_back(fmt::format("{} without an owner yet", p.unowned));
      text = fmt::format("healthy, rebalancing: {} own{} {} of {}, {}; under {}",
                         Plural(live, "worker"), live == 1 ? "s" : "", p.owned,
                         Plural(total, "partition"), TextOfList(rest, 4),
                         WithState(*status_.leader, status_.report));
    } else {
      text =
          fmt::format("healthy: {} own{} {} under {}", Plural(live, "worker"), live == 1 ? "s" : "",
                      total == 1 ? "the only partition" : fmt::format("all {} partitions", total),
                      WithState(*status_.leader, status_.report));
      if (total == 0) {
        text = fmt::format("healthy: {} under {}, but the list of partitions is empty",
                           Plural(live, "worker"), WithState(*status_.leader, status_.report));
      }
    }
    if (status_.control && status_.control->orders.paused) text += "; paused";
    status_.headline = std::move(text);
  }

  const GroupSnapshot& snapshot_;
  const JudgeOptions& options_;
  std::vector<Member> members_;
  PartitionLedger ledger_;
  GroupStatus status_;
  bool unreadable_leader_ = false;
  bool unreported_ = false;
  bool anybody_dead_ = false;
  bool taking_over_ = false;
};

}  // namespace

std::size_t GroupStatus::CountLive() const {
  return static_cast<std::size_t>(
      std::count_if(workers.begin(), workers.end(),
                    [](const WorkerStatus& worker) { return worker.life == Life::kLive; }));
}

GroupStatus JudgeGroup(const GroupSnapshot& snapshot, const JudgeOptions& options) {
  return Judge(snapshot, options).Run();
}

GroupStatus CannotTell(const absl::Status& why, const JudgeOptions& options) {
  GroupStatus status;
  status.prefix = options.prefix;
  status.server = options.server;
  status.headline = fmt::format("can't tell: {}", std::string(why.message()));
  status.findings.push_back({Severity::kError, "unreachable", std::string(why.message()), ""});
  return status;
}

}  // namespace parti::cli
