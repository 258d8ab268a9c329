// The KV on a real server: compare-and-set, watches, and what becomes of both when the server
// fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "internal/kv/nats_kv.h"
#include "test/integration/kv_client.h"
#include "test/support/support.h"

namespace parti {
namespace {

using kv::NatsKvOptions;
using test::Admin;
using test::KvClient;
using test::WaitFor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::Bucket;
using wire::KvCode;
using Clock = std::chrono::steady_clock;

class KvTest : public ::testing::Test {
 protected:
  NatsKvOptions Options(Storage storage = Storage::kFile) const {
    NatsKvOptions options;
    options.nats.url = server_->url();
    options.storage = storage;
    return options;
  }

  std::unique_ptr<test::NatsServer> server_ = test::StartServer();
};

std::vector<std::string> Keys(const std::vector<wire::Entry>& entries) {
  std::vector<std::string> keys;
  for (const wire::Entry& entry : entries) keys.push_back(entry.key);
  return keys;
}

bool Rising(const std::vector<wire::Entry>& entries) {
  return std::is_sorted(entries.begin(), entries.end(),
                        [](const auto& a, const auto& b) { return a.revision < b.revision; });
}

TEST_F(KvTest, PutIsACompareAndSet) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());

  const auto created = client.Put(Bucket::kHeartbeat, "worker-0", 0, "one");
  ASSERT_EQ(created.code, KvCode::kOk) << created.error;
  EXPECT_EQ(client.Put(Bucket::kHeartbeat, "worker-0", 0, "again").code, KvCode::kConflict);

  const auto updated = client.Put(Bucket::kHeartbeat, "worker-0", created.revision, "two");
  ASSERT_EQ(updated.code, KvCode::kOk) << updated.error;
  EXPECT_GT(updated.revision, created.revision);
  EXPECT_EQ(client.Put(Bucket::kHeartbeat, "worker-0", created.revision, "late").code,
            KvCode::kConflict);

  const auto read = client.Get(Bucket::kHeartbeat, "worker-0");
  ASSERT_EQ(read.code, KvCode::kOk) << read.error;
  EXPECT_EQ(read.entry.key, "worker-0");
  EXPECT_EQ(read.entry.value, "two");
  EXPECT_EQ(read.entry.revision, updated.revision);
  EXPECT_FALSE(read.entry.deleted);
}

// One clock, the server's, so that ages can be told without comparing two machines' clocks.
TEST_F(KvTest, AWatchTellsWhenValuesWereStoredAndWhenItWasOpenedByTheServersClock) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  client.Put(Bucket::kHeartbeat, "worker-0", 0, "one");
  client.Put(Bucket::kHeartbeat, "worker-1", 0, "two");
  const auto id = client.OpenUntilComplete(Bucket::kHeartbeat);
  client.Put(Bucket::kHeartbeat, "worker-2", 0, "three");
  ASSERT_TRUE(client.AwaitEntries(id, 3));
  const KvClient::WatchView watch = client.Watch(id);
  EXPECT_GT(watch.entries[0].stored_at, 0);
  EXPECT_LT(watch.entries[0].stored_at, watch.entries[1].stored_at);
  EXPECT_LT(watch.entries[1].stored_at, watch.opened_at);
  EXPECT_LT(watch.opened_at, watch.entries[2].stored_at);
}

TEST_F(KvTest, ValuesAreBytes) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  std::string value;
  for (int i = 0; i < 70'000; ++i) value += static_cast<char>(i * 31 / 7);
  ASSERT_EQ(client.Put(Bucket::kAssignment, "worker-0", 0, value).code, KvCode::kOk);
  ASSERT_EQ(client.Put(Bucket::kAssignment, "worker-1", 0, "").code, KvCode::kOk);
  EXPECT_EQ(client.Get(Bucket::kAssignment, "worker-0").entry.value, value);
  EXPECT_EQ(client.Get(Bucket::kAssignment, "worker-1").entry.value, "");
  const auto watch = client.Open(Bucket::kAssignment, "worker-0");
  ASSERT_TRUE(client.AwaitEntries(watch, 1));
  EXPECT_EQ(client.Watch(watch).entries[0].value, value);
}

