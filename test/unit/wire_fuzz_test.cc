// Damaged records, by the thousand.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "internal/wire/records.h"
#include "test/support/wire_records.h"

namespace parti::wire {
namespace {

// Decoding damaged records never crashes, and what it accepts is a record: it encodes to bytes that
// decode to the same.
template <typename Record, typename Decode>
void MutateAndDecode(const Record& record, const Decode& decode, std::uint64_t seed) {
  const std::vector<std::string> originals = {Encode(record), Compressed(Encode(record))};
  const std::string_view spice = "{}[]\",:0123456789-+.eE\\untfalsv \x80\xff";
  std::mt19937_64 random(seed);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = originals[random() % 8 == 0 ? 1 : 0];
    for (std::uint64_t change = 1 + random() % 4; change > 0 && !bytes.empty(); --change) {
      const std::size_t at = random() % bytes.size();
      const char c = spice[random() % spice.size()];
      switch (random() % 5) {
        case 0:
          bytes[at] = c;
          break;
        case 1:
          bytes[at] = static_cast<char>(random());
          break;
        case 2:
          bytes.erase(at, 1 + random() % 8);
          break;
        case 3:
          bytes.insert(at, 1, c);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 30));
          break;
      }
    }
    const absl::StatusOr<Record> decoded = decode(bytes, BuildVersion());
    if (!decoded.ok()) continue;
    ++accepted;
    const absl::StatusOr<Record> again = decode(Encode(*decoded), BuildVersion());
    ASSERT_TRUE(again.ok()) << again.status() << "\nof " << bytes;
    ASSERT_EQ(*again, *decoded) << bytes;
  }
  EXPECT_GT(accepted, 0);
}

TEST(WireFuzz, Claim) { MutateAndDecode(SomeClaim(), DecodeClaim, 1); }
TEST(WireFuzz, Leader) { MutateAndDecode(SomeLeader(), DecodeLeader, 2); }
TEST(WireFuzz, Heartbeat) { MutateAndDecode(FullHeartbeat(), DecodeHeartbeat, 3); }
TEST(WireFuzz, Tombstone) { MutateAndDecode(Tombstone(), DecodeHeartbeat, 4); }
TEST(WireFuzz, Control) { MutateAndDecode(SomeControl(), DecodeControl, 6); }
TEST(WireFuzz, Report) { MutateAndDecode(SomeReport(), DecodeReport, 7); }
TEST(WireFuzz, Doc) { MutateAndDecode(SomeDoc(), DecodeDoc, 5); }

}  // namespace
}  // namespace parti::wire
