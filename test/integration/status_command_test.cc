// `parti status` and the orders, as people and scripts use them: the command itself, on a real
// group.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test/integration/cluster.h"

namespace parti::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Json = nlohmann::json;

constexpr int kHealthy = 0;
constexpr int kUnhealthy = 1;
constexpr int kUnknown = 2;

class StatusCommandTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit = -1;
    std::string output;  // both streams
  };

  std::unique_ptr<Process> Begin(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PARTI_BINARY);
    arguments.insert(arguments.end(), {"--server", cluster_.server().url(), "--prefix", prefix_});
    output_ = folder_->File(fmt::format("output{}", ++runs_));
    return StartProcess({.argv = arguments, .stdout_file = output_, .stderr_file = output_});
  }
  Ran Run(const std::vector<std::string>& arguments) {
    const auto process = Begin(arguments);
    const auto exit = process->Wait(kDeadline);
    EXPECT_TRUE(exit.has_value()) << ReadFile(output_);
    return {exit ? exit->code : -1, ReadFile(output_)};
  }
  Json Status(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"status", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = Run(arguments);
    Json status = Json::parse(ran.output, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(status.is_object()) << ran.output;
    if (!status.is_object()) return Json::object();
    EXPECT_EQ(status.value("exit_status", -1), ran.exit);
    return status;
  }
  // Until the status says so; the last one seen.
  Json AwaitStatus(const std::function<bool(const Json&)>& condition) {
    Json status;
    EXPECT_TRUE(WaitFor([&] { return condition(status = Status()); })) << status.dump(1);
    return status;
  }

  std::string IdOf(std::size_t worker) { return cluster_.observer().View(worker).worker; }
  std::string OwnerOf(const std::string& partition) { return cluster_.OwnerIds()[partition]; }

  static Json OfWorker(const Json& status, const std::string& id) {
    for (const Json& worker : status.value("workers", Json::array())) {
      if (worker.value("id", "") == id) return worker;
    }
    return Json::object();
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  std::string output_;
  int runs_ = 0;
  Cluster cluster_;
  std::string prefix_ = cluster_.prefix();
};

TEST_F(StatusCommandTest, OfAGroupThatIsWellTellsLeaderWorkersAndPartitions) {
  const auto a = cluster_.Start("a", {"labels=zone=north"});
  const auto b = cluster_.Start("b");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const Json status = Status({"--partitions"});
  EXPECT_EQ(status["exit_status"], kHealthy) << status.dump(1);
  EXPECT_EQ(status["verdict"], "healthy");
  const std::size_t leader = cluster_.group().Leader().value();
  EXPECT_EQ(status["leader"]["worker"], IdOf(leader));
  EXPECT_EQ(status["leader"]["epoch"], cluster_.observer().View(leader).epoch);
  EXPECT_EQ(status["partitions"]["total"], 12);
  EXPECT_EQ(status["partitions"]["owned"], 12);
  for (const auto& [worker, name] : {std::pair{a, "a"}, std::pair{b, "b"}}) {
    const Json told = OfWorker(status, IdOf(worker));
    EXPECT_EQ(told["identity"], name);
    EXPECT_EQ(told["life"], "live");
    EXPECT_EQ(told["owned"], cluster_.Owned(worker));
    EXPECT_GE(told["heard_ms_ago"].get<int>(), 0);
  }
  EXPECT_EQ(OfWorker(status, IdOf(a))["labels"]["zone"], "north");
  const auto owners = cluster_.OwnerIds();
  ASSERT_EQ(status["partition_list"].size(), owners.size());
  for (const Json& partition : status["partition_list"]) {
    EXPECT_EQ(partition["owner"], owners.at(partition["id"])) << partition;
    EXPECT_EQ(partition["state"], "owned") << partition;
  }

  const Ran text = Run({"status"});
  EXPECT_EQ(text.exit, kHealthy);
  EXPECT_THAT(text.output, StartsWith("healthy: 2 workers own all 12 partitions"));
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(StatusCommandTest, OnlyReads) {
  cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  Run({"status"});
  // A group that isn't there isn't made by looking at it.
  prefix_ = "other";
  const Ran other = Run({"status"});
  EXPECT_EQ(other.exit, kUnknown);
  EXPECT_THAT(other.output,
              AllOf(StartsWith("can't tell: no group \"other\""), HasSubstr("is --prefix right")));
  const Ran again = Run({"status"});
  EXPECT_THAT(again.output, HasSubstr("don't exist"));
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(StatusCommandTest, OfAGroupWithoutWorkersOrServerIsNotHealthyOrUnknown) {
  const auto a = cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  cluster_.group().Terminate(a);
  ASSERT_EQ(cluster_.Await([&] { return !cluster_.group().Running(a); }), "");
  const Json status = AwaitStatus([](const Json& s) { return s["exit_status"] == kUnhealthy; });
  EXPECT_THAT(status.value("summary", ""), HasSubstr("no worker"));
  EXPECT_EQ(status["partitions"]["owned"], 0);
  EXPECT_FALSE(status["advice"].empty());

  cluster_.server().Kill();
  const Ran gone = Run({"status", "--timeout", "1s"});
  EXPECT_EQ(gone.exit, kUnknown);
  EXPECT_THAT(gone.output, AllOf(StartsWith("can't tell"), HasSubstr("127.0.0.1")));
}

TEST_F(StatusCommandTest, OfAFrozenWorkerIsUnhealthyUntilOthersOwnItsPartitions) {
  // Nobody evicts it soon.
  const auto a = cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  cluster_.group().Pause(a);  // the only one, and the leader
  const Json status = AwaitStatus([](const Json& s) { return s["exit_status"] == kUnhealthy; });
  EXPECT_EQ(status["verdict"], "unhealthy");
  EXPECT_FALSE(status["findings"].empty());
  const auto b = cluster_.Start("b");
  ASSERT_EQ(cluster_.Await([&] { return cluster_.Owned(b) == 12U; }), "");
  const Json after = AwaitStatus([](const Json& s) { return s["exit_status"] == kHealthy; });
  EXPECT_EQ(after["partitions"]["owned"], 12);
  cluster_.group().Resume(a);
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(StatusCommandTest, WatchTellsEachChangeUntilCtrlC) {
  cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const auto watch = Begin({"status", "--watch", "--json"});
  const std::string output = output_;
  const auto shows = [&](std::size_t live) {
    for (const std::string& line : ReadLines(output)) {
      const Json status = Json::parse(line, nullptr, false);
      if (status.is_object() && status["workers"].size() >= live &&
          status["verdict"] == "healthy") {
        return true;
      }
    }
    return false;
  };
  ASSERT_TRUE(WaitFor([&] { return shows(1); })) << ReadFile(output);
  cluster_.Start("b");
  ASSERT_TRUE(WaitFor([&] { return shows(2); })) << ReadFile(output);
  ASSERT_TRUE(watch->Signal(SIGINT).ok());
  const auto exit = watch->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << ReadFile(output);
  EXPECT_EQ(cluster_.Finish(), "");
}

// ---- orders

TEST_F(StatusCommandTest, ADrainedWorkerOwnsNothingWhenTheCommandReturnsAlsoAfterAFailover) {
  const auto a = cluster_.Start("a");
  const auto b = cluster_.Start("b");
  const auto c = cluster_.Start("c");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::size_t leader = cluster_.group().Leader().value();
  const std::size_t drained = leader == a ? b : a;
  const std::string id = IdOf(drained);

  const Ran drain = Run({"drain", id});
  EXPECT_EQ(drain.exit, 0) << drain.output;
  EXPECT_THAT(drain.output, HasSubstr(id + " is drained: it owns nothing"));
  ASSERT_EQ(cluster_.Await([&] { return cluster_.Owned(drained) == 0U; }), "");
  Json status = Status();
  EXPECT_EQ(status["exit_status"], kHealthy) << status.dump(1);
  EXPECT_EQ(OfWorker(status, id)["drained"], true);

  cluster_.group().Kill(leader);
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(cluster_.Owned(drained), 0U) << "the order outlives the leader that obeyed it";

  const Ran undrain = Run({"undrain", id});
  EXPECT_EQ(undrain.exit, 0) << undrain.output;
  ASSERT_EQ(cluster_.Await([&] { return cluster_.Owned(drained) > 0U; }), "");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(cluster_.Finish(), "");
  static_cast<void>(c);
}

TEST_F(StatusCommandTest, APausedGroupGivesNewWorkersNothingButTakesOverFromTheDead) {
  const auto a = cluster_.Start("a");
  const auto b = cluster_.Start("b");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(Run({"pause"}).exit, 0);
  const auto before = cluster_.Claims();
  const auto c = cluster_.Start("c");
  ASSERT_EQ(cluster_.Await([&] { return !IdOf(c).empty(); }), "");
  AwaitStatus([&](const Json& s) { return OfWorker(s, IdOf(c))["life"] == "live"; });
  // What would have moved has no reason to wait for.
  EXPECT_TRUE(StaysTrue(
      [&] {
        cluster_.group().Poll();
        return cluster_.Owned(c) == 0U;
      },
      std::chrono::seconds(3)));
  EXPECT_EQ(cluster_.Disturbed(before), "");

  const std::size_t dead = cluster_.group().Leader() == a ? b : a;
  cluster_.group().Kill(dead);
  ASSERT_EQ(cluster_.AwaitSettled(), "");

  EXPECT_EQ(Run({"resume"}).exit, 0);
  ASSERT_EQ(cluster_.Await([&] { return cluster_.Owned(c) > 0U; }), "");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(StatusCommandTest, APinnedPartitionGoesToItsWorkerAndComesBackWithIt) {
  cluster_.Start("a");
  const auto b = cluster_.Start("b");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::string id = IdOf(b);
  std::string partition;
  for (const auto& [name, owner] : cluster_.OwnerIds()) {
    if (owner != id) partition = name;
  }
  ASSERT_NE(partition, "");
  const Ran pin = Run({"pin", partition, id});
  EXPECT_EQ(pin.exit, 0) << pin.output;
  ASSERT_EQ(cluster_.Await([&] { return OwnerOf(partition) == id; }), "");
  ASSERT_EQ(cluster_.AwaitSettled(), "");

  cluster_.group().Kill(b);
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_NE(OwnerOf(partition), id);
  AwaitStatus([](const Json& s) { return !s["control"]["problems"].empty(); });

  const auto again = cluster_.Start("b-again", {"identity=b"});
  ASSERT_EQ(cluster_.Await([&] { return OwnerOf(partition) == IdOf(again); }), "");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  EXPECT_EQ(Run({"unpin", partition}).exit, 0);
  EXPECT_EQ(cluster_.Finish(), "");
}

TEST_F(StatusCommandTest, AnOrderThatNobodyCarriesOutStandsAndSaysSo) {
  const auto a = cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::string id = IdOf(a);
  cluster_.group().Terminate(a);
  ASSERT_EQ(cluster_.Await([&] { return !cluster_.group().Running(a); }), "");
  const Ran pause = Run({"pause", "--timeout", "1s"});
  EXPECT_EQ(pause.exit, 1) << pause.output;
  EXPECT_EQ(AwaitStatus([](const Json&) { return true; })["control"]["paused"], true);
  // The next leader finds it.
  const auto b = cluster_.Start("b");
  const auto c = cluster_.Start("c");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  AwaitStatus([](const Json& s) {
    return s["control"]["paused"] == true && s["control"]["confirmed"] == true;
  });
  EXPECT_EQ(Run({"resume"}).exit, 0);
  EXPECT_EQ(cluster_.Finish(), "");
  static_cast<void>(b);
  static_cast<void>(c);
}

TEST_F(StatusCommandTest, MistakesInOrdersAreNamedWithWhatThereIs) {
  const auto a = cluster_.Start("a");
  ASSERT_EQ(cluster_.AwaitSettled(), "");
  const std::string id = IdOf(a);
  const Ran worker = Run({"drain", "worker-77"});
  EXPECT_EQ(worker.exit, 2);
  EXPECT_THAT(worker.output, AllOf(HasSubstr("no worker worker-77"), HasSubstr(id)));
  const Ran partition = Run({"pin", "p-99", id});
  EXPECT_EQ(partition.exit, 2);
  EXPECT_THAT(partition.output, AllOf(HasSubstr("no partition p-99"), HasSubstr("p-9")));
  EXPECT_EQ(Run({"drain"}).exit, 2);
  EXPECT_TRUE(Status()["control"]["drained"].empty()) << "nothing was ordered";
  EXPECT_EQ(cluster_.Finish(), "");
}

}  // namespace
}  // namespace parti::test