TEST_F(KvTest, TheLargestValueFitsAndOneMoreIsRefused) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const std::string largest(client.kv().MaxValueBytes(), 'x');
  ASSERT_EQ(client.Put(Bucket::kAssignment, "worker-0", 0, largest).code, KvCode::kOk);
  EXPECT_EQ(client.Get(Bucket::kAssignment, "worker-0").entry.value, largest);
  const auto refused = client.Put(Bucket::kAssignment, "worker-1", 0, largest + "x");
  EXPECT_EQ(refused.code, KvCode::kRefused);
  EXPECT_THAT(refused.error, HasSubstr("max_payload"));
  EXPECT_EQ(client.Get(Bucket::kAssignment, "worker-1").code, KvCode::kNotFound);
}

TEST_F(KvTest, InvalidKeysAreRefused) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  for (const char* const key : {"", "a b", "*", "a.>", ".a", "a..b"}) {
    EXPECT_EQ(client.Put(Bucket::kStableId, key, 0, "x").code, KvCode::kRefused) << key;
    EXPECT_EQ(client.Get(Bucket::kStableId, key).code, KvCode::kRefused) << key;
  }
}

TEST_F(KvTest, ADeleteMarkerIsAnEntryAndIsReplacedByItsRevision) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  EXPECT_EQ(client.Get(Bucket::kElection, "leader").code, KvCode::kNotFound);
  ASSERT_EQ(client.Put(Bucket::kElection, "leader", 0, "me").code, KvCode::kOk);
  const auto watch = client.Open(Bucket::kElection, "leader");
  ASSERT_TRUE(client.AwaitEnd(watch));

  Admin admin(server_->url());
  const std::uint64_t marker = admin.DeleteKey("$KV.parti-election.leader")["seq"];
  const auto read = client.Get(Bucket::kElection, "leader");
  ASSERT_EQ(read.code, KvCode::kOk) << read.error;
  EXPECT_TRUE(read.entry.deleted);
  EXPECT_EQ(read.entry.revision, marker);
  EXPECT_EQ(read.entry.value, "");
  ASSERT_TRUE(client.AwaitEntries(watch, 2));
  EXPECT_TRUE(client.Watch(watch).entries[1].deleted);

  EXPECT_EQ(client.Put(Bucket::kElection, "leader", 0, "you").code, KvCode::kConflict);
  EXPECT_EQ(client.Put(Bucket::kElection, "leader", marker, "you").code, KvCode::kOk);
}

TEST_F(KvTest, EveryMarkOfADeletionCounts) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto watch = client.Open(Bucket::kElection, "leader");
  ASSERT_TRUE(client.AwaitEnd(watch));
  Admin admin(server_->url());
  std::size_t marks = 0;
  for (const auto& [header, mark] : {std::pair{"KV-Operation", "PURGE"},
                                     {"Nats-Marker-Reason", "MaxAge"},
                                     {"Nats-Marker-Reason", "Purge"},
                                     {"Nats-Marker-Reason", "Remove"}}) {
    ASSERT_TRUE(admin.DeleteKey("$KV.parti-election.leader", header, mark).contains("seq")) << mark;
    EXPECT_TRUE(client.Get(Bucket::kElection, "leader").entry.deleted) << mark;
    ASSERT_TRUE(client.AwaitEntries(watch, ++marks));
    EXPECT_TRUE(client.Watch(watch).entries.back().deleted) << mark;
  }
}

TEST_F(KvTest, InfoTellsIdentityAndEnd) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto empty = client.Info(Bucket::kStableId);
  ASSERT_EQ(empty.code, KvCode::kOk) << empty.error;
  EXPECT_EQ(empty.stream.last_seq, 0u);
  EXPECT_GT(empty.stream.stream_id, 1'600'000'000'000'000'000u);

  client.Put(Bucket::kStableId, "a", 0, "1");
  const auto put = client.Put(Bucket::kStableId, "b", 0, "2");
  const auto two = client.Info(Bucket::kStableId);
  EXPECT_EQ(two.stream.stream_id, empty.stream.stream_id);
  EXPECT_EQ(two.stream.last_seq, put.revision);

  Admin admin(server_->url());
  admin.Ask("$JS.API.STREAM.PURGE.KV_parti-stableid", {{"filter", "$KV.parti-stableid.b"}});
  const auto purged = client.Info(Bucket::kStableId);
  EXPECT_EQ(purged.stream.last_seq, put.revision);
  const auto watch = client.Open(Bucket::kStableId);
  ASSERT_TRUE(client.AwaitEnd(watch));
  EXPECT_TRUE(client.Watch(watch).end->last_seq_gone);
  EXPECT_EQ(client.Watch(watch).end->last_seq, put.revision);
  EXPECT_THAT(Keys(client.Watch(watch).entries), ElementsAre("a"));
}

