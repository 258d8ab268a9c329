// A partition: the unit of work that exactly one worker of a group owns at a time.
//
//   parti::Partition tool{{"fab1", "tool7"}};
//   tool.Id();       // "fab1-tool7"   names it in assignments, hooks and Owns()
//   tool.Subject();  // "fab1.tool7"   the NATS subject that its keys spell
//
// Thread safety: a value type; const access from any thread.
#ifndef PARTI_PARTITION_H_
#define PARTI_PARTITION_H_

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "parti/export.h"

namespace parti {

struct PARTI_EXPORT Partition {
  // At least one key; each a valid NATS token: not empty, no '.', '*', '>', white space or control
  // character, at most kMaxKeyBytes bytes.
  std::vector<std::string> keys;
  // Relative cost, 1 … kMaxWeight. Strategies that balance by weight use it; others ignore it.
  std::int64_t weight = 1;

  static constexpr std::size_t kMaxKeyBytes = 128;
  static constexpr std::size_t kMaxKeys = 16;
  static constexpr std::int64_t kMaxWeight = 1'000'000'000;

  // The keys joined by '-'. '-' and '%' within a key are written %2D and %25, so two partitions
  // with different keys never share an id.
  std::string Id() const;

  // The keys joined by '.'.
  std::string Subject() const;

  friend bool operator==(const Partition&, const Partition&) = default;
};

// OK, or InvalidArgument naming the key or weight, the limit and what to do.
PARTI_EXPORT absl::Status Validate(const Partition& partition);

// Validates each partition and that no two share an id.
PARTI_EXPORT absl::Status Validate(const std::vector<Partition>& partitions);

}  // namespace parti

#endif  // PARTI_PARTITION_H_
