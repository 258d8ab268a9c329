// What this worker owns right now, asked once per message from any thread: the works of
// Manager::Owns and TokenFor.
//
// The problem: an answer must never come from a mixture of two lives. A reader that took the
// partitions of a lapsed life and the lease of the next one would say "mine" about a partition that
// somebody else was granted in between. The answer: partitions live in immutable snapshots, each
// bound to its life's deadline. A life that ended has a deadline that nobody extends any more, so
// whoever still reads its snapshot gets "no".
//
// Readers are wait-free: they announce themselves in a striped counter, load the snapshot, look the
// partition up and leave. The one writer never waits for them either: replaced snapshots are kept
// on a list and freed by a later call, once no reader can see them.
//
// Thread safety: Owns and TokenFor from any thread; everything else from one thread.
#ifndef PARTI_INTERNAL_RUNTIME_OWNERSHIP_H_
#define PARTI_INTERNAL_RUNTIME_OWNERSHIP_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "internal/core/time.h"
#include "internal/runtime/clock.h"
#include "parti/assignment.h"

namespace parti::runtime {

class OwnershipSnapshot;
struct LifeDeadline;

class Ownership {
 public:
  using Clock = core::Nanos (*)();
  explicit Ownership(Clock clock = &BootNow);
  // No reader may be inside, and none may come.
  ~Ownership();
  Ownership(const Ownership&) = delete;
  Ownership& operator=(const Ownership&) = delete;

  // --- Any thread ---

  // True while the partition is claimed and the clock is before the deadline of the life that
  // claimed it.
  bool Owns(std::string_view partition_id) const { return TokenFor(partition_id).has_value(); }
  std::optional<FencingToken> TokenFor(std::string_view partition_id) const;

  // --- The writer's thread ---

  // A new life: owns nothing, and has no lease yet.
  void BeginLife();

  // The present life's lease runs until then. An earlier time than before changes nothing.
  void ExtendLease(core::Nanos until);

  // Adds these; one that is claimed already gets the new token.
  void Claim(std::span<const OwnedPartition> partitions);

  // When it returns, a call of Owns that begins later says no.
  void Unclaim(std::span<const std::string> partition_ids);

  // Also ends the deadline that snapshots of before are bound to.
  void UnclaimAll();

  // Whether it is claimed under this very token, whatever the lease.
  bool Claims(const OwnedPartition& partition) const;

  // Frees what no reader can see any more. Never waits; call it now and then.
  void Collect();

  std::size_t size() const;         // partitions claimed, whatever the lease
  core::Nanos lease_until() const;  // of the present life
  std::size_t retired_count() const { return retired_.size(); }  // replaced, not yet freed

 private:
  static constexpr std::size_t kStripes = 32;
  static constexpr std::size_t kCounters = 2 * kStripes;

  // Two counters per stripe, of which one is in use by those who enter. While new readers use the
  // one, the other runs empty; without that, busy readers could keep a counter above zero forever.
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint32_t>, 2> inside{};
  };

  struct Retired {
    std::unique_ptr<const OwnershipSnapshot> snapshot;
    std::uint64_t not_seen_empty = ~std::uint64_t{0};  // one bit per counter
  };
  static_assert(kCounters == 64, "one bit of Retired::not_seen_empty per counter");

  void Publish(std::unique_ptr<const OwnershipSnapshot> next);

  const Clock clock_;
  mutable std::array<Stripe, kStripes> stripes_;
  std::atomic<std::uint32_t> phase_{0};
  std::atomic<const OwnershipSnapshot*> current_;
  std::shared_ptr<LifeDeadline> life_;
  std::vector<Retired> retired_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_OWNERSHIP_H_
