// What orders to a group record, and when they count as carried out.
#include "parti/cli/control_orders.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/unit/status_group.h"

namespace parti::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<bool> Apply(const Order& order, const Group& group, wire::Control* control) {
  return ApplyOrder(order, group.Judge(), control);
}

TEST(OrdersTest, DrainingIsRecordedOnceAndTakenBack) {
  const Group group;
  wire::Control control;
  EXPECT_TRUE(Apply({OrderKind::kDrain, "worker-2"}, group, &control).value());
  EXPECT_TRUE(Apply({OrderKind::kDrain, "worker-1"}, group, &control).value());
  EXPECT_THAT(control.drained, ElementsAre("worker-1", "worker-2"));
  EXPECT_FALSE(Apply({OrderKind::kDrain, "worker-1"}, group, &control).value());
  EXPECT_TRUE(Apply({OrderKind::kUndrain, "worker-1"}, group, &control).value());
  EXPECT_FALSE(Apply({OrderKind::kUndrain, "worker-1"}, group, &control).value());
  EXPECT_THAT(control.drained, ElementsAre("worker-2"));
}

TEST(OrdersTest, AnUnknownWorkerIsRefusedWithTheNearestName) {
  const Group group;
  wire::Control control;
  const auto wrong = Apply({OrderKind::kDrain, "wroker-1"}, group, &control);
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(std::string(wrong.status().message()),
              AllOf(HasSubstr("no worker wroker-1"), HasSubstr("Did you mean worker-1?"),
                    HasSubstr("worker-0, worker-1 and worker-2"), HasSubstr("--force")));
  EXPECT_EQ(control, wire::Control{});
  EXPECT_TRUE(
      Apply({.kind = OrderKind::kDrain, .worker = "wroker-1", .force = true}, group, &control)
          .value());
}

TEST(OrdersTest, TheLastWorkerIsNotDrainedUnasked) {
  Group group(2);
  wire::Control control;
  EXPECT_TRUE(Apply({OrderKind::kDrain, "worker-0"}, group, &control).value());
  const auto last = Apply({OrderKind::kDrain, "worker-1"}, group, &control);
  ASSERT_FALSE(last.ok());
  EXPECT_THAT(std::string(last.status().message()), HasSubstr("last worker"));
  EXPECT_TRUE(
      Apply({.kind = OrderKind::kDrain, .worker = "worker-1", .force = true}, group, &control)
          .value());
  // A dead one doesn't count as another.
  Group dead(2);
  dead.BeatWas(0, 20'000);
  wire::Control none;
  EXPECT_FALSE(Apply({OrderKind::kDrain, "worker-1"}, dead, &none).ok());
}

TEST(OrdersTest, PinsNameWhatThereIs) {
  Group group;
  wire::Control control;
  control.drained = {"worker-1"};
  EXPECT_THAT(
      std::string(Apply({OrderKind::kPin, "worker-0", "p-77"}, group, &control).status().message()),
      AllOf(HasSubstr("no partition p-77"), HasSubstr("Did you mean")));
  EXPECT_THAT(
      std::string(Apply({OrderKind::kPin, "worker-9", "p-1"}, group, &control).status().message()),
      HasSubstr("no worker worker-9"));
  EXPECT_THAT(
      std::string(Apply({OrderKind::kPin, "worker-1", "p-1"}, group, &control).status().message()),
      HasSubstr("worker-1 is drained"));
  group.Beat(2).capacity = 0;
  EXPECT_THAT(
      std::string(Apply({OrderKind::kPin, "worker-2", "p-1"}, group, &control).status().message()),
      HasSubstr("capacity 0"));
  EXPECT_TRUE(Apply({OrderKind::kPin, "worker-0", "p-1"}, group, &control).value());
  EXPECT_FALSE(Apply({OrderKind::kPin, "worker-0", "p-1"}, group, &control).value());
  group.Beat(2).capacity = 1;
  EXPECT_TRUE(Apply({OrderKind::kPin, "worker-2", "p-1"}, group, &control).value());
  EXPECT_THAT(control.pins, ElementsAre(wire::Pin{"p-1", "worker-2"}));
  EXPECT_FALSE(Apply({OrderKind::kUnpin, "", "p-2"}, group, &control).value());
  EXPECT_TRUE(Apply({OrderKind::kUnpin, "", "p-1"}, group, &control).value());
  EXPECT_THAT(control.pins, IsEmpty());
}

// Progress of an order in revision 7 of the control key.
Progress Ask(const Order& order, const Group& group) {
  return CheckProgress(order, 7, group.snapshot, group.Judge());
}

TEST(OrdersTest, NothingIsConfirmedBeforeTheLeaderHasReadItAndItIsSo) {
  Group group;
  const Order order{OrderKind::kDrain, "worker-1"};
  group.Report().control_revision = 6;
  EXPECT_FALSE(Ask(order, group).confirmed);
  EXPECT_THAT(Ask(order, group).text, HasSubstr("has not read it yet"));
  group.Report().control_revision = 7;
  EXPECT_FALSE(Ask(order, group).confirmed) << "the leader says so, but the assignment doesn't";
  EXPECT_THAT(Ask(order, group).text, HasSubstr("still holds 2 partitions"));
  group.Doc(1).owned.clear();
  group.Behind(1);
  EXPECT_FALSE(Ask(order, group).confirmed) << "not applied";
  group.Beat(1).applied_revision += 100;
  EXPECT_TRUE(Ask(order, group).confirmed) << Ask(order, group).text;
  group.Report().control_settled = false;
  EXPECT_FALSE(Ask(order, group).confirmed);
  group.Report().control_settled = true;
  group.Leader().released = true;
  EXPECT_FALSE(Ask(order, group).confirmed);
  EXPECT_THAT(Ask(order, group).text, HasSubstr("no leader"));
}

TEST(OrdersTest, AReportOfAnEarlierTermConfirmsNothing) {
  Group group;
  group.Report().control_revision = 7;
  EXPECT_TRUE(Ask({OrderKind::kPause}, group).confirmed);
  group.Leader().epoch = 5;
  EXPECT_FALSE(Ask({OrderKind::kPause}, group).confirmed);
}

TEST(OrdersTest, APinIsConfirmedWhereThePartitionIs) {
  Group group;
  group.Report().control_revision = 7;
  EXPECT_TRUE(Ask({OrderKind::kPin, "worker-1", "p-1"}, group).confirmed);
  EXPECT_FALSE(Ask({OrderKind::kPin, "worker-2", "p-1"}, group).confirmed);
  group.Report().problems = {"p-1 is pinned to worker-2, who gave it back"};
  const Progress refused = Ask({OrderKind::kPin, "worker-2", "p-1"}, group);
  EXPECT_TRUE(refused.refused);
  EXPECT_THAT(refused.text, HasSubstr("gave it back"));
  EXPECT_FALSE(Ask({OrderKind::kPin, "worker-2", "p-2"}, group).refused) << "another's problem";
}

}  // namespace
}  // namespace parti::cli