TEST_F(KvTest, AWatchGivesTheSnapshotThenEachChangeInOrder) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  for (const char* const key : {"a", "b", "c"}) client.Put(Bucket::kHeartbeat, key, 0, "old");
  const auto newest = client.Put(Bucket::kHeartbeat, "a", 1, "new");
  const auto watch = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(watch));
  const auto snapshot = client.Watch(watch);
  EXPECT_THAT(Keys(snapshot.entries), ElementsAre("b", "c", "a"));
  EXPECT_EQ(snapshot.entries.back().value, "new");
  EXPECT_EQ(snapshot.entries_before_end, 3u);
  EXPECT_EQ(snapshot.end->last_seq, newest.revision);
  EXPECT_EQ(snapshot.end->stream_id, client.Info(Bucket::kHeartbeat).stream.stream_id);

  std::uint64_t revision = newest.revision;
  for (int i = 0; i < 100; ++i) {
    revision = client.Put(Bucket::kHeartbeat, "a", revision, std::to_string(i)).revision;
  }
  ASSERT_TRUE(client.AwaitEntries(watch, 103));
  const auto view = client.Watch(watch);
  EXPECT_TRUE(Rising(view.entries));
  EXPECT_EQ(view.entries.back().value, "99");
  EXPECT_EQ(view.breaks, 0);
}

TEST_F(KvTest, AWatchOfAnEmptyBucketEndsAtOnce) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto watch = client.Open(Bucket::kAssignment);
  ASSERT_TRUE(client.AwaitEnd(watch));
  EXPECT_TRUE(client.Watch(watch).entries.empty());
  EXPECT_EQ(client.Watch(watch).end->last_seq, 0u);
}

TEST_F(KvTest, ASnapshotOfManyKeysIsComplete) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  constexpr std::size_t kKeys = 3'000;
  std::vector<core::RequestId> puts;
  for (std::size_t i = 0; i < kKeys; ++i) {
    puts.push_back(
        client.SendPut(Bucket::kHeartbeat, "w-" + std::to_string(i), 0, std::string(500, 'x')));
  }
  for (const auto put : puts) ASSERT_EQ(client.Await(put).code, KvCode::kOk);
  const auto watch = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(watch)) << client.Watch(watch).reason;
  const auto view = client.Watch(watch);
  EXPECT_EQ(view.entries_before_end, kKeys);
  EXPECT_TRUE(Rising(view.entries));
}

TEST_F(KvTest, ASnapshotEndsWhileItsKeysAreRewrittenAndRemoved) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  Admin admin(server_->url());
  std::vector<core::RequestId> puts;
  for (int i = 0; i < 500; ++i) {
    puts.push_back(client.SendPut(Bucket::kHeartbeat, "w-" + std::to_string(i), 0, "x"));
  }
  for (const auto put : puts) ASSERT_EQ(client.Await(put).code, KvCode::kOk);
  for (int round = 0; round < 20; ++round) {
    const auto watch = client.Open(Bucket::kHeartbeat);
    const std::string key = "w-" + std::to_string(499 - round);
    if (round % 2 == 0) {
      const auto now = client.Get(Bucket::kHeartbeat, key);
      client.SendPut(Bucket::kHeartbeat, key, now.revision, "y");
    } else {
      admin.Ask("$JS.API.STREAM.PURGE.KV_parti-heartbeat",
                {{"filter", "$KV.parti-heartbeat." + key}});
    }
    ASSERT_TRUE(client.AwaitEnd(watch)) << client.Watch(watch).reason;
    EXPECT_TRUE(Rising(client.Watch(watch).entries));
    client.kv().Close({watch});
  }
}

