#include "parti/partition_for.h"

#include <xxhash.h>

namespace parti {

std::int32_t PartitionFor(std::string_view key, std::int32_t n) noexcept {
  if (n < 1) return -1;
  const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
  return static_cast<std::int32_t>(hash % static_cast<std::uint64_t>(n));
}

}  // namespace parti
