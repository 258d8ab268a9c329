#include "test/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "strategies/strategies.h"

namespace parti::simulation {
namespace {

// A hundred times what a lively world needs: more than that is a group that runs in circles.
constexpr std::uint64_t kMaxSteps = 1'000'000;

}  // namespace

World::World(const Scenario& scenario, History* history)
    : shared_(scenario, history),
      claims_(&shared_),
      rules_(&shared_, &claims_),
      kv_(&shared_, &claims_, &rules_),
      network_(&shared_, &kv_),
      strategy_(scenario.scripted ? scenario.scripted : MakeStrategy(scenario.strategy).value()) {
  SetPartitions(scenario.partitions);
}

World::~World() = default;

Clock World::DrawClock() {
  const int most = Clock::LargestDeviation(shared_.scenario.settings.drift_ppm);
  Random& random = shared_.random;
  if (!shared_.scenario.clocks_drift) return {core::kSecond, 0};
  // The extremes are where the mistakes are.
  const int rate =
      random.Chance(0.5) ? (random.Chance(0.5) ? most : -most) : random.Int(-most, most);
  return {random.Between(0, 1'000'000) * core::kSecond, rate};
}

int World::AddHost() {
  Host host;
  host.boot_id = fmt::format("boot-{}", hosts_.size());
  host.pid_namespace = 4'000 + hosts_.size();
  host.clock = DrawClock();
  hosts_.push_back(std::move(host));
  return static_cast<int>(hosts_.size()) - 1;
}

Process& World::StartProcess(Birth birth) {
  const int host = birth.host >= 0 ? birth.host : AddHost();
  Host& machine = hosts_[static_cast<std::size_t>(host)];
  core::Settings settings = birth.settings.value_or(shared_.scenario.settings);
  settings.identity = birth.identity.empty() ? birth.name : birth.identity;
  // Pids come around again; the start time tells two processes apart.
  settings.process = {machine.boot_id, machine.pid_namespace, machine.next_pid++ % 120,
                      static_cast<std::uint64_t>(now() / (10 * core::kMillisecond))};
  const int number = static_cast<int>(processes_.size());
  claims_.Started(birth.name, machine.clock);
  rules_.Started(settings);
  processes_.push_back(std::make_unique<Process>(this, number, std::move(birth.name), host,
                                                 machine.clock, std::move(settings),
                                                 shared_.random.Bits()));
  Process* process = processes_.back().get();
  Note(process->name(), 60, [] { return std::string("* starts"); });
  process->Start();
  const Scenario& scenario = shared_.scenario;
  Nanos delay = scenario.listing_delay;
  if (shared_.random.Chance(scenario.listing_fails)) {
    shared_.tally.Add(Count::kListingFailed);
    shared_.queue.After(delay, [process] {
      process->Deliver(core::PartitionsFailed{absl::UnavailableError("the source is down")});
    });
    delay += core::kSecond;
  }
  ListPartitions(process, delay);
  return *process;
}

Process& World::Restart(const Process& former, int newest_wire_version) {
  Birth birth;
  birth.name = former.name();
  birth.identity = former.settings().identity;
  birth.host = former.host();
  birth.settings = former.settings();
  birth.settings->newest_wire_version = newest_wire_version;
  shared_.tally.Add(Count::kRestart);
  if (newest_wire_version > former.settings().newest_wire_version) {
    shared_.tally.Add(Count::kNewerBuild);
  }
  return StartProcess(std::move(birth));
}

void World::Reboot(int host) {
  for (const std::unique_ptr<Process>& process : processes_) {
    if (process->host() == host) process->Crash();
  }
  Host& machine = hosts_[static_cast<std::size_t>(host)];
  machine.boot_id = fmt::format("boot-{}-{}", host, ++machine.reboots);
  machine.clock = DrawClock();
}

bool World::SameMachine(int host, const wire::ProcessId& process) const {
  const Host& machine = hosts_[static_cast<std::size_t>(host)];
  return machine.boot_id == process.boot_id && machine.pid_namespace == process.pid_namespace;
}

bool World::ProcessExists(int host, const wire::ProcessId& id) const {
  return std::any_of(processes_.begin(), processes_.end(), [&](const auto& process) {
    return process->host() == host && process->exists() && process->settings().process == id;
  });
}

void World::ListPartitions(Process* process, Nanos delay) {
  shared_.queue.After(delay,
                      [this, process] { process->Deliver(core::PartitionsListed{partitions_}); });
}

void World::SetPartitions(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  SetPartitions(numbers);
}

void World::SetPartitions(const std::vector<int>& numbers) {
  auto partitions = std::make_shared<std::vector<Partition>>();
  for (const int i : numbers) partitions->push_back({{"p", std::to_string(i)}, 1});
  std::sort(partitions->begin(), partitions->end(),
            [](const Partition& a, const Partition& b) { return a.Id() < b.Id(); });
  std::set<std::string, std::less<>> listed;
  for (const Partition& partition : *partitions) listed.insert(partition.Id());
  kv_.Listed(std::move(listed));
  partitions_ = std::move(partitions);
  const bool at_once = shared_.scenario.strike_mean == 0;
  for (const std::unique_ptr<Process>& process : processes_) {
    const Nanos delay = at_once ? 0 : shared_.random.Exponential(500 * core::kMillisecond);
    ListPartitions(process.get(), shared_.scenario.listing_delay + delay);
  }
}

void World::RunUntil(Nanos time) {
  EventQueue& queue = shared_.queue;
  while (verdict().good() && !queue.empty() && queue.next_time() <= time) {
    queue.RunNext();
    if (queue.steps() > kMaxSteps) {
      shared_.verdict.Broken(now(), "work is bounded", fmt::format("{} events", queue.steps()));
    }
  }
  if (verdict().good()) queue.AdvanceTo(time);
}

void World::StopFaults() {
  Scenario& scenario = shared_.scenario;
  const Nanos latency = scenario.network.latency_min;
  scenario.network = NetworkFaults{};
  scenario.network.latency_min = latency;
  scenario.hooks.slow = scenario.hooks.stuck = scenario.hooks.fail_acquire = 0;
  scenario.strategy_faults = StrategyFaults{};
  network_.HealAll();
  for (const std::unique_ptr<Process>& process : processes_) {
    process->BreakOffNoMore();
    process->Resume();
  }
  faults_over_ = true;
  shared_.last_fault = std::max(shared_.last_fault, now());
}

Process* World::Find(const std::string& name) {
  for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) {
    if ((*process)->name() == name) return process->get();
  }
  return nullptr;
}