// Under constant writing the message that was last when a watch asked is soon replaced. That it is
// gone doesn't say that what stands before it was delivered.
TEST_F(KvTest, AnEndIsNotReachedByItsLastMessageBeingReplaced) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  natsConnection* connection = nullptr;
  ASSERT_EQ(natsConnection_ConnectTo(&connection, server_->url().c_str()), NATS_OK);
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string key = i % 2 == 0 ? "hot" : "w-" + std::to_string(i / 2 % 200);
      const std::string subject = "$KV.parti-heartbeat." + key;
      natsConnection_PublishString(connection, subject.c_str(), "x");
      if (i % 16 == 0) natsConnection_FlushTimeout(connection, 10'000);
    }
  });
  for (int round = 0; round < 100; ++round) {
    const auto watch = client.Open(Bucket::kHeartbeat);
    if (!WaitFor([&] { return client.Watch(watch).end || client.Watch(watch).breaks > 0; })) {
      ADD_FAILURE() << "no end";
      break;
    }
    const auto beyond = [&] {
      const auto view = client.Watch(watch);
      return view.breaks > 0 ||
             (!view.entries.empty() && view.entries.back().revision > view.end->last_seq);
    };
    EXPECT_TRUE(WaitFor(beyond));
    const auto view = client.Watch(watch);
    client.kv().Close({watch});
    if (!view.end || !view.end->last_seq_gone) continue;
    for (std::size_t i = view.entries_before_end; i < view.entries.size(); ++i) {
      EXPECT_GT(view.entries[i].revision, view.end->last_seq)
          << view.entries[i].key << " came after the end of round " << round;
    }
  }
  stop = true;
  writer.join();
  natsConnection_Destroy(connection);
}

TEST_F(KvTest, WatchesOfOneKeyAndOfAllAreIndependent) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  client.Put(Bucket::kAssignment, "worker-0", 0, "0");
  client.Put(Bucket::kAssignment, "worker-1", 0, "1");
  const auto one = client.Open(Bucket::kAssignment, "worker-1");
  const auto all = client.Open(Bucket::kAssignment);
  const auto other = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(one) && client.AwaitEnd(all) && client.AwaitEnd(other));
  client.Put(Bucket::kAssignment, "worker-2", 0, "2");
  client.Put(Bucket::kAssignment, "worker-1", 2, "new");
  ASSERT_TRUE(client.AwaitEntries(one, 2) && client.AwaitEntries(all, 4));
  EXPECT_THAT(Keys(client.Watch(one).entries), ElementsAre("worker-1", "worker-1"));
  EXPECT_THAT(Keys(client.Watch(all).entries),
              ElementsAre("worker-0", "worker-1", "worker-2", "worker-1"));
  EXPECT_TRUE(client.Watch(other).entries.empty());

  client.kv().Close({all});
  client.Put(Bucket::kAssignment, "worker-1", 4, "newer");
  ASSERT_TRUE(client.AwaitEntries(one, 3));
  EXPECT_EQ(client.Watch(all).entries.size(), 4u);
}

TEST_F(KvTest, ClosedWatchesLeaveNoConsumersBehind) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  Admin admin(server_->url());
  for (int i = 0; i < 50; ++i) {
    const auto watch = client.Open(Bucket::kElection);
    if (i % 2 == 0) {
      ASSERT_TRUE(client.AwaitEnd(watch));
    }
    client.kv().Close({watch});
  }
  EXPECT_TRUE(WaitFor([&] { return admin.Consumers("KV_parti-election") == 0; }));
}

TEST_F(KvTest, ADeletedConsumerBreaksItsWatch) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto watch = client.Open(Bucket::kElection);
  ASSERT_TRUE(client.AwaitEnd(watch));
  Admin admin(server_->url());
  const auto names = admin.Ask("$JS.API.CONSUMER.NAMES.KV_parti-election");
  ASSERT_EQ(names["consumers"].size(), 1u);
  admin.Ask("$JS.API.CONSUMER.DELETE.KV_parti-election." +
            names["consumers"][0].get<std::string>());
  ASSERT_TRUE(client.AwaitBroken(watch));
  EXPECT_EQ(client.Watch(watch).breaks, 1);
  EXPECT_EQ(client.Get(Bucket::kElection, "leader").code, KvCode::kNotFound);
}

