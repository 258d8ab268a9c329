// Partition sources of the application's own: empty, failing, throwing, slow, with mistakes in
// them, and changing while partitions move.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "test/integration/local_group.h"

namespace parti::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

std::shared_ptr<ChangingSource> Source(int partitions) {
  return std::make_shared<ChangingSource>(NumberedPartitions(partitions));
}

// The messages that on_error was given.
class Errors {
 public:
  std::function<void(const absl::Status&)> Hook() {
    return [this](const absl::Status& status) {
      log_.Log(LogLevel::kError, std::string(status.message()));
    };
  }
  bool Has(std::string_view text) const { return log_.Has(text); }
  int Count(std::string_view text) const { return log_.Count(text); }
  std::string Text() const { return log_.Text(); }

 private:
  LineLog log_;
};

TEST(SourcesTest, AGroupWithoutPartitionsIsWellAndARefreshBringsSome) {
  Errors errors;
  const auto source = Source(0);
  LocalGroup group;
  ManagerOptions a = group.Options("a", source);
  a.hooks.on_error = errors.Hook();
  group.Start("a", a);
  group.Start("b", group.Options("b", source));
  EXPECT_TRUE(WaitFor([&] { return source->listed() >= 2; }));
  // Everyone has been told that there is nothing.
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(group[name].WaitState(State::kStable, kDeadline)) << group.log(name).Text();
    EXPECT_TRUE(group[name].current_assignment().partitions.empty());
  }
  source->Set(NumberedPartitions(8));
  group["a"].RefreshPartitions();
  group["b"].RefreshPartitions();
  EXPECT_EQ(group.AwaitOwned({{"a", 4}, {"b", 4}}), "");
  // And away again.
  source->Set({});
  group["a"].RefreshPartitions();
  group["b"].RefreshPartitions();
  EXPECT_EQ(group.AwaitOwned({{"a", 0}, {"b", 0}}), "");
  EXPECT_EQ(group.Finish(), "");
  EXPECT_EQ(errors.Text(), "\n");
}

TEST(SourcesTest, ASourceThatFailsAtTheStartIsReportedAndAskedAgain) {
  Errors errors;
  const auto source = Source(8);
  source->Fail(absl::UnavailableError("the database is being restarted"));
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.hooks.on_error = errors.Hook();
  // The worker joins, and leads, without a list.
  group.Start("a", options);
  ASSERT_TRUE(WaitFor([&] { return errors.Count("the database is being restarted") >= 2; }));
  EXPECT_TRUE(errors.Has("no list yet")) << errors.Text();
  EXPECT_EQ(group.Owned("a"), 0);
  source->Fail(absl::OkStatus());
  EXPECT_EQ(group.AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group.Finish(), "");
}

TEST(SourcesTest, ASourceThatFailsLaterLeavesTheStandingListInForce) {
  Errors errors;
  const auto source = Source(6);
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.hooks.on_error = errors.Hook();
  group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 6}}), "");
  source->Fail(absl::PermissionDeniedError("no such table"));
  source->Set(NumberedPartitions(8));
  group["a"].RefreshPartitions();
  ASSERT_TRUE(WaitFor([&] { return errors.Has("no such table"); }));
  EXPECT_TRUE(errors.Has("the standing list stays in force")) << errors.Text();
  // Who comes now is shared in, by the standing list.
  group.Start("b", group.Options("b", Source(6)));
  EXPECT_EQ(group.AwaitOwned({{"a", 3}, {"b", 3}}), "");
  source->Fail(absl::OkStatus());
  // Without another word from the application: it is retried.
  EXPECT_EQ(group.AwaitOwned({{"a", 4}, {"b", 4}}), "");
  EXPECT_EQ(group.Finish(), "");
}

TEST(SourcesTest, ASourceThatThrowsIsReportedAndAskedAgain) {
  Errors errors;
  const auto source = Source(8);
  source->Throw(true);
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.hooks.on_error = errors.Hook();
  group.Start("a", options);
  ASSERT_TRUE(WaitFor([&] { return errors.Has("PartitionSource::List"); }));
  EXPECT_TRUE(errors.Has("the list is in flames")) << errors.Text();
  source->Throw(false);
  EXPECT_EQ(group.AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group.Finish(), "");
}

