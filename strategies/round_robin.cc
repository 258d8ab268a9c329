// Counts as even as they can be, with as few moves as that allows.
//
// A worker's share is rarely a whole number: everybody gets the whole part, and the few left over
// go one each to workers whose share has a fraction. Who holds more than the whole part already is
// first in line for one of those, for it saves a move. Nothing moves that doesn't have to, so a
// result that is fed back as the previous owners comes out unchanged.
#include <algorithm>
#include <deque>
#include <numeric>

#include "strategies/shares.h"
#include "strategies/strategies.h"

namespace parti {
namespace {

using strategies::Share;

// How many partitions each worker shall own.
std::vector<std::int64_t> Targets(const std::vector<Share>& shares,
                                  const std::vector<std::int64_t>& held, std::int64_t partitions) {
  std::vector<std::int64_t> targets;
  std::vector<std::size_t> in_line;
  std::int64_t left_over = partitions;
  for (std::size_t w = 0; w < shares.size(); ++w) {
    targets.push_back(shares[w].whole);
    left_over -= shares[w].whole;
    if (shares[w].rest > 0) in_line.push_back(w);
  }
  std::stable_sort(in_line.begin(), in_line.end(), [&](std::size_t a, std::size_t b) {
    const bool saves_a = held[a] > shares[a].whole;
    const bool saves_b = held[b] > shares[b].whole;
    if (saves_a != saves_b) return saves_a;
    return shares[a].rest > shares[b].rest;
  });
  // The fractions add up to what is left over and each is less than one, so the line is long
  // enough.
  for (std::int64_t i = 0; i < left_over; ++i) ++targets[in_line[static_cast<std::size_t>(i)]];
  return targets;
}

class RoundRobin : public AssignmentStrategy {
 public:
  std::string_view name() const override { return "round-robin"; }

  absl::StatusOr<std::vector<std::int32_t>> Assign(const AssignmentInput& input) const override {
    if (absl::Status status = strategies::CheckInput(input); !status.ok()) return status;
    const std::size_t count = input.partitions.size();
    std::vector<std::int32_t> owners(count, kUnassigned);
    const std::vector<Share> shares = strategies::Shares(input);
    if (shares.empty()) return owners;

    std::vector<std::int64_t> held(shares.size(), 0);
    for (std::size_t p = 0; p < count; ++p) {
      const std::int32_t holder = strategies::Holder(input, p);
      if (holder != kUnassigned) ++held[static_cast<std::size_t>(holder)];
    }
    std::vector<std::int64_t> room = Targets(shares, held, static_cast<std::int64_t>(count));

    std::vector<std::size_t> homeless;
    for (std::size_t p = 0; p < count; ++p) {
      const std::int32_t holder = strategies::Holder(input, p);
      if (holder != kUnassigned && room[static_cast<std::size_t>(holder)] > 0) {
        --room[static_cast<std::size_t>(holder)];
        owners[p] = holder;
      } else {
        homeless.push_back(p);
      }
    }

    // In turns, so that neighbours in the list land on different workers.
    std::deque<std::size_t> turns;
    for (std::size_t w = 0; w < room.size(); ++w) {
      if (room[w] > 0) turns.push_back(w);
    }
    for (const std::size_t p : homeless) {
      const std::size_t w = turns.front();
      turns.pop_front();
      owners[p] = static_cast<std::int32_t>(w);
      if (--room[w] > 0) turns.push_back(w);
    }
    return owners;
  }
};

}  // namespace

std::shared_ptr<const AssignmentStrategy> MakeRoundRobin() {
  return std::make_shared<RoundRobin>();
}

}  // namespace parti
