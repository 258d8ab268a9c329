// The examples as their READMEs have them run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "test/support/support.h"

namespace parti::test {
namespace {

using ::testing::HasSubstr;

class ExamplesTest : public ::testing::Test {
 protected:
  // `log`: the name of the file in which its output comes.
  std::unique_ptr<Process> Run(std::vector<std::string> argv, const std::string& log) {
    return StartProcess(
        {.argv = std::move(argv), .stdout_file = Log(log), .stderr_file = Log(log)});
  }
  std::string Log(const std::string& name) const { return folder_->File(name); }

  static std::size_t LinesThatBegin(const std::string& file, const std::string& beginning) {
    std::size_t count = 0;
    for (const std::string& line : ReadLines(file)) count += line.rfind(beginning, 0) == 0 ? 1 : 0;
    return count;
  }

  // The numbers of the orders that this worker handled.
  static std::set<std::string> Orders(const std::string& file) {
    std::set<std::string> orders;
    for (const std::string& line : ReadLines(file)) {
      if (line.rfind("order ", 0) == 0) orders.insert(line.substr(6, line.find(' ', 6) - 6));
    }
    return orders;
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  std::unique_ptr<NatsServer> server_ = StartServer();
};

TEST_F(ExamplesTest, EveryOrderIsHandledAlsoThoseThatWaitWhenAWorkerIsKilled) {
  const auto anna = Run({ORDERS_WORKER, server_->url()}, "anna");
  ASSERT_TRUE(WaitFor([&] { return LinesThatBegin(Log("anna"), "+ ") == 12; }))
      << ReadFile(Log("anna"));
  const auto bert = Run({ORDERS_WORKER, server_->url()}, "bert");
  ASSERT_TRUE(WaitFor([&] { return LinesThatBegin(Log("bert"), "+ ") > 0; }))
      << ReadFile(Log("bert"));

  const auto all_handled = [&](std::size_t count) {
    std::set<std::string> orders = Orders(Log("anna"));
    orders.merge(Orders(Log("bert")));
    return orders.size() == count;
  };
  const auto producer = Run({ORDERS_PRODUCER, server_->url(), "300"}, "producer");
  auto exit = producer->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value() && exit->ok()) << ReadFile(Log("producer"));
  EXPECT_TRUE(WaitFor([&] { return all_handled(300); })) << ReadFile(Log("bert"));
  EXPECT_FALSE(Orders(Log("anna")).empty());
  EXPECT_FALSE(Orders(Log("bert")).empty());

  bert->Kill();
  // Numbers that were not used before are those from 300 on.
  const auto more = Run({ORDERS_PRODUCER, server_->url(), "400"}, "more");
  exit = more->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value() && exit->ok()) << ReadFile(Log("more"));
  EXPECT_TRUE(WaitFor([&] { return all_handled(400); })) << ReadFile(Log("anna"));

  ASSERT_TRUE(anna->Signal(SIGINT).ok());
  exit = anna->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value() && exit->ok()) << ReadFile(Log("anna"));
  EXPECT_THAT(ReadFile(Log("anna")), HasSubstr("left the group"));
}

TEST_F(ExamplesTest, WorkStaysInItsZoneUntilItsLastWorkerLeaves) {
  const auto zones = Run({ZONES, server_->url()}, "zones");
  const auto exit = zones->Wait(3 * kDeadline);
  ASSERT_TRUE(exit.has_value() && exit->ok()) << ReadFile(Log("zones"));
  const auto lines = ReadLines(Log("zones"));
  ASSERT_EQ(lines.size(), 7U) << ReadFile(Log("zones"));
  EXPECT_THAT(lines[1], HasSubstr("(east): east-"));
  EXPECT_THAT(lines[2], HasSubstr("(east): east-"));
  EXPECT_THAT(lines[3], HasSubstr("(west): west-0 west-1 west-2 west-3 west-4 west-5"));
  EXPECT_THAT(lines[5] + lines[6], HasSubstr("west-5"));
}

TEST_F(ExamplesTest, TheFileIsFollowedAndAMistakeInItChangesNothing) {
  const std::string file = folder_->File("partitions.txt");
  const std::string good = "eu acme = 10  # ten times the work\n\neu initech\nus hooli\n";
  WriteFile(file, good);
  const auto worker = Run({FILE_WORKER, file, server_->url()}, "worker");
  const std::string log = Log("worker");
  ASSERT_TRUE(WaitFor([&] { return LinesThatBegin(log, "+ ") == 3; })) << ReadFile(log);

  WriteFile(file, good + "us umbrella\n");
  EXPECT_TRUE(WaitFor([&] { return LinesThatBegin(log, "+ us-umbrella") == 1; })) << ReadFile(log);

  WriteFile(file, good + "us umbrella = many\n");
  EXPECT_TRUE(WaitFor([&] {
    return ReadFile(log).find(":5: the weight \"many\" is not a whole number") != std::string::npos;
  })) << ReadFile(log);
  EXPECT_EQ(LinesThatBegin(log, "- "), 0U) << ReadFile(log);

  WriteFile(file, "eu initech\n");
  EXPECT_TRUE(WaitFor([&] { return LinesThatBegin(log, "- ") == 3; })) << ReadFile(log);
  EXPECT_EQ(LinesThatBegin(log, "- eu-initech"), 0U) << ReadFile(log);

  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  const auto exit = worker->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value() && exit->ok()) << ReadFile(log);
  EXPECT_EQ(LinesThatBegin(log, "- eu-initech"), 1U) << ReadFile(log);
}

TEST_F(ExamplesTest, AFileThatCannotBeReadIsRefusedWithItsLine) {
  const std::string file = folder_->File("partitions.txt");
  WriteFile(file, "eu acme\neu a*c\n");
  const auto worker = Run({FILE_WORKER, file, server_->url()}, "worker");
  const auto exit = worker->Wait(kDeadline);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 1);
  EXPECT_THAT(ReadFile(Log("worker")), HasSubstr("partitions.txt:2: "));
  EXPECT_THAT(ReadFile(Log("worker")), HasSubstr("a*c"));
}

}  // namespace
}  // namespace parti::test