std::optional<std::string> World::Unsettled() const {
  std::string leaders;
  int leading = 0;
  int members = 0;
  const Process* waiting = nullptr;
  const Process* leader = nullptr;
  for (const std::unique_ptr<Process>& process : processes_) {
    if (!process->exists()) continue;
    if (process->leaving()) return fmt::format("{} has not stopped", process->name());
    if (!claims_.has_lease(process->number())) {
      waiting = process.get();
      continue;
    }
    ++members;
    if (!process->leads()) continue;
    ++leading;
    leader = process.get();
    leaders += fmt::format(" {} (epoch {})", process->name(), process->epoch());
  }
  // Where there are too few ids, some wait for one.
  if (waiting != nullptr && members < shared_.scenario.settings.max_workers) {
    return fmt::format("{} is no member", waiting->name());
  }
  if (leading != 1) return fmt::format("{} leaders:{}", leading, leaders);
  if (!kv_.leader() || kv_.leader()->holder != claims_.worker(leader->number())) {
    return fmt::format("the leader record names another than {}", leader->name());
  }
  const wire::Control control = StandingControl();
  if (auto disobeyed = Disobeyed(control)) return disobeyed;
  return Unbalanced(control);
}

// What the control key says now; nothing, if it can't be read.
wire::Control World::StandingControl() const {
  const Stream& stream = network_.stream(wire::Bucket::kElection);
  const std::uint64_t revision = stream.Revision(wire::kControlKey);
  if (revision == 0) return {};
  const auto control = wire::DecodeControl(stream.At(revision).value);
  return control.ok() ? *control : wire::Control{};
}