TEST(SourcesTest, ASourceThatTakesItsTimeDelaysNeitherStartNorHeartbeats) {
  const auto gate = std::make_shared<Gate>();
  const auto source = Source(8);
  source->WaitAt(gate);
  LocalGroup group;
  Manager& a = group.Start("a", group.Options("a", source));
  ASSERT_TRUE(WaitFor([&] { return gate->reached(); }));
  const std::uint64_t life = a.incarnation();
  // Longer than the lease.
  EXPECT_TRUE(StaysTrue([&] { return a.incarnation() == life; }, milliseconds(4000)));
  gate->Open();
  EXPECT_EQ(group.AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(a.incarnation(), life);
  EXPECT_EQ(group.Finish(), "");
}

TEST(SourcesTest, AStopWhileTheSourceHangsNamesIt) {
  const auto gate = std::make_shared<Gate>();
  const auto source = Source(8);
  source->WaitAt(gate);
  LocalGroup group;
  Manager& a = group.Start("a", group.Options("a", source));
  ASSERT_TRUE(WaitFor([&] { return gate->reached(); }));
  const absl::Status stopped = a.Stop();
  EXPECT_EQ(stopped.code(), absl::StatusCode::kDeadlineExceeded) << stopped;
  EXPECT_THAT(std::string(stopped.message()), HasSubstr("PartitionSource::List"));
  gate->Open();
  EXPECT_EQ(group.Finish(), "");
}

// A move is held open by a release hook; meanwhile the list loses some partitions, of those that
// move and of those that stay, and gains others.
TEST(SourcesTest, ARefreshAddsAndRemovesPartitionsDuringAMove) {
  Gate gate;
  const auto source = Source(8);
  LocalGroup group({.partitions = 12});
  ManagerOptions a = group.Options("a", source);
  a.config.release_timeout = milliseconds(60'000);
  a.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  group.Start("a", a);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  group.Start("b", group.Options("b", source));
  ASSERT_TRUE(WaitFor([&] { return gate.reached(); }));

  std::vector<Partition> changed;
  for (const int i : {0, 1, 2, 5, 8, 9, 10, 11}) {
    changed.push_back({.keys = {"p", std::to_string(i)}});
  }
  source->Set(changed);
  group["a"].RefreshPartitions();
  group["b"].RefreshPartitions();
  ASSERT_TRUE(WaitFor([&] { return source->listed() >= 4; }));
  gate.Open();

  EXPECT_EQ(group.AwaitOwned({{"a", 4}, {"b", 4}}), "");
  for (const int gone : {3, 4, 6, 7}) {
    EXPECT_TRUE(WaitFor([&] {
      return !group["a"].Owns(PartitionId(gone)) && !group["b"].Owns(PartitionId(gone));
    })) << gone;
  }
  EXPECT_EQ(group.Finish(), "");
}

// The leader changes its mind with the list: what is being released to nobody comes back.
TEST(SourcesTest, APartitionRemovedAndAddedAgainDuringItsReleaseIsOwnedAgain) {
  Gate gate;
  const auto source = Source(8);
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.config.release_timeout = milliseconds(60'000);
  options.hooks.on_release = [&](auto, auto) { gate.Wait(); };
  group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  source->Set(NumberedPartitions(5));
  group["a"].RefreshPartitions();
  ASSERT_TRUE(WaitFor([&] { return gate.reached(); }));
  source->Set(NumberedPartitions(8));
  group["a"].RefreshPartitions();
  ASSERT_TRUE(WaitFor([&] { return source->listed() >= 3; }));
  gate.Open();
  EXPECT_EQ(group.AwaitOwned({{"a", 8}}), "");
  EXPECT_EQ(group.Finish(), "");
}

// Requests within the cooldown are kept, and carried out together when it is over.
TEST(SourcesTest, ACooldownKeepsRequestsAndPutsThemTogether) {
  const auto source = Source(2);
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.config.rebalance_cooldown = milliseconds(3000);
  Manager& a = group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 2}}), "");
  const auto planned_at = std::chrono::steady_clock::now();
  // What is owned can be asked for a moment before the assignment that gave it can.
  ASSERT_TRUE(WaitFor([&] { return a.current_assignment().version > 0; }));
  const std::uint64_t version = a.current_assignment().version;
  for (int partitions = 3; partitions <= 8; ++partitions) {
    const int listed = source->listed();
    source->Set(NumberedPartitions(partitions));
    a.RefreshPartitions();
    a.TriggerRebalance();
    ASSERT_TRUE(WaitFor([&] { return source->listed() > listed; }));
  }
  // On a machine so slow that the cooldown was over by then, there is nothing to see.
  const auto asked_for = std::chrono::steady_clock::now() - planned_at;
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  if (asked_for < milliseconds(1500)) {
    EXPECT_EQ(a.current_assignment().version, version + 1) << group.log("a").Text();
  }
  EXPECT_EQ(group.Finish(), "");
}

