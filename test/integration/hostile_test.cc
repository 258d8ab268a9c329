// What somebody may write into the buckets to harm a group: it is told once, skipped, and the group
// goes on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nats/nats.h>

#include <algorithm>
#include <string>
#include <vector>

#include "internal/wire/pack.h"
#include "internal/wire/records.h"
#include "test/integration/cluster.h"

namespace parti::test {
namespace {

using testing::HasSubstr;

// Writes whatever it is told to, past all that guards the buckets.
class Intruder {
 public:
  Intruder(const std::string& url, std::string prefix) : prefix_(std::move(prefix)) {
    EXPECT_EQ(natsConnection_ConnectTo(&connection_, url.c_str()), NATS_OK);
  }
  ~Intruder() { natsConnection_Destroy(connection_); }
  Intruder(const Intruder&) = delete;
  Intruder& operator=(const Intruder&) = delete;

  void Write(const std::string& bucket, const std::string& key, const std::string& value) {
    const std::string subject = fmt::format("$KV.{}-{}.{}", prefix_, bucket, key);
    natsMsg* reply = nullptr;
    EXPECT_EQ(natsConnection_Request(&reply, connection_, subject.c_str(), value.data(),
                                     static_cast<int>(value.size()), 30'000),
              NATS_OK)
        << subject;
    natsMsg_Destroy(reply);
  }

 private:
  const std::string prefix_;
  natsConnection* connection_ = nullptr;
};

struct Hostile {
  const char* name;
  std::string value;
};

std::vector<Hostile> HostileValues() {
  wire::Leader leader;
  leader.epoch = 3;
  leader.holder = "worker-0";
  wire::Heartbeat beat;
  beat.incarnation = beat.number = 1;
  beat.lease_ms = 1000;
  const std::string bomb = wire::Pack(std::string(2 * wire::kMaxDecodedBytes, ' '));
  return {
      {"a compression bomb", bomb},
      {"half a zstd frame", bomb.substr(0, bomb.size() / 2)},
      {"as large as a message may be", R"({"v":1,"x":")" + std::string(1'000'000, 'a') + "\"}"},
      {"many values", R"({"v":1,"x":[)" + std::string(400'000, '[') + "]}"},
      {"a newer version", R"({"v":2,"lease_ms":1000,"anything":{}})"},
      {"a version of the far future", R"({"v":1000000})"},
      {"a version that can't be", R"({"v":-1})"},
      {"a leader record", wire::Encode(leader)},
      {"somebody's heartbeat", wire::Encode(beat)},
      {"escapes", R"({"v":1,"identity":"\u001b[2J\n"})"},
  };
}

// Lines of a worker's log in which it complains of a key.
std::size_t Complaints(const std::string& file, const std::string& key) {
  const std::vector<std::string> lines = ReadLines(file);
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
    return line.find(key) != std::string::npos &&
           (line.find("warning") != std::string::npos || line.find("error") != std::string::npos);
  }));
}

TEST(HostileTest, BombsOversizedValuesAndNewerVersionsInEveryKeyDontStopTheGroup) {
  Cluster cluster;
  for (const char* name : {"a", "b", "c"}) cluster.Start(name);
  ASSERT_EQ(cluster.AwaitSettled(), "");
  Intruder intruder(cluster.server().url(), cluster.prefix());
  for (const Hostile& hostile : HostileValues()) {
    SCOPED_TRACE(hostile.name);
    const std::string id = cluster.observer().View(0).worker;
    for (const char* bucket : {"stableid", "heartbeat", "assignment"}) {
      intruder.Write(bucket, id, hostile.value);
      intruder.Write(bucket, "worker-999", hostile.value);
    }
    for (const char* key : {"leader", "control", "report", "unheard-of"}) {
      intruder.Write("election", key, hostile.value);
    }
    ASSERT_EQ(cluster.AwaitSettled(), "");
  }
  EXPECT_EQ(cluster.Finish(), "");
}

TEST(HostileTest, AKeyThatCannotBeReadIsToldOnceHoweverOftenItIsWritten) {
  Cluster cluster;
  const auto a = cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  Intruder intruder(cluster.server().url(), cluster.prefix());
  for (int i = 0; i < 50; ++i) {
    for (const char* bucket : {"heartbeat", "assignment"}) {
      intruder.Write(bucket, "worker-999", fmt::format("garbage {}", i));
    }
  }
  // What was written last has been seen when a join that came later is settled.
  cluster.Start("b");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  const std::size_t told = Complaints(cluster.ErrorFile(a), "worker-999");
  EXPECT_GE(told, 1U);
  // Of its heartbeat, of its assignment, and each eviction that it took.
  EXPECT_LE(told, 10U) << ReadFile(cluster.ErrorFile(a));
  EXPECT_EQ(cluster.Finish(), "");
}

}  // namespace
}  // namespace parti::test
