#include "parti/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "internal/wire/utf8.h"

namespace parti {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const Partition& partition) {
  const absl::Status status = Validate(partition);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Partition, IdAndSubjectSpellTheKeys) {
  const Partition tool{{"fab1", "tool7"}};
  EXPECT_EQ(tool.Id(), "fab1-tool7");
  EXPECT_EQ(tool.Subject(), "fab1.tool7");
  EXPECT_EQ(Partition{{"p"}}.Id(), "p");
  EXPECT_EQ(Partition{}.Id(), "");
}

TEST(Partition, SeparatorsWithinKeysAreEscaped) {
  EXPECT_EQ((Partition{{"a-b", "c"}}).Id(), "a%2Db-c");
  EXPECT_EQ((Partition{{"a", "b-c"}}).Id(), "a-b%2Dc");
  EXPECT_EQ((Partition{{"a%2Db", "c"}}).Id(), "a%252Db-c");
  EXPECT_EQ((Partition{{"a-b", "c"}}).Subject(), "a-b.c");
}

TEST(Partition, DifferentKeysNeverShareAnId) {
  std::mt19937_64 random(1);
  const std::string letters = "-%2D5a";
  std::map<std::string, std::vector<std::string>> seen;
  for (int round = 0; round < 50'000; ++round) {
    Partition partition;
    for (auto keys = 1 + random() % 3; keys > 0; --keys) {
      std::string key;
      for (auto size = 1 + random() % 3; size > 0; --size) {
        key.push_back(letters[random() % letters.size()]);
      }
      partition.keys.push_back(key);
    }
    const auto [found, added] = seen.emplace(partition.Id(), partition.keys);
    ASSERT_EQ(found->second, partition.keys) << partition.Id();
  }
}

TEST(Partition, ValidOnes) {
  EXPECT_TRUE(Validate(Partition{{"p", "0"}}).ok());
  EXPECT_TRUE(Validate(Partition{{"d\xc3\xa9j\xc3\xa0", "$x/:;-%"}, Partition::kMaxWeight}).ok());
  EXPECT_TRUE(Validate(Partition{std::vector<std::string>(
                           Partition::kMaxKeys, std::string(Partition::kMaxKeyBytes, '-'))})
                  .ok());
}

TEST(Partition, ErrorsNameTheKeyTheLimitAndTheRemedy) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("has no keys; give at least one"));
  EXPECT_THAT(ErrorOf({{"a", ""}}), HasSubstr("partition [a, ]: key 1 is empty"));
  EXPECT_THAT(ErrorOf({{"a", std::string(129, 'x')}}), HasSubstr("129 bytes; at most 128"));
  EXPECT_THAT(ErrorOf({std::vector<std::string>(17, "k")}), HasSubstr("17 keys; at most 16"));
  EXPECT_THAT(ErrorOf({{"p"}, 0}), HasSubstr("weight 0 is out of range; give 1 to 1000000000"));
  EXPECT_THAT(ErrorOf({{"p"}, -1}), HasSubstr("weight -1"));
  EXPECT_THAT(ErrorOf({{"p"}, Partition::kMaxWeight + 1}), HasSubstr("weight 1000000001"));
  EXPECT_THAT(ErrorOf({{"caf\xe9"}}), HasSubstr("partition [caf?]: key 0 isn't UTF-8"));
}

TEST(Partition, KeysMustBeNatsTokens) {
  for (const char c : {'.', '*', '>', ' ', '\t', '\n', '\r', '\0', '\x1f', '\x7f'}) {
    EXPECT_THAT(ErrorOf({{std::string("a") + c + "b"}}), HasSubstr("NATS token")) << int{c};
  }
}

TEST(Partition, AListMustNotRepeatItself) {
  EXPECT_TRUE(Validate(std::vector<Partition>{}).ok());
  EXPECT_TRUE(Validate({Partition{{"a"}}, Partition{{"b"}}}).ok());
  const absl::Status twice = Validate({Partition{{"a"}, 1}, Partition{{"b"}}, Partition{{"a"}, 2}});
  EXPECT_THAT(std::string(twice.message()), HasSubstr("partition a is listed twice"));
  EXPECT_FALSE(Validate({Partition{{"a"}}, Partition{{"b."}}}).ok());
}

TEST(Utf8, WellFormed) {
  for (const char* text :
       {"", "plain", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(wire::IsUtf8(text)) << text;
  }
}

TEST(Utf8, IllFormed) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xe0\x9f\xbf", "\xe1\x80",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xe1\x80\xc0", "a\xff", "\xc2\x80\x80"}) {
    EXPECT_FALSE(wire::IsUtf8(text)) << text;
  }
}

}  // namespace
}  // namespace parti
