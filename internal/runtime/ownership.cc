#include "internal/runtime/ownership.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_set>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace parti::runtime {
namespace {

std::uint64_t HashOf(std::string_view id) { return XXH3_64bits(id.data(), id.size()); }

// Threads spread over the stripes in the order of their first call.
std::size_t StripeOfThread(std::size_t stripes) {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine % stripes;
}

}  // namespace

// The lease of one life. Rises only, until it is ended for good.
struct LifeDeadline {
  static constexpr core::Nanos kNone = std::numeric_limits<core::Nanos>::min();
  std::atomic<core::Nanos> until{kNone};
};

// An immutable hash table, open addressing, at most half full.
class OwnershipSnapshot {
 public:
  OwnershipSnapshot(std::shared_ptr<const LifeDeadline> life, std::size_t max_entries)
      : life_(std::move(life)), slots_(std::bit_ceil(2 * max_entries + 2)) {
    entries_.reserve(max_entries);
  }

  // Only while it is being built. An id that is there already stays as it is.
  void Add(std::string_view id, FencingToken token) {
    const std::uint64_t hash = HashOf(id);
    Slot& slot = slots_[FindSlot(id, hash)];
    if (slot.entry != kEmpty) return;
    slot.tag = Tag(hash);
    slot.entry = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({ids_.size(), id.size(), token});
    ids_.append(id);
  }

  const FencingToken* Find(std::string_view id) const {
    const Slot& slot = slots_[FindSlot(id, HashOf(id))];
    return slot.entry == kEmpty ? nullptr : &entries_[slot.entry].token;
  }

  template <typename Visitor>
  void ForEach(Visitor visit) const {
    for (const Entry& entry : entries_) visit(IdOf(entry), entry.token);
  }

  std::size_t size() const { return entries_.size(); }
  core::Nanos until() const { return life_->until.load(std::memory_order_acquire); }

 private:
  struct Entry {
    std::size_t offset;
    std::size_t length;
    FencingToken token;
  };
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t entry = kEmpty;
  };
  static constexpr std::uint32_t kEmpty = ~std::uint32_t{0};

  static std::uint32_t Tag(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  std::string_view IdOf(const Entry& entry) const {
    return std::string_view(ids_).substr(entry.offset, entry.length);
  }

  // The slot of `id`, or the empty one where it would go.
  std::size_t FindSlot(std::string_view id, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
      const Slot& slot = slots_[i];
      if (slot.entry == kEmpty) return i;
      if (slot.tag == Tag(hash) && IdOf(entries_[slot.entry]) == id) return i;
    }
  }

  const std::shared_ptr<const LifeDeadline> life_;
  std::vector<Slot> slots_;
  std::vector<Entry> entries_;
  std::string ids_;
};

Ownership::Ownership(Clock clock)
    : clock_(clock),
      current_(new OwnershipSnapshot(std::make_shared<LifeDeadline>(), 0)),
      life_(std::make_shared<LifeDeadline>()) {}

Ownership::~Ownership() { delete current_.load(); }

std::optional<FencingToken> Ownership::TokenFor(std::string_view partition_id) const {
  // The order matters, and so does seq_cst: announce, then load. If the writer, having replaced a
  // snapshot, sees this counter at zero, then every announcement that it didn't see comes later in
  // the one order of all these operations, and loads the replacement.
  std::atomic<std::uint32_t>& inside =
      stripes_[StripeOfThread(kStripes)].inside[phase_.load(std::memory_order_relaxed)];
  inside.fetch_add(1, std::memory_order_seq_cst);
  const OwnershipSnapshot* snapshot = current_.load(std::memory_order_seq_cst);
  std::optional<FencingToken> token;
  if (const FencingToken* found = snapshot->Find(partition_id); found != nullptr) {
    // The clock is read after the deadline: a thread that is held up between the two sees a later
    // time, never a later deadline.
    const core::Nanos until = snapshot->until();
    if (clock_() < until) token = *found;
  }
  inside.fetch_sub(1, std::memory_order_release);
  return token;
}

void Ownership::BeginLife() {
  life_->until.store(LifeDeadline::kNone);
  life_ = std::make_shared<LifeDeadline>();
  Publish(std::make_unique<OwnershipSnapshot>(life_, 0));
}

void Ownership::ExtendLease(core::Nanos until) {
  if (until > life_->until.load(std::memory_order_relaxed)) life_->until.store(until);
}

void Ownership::Claim(std::span<const OwnedPartition> partitions) {
  const OwnershipSnapshot& before = *current_.load(std::memory_order_relaxed);
  auto next = std::make_unique<OwnershipSnapshot>(life_, before.size() + partitions.size());
  for (const OwnedPartition& partition : partitions) next->Add(partition.id, partition.token);
  before.ForEach([&](std::string_view id, FencingToken token) { next->Add(id, token); });
  Publish(std::move(next));
}

void Ownership::Unclaim(std::span<const std::string> partition_ids) {
  const std::unordered_set<std::string_view> removed(partition_ids.begin(), partition_ids.end());
  const OwnershipSnapshot& before = *current_.load(std::memory_order_relaxed);
  auto next = std::make_unique<OwnershipSnapshot>(life_, before.size());
  before.ForEach([&](std::string_view id, FencingToken token) {
    if (!removed.contains(id)) next->Add(id, token);
  });
  Publish(std::move(next));
}

void Ownership::UnclaimAll() {
  // The life may go on (it gave everything back), so its lease moves to a deadline of its own, and
  // the one that old snapshots are bound to ends here.
  auto successor = std::make_shared<LifeDeadline>();
  successor->until.store(life_->until.exchange(LifeDeadline::kNone));
  life_ = std::move(successor);
  Publish(std::make_unique<OwnershipSnapshot>(life_, 0));
}

bool Ownership::Claims(const OwnedPartition& partition) const {
  const FencingToken* found = current_.load(std::memory_order_relaxed)->Find(partition.id);
  return found != nullptr && *found == partition.token;
}

std::size_t Ownership::size() const { return current_.load(std::memory_order_relaxed)->size(); }

core::Nanos Ownership::lease_until() const { return life_->until.load(std::memory_order_relaxed); }

void Ownership::Publish(std::unique_ptr<const OwnershipSnapshot> next) {
  const OwnershipSnapshot* before = current_.exchange(next.release(), std::memory_order_seq_cst);
  retired_.push_back({std::unique_ptr<const OwnershipSnapshot>(before)});
  Collect();
}

void Ownership::Collect() {
  if (retired_.empty()) return;
  std::uint64_t empty_now = 0;
  for (std::size_t i = 0; i < kCounters; ++i) {
    if (stripes_[i / 2].inside[i % 2].load(std::memory_order_seq_cst) == 0) {
      empty_now |= std::uint64_t{1} << i;
    }
  }
  std::uint64_t awaited = 0;
  for (Retired& retired : retired_) {
    retired.not_seen_empty &= ~empty_now;
    awaited |= retired.not_seen_empty;
  }
  std::erase_if(retired_, [](const Retired& retired) { return retired.not_seen_empty == 0; });

  // Once the counters out of use have all run empty, let the others run empty too.
  const std::uint32_t phase = phase_.load(std::memory_order_relaxed);
  constexpr std::uint64_t kEvenBits = 0x5555'5555'5555'5555;
  const std::uint64_t out_of_use = phase == 0 ? ~kEvenBits : kEvenBits;
  if (awaited != 0 && (awaited & out_of_use) == 0) {
    phase_.store(1 - phase, std::memory_order_relaxed);
  }
}

}  // namespace parti::runtime
