// Each rule of the protocol is needed: with the rule switched off a promise breaks, in a world that
// keeps it with the rule on.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "internal/core/rules.h"
#include "test/simulation/provoke.h"
#include "test/simulation/run.h"
#include "test/simulation/schedules.h"

namespace parti::simulation {
namespace {

constexpr std::uint64_t kSeeds = 300;  // to look through for one that shows it

class RuleOff {
 public:
  explicit RuleOff(std::optional<core::Rule> rule) : rule_(rule) { Set(false); }
  ~RuleOff() { Set(true); }
  RuleOff(const RuleOff&) = delete;
  RuleOff& operator=(const RuleOff&) = delete;

 private:
  void Set(bool on) {
    if (rule_) core::SetRule(*rule_, on);
  }

  const std::optional<core::Rule> rule_;
};

std::optional<Violation> Play(core::Rule rule, std::uint64_t seed, bool* set_up) {
  History history(History::Keep::kHash);
  const Schedule* schedule = FindSchedule(rule);
  if (schedule == nullptr) {
    *set_up = true;
    return Run(Provoke(rule, seed), &history).violation;
  }
  const Played played = schedule->play(seed, &history);
  *set_up = played.set_up;
  return played.violation;
}

class RuleTest : public testing::TestWithParam<int> {};

TEST_P(RuleTest, IsNeeded) {
  const auto rule = static_cast<core::Rule>(GetParam());
  const Schedule* schedule = FindSchedule(rule);
  const RuleOff behind(schedule == nullptr ? std::nullopt : schedule->behind);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    bool set_up = false;
    std::optional<Violation> without;
    {
      const RuleOff off(rule);
      without = Play(rule, seed, &set_up);
    }
    if (!without) continue;
    // A world that breaks promises with the rule, too, shows something else.
    if (Play(rule, seed, &set_up) || !set_up) continue;
    RecordProperty("seed", static_cast<int>(seed));
    RecordProperty("invariant", without->invariant);
    return;
  }
  FAIL() << "nothing noticed that " << core::RuleName(rule) << " was off in " << kSeeds << " seeds";
}

std::vector<int> Rules() {
  std::vector<int> rules;
  for (int i = 0; i < static_cast<int>(core::Rule::kCount); ++i) rules.push_back(i);
  return rules;
}

class ScheduleTest : public testing::TestWithParam<Schedule> {};

TEST_P(ScheduleTest, ArisesAndKeepsEveryPromise) {
  int set_up = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    History history(History::Keep::kHash);
    const Played played = GetParam().play(seed, &history);
    if (played.set_up) ++set_up;
    EXPECT_FALSE(played.violation)
        << "seed " << seed << ": " << played.violation->invariant << ": " << played.violation->what;
  }
  EXPECT_GT(set_up, 0) << "the situation never arose";
}

INSTANTIATE_TEST_SUITE_P(Schedules, ScheduleTest, testing::ValuesIn(Schedules()),
                         [](const auto& schedule) {
                           std::string name(schedule.param.name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, testing::ValuesIn(Rules()), [](const auto& number) {
  std::string name(core::RuleName(static_cast<core::Rule>(number.param)));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace parti::simulation