TEST_F(KvTest, AKilledServerBreaksWatchesAndItsFilesComeBack) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto put = client.Put(Bucket::kStableId, "worker-0", 0, "me");
  const auto id = client.Info(Bucket::kStableId).stream.stream_id;
  const auto watch = client.Open(Bucket::kStableId);
  ASSERT_TRUE(client.AwaitEnd(watch));

  server_->Kill();
  ASSERT_TRUE(client.AwaitBroken(watch));
  ASSERT_TRUE(WaitFor([&] { return !client.Connected(); }));
  EXPECT_EQ(client.Put(Bucket::kStableId, "worker-0", put.revision, "x").code, KvCode::kUnknown);
  EXPECT_EQ(client.Get(Bucket::kStableId, "worker-0").code, KvCode::kUnknown);
  const auto early = client.Open(Bucket::kStableId);
  ASSERT_TRUE(client.AwaitBroken(early));

  test::RestartServer(*server_);
  ASSERT_TRUE(WaitFor([&] { return client.Connected(); }));
  EXPECT_THAT(client.Connections(), ElementsAre(true, false, true));
  EXPECT_EQ(client.Info(Bucket::kStableId).stream.stream_id, id);
  const auto again = client.OpenUntilComplete(Bucket::kStableId);
  ASSERT_EQ(client.Watch(again).entries.size(), 1u);
  EXPECT_EQ(client.Watch(again).entries[0].revision, put.revision);
  EXPECT_EQ(client.Put(Bucket::kStableId, "worker-0", put.revision, "y").code, KvCode::kOk);
  EXPECT_EQ(client.Watch(watch).breaks, 1);
  EXPECT_EQ(client.Watch(watch).entries.size(), 1u);
}

TEST_F(KvTest, MemoryBucketsAreMadeAgainByALaterServer) {
  KvClient client(Options(Storage::kMemory));
  ASSERT_TRUE(client.WaitReady().ok());
  ASSERT_EQ(client.Put(Bucket::kElection, "leader", 0, "me").code, KvCode::kOk);
  const auto id = client.Info(Bucket::kElection).stream.stream_id;
  test::RestartServer(*server_);
  ASSERT_TRUE(WaitFor([&] { return client.Connections().size() == 3; }));
  EXPECT_EQ(client.Get(Bucket::kElection, "leader").code, KvCode::kNotFound);
  EXPECT_NE(client.Info(Bucket::kElection).stream.stream_id, id);
  EXPECT_EQ(client.Put(Bucket::kElection, "leader", 0, "me").code, KvCode::kOk);
}

TEST_F(KvTest, ABucketDeletedByHandBreaksItsWatchAndIsMadeAgain) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  client.Put(Bucket::kHeartbeat, "worker-0", 0, "me");
  const auto id = client.Info(Bucket::kHeartbeat).stream.stream_id;
  const auto watch = client.Open(Bucket::kHeartbeat);
  const auto other = client.Open(Bucket::kElection);
  ASSERT_TRUE(client.AwaitEnd(watch) && client.AwaitEnd(other));

  Admin admin(server_->url());
  admin.Ask("$JS.API.STREAM.DELETE.KV_parti-heartbeat");
  ASSERT_TRUE(client.AwaitBroken(watch));
  ASSERT_TRUE(WaitFor([&] { return client.Info(Bucket::kHeartbeat).code == KvCode::kOk; }));
  EXPECT_NE(client.Info(Bucket::kHeartbeat).stream.stream_id, id);
  const auto again = client.OpenUntilComplete(Bucket::kHeartbeat);
  EXPECT_TRUE(client.Watch(again).entries.empty());
  EXPECT_EQ(client.Watch(other).breaks, 0);
  EXPECT_THAT(client.Connections(), ElementsAre(true));
}

