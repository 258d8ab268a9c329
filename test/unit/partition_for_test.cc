// PartitionFor is a promise to producers in other languages: published vectors, and no others.
#include "parti/partition_for.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace parti {
namespace {

// What `printf KEY | xxhsum -H3` prints; docs_test.cc holds docs/api.md to the same.
struct Vector {
  std::string key;
  std::uint64_t hash;
};

const std::vector<Vector>& Vectors() {
  static const std::vector<Vector> vectors = {
      {"", 0x2d06800538d394c2},
      {"a", 0xe6c632b61e964e1f},
      {"order-1", 0x5fc46503368e2876},
      {"order-2", 0x1180871cd943115c},
      {"customer/42", 0xd16580bec8b7bde8},
      {"Zürich", 0x0ba44fcc12cca74e},
      {"The quick brown fox jumps over the lazy dog", 0xce7d19a5418fb365},
      {std::string(300, 'x'), 0xa5d1b4607dc83554},
      {std::string(1, '\0'), 0xc44bdff4074eecdb},
  };
  return vectors;
}

TEST(PartitionForTest, IsXxh3ModuloN) {
  for (const Vector& vector : Vectors()) {
    for (const std::int32_t n :
         {1, 2, 24, 1000, 65'536, std::numeric_limits<std::int32_t>::max()}) {
      EXPECT_EQ(PartitionFor(vector.key, n),
                static_cast<std::int32_t>(vector.hash % static_cast<std::uint64_t>(n)))
          << vector.key << " of " << n;
    }
  }
}

TEST(PartitionForTest, WithoutPartitionsThereIsNone) {
  for (const std::int32_t n : {0, -1, std::numeric_limits<std::int32_t>::min()}) {
    EXPECT_EQ(PartitionFor("order-1", n), -1);
  }
}

TEST(PartitionForTest, KeysSpreadEvenly) {
  constexpr std::int32_t kPartitions = 24;
  constexpr int kKeys = 24'000;
  std::vector<int> counts(kPartitions);
  for (int i = 0; i < kKeys; ++i) {
    ++counts[static_cast<std::size_t>(PartitionFor("customer-" + std::to_string(i), kPartitions))];
  }
  // 1000 each, give or take five standard deviations of about 31.
  for (const int count : counts) EXPECT_NEAR(count, kKeys / kPartitions, 155);
}

}  // namespace
}  // namespace parti
