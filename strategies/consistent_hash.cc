// Consistent hashing with bounded loads.
//
// Workers have points on a ring of hashes, more of them the greater their capacity. A partition's
// home is the worker of the first point at or after its own hash. No worker takes more than its
// bound: what is too much for a home goes on along the ring to the next worker with room.
//
// Who is sent on from a full home is where history comes in: those that are there already stay
// first, and those sent on stay where they were sent before, if there is room. Homes are filled
// before anyone is sent on, so a result that is fed back as the previous owners comes out
// unchanged.
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numeric>
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

class ConsistentHash : public AssignmentStrategy {
 public:
  explicit ConsistentHash(ConsistentHashOptions options) : options_(options) {}

  std::string_view name() const override { return "consistent-hash"; }
  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override;

 private:
  std::vector<std::int64_t> Bounds(const std::vector<Share>& shares, std::size_t partitions) const;

  const ConsistentHashOptions options_;
};

// ceil(load_factor × share), and at least what all together need to own everything.
std::vector<std::int64_t> ConsistentHash::Bounds(const std::vector<Share>& shares,
                                                 std::size_t partitions) const {
  double total = 0;
  for (const Share& share : shares) total += static_cast<double>(share.capacity);
  std::vector<std::int64_t> bounds;
  for (const Share& share : shares) {
    const double exact = options_.load_factor * static_cast<double>(share.capacity) *
                         static_cast<double>(partitions) / total;
    // 1.1 × 10 is a little more than 11 in binary.
    const double bound = std::ceil(exact - 1e-6);
    bounds.push_back(std::max(share.Ceiling(), static_cast<std::int64_t>(bound)));
  }
  return bounds;
}

// The assignment under way: who owns what so far, and who has room.
struct Placement {
  std::vector<std::int32_t> owners;
  std::vector<std::int64_t> room;

  bool HasRoom(std::int32_t worker) const { return room[static_cast<std::size_t>(worker)] > 0; }
  void Place(std::size_t partition, std::int32_t worker) {
    owners[partition] = worker;
    --room[static_cast<std::size_t>(worker)];
  }
};

absl::StatusOr<std::vector<std::int32_t>> ConsistentHash::Assign(
    const AssignmentInput& input) const {
  if (absl::Status status = strategies::CheckInput(input); !status.ok()) return status;
  const std::size_t count = input.partitions.size();
  Placement placement;
  placement.owners.assign(count, kUnassigned);
  const std::vector<Share> shares = strategies::Shares(input);
  if (shares.empty() || count == 0) return placement.owners;
  placement.room = Bounds(shares, count);
  Ring ring(input.workers, shares, options_.virtual_nodes);

  // In the order of their hashes: who is sent on from a full home must not depend on who else is in
  // the list, as far as possible.
  struct Item {
    std::uint64_t hash;
    std::size_t partition;
    std::int32_t home;
  };
  std::vector<Item> items;
  items.reserve(count);
  for (std::size_t p = 0; p < count; ++p) {
    const std::uint64_t hash = Hash(input.partitions[p].Id(), 0);
    items.push_back({hash, p, ring.worker(ring.Find(hash))});
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.partition < b.partition;
  });

  // Homes are filled: first with who is at home already.
  for (const bool at_home : {true, false}) {
    for (const Item& item : items) {
      if ((strategies::Holder(input, item.partition) == item.home) != at_home) continue;
      if (placement.HasRoom(item.home)) placement.Place(item.partition, item.home);
    }
  }
  // The rest stays where it was sent before …
  for (const Item& item : items) {
    const std::int32_t holder = strategies::Holder(input, item.partition);
    if (placement.owners[item.partition] != kUnassigned || holder == kUnassigned) continue;
    if (placement.HasRoom(holder)) placement.Place(item.partition, holder);
  }
  // … or is sent on along the ring.
  std::vector<std::int32_t> full;
  for (std::size_t w = 0; w < shares.size(); ++w) {
    if (placement.room[w] == 0) ring.SetFull(static_cast<std::int32_t>(w));
  }
  for (const Item& item : items) {
    if (placement.owners[item.partition] != kUnassigned) continue;
    // There is room somewhere, for the bounds add up to at least the number of partitions.
    const std::int32_t worker = ring.worker(ring.Find(item.hash));
    placement.Place(item.partition, worker);
    if (!placement.HasRoom(worker)) ring.SetFull(worker);
  }
  return std::move(placement.owners);
}

}  // namespace

std::shared_ptr<const AssignmentStrategy> MakeConsistentHash(ConsistentHashOptions options) {
  options.virtual_nodes = std::clamp(options.virtual_nodes, 1, 10'000);
  // Not std::clamp alone: a NaN goes through it.
  if (!(options.load_factor >= 1.0)) options.load_factor = 1.0;
  options.load_factor = std::min(options.load_factor, 10.0);
  return std::make_shared<ConsistentHash>(options);
}

}  // namespace parti