TEST_F(KvTest, AFrozenServerAnswersNothingAndIsNoticed) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto put = client.Put(Bucket::kElection, "leader", 0, "me");
  const auto watch = client.Open(Bucket::kElection);
  ASSERT_TRUE(client.AwaitEnd(watch));
  server_->Pause();
  const auto unanswered =
      client.SendPut(Bucket::kElection, "leader", put.revision, "late", 200 * core::kMillisecond);
  EXPECT_EQ(client.Await(unanswered).code, KvCode::kUnknown);
  ASSERT_TRUE(client.AwaitBroken(watch));
  ASSERT_TRUE(WaitFor([&] { return !client.Connected(); }));
  server_->Resume();
  ASSERT_TRUE(WaitFor([&] { return client.Connected(); }));
  // It was on its way to the frozen server, which has carried it out by now, or never will.
  const auto read = client.Get(Bucket::kElection, "leader");
  ASSERT_EQ(read.code, KvCode::kOk);
  EXPECT_TRUE(read.entry.value == "late" || read.entry.value == "me");
  EXPECT_EQ(client.AnswersTo(unanswered), 1u);
}

TEST_F(KvTest, ThousandsOfPutsInFlightAreEachAnsweredOnce) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto watch = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(watch));
  std::vector<core::RequestId> puts;
  for (int i = 0; i < 2'000; ++i) {
    puts.push_back(client.SendPut(Bucket::kHeartbeat, "w-" + std::to_string(i), 0, "x"));
  }
  std::set<std::uint64_t> revisions;
  for (const auto put : puts) {
    const auto answer = client.Await(put);
    ASSERT_EQ(answer.code, KvCode::kOk) << answer.error;
    revisions.insert(answer.revision);
    EXPECT_EQ(client.AnswersTo(put), 1u);
  }
  EXPECT_EQ(revisions.size(), puts.size());
  ASSERT_TRUE(client.AwaitEntries(watch, puts.size()));
  EXPECT_TRUE(Rising(client.Watch(watch).entries));
}

