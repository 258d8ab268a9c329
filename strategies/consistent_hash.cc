// Consistent hashing with bounded loads.
//
// Workers have points on a ring of hashes, more of them the greater their capacity. A partition's
// home is the worker of the first point at or after its own hash. No worker takes more than its
// bound, and none less than its floor: what is too much for a home, or is needed elsewhere, goes on
// along the ring to the next worker with need or, if there is none, with room.
//
// How many stay at each home follows from the hashes alone. Which ones, and where the others go, is
// where history comes in: those that are there already stay first, and those sent on stay where
// they were sent before. So a result that is fed back as the previous owners comes out unchanged.
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <string>
#include <utility>

#include "strategies/shares.h"
#include "strategies/strategies.h"

namespace parti {
namespace {

using strategies::Share;

// Hashes decide who owns what, and workers of different releases must agree: this function and the
// seeds below are part of the protocol.
std::uint64_t Hash(std::string_view text, std::uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

class Ring {
 public:
  Ring(std::span<const WorkerInfo> workers, const std::vector<Share>& shares, int virtual_nodes);

  // The first point at or after `hash` whose worker isn't full.
  std::size_t Find(std::uint64_t hash);
  std::int32_t worker(std::size_t point) const { return points_[point].worker; }

  // Takes the worker's points off the ring.
  void SetFull(std::int32_t worker);

 private:
  struct Point {
    std::uint64_t hash;
    std::int32_t worker;
  };

  // The next point that is still on the ring, `point` itself included; shortens the way for later.
  std::size_t NextLive(std::size_t point);

  std::vector<Point> points_;
  std::vector<std::size_t> next_;  // of each point: itself, or one further on
  std::vector<std::vector<std::size_t>> points_of_;
};

Ring::Ring(std::span<const WorkerInfo> workers, const std::vector<Share>& shares,
           int virtual_nodes) {
  // Great capacities need no finer ring. All are halved together and a worker keeps its first
  // points, so that few partitions move when the total passes the limit.
  constexpr std::int64_t kMaxPoints = std::int64_t{1} << 20;
  int halvings = 0;
  std::int64_t total = 0;
  for (const Share& share : shares) total += share.capacity * virtual_nodes;
  while ((total >> halvings) > kMaxPoints) ++halvings;

  for (std::size_t w = 0; w < workers.size(); ++w) {
    if (shares[w].capacity == 0) continue;
    const std::int64_t count =
        std::max<std::int64_t>(1, (shares[w].capacity * virtual_nodes) >> halvings);
    for (std::int64_t i = 0; i < count; ++i) {
      points_.push_back(
          {Hash(workers[w].id, static_cast<std::uint64_t>(i) + 1), static_cast<std::int32_t>(w)});
    }
  }
  std::sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.worker < b.worker;
  });
  next_.resize(points_.size());
  std::iota(next_.begin(), next_.end(), std::size_t{0});
  points_of_.resize(workers.size());
  for (std::size_t i = 0; i < points_.size(); ++i) {
    points_of_[static_cast<std::size_t>(points_[i].worker)].push_back(i);
  }
}

std::size_t Ring::NextLive(std::size_t point) {
  while (next_[point] != point) {
    next_[point] = next_[next_[point]];
    point = next_[point];
  }
  return point;
}

std::size_t Ring::Find(std::uint64_t hash) {
  const auto found =
      std::lower_bound(points_.begin(), points_.end(), hash,
                       [](const Point& point, std::uint64_t value) { return point.hash < value; });
  const auto at = static_cast<std::size_t>(found - points_.begin());
  return NextLive(at % points_.size());
}

void Ring::SetFull(std::int32_t worker) {
  for (const std::size_t point : points_of_[static_cast<std::size_t>(worker)]) {
    // Onwards to a live point, never to a dead one: the ring would close and NextLive never end.
    const std::size_t onwards = NextLive((point + 1) % points_.size());
    next_[point] = onwards;
  }
}

struct Item {
  std::uint64_t hash;
  std::size_t partition;
  std::int32_t home;
  std::int32_t holder;
};

// Of each worker, how many partitions …
struct Limits {
  std::vector<std::int64_t> bound;  // it may own at most
  std::vector<std::int64_t> keep;   // of those at home there stay
  std::vector<std::int64_t> need;   // must be sent to it
};

// Bounds are ceil(load_factor × share), floors floor(share / load_factor), and one where the share
// is one at least.
Limits FindLimits(const std::vector<Share>& shares, const std::vector<std::int64_t>& homed,
                  double load_factor, std::size_t partitions) {
  double total = 0;
  for (const Share& share : shares) total += static_cast<double>(share.capacity);
  Limits limits;
  std::vector<std::int64_t> floor;
  std::int64_t needed = 0;
  std::int64_t sent_on = 0;
  for (std::size_t w = 0; w < shares.size(); ++w) {
    const double share =
        static_cast<double>(shares[w].capacity) * static_cast<double>(partitions) / total;
    // 1.1 × 10 is a little more than 11 in binary.
    constexpr double kSlack = 1e-6;
    const auto most = static_cast<std::int64_t>(std::ceil(load_factor * share - kSlack));
    const auto least = static_cast<std::int64_t>(std::floor(share / load_factor));
    // All bounds together must hold everything, and all floors no more than that.
    limits.bound.push_back(std::max(most, shares[w].Ceiling()));
    floor.push_back(std::min(shares[w].whole, std::max<std::int64_t>(1, least)));
    limits.keep.push_back(std::min(homed[w], limits.bound[w]));
    limits.need.push_back(std::max<std::int64_t>(0, floor[w] - homed[w]));
    needed += limits.need[w];
    sent_on += homed[w] - limits.keep[w];
  }

  // If too few are sent on, the fullest homes give more.
  const auto less_full = [&](std::size_t a, std::size_t b) {
    const std::int64_t load_a = limits.keep[a] * shares[b].capacity;
    const std::int64_t load_b = limits.keep[b] * shares[a].capacity;
    return load_a != load_b ? load_a < load_b : a > b;
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(less_full)> fullest(
      less_full);
  if (sent_on < needed) {
    for (std::size_t w = 0; w < shares.size(); ++w) {
      if (limits.keep[w] > floor[w]) fullest.push(w);
    }
  }
  for (; sent_on < needed && !fullest.empty(); ++sent_on) {
    const std::size_t w = fullest.top();
    fullest.pop();
    if (--limits.keep[w] > floor[w]) fullest.push(w);
  }
  return limits;
}

// One assignment in the making.
class Placement {
 public:
  Placement(std::vector<Item> items, Limits limits)
      : items_(std::move(items)), limits_(std::move(limits)), owners_(items_.size(), kUnassigned) {}

  void FillHomes();
  void MeetNeeds(Ring ring);
  void SendOn(Ring ring);
  std::vector<std::int32_t> TakeOwners() { return std::move(owners_); }

 private:
  bool Placed(const Item& item) const { return owners_[item.partition] != kUnassigned; }
  void Place(const Item& item, std::int32_t worker) {
    owners_[item.partition] = worker;
    --limits_.bound[static_cast<std::size_t>(worker)];
  }
  std::int64_t& Need(std::int32_t worker) { return limits_.need[static_cast<std::size_t>(worker)]; }
  std::int64_t Room(std::int32_t worker) const {
    return limits_.bound[static_cast<std::size_t>(worker)];
  }

  std::vector<Item> items_;
  Limits limits_;  // what is left of them
  std::vector<std::int32_t> owners_;
};

void Placement::FillHomes() {
  for (const bool at_home : {true, false}) {
    for (const Item& item : items_) {
      std::int64_t& keep = limits_.keep[static_cast<std::size_t>(item.home)];
      if ((item.holder == item.home) != at_home || keep == 0) continue;
      --keep;
      Place(item, item.home);
    }
  }
}

void Placement::MeetNeeds(Ring ring) {
  for (const Item& item : items_) {
    if (Placed(item) || item.holder == kUnassigned || Need(item.holder) == 0) continue;
    --Need(item.holder);
    Place(item, item.holder);
  }
  std::int64_t needed = 0;
  for (std::size_t w = 0; w < limits_.need.size(); ++w) {
    needed += limits_.need[w];
    if (limits_.need[w] == 0) ring.SetFull(static_cast<std::int32_t>(w));
  }
  // First of those that have to move anyway.
  for (const bool has_to_move : {true, false}) {
    for (const Item& item : items_) {
      if (needed == 0) return;
      const bool moves = item.holder == kUnassigned || item.holder == item.home;
      if (Placed(item) || moves != has_to_move) continue;
      const std::int32_t worker = ring.worker(ring.Find(item.hash));
      Place(item, worker);
      --needed;
      if (--Need(worker) == 0) ring.SetFull(worker);
    }
  }
}

void Placement::SendOn(Ring ring) {
  for (const Item& item : items_) {
    if (Placed(item) || item.holder == kUnassigned || Room(item.holder) == 0) continue;
    Place(item, item.holder);
  }
  for (std::size_t w = 0; w < limits_.bound.size(); ++w) {
    if (limits_.bound[w] == 0) ring.SetFull(static_cast<std::int32_t>(w));
  }
  for (const Item& item : items_) {
    if (Placed(item)) continue;
    // There is room somewhere, for the bounds add up to at least the number of partitions.
    const std::int32_t worker = ring.worker(ring.Find(item.hash));
    Place(item, worker);
    if (Room(worker) == 0) ring.SetFull(worker);
  }
}

class ConsistentHash : public AssignmentStrategy {
 public:
  explicit ConsistentHash(ConsistentHashOptions options) : options_(options) {}

  std::string_view name() const override { return "consistent-hash"; }

  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    if (absl::Status status = strategies::CheckInput(input); !status.ok()) return status;
    const std::size_t count = input.partitions.size();
    const std::vector<Share> shares = strategies::Shares(input);
    if (shares.empty() || count == 0) return std::vector<std::int32_t>(count, kUnassigned);

    Ring ring(input.workers, shares, options_.virtual_nodes);
    std::vector<Item> items;
    std::vector<std::int64_t> homed(shares.size(), 0);
    items.reserve(count);
    for (std::size_t p = 0; p < count; ++p) {
      const std::uint64_t hash = Hash(input.partitions[p].Id(), 0);
      const std::int32_t home = ring.worker(ring.Find(hash));
      ++homed[static_cast<std::size_t>(home)];
      items.push_back({hash, p, home, strategies::Holder(input, p)});
    }
    // Who is sent on must depend as little as possible on who else is in the list.
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.partition < b.partition;
    });

    Limits limits = FindLimits(shares, homed, options_.load_factor, count);
    Placement placement(std::move(items), std::move(limits));
    placement.FillHomes();
    placement.MeetNeeds(ring);
    placement.SendOn(std::move(ring));
    return placement.TakeOwners();
  }

 private:
  const ConsistentHashOptions options_;
};

}  // namespace

std::shared_ptr<const AssignmentStrategy> MakeConsistentHash(ConsistentHashOptions options) {
  options.virtual_nodes = std::clamp(options.virtual_nodes, 1, 10'000);
  // Not std::clamp alone: a NaN goes through it.
  if (!(options.load_factor >= 1.0)) options.load_factor = 1.0;
  options.load_factor = std::min(options.load_factor, 10.0);
  return std::make_shared<ConsistentHash>(options);
}

}  // namespace parti