// Who is drained owns nothing; where a pinned worker can, it owns what it is to; and all else is
// owned by one, unless all are drained.
std::optional<std::string> World::Disobeyed(const wire::Control& control) const {
  std::map<std::string, int> takers;
  for (const std::unique_ptr<Process>& process : processes_) {
    if (!process->exists() || !claims_.has_lease(process->number())) continue;
    const std::string& worker = claims_.worker(process->number());
    const bool drained = std::binary_search(control.drained.begin(), control.drained.end(), worker);
    if (!drained) takers[worker] = process->number();
    if (drained && claims_.OwnedCount(process->number()) > 0) {
      return fmt::format("{} is drained and owns {} partitions", process->name(),
                         claims_.OwnedCount(process->number()));
    }
  }
  for (const Partition& partition : *partitions_) {
    const std::vector<int> owners = claims_.OwnersOf(partition.Id());
    if (owners.size() != (takers.empty() ? 0 : 1)) {
      return fmt::format("partition {} has {} owners", partition.Id(), owners.size());
    }
  }
  for (const wire::Pin& pin : control.pins) {
    const std::vector<int> owners = claims_.OwnersOf(pin.partition);
    const auto taker = takers.find(pin.worker);
    if (owners.size() == 1 && taker != takers.end() && owners[0] != taker->second) {
      return fmt::format("{} is pinned to {} and is elsewhere", pin.partition, pin.worker);
    }
  }
  return std::nullopt;
}

// What status commands are told is true.
std::optional<std::string> World::Misreported() const {
  const auto found = std::find_if(processes_.begin(), processes_.end(),
                                  [](const auto& process) { return process->leads(); });
  if (found == processes_.end()) return "nobody leads";
  const Process& leader = **found;
  const Stream& stream = network_.stream(wire::Bucket::kElection);
  const std::uint64_t revision = stream.Revision(wire::kReportKey);
  if (revision == 0) return "no report";
  const auto report = wire::DecodeReport(stream.At(revision).value);
  if (!report.ok()) return "the report is unreadable";
  std::uint64_t unowned = 0;
  for (const Partition& partition : *partitions_) {
    if (claims_.OwnersOf(partition.Id()).empty()) ++unowned;
  }
  if (report->epoch != leader.epoch() || report->leader != claims_.worker(leader.number())) {
    return fmt::format("the report is by {} of epoch {}", report->leader, report->epoch);
  }
  if (!report->listed || report->partitions != partitions_->size() ||
      report->unassigned != unowned ||
      report->sample.size() != std::min<std::size_t>(unowned, 100)) {
    return fmt::format("the report tells of {} partitions, {} unassigned, {} named",
                       report->partitions, report->unassigned, report->sample.size());
  }
  if (report->state != "Idle") return "the report says " + report->state;
  const std::uint64_t wished = stream.Revision(wire::kControlKey);
  const bool readable =
      wished == 0 || stream.At(wished).deleted || wire::DecodeControl(stream.At(wished).value).ok();
  if (report->control_revision != wished || report->control_settled != readable) {
    return fmt::format("the report says of control: revision {}, {}settled",
                       report->control_revision, report->control_settled ? "" : "not ");
  }
  if (readable && StandingControl().pins.empty() && unowned == 0 && !report->problems.empty()) {
    return "the report tells of a problem: " + report->problems[0];
  }
  return std::nullopt;
}

// What the strategies promise: round-robin a difference of at most one per unit of capacity,
// consistent hashing with bounded loads at most ceil(load_factor × share). Each pin may cost one,
// and while paused nothing is promised.
std::optional<std::string> World::Unbalanced(const wire::Control& control) const {
  const auto counts = [&](const Process& process) {
    return process.exists() && claims_.has_lease(process.number()) &&
           !std::binary_search(control.drained.begin(), control.drained.end(),
                               claims_.worker(process.number()));
  };
  std::int64_t capacity = 0;
  int owned = 0;
  for (const std::unique_ptr<Process>& process : processes_) {
    if (!counts(*process)) continue;
    capacity += process->settings().capacity;
    owned += claims_.OwnedCount(process->number());
  }
  const auto total = static_cast<std::int64_t>(partitions_->size());
  if (capacity == 0 || control.paused) return std::nullopt;
  if (owned != total) return fmt::format("{} partitions are owned, {} exist", owned, total);
  const bool bounded = strategy_->name() == "consistent-hash";
  const auto slack = static_cast<std::int64_t>(control.pins.size());
  for (const std::unique_ptr<Process>& process : processes_) {
    if (!counts(*process)) continue;
    const std::int64_t share = total * process->settings().capacity;  // × 1 / capacity
    const std::int64_t least = (bounded ? 0 : share / capacity) - slack;
    const std::int64_t most =
        slack + (bounded ? (share * 110 + capacity * 100 - 1) / (capacity * 100)
                         : (share + capacity - 1) / capacity);
    const std::int64_t has = claims_.OwnedCount(process->number());
    if (has >= least && has <= most) continue;
    return fmt::format("{} owns {} partitions, not {} to {}", process->name(), has, least, most);
  }
  return std::nullopt;
}

}  // namespace parti::simulation
