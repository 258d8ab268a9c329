#include "internal/runtime/planner.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "internal/kv/unshared.h"
#include "internal/runtime/clock.h"

namespace parti::runtime {
namespace {

// Calls the application's code; an exception becomes an error.
template <typename Call>
auto Guard(std::string_view what, Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return absl::InternalError(fmt::format("{} threw: {}", what, exception.what()));
  } catch (...) {
    return absl::InternalError(fmt::format("{} threw something that is no std::exception", what));
  }
}

}  // namespace

Planner::Planner(std::shared_ptr<PartitionSource> source,
                 std::shared_ptr<const AssignmentStrategy> strategy,
                 std::function<void()> on_thread_start, std::function<void(core::Event)> post,
                 const Recorder* recorder)
    : source_(std::move(source)),
      strategy_(std::move(strategy)),
      post_(std::move(post)),
      recorder_(recorder),
      thread_(std::move(on_thread_start)) {}

void Planner::List() {
  if (list_posted_.exchange(true)) return;
  thread_.Post({"PartitionSource::List", [this] {
                  // Before the listing: a refresh asked for during it is another one.
                  list_posted_.store(false);
                  post_(ListNow());
                }});
}

void Planner::Plan(const core::RunStrategy& run) {
  thread_.Post({"AssignmentStrategy::Assign", [this, run] {
                  post_(core::StrategyDone{run.ticket, PlanNow(*run.input)});
                }});
}

core::Event Planner::ListNow() {
  absl::StatusOr<std::vector<Partition>> listed =
      Guard("PartitionSource::List", [this] { return source_->List(); });
  absl::Status status = listed.status();
  if (status.ok()) status = Validate(*listed);
  recorder_->Add(Metric::kListings, {status.ok() ? "ok" : "error"});
  if (!status.ok()) {
    return core::PartitionsFailed{absl::Status(
        status.code(),
        fmt::format("the partitions could not be listed: {}", std::string(status.message())))};
  }
  return core::PartitionsListed{std::make_shared<const std::vector<Partition>>(*std::move(listed))};
}

// Also checks the answer, so that core can index with it.
absl::StatusOr<std::vector<std::int32_t>> Planner::PlanNow(const core::PlanInput& input) const {
  const std::vector<Partition>& partitions = *input.partitions;
  const std::string name = fmt::format("strategy {}", strategy_->name());
  const core::Nanos began = BootNow();
  absl::StatusOr<std::vector<std::int32_t>> owners = Guard(name, [&] {
    return strategy_->Assign({.workers = input.workers,
                              .partitions = partitions,
                              .previous_owner = input.previous_owner});
  });
  recorder_->Observe(Metric::kStrategySeconds, BootNow() - began);
  if (!owners.ok()) return kv::Unshared(owners.status());
  if (owners->size() != partitions.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} answered {} owners for {} partitions; it must give one for each, or "
                    "kUnassigned",
                    name, owners->size(), partitions.size()));
  }
  for (std::size_t i = 0; i < owners->size(); ++i) {
    const std::int32_t owner = (*owners)[i];
    if (owner == kUnassigned) continue;
    if (owner < 0 || static_cast<std::size_t>(owner) >= input.workers.size()) {
      return absl::InvalidArgumentError(
          fmt::format("{} gave partition {} to worker number {}; there are {} workers, numbered "
                      "from 0",
                      name, partitions[i].Id(), owner, input.workers.size()));
    }
  }
  return owners;
}

}  // namespace parti::runtime
