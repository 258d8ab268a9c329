// What the parts of core share.
#include "internal/core/context.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace parti::core {
namespace {

class Fixed : public Environment {
 public:
  std::uint64_t RandomBits() override { return 7; }
  bool ProcessIsGone(const wire::ProcessId&) override { return false; }
};

class ContextTest : public testing::Test {
 protected:
  ContextTest() { context_.set_effects(&effects_); }
  std::size_t Reports() const { return effects_.size(); }
  void Tell(const std::string& about) {
    context_.ReportOnce(about, Severity::kWarning, absl::DataLossError(about));
  }

  Fixed environment_;
  Context context_{Settings{}, &environment_};
  std::vector<Effect> effects_;
};

TEST_F(ContextTest, AFaultIsToldOnce) {
  for (int i = 0; i < 100; ++i) Tell("heartbeat worker-1");
  EXPECT_EQ(Reports(), 1U);
  Tell("heartbeat worker-2");
  EXPECT_EQ(Reports(), 2U);
}

// Somebody who writes garbage under ever new keys fills neither the log nor the memory.
TEST_F(ContextTest, AFloodOfDifferentFaultsIsCutOffForAnHour) {
  for (int i = 0; i < 100'000; ++i) Tell("key " + std::to_string(i));
  EXPECT_EQ(Reports(), 1000U);
  context_.now += 3599 * kSecond;
  Tell("one more");
  EXPECT_EQ(Reports(), 1000U);
  context_.now += kSecond;
  Tell("one more");
  Tell("one more");
  EXPECT_EQ(Reports(), 1001U);
}

}  // namespace
}  // namespace parti::core
