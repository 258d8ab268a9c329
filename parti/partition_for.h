// Which of n partitions a key belongs to: for producers and consumers that have to agree.
//
//   const std::int32_t number = parti::PartitionFor("customer-42", 24);  // 0 … 23
//
//   js.Publish("orders." + std::to_string(number), payload);
//
// Exactly: XXH3, 64 bits, seed 0, of the key's bytes; read as an unsigned number; modulo n. In
// Python: xxhash.xxh3_64_intdigest(key.encode()) % n. It doesn't change between versions of parti;
// docs/api.md has test vectors.
//
// Another n gives nearly every key another partition. Choose n once, some times the number of
// workers that there may ever be; what grows and shrinks is the number of workers.
//
// Thread safety: a pure function. It allocates nothing; a short key takes some nanoseconds.
#ifndef PARTI_PARTITION_FOR_H_
#define PARTI_PARTITION_FOR_H_

#include <cstdint>
#include <string_view>

#include "parti/export.h"

namespace parti {

// 0 … n - 1. For n < 1, when there is no partition, -1. The key may be empty and hold any bytes.
PARTI_EXPORT std::int32_t PartitionFor(std::string_view key, std::int32_t n) noexcept;

}  // namespace parti

#endif  // PARTI_PARTITION_FOR_H_
