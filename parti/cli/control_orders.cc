#include "parti/cli/control_orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "internal/wire/limits.h"

namespace parti::cli {
namespace {

constexpr std::size_t kNamesShown = 10;
// Names further apart than this are no slip of the finger.
constexpr std::size_t kNearest = 3;

std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// " Did you mean worker-1?" or " Known are …".
std::string Suggest(const std::string& wrong, const std::vector<std::string>& known) {
  const std::string* nearest = nullptr;
  std::size_t least = kNearest + 1;
  for (const std::string& name : known) {
    const std::size_t longer = std::max(name.size(), wrong.size());
    if (longer - std::min(name.size(), wrong.size()) > kNearest) continue;
    const std::size_t distance = Distance(wrong, name);
    if (distance < least) {
      least = distance;
      nearest = &name;
    }
  }
  std::string text;
  if (nearest != nullptr) text = fmt::format(" Did you mean {}?", *nearest);
  if (known.empty()) return text + " None is known.";
  return text + fmt::format(" Known {} {}.", known.size() == 1 ? "is" : "are",
                            TextOfList(known, kNamesShown));
}

const WorkerStatus* FindWorker(const GroupStatus& status, const std::string& id) {
  for (const WorkerStatus& worker : status.workers) {
    if (worker.id == id) return &worker;
  }
  return nullptr;
}

const PartitionStatus* FindPartition(const GroupStatus& status, const std::string& id) {
  for (const PartitionStatus& partition : status.partition_list) {
    if (partition.id == id) return &partition;
  }
  return nullptr;
}

absl::Status Senseless(const std::string& why) {
  return absl::InvalidArgumentError(why + " --force gives the order all the same.");
}

absl::Status CheckWorker(const Order& order, const GroupStatus& status) {
  if (order.worker.empty() || order.worker.size() > wire::kMaxNameBytes) {
    return absl::InvalidArgumentError(
        fmt::format("a worker id has 1 to {} bytes", wire::kMaxNameBytes));
  }
  if (order.force || FindWorker(status, order.worker) != nullptr) return absl::OkStatus();
  std::vector<std::string> known;
  for (const WorkerStatus& worker : status.workers) {
    if (worker.life == Life::kLive) known.push_back(worker.id);
  }
  return Senseless(
      fmt::format("there is no worker {}.{}", order.worker, Suggest(order.worker, known)));
}

bool Contains(const std::vector<std::string>& sorted, const std::string& id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

absl::StatusOr<bool> Drain(const Order& order, const GroupStatus& status, wire::Control* control) {
  if (Contains(control->drained, order.worker)) return false;
  if (absl::Status known = CheckWorker(order, status); !known.ok()) return known;
  const bool others =
      std::any_of(status.workers.begin(), status.workers.end(), [&](const WorkerStatus& worker) {
        return worker.life == Life::kLive && worker.capacity > 0 && worker.id != order.worker &&
               !Contains(control->drained, worker.id);
      });
  if (!others && !order.force) {
    return Senseless(
        fmt::format("{} is the last worker that takes partitions: drained, too, it "
                    "would leave them all without an owner. Start another first.",
                    order.worker));
  }
  if (control->drained.size() >= wire::kMaxDrained) {
    return absl::InvalidArgumentError(
        fmt::format("{} workers are drained already, at most {} may be; `parti undrain` some",
                    control->drained.size(), wire::kMaxDrained));
  }
  control->drained.insert(
      std::upper_bound(control->drained.begin(), control->drained.end(), order.worker),
      order.worker);
  return true;
}

absl::StatusOr<bool> Undrain(const Order& order, const GroupStatus& status,
                             wire::Control* control) {
  const auto found =
      std::lower_bound(control->drained.begin(), control->drained.end(), order.worker);
  if (found == control->drained.end() || *found != order.worker) {
    if (absl::Status known = CheckWorker(order, status); !known.ok()) return known;
    return false;
  }
  control->drained.erase(found);
  return true;
}

absl::Status CheckPin(const Order& order, const GroupStatus& status, const wire::Control& control) {
  if (order.partition.empty() || order.partition.size() > wire::kMaxPartitionIdBytes) {
    return absl::InvalidArgumentError(
        fmt::format("a partition id has 1 to {} bytes", wire::kMaxPartitionIdBytes));
  }
  if (absl::Status known = CheckWorker(order, status); !known.ok()) return known;
  if (order.force) return absl::OkStatus();
  if (FindPartition(status, order.partition) == nullptr) {
    std::vector<std::string> known;
    known.reserve(status.partition_list.size());
    for (const PartitionStatus& one : status.partition_list) known.push_back(one.id);
    return Senseless(fmt::format("there is no partition {}{}.{}", order.partition,
                                 status.partitions.unowned > 0 ? " that has an owner" : "",
                                 Suggest(order.partition, known)));
  }
  if (Contains(control.drained, order.worker)) {
    return Senseless(fmt::format("{} is drained: it gets no partitions before `parti undrain {}`.",
                                 order.worker, order.worker));
  }
  const WorkerStatus& worker = *FindWorker(status, order.worker);
  if (worker.life != Life::kLive) {
    return Senseless(fmt::format("{} isn't alive ({}): the pin would wait for it to come back.",
                                 order.worker, LifeName(worker.life)));
  }
  if (worker.capacity == 0) {
    return Senseless(fmt::format("{} has capacity 0: it doesn't take partitions.", order.worker));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> PinTo(const Order& order, const GroupStatus& status, wire::Control* control) {
  const auto at = std::lower_bound(
      control->pins.begin(), control->pins.end(), order.partition,
      [](const wire::Pin& pin, const std::string& id) { return pin.partition < id; });
  const bool pinned = at != control->pins.end() && at->partition == order.partition;
  if (pinned && at->worker == order.worker) return false;
  if (absl::Status fits = CheckPin(order, status, *control); !fits.ok()) return fits;
  if (!pinned && control->pins.size() >= wire::kMaxPins) {
    return absl::InvalidArgumentError(
        fmt::format("{} partitions are pinned already, at most {} may be; `parti unpin` some",
                    control->pins.size(), wire::kMaxPins));
  }
  if (pinned) {
    at->worker = order.worker;
  } else {
    control->pins.insert(at, {order.partition, order.worker});
  }
  return true;
}

bool Unpin(const Order& order, wire::Control* control) {
  return std::erase_if(control->pins,
                       [&](const wire::Pin& pin) { return pin.partition == order.partition; }) > 0;
}

bool SetPaused(bool paused, wire::Control* control) {
  const bool changed = control->paused != paused;
  control->paused = paused;
  return changed;
}

// What the leader says can't be done of this order, if anything.
std::string ProblemOf(const Order& order, const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) {
    const bool ours =
        order.kind == OrderKind::kPin
            ? problem.starts_with(fmt::format("{} is pinned to ", order.partition))
            : order.kind == OrderKind::kDrain && problem.find("drained") != std::string::npos;
    if (ours) return problem;
  }
  return {};
}

// What of the order is yet to come about, beyond the leader's word; empty: nothing.
std::string Missing(const Order& order, const GroupStatus& status) {
  if (order.kind == OrderKind::kDrain) {
    const WorkerStatus* worker = FindWorker(status, order.worker);
    if (worker == nullptr) return {};
    const std::size_t left = worker->owned + worker->granted + worker->releasing;
    if (left > 0) {
      return fmt::format("{} still holds {} partition{}", order.worker, left, left == 1 ? "" : "s");
    }
    return worker->behind ? fmt::format("{} has yet to apply its empty assignment", order.worker)
                          : std::string();
  }
  if (order.kind == OrderKind::kPin) {
    const PartitionStatus* partition = FindPartition(status, order.partition);
    if (partition != nullptr && partition->state == PartitionState::kOwned &&
        partition->owner == order.worker) {
      return {};
    }
    if (partition == nullptr) return fmt::format("{} has no owner", order.partition);
    return fmt::format("{} is {}{}", order.partition, PartitionStateName(partition->state),
                       partition->owner.empty() ? "" : " by " + partition->owner);
  }
  return {};
}

std::string Done(const Order& order, const GroupStatus& status) {
  const std::string leader = status.leader ? status.leader->worker : "the leader";
  switch (order.kind) {
    case OrderKind::kDrain:
      return fmt::format(
          "{} is drained: it owns nothing, and gets nothing before `parti undrain "
          "{}`",
          order.worker, order.worker);
    case OrderKind::kUndrain:
      return fmt::format("{} gets partitions again{}", order.worker,
                         status.control && status.control->orders.paused
                             ? ", once `parti resume` lets them move"
                             : "");
    case OrderKind::kPause:
      return "paused: what has an owner stays where it is before `parti resume`; what loses its "
             "owner is still taken over";
    case OrderKind::kResume:
      return "resumed: partitions are shared out as ever";
    case OrderKind::kPin:
      return fmt::format("{} is owned by {}, and stays there before `parti unpin {}`",
                         order.partition, order.worker, order.partition);
    case OrderKind::kUnpin:
      return fmt::format("{} goes where it should again", order.partition);
  }
  return leader;
}

}  // namespace

std::string TextOfOrder(const Order& order) {
  switch (order.kind) {
    case OrderKind::kDrain:
      return "drain " + order.worker;
    case OrderKind::kUndrain:
      return "undrain " + order.worker;
    case OrderKind::kPause:
      return "pause";
    case OrderKind::kResume:
      return "resume";
    case OrderKind::kPin:
      return fmt::format("pin {} {}", order.partition, order.worker);
    case OrderKind::kUnpin:
      return "unpin " + order.partition;
  }
  return "?";
}

std::string UndoOfOrder(const Order& order) {
  switch (order.kind) {
    case OrderKind::kDrain:
      return "parti undrain " + order.worker;
    case OrderKind::kUndrain:
      return "parti drain " + order.worker;
    case OrderKind::kPause:
      return "parti resume";
    case OrderKind::kResume:
      return "parti pause";
    case OrderKind::kPin:
      return "parti unpin " + order.partition;
    case OrderKind::kUnpin:
      return "parti pin " + order.partition + " WORKER";
  }
  return "?";
}

absl::StatusOr<bool> ApplyOrder(const Order& order, const GroupStatus& status,
                                wire::Control* control) {
  switch (order.kind) {
    case OrderKind::kDrain:
      return Drain(order, status, control);
    case OrderKind::kUndrain:
      return Undrain(order, status, control);
    case OrderKind::kPause:
      return SetPaused(true, control);
    case OrderKind::kResume:
      return SetPaused(false, control);
    case OrderKind::kPin:
      return PinTo(order, status, control);
    case OrderKind::kUnpin:
      return Unpin(order, control);
  }
  return absl::InternalError("no such order");
}

Progress CheckProgress(const Order& order, std::uint64_t revision, const GroupSnapshot& snapshot,
                       const GroupStatus& status) {
  if (!status.leader || !status.leader->alive) {
    return {.text = "there is no leader to carry it out"};
  }
  const std::string& leader = status.leader->worker;
  const wire::Report* report = snapshot.report ? snapshot.report->get() : nullptr;
  if (report == nullptr || !status.report->current || report->control_revision < revision) {
    return {.text = fmt::format("{}, the leader, has not read it yet", leader)};
  }
  if (const std::string problem = ProblemOf(order, report->problems); !problem.empty()) {
    return {.refused = true, .text = fmt::format("{}, the leader, says: {}", leader, problem)};
  }
  if (!report->control_settled) {
    const std::string missing = Missing(order, status);
    return {.text = missing.empty() ? fmt::format("{}, the leader, is at it", leader) : missing};
  }
  if (std::string missing = Missing(order, status); !missing.empty()) {
    return {.text = std::move(missing)};
  }
  return {.confirmed = true, .text = Done(order, status)};
}

}  // namespace parti::cli
