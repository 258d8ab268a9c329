// A worker applies a doc only behind a read of the fence that began after the doc was seen (rule
// [2]).
#include "internal/core/applier.h"

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

class NoHost : public Host {
 public:
  void Joined(const Life&, const FirstHeartbeat&) override {}
  void LifeEnded(const std::string&) override {}
  void Left() override {}
  void Elected(const Term&) override {}
  void Deposed() override {}
  void SawLeader(const wire::Entry&) override {}
  void Refuse(absl::Status) override {}
};

wire::Entry DocEntry(const std::string& partition, std::uint64_t epoch = 3) {
  wire::Doc doc;
  doc.epoch = epoch;
  doc.nonce = 7;
  doc.version = 1;
  doc.life_incarnation = 1;
  doc.life_nonce = 5;
  doc.life_lease_ms = 3000;
  doc.owned = {{partition, {epoch, 1}}};
  return {.key = "worker-0", .revision = 5, .deleted = false, .value = wire::Encode(doc)};
}

KvAnswer LeaderAnswer(RequestId request, std::uint64_t epoch = 3) {
  wire::Leader leader;
  leader.epoch = epoch;
  leader.nonce = 7;
  leader.holder = "worker-1";
  KvAnswer answer;
  answer.request = request;
  answer.code = wire::KvCode::kOk;
  answer.entry = {.key = "leader", .revision = 9, .deleted = false, .value = wire::Encode(leader)};
  return answer;
}

template <typename T>
std::vector<T> All(const std::vector<Effect>& effects) {
  std::vector<T> found;
  for (const Effect& effect : effects) {
    if (const T* one = std::get_if<T>(&effect)) found.push_back(*one);
  }
  return found;
}

TEST(ApplierTest, AReadOfTheFenceDoesNotCountForADocOfTheSameRevisionInARecreatedStream) {
  Fixed environment;
  Context context{Settings{}, &environment};
  NoHost host;
  std::vector<Effect> effects;
  context.set_effects(&effects);
  Applier applier(&context, &host, [] {});
  applier.Begin({"worker-0", 1, 5});
  context.FindWatch(All<OpenWatch>(effects).back().watch)->OnEntry(DocEntry("old"));
  const KvGet first = All<KvGet>(effects).back();
  ASSERT_EQ(first.bucket, wire::Bucket::kElection);

  // Its answer is slow. Meanwhile the bucket is recreated, which the poll finds out.
  context.now += 10 * context.settings.lease;
  applier.OnTime();
  const KvGet poll = All<KvGet>(effects).back();
  ASSERT_EQ(poll.bucket, wire::Bucket::kAssignment);
  KvAnswer gone;
  gone.request = poll.request;
  gone.code = wire::KvCode::kNotFound;
  context.OnAnswer(gone);
  context.FindWatch(All<OpenWatch>(effects).back().watch)->OnEntry(DocEntry("new"));
  const KvGet second = All<KvGet>(effects).back();
  ASSERT_EQ(second.bucket, wire::Bucket::kElection);
  ASSERT_NE(second.request, first.request);

  context.OnAnswer(LeaderAnswer(first.request));
  EXPECT_TRUE(All<Claim>(effects).empty()) << "applied behind a read that began too early";
  context.OnAnswer(LeaderAnswer(second.request));
  EXPECT_EQ(All<Claim>(effects).size(), 1U);
}

// A power cut took the doc that was seen back; the next leader's bears the same revision.
TEST(ApplierTest, ADocOfALaterTermCountsUnderARevisionThatTheStreamUsesAgain) {
  Fixed environment;
  Context context{Settings{}, &environment};
  NoHost host;
  std::vector<Effect> effects;
  context.set_effects(&effects);
  Applier applier(&context, &host, [] {});
  applier.Begin({"worker-0", 1, 5});
  Watch* watch = context.FindWatch(All<OpenWatch>(effects).back().watch);
  watch->OnEntry(DocEntry("lost"));
  context.OnAnswer(LeaderAnswer(All<KvGet>(effects).back().request, 4));
  EXPECT_TRUE(All<Claim>(effects).empty());

  watch->OnEntry(DocEntry("kept", 4));
  context.OnAnswer(LeaderAnswer(All<KvGet>(effects).back().request, 4));
  ASSERT_EQ(All<Claim>(effects).size(), 1U);
  EXPECT_EQ(All<Claim>(effects).back().partitions.front().id, "kept");

  watch->OnEntry(DocEntry("lost"));  // late
  EXPECT_EQ(All<KvGet>(effects).size(), 2U);
}

}  // namespace
}  // namespace parti::core