struct Mistake {
  std::string what;
  Partition partition;
  std::vector<std::string> said;
};

std::vector<Mistake> Mistakes() {
  return {
      {"twice", {.keys = {"p", "1"}}, {"p-1", "twice"}},
      {"no keys", {.keys = {}}, {"no keys"}},
      {"an empty key", {.keys = {"eu", ""}}, {"[eu, ]", "key 1 is empty"}},
      {"a dot", {.keys = {"eu.west", "7"}}, {"[eu.west, 7]", "0x2e"}},
      {"a space", {.keys = {"eu west"}}, {"[eu west]", "white space"}},
      {"too long", {.keys = {std::string(129, 'x')}}, {"129 bytes", "128"}},
      {"a weight", {.keys = {"eu"}, .weight = 0}, {"[eu]", "weight 0", "1 to"}},
  };
}

// Each is named by on_error, at the start as well as at a refresh; the worker lives on, and is well
// as soon as the list is.
TEST(SourcesTest, MistakesInTheListAreNamedAtTheStart) {
  LocalGroup group;
  // Which there are the next test tells.
  for (const Mistake& mistake : {Mistakes().front(), Mistakes().back()}) {
    SCOPED_TRACE(mistake.what);
    Errors errors;
    std::vector<Partition> partitions = NumberedPartitions(8);
    partitions.push_back(mistake.partition);
    const auto source = std::make_shared<ChangingSource>(partitions);
    ManagerOptions options = group.Options(mistake.what, source);
    options.hooks.on_error = errors.Hook();
    Manager& manager = group.Start(mistake.what, options);
    for (const std::string& said : mistake.said) {
      EXPECT_TRUE(WaitFor([&] { return errors.Has(said); }))
          << said << " isn't in " << errors.Text();
    }
    EXPECT_EQ(group.Owned(mistake.what), 0);
    source->Set(NumberedPartitions(8));
    manager.RefreshPartitions();
    EXPECT_EQ(group.AwaitOwned({{mistake.what, 8}}), "");
    EXPECT_EQ(group.Stop(mistake.what), "");
  }
  EXPECT_EQ(group.Finish(), "");
}

TEST(SourcesTest, MistakesInARefreshedListAreNamedAndTheStandingListStays) {
  Errors errors;
  const auto source = Source(8);
  LocalGroup group;
  ManagerOptions options = group.Options("a", source);
  options.hooks.on_error = errors.Hook();
  Manager& a = group.Start("a", options);
  ASSERT_EQ(group.AwaitOwned({{"a", 8}}), "");
  // What is owned can be asked for a moment before the assignment that gave it can.
  ASSERT_TRUE(WaitFor([&] { return a.current_assignment().version > 0; }));
  const std::uint64_t version = a.current_assignment().version;
  for (const Mistake& mistake : Mistakes()) {
    SCOPED_TRACE(mistake.what);
    std::vector<Partition> partitions = NumberedPartitions(4);
    partitions.push_back(mistake.partition);
    source->Set(partitions);
    a.RefreshPartitions();
    for (const std::string& said : mistake.said) {
      EXPECT_TRUE(WaitFor([&] { return errors.Has(said); }))
          << said << " isn't in " << errors.Text();
    }
  }
  EXPECT_EQ(group.Owned("a"), 8);
  EXPECT_EQ(a.current_assignment().version, version);
  source->Set(NumberedPartitions(4));
  a.RefreshPartitions();
  EXPECT_EQ(group.AwaitOwned({{"a", 4}}), "");
  EXPECT_EQ(group.Finish(), "");
}

}  // namespace
}  // namespace parti::test