TEST_F(KvTest, EveryPutIsAnsweredOnceThroughServerKills) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  std::vector<core::RequestId> puts;
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(client.WaitReady().ok());
    for (int i = 0; i < 500; ++i) {
      const std::string key = "w-" + std::to_string(round) + "-" + std::to_string(i);
      puts.push_back(client.SendPut(Bucket::kHeartbeat, key, 0, std::string(1'000, 'x')));
    }
    ASSERT_TRUE(WaitFor([&] { return client.AnswersTo(puts[puts.size() - 400]) > 0; }));
    server_->Kill();
    test::RestartServer(*server_);
  }
  for (const auto put : puts) {
    const KvCode code = client.Await(put).code;
    EXPECT_TRUE(code == KvCode::kOk || code == KvCode::kUnknown);
  }
  for (const auto put : puts) EXPECT_EQ(client.AnswersTo(put), 1u);
}

TEST_F(KvTest, ShutdownUnderFireIsQuietAfterwards) {
  for (int round = 0; round < 15; ++round) {
    KvClient client(Options(Storage::kMemory));
    ASSERT_TRUE(client.WaitReady().ok());
    const auto watch = client.Open(Bucket::kHeartbeat);
    ASSERT_TRUE(client.AwaitEnd(watch));
    std::thread fire([&] {
      for (int i = 0; i < 2'000; ++i) {
        client.SendPut(Bucket::kHeartbeat,
                       "w-" + std::to_string(round) + "-" + std::to_string(i % 500), 0, "x");
      }
    });
    ASSERT_TRUE(client.AwaitEntries(watch, 20 + 10 * static_cast<std::size_t>(round)));
    client.kv().Shutdown();
    const std::size_t events = client.EventCount();
    fire.join();
    client.kv().Shutdown();
    EXPECT_EQ(client.EventCount(), events);
  }
}

TEST_F(KvTest, ShutdownDoesNotWaitForAHungServer) {
  KvClient client(Options());
  ASSERT_TRUE(client.WaitReady().ok());
  const auto watch = client.Open(Bucket::kHeartbeat);
  ASSERT_TRUE(client.AwaitEnd(watch));
  server_->Pause();
  client.SendPut(Bucket::kHeartbeat, "w", 0, std::string(100'000, 'x'));
  const auto before = Clock::now();
  client.kv().Shutdown();
  EXPECT_LT(Clock::now() - before, test::kDeadline);
}

TEST_F(KvTest, ShutdownWhileConnectingToAHungServer) {
  server_->Pause();
  KvClient client(Options());
  EXPECT_FALSE(client.kv().WaitReady(std::chrono::milliseconds(100)).ok());
  client.kv().Shutdown();
  EXPECT_EQ(client.kv().WaitReady(test::kDeadline).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client.EventCount(), 0u);
}

TEST(KvWithoutServerTest, WaitsForTheServerToStart) {
  const auto server = test::StartServer({.start = false});
  NatsKvOptions options;
  options.nats.url = server->url();
  KvClient client(options);
  const auto watch = client.Open(Bucket::kElection);
  EXPECT_EQ(client.Put(Bucket::kElection, "leader", 0, "x").code, KvCode::kUnknown);
  EXPECT_EQ(client.Info(Bucket::kElection).code, KvCode::kUnknown);
  EXPECT_TRUE(client.AwaitBroken(watch));
  EXPECT_EQ(client.kv().WaitReady(std::chrono::milliseconds(300)).code(),
            absl::StatusCode::kUnavailable);
  test::RestartServer(*server);
  ASSERT_TRUE(client.WaitReady().ok());
  EXPECT_EQ(client.Put(Bucket::kElection, "leader", 0, "x").code, KvCode::kOk);
}

TEST(KvWithoutServerTest, SecondUrlIsTriedToo) {
  const auto none = test::StartServer({.start = false});
  const auto server = test::StartServer();
  NatsKvOptions options;
  options.nats.url = none->url() + ", " + server->url();
  KvClient client(options);
  EXPECT_TRUE(client.WaitReady().ok());
}

TEST_F(KvTest, ManyAtOnceCreateTheSameBuckets) {
  std::vector<std::unique_ptr<KvClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<KvClient>(Options()));
  for (const auto& client : clients) {
    const absl::Status ready = client->WaitReady();
    EXPECT_TRUE(ready.ok()) << ready.ToString();
  }
  Admin admin(server_->url());
  const auto names = admin.Ask("$JS.API.STREAM.NAMES")["streams"];
  EXPECT_EQ(names, nlohmann::json({"KV_parti-assignment", "KV_parti-election", "KV_parti-heartbeat",
                                   "KV_parti-stableid"}));
  const auto config = admin.Ask("$JS.API.STREAM.INFO.KV_parti-heartbeat")["config"];
  EXPECT_EQ(config["max_age"], 120 * core::kSecond);
  EXPECT_EQ(config.value("allow_direct", false), false);
}

// The answer to WaitReady with a bucket made beforehand.
absl::Status ReadyWith(const test::NatsServer& server, const NatsKvOptions& options,
                       const std::string& bucket, const nlohmann::json& changes) {
  Admin admin(server.url());
  nlohmann::json config = {{"name", "KV_" + bucket},    {"subjects", {"$KV." + bucket + ".>"}},
                           {"storage", "file"},         {"num_replicas", 1},
                           {"max_msgs_per_subject", 1}, {"discard", "new"}};
  config.update(changes);
  // nats-server 2.10 may still be removing the files of a stream that it said is deleted.
  nlohmann::json created;
  EXPECT_TRUE(WaitFor([&] {
    created = admin.Ask("$JS.API.STREAM.CREATE.KV_" + bucket, config);
    return !created.contains("error");
  })) << created;
  KvClient client(options);
  const absl::Status ready = client.WaitReady();
  client.kv().Shutdown();
  const nlohmann::json names = admin.Ask("$JS.API.STREAM.NAMES");
  for (const nlohmann::json& stream : names["streams"]) {
    admin.Ask("$JS.API.STREAM.DELETE." + stream.get<std::string>());
  }
  return ready;
}

TEST_F(KvTest, BucketsMadeBeforehandAreBoundIfTheyFit) {
  for (const nlohmann::json& changes : std::vector<nlohmann::json>{
           nlohmann::json::object(),
           {{"allow_direct", true}, {"deny_delete", true}, {"allow_rollup_hdrs", true}},
           {{"discard", "old"}, {"description", "made by hand"}},
           {{"max_bytes", 1'000'000}}}) {
    const absl::Status ready = ReadyWith(*server_, Options(), "parti-stableid", changes);
    EXPECT_TRUE(ready.ok()) << changes << ready.ToString();
  }
  const nlohmann::json other_ttl = {{"max_age", 60 * core::kSecond}};
  EXPECT_TRUE(ReadyWith(*server_, Options(), "parti-heartbeat", other_ttl).ok());
}

TEST_F(KvTest, UnfitBucketsAreRefusedWithTheDifference) {
  const struct {
    std::string bucket;
    nlohmann::json changes;
    std::string text;
  } cases[] = {
      {"parti-stableid", {{"max_msgs_per_subject", 5}}, "max_msgs_per_subject is 5, but must be 1"},
      {"parti-stableid", {{"storage", "memory"}}, "storage is \"memory\", but must be \"file\""},
      {"parti-election", {{"max_age", core::kSecond}}, "max_age is 1000000000, but must be 0"},
      {"parti-heartbeat", {{"max_age", core::kSecond}}, "max_age is 1000000000, but must be 0 or"},
      {"parti-assignment", {{"max_msgs", 10}, {"discard", "old"}}, "max_msgs is 10"},
      {"parti-assignment", {{"no_ack", true}}, "no_ack is true"},
      {"parti-assignment", {{"subjects", {"$KV.parti-assignment.a"}}}, "subjects is"},
  };
  for (const auto& one : cases) {
    const absl::Status ready = ReadyWith(*server_, Options(), one.bucket, one.changes);
    EXPECT_EQ(ready.code(), absl::StatusCode::kFailedPrecondition) << ready.ToString();
    EXPECT_THAT(std::string(ready.message()), HasSubstr("bucket " + one.bucket));
    EXPECT_THAT(std::string(ready.message()), HasSubstr(one.text));
  }
}

TEST_F(KvTest, ReplicasNeedANewerServer) {
  NatsKvOptions options = Options();
  options.replicas = 3;
  KvClient client(options);
  const absl::Status ready = client.WaitReady();
  // An older server is refused for its compare-and-set; a newer one that stands alone refuses
  // itself.
  EXPECT_EQ(ready.code(), absl::StatusCode::kFailedPrecondition) << ready.ToString();
  EXPECT_THAT(std::string(ready.message()), HasSubstr("replicas is 3"));
  EXPECT_THAT(std::string(ready.message()), HasSubstr("to 1"));
}

TEST(KvRightsTest, WrongCredentialsAndMissingPermissionsAreTold) {
  const auto server = test::StartServer(
      {.extra_config = "authorization { users = [\n"
                       "{user: all, password: secret},\n"
                       "{user: some, password: secret, permissions: {publish: {deny: "
                       "\"$KV.parti-election.>\"}}}] }"});
  const std::string host = server->url().substr(std::string("nats://").size());
  NatsKvOptions options;
  options.nats.url = "nats://all:wrong@" + host;
  {
    KvClient client(options);
    const absl::Status ready = client.WaitReady();
    EXPECT_EQ(ready.code(), absl::StatusCode::kUnauthenticated) << ready.ToString();
    EXPECT_THAT(std::string(ready.message()), Not(HasSubstr("wrong")));
  }
  options.nats.url = "nats://some:secret@" + host;
  KvClient client(options);
  ASSERT_TRUE(client.WaitReady().ok());
  const auto refused = client.Put(Bucket::kElection, "leader", 0, "x");
  EXPECT_EQ(refused.code, KvCode::kRefused) << refused.error;
  EXPECT_EQ(client.Put(Bucket::kHeartbeat, "worker-0", 0, "x").code, KvCode::kOk);
  ASSERT_TRUE(WaitFor([&] { return !client.Errors().empty(); }));
  EXPECT_EQ(client.Errors().back().code(), absl::StatusCode::kPermissionDenied);
}

TEST(KvOptionsTest, WhatCannotWorkIsRefusedAtOnce) {
  const auto check = [](const NatsKvOptions& options) {
    return kv::NatsKv::Create(options, [](const core::Event&) {}).status().code();
  };
  NatsKvOptions options;
  options.nats.url = " , ";
  EXPECT_EQ(check(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.prefix = "a.b";
  EXPECT_EQ(check(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.replicas = 6;
  EXPECT_EQ(check(options), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace parti
