#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "internal/wire/kv_types.h"
#include "internal/wire/limits.h"
#include "internal/wire/pack.h"
#include "internal/wire/records.h"
#include "test/support/wire_records.h"

namespace parti::wire {
namespace {

using ::testing::HasSubstr;

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// The bytes are a contract between releases: these change only together with kWireVersion.
TEST(WireGolden, Claim) {
  EXPECT_EQ(Encode(SomeClaim()),
            R"({"v":1,"identity":"host-a:77","incarnation":7,"nonce":"fedcba9876543210",)"
            R"("lease_ms":3000,"process":{"boot":"6f2d1c3e","pidns":4026531836,"pid":77,)"
            R"("start":123456}})");
}

TEST(WireGolden, Leader) {
  EXPECT_EQ(Encode(SomeLeader()),
            R"({"v":1,"epoch":3,"nonce":"0123456789abcdef","holder":"worker-0","renewals":12,)"
            R"("released":false,"mode":"exclusive","streams":{"assignment":"17d0000000000001",)"
            R"("heartbeat":"0000000000000000"},"beat":{"nonce":"00000000000000ff","number":41}})");
}

TEST(WireGolden, Heartbeat) {
  EXPECT_EQ(Encode(SomeHeartbeat()),
            R"({"v":1,"kind":"live","life":7,"nonce":"00000000000000ff","number":42,)"
            R"("lease_ms":3000,"applied":19,"applied_nonce":"0000000000000abc","epoch":3,)"
            R"("capacity":2,"state":"Stable"})");
  EXPECT_EQ(Encode(FullHeartbeat()),
            R"({"v":1,"kind":"live","life":7,"nonce":"00000000000000ff","number":42,)"
            R"("lease_ms":3000,"applied":19,"applied_nonce":"0000000000000abc","epoch":3,)"
            R"("capacity":2,"state":"Stable","labels":{"rack":"r1","zone":"z\"1\""},)"
            R"("refused":[{"id":"p-1","epoch":3,"version":8,"why":"no room\n"}]})");
}

TEST(WireGolden, Tombstone) {
  EXPECT_EQ(Encode(Tombstone()),
            R"({"v":1,"kind":"evicted","life":0,"nonce":"0000000000000000","number":0,)"
            R"("lease_ms":3000,"applied":0,"applied_nonce":"0000000000000000","epoch":0,)"
            R"("capacity":1,"state":"","replaced":17,"evicted_by":4})");
}

TEST(WireGolden, Doc) {
  EXPECT_EQ(Encode(SomeDoc()),
            R"({"v":1,"epoch":3,"nonce":"0000000000000abc","version":9,"life":{"incarnation":7,)"
            R"("nonce":"00000000000000ff","lease_ms":3000},)"
            R"("owned":[[2,5,["p-2"]],[3,9,["p-1","p-3"]]],"releasing":["p-0","p-9"]})");
}

TEST(WireGolden, Control) {
  EXPECT_EQ(Encode(SomeControl()), R"({"v":1,"paused":true,"drained":["worker-1","worker-4"],)"
                                   R"("pins":[["p-1","worker-0"],["p-7","worker-0"]]})");
  EXPECT_EQ(Encode(Control{}), R"({"v":1,"paused":false,"drained":[],"pins":[]})");
}

TEST(WireGolden, Report) {
  EXPECT_EQ(Encode(SomeReport()),
            R"({"v":1,"epoch":3,"nonce":"0000000000000abc","leader":"worker-0","state":"Idle",)"
            R"("version":9,"cause":"1 joined","listed":true,"partitions":24,"unassigned":2,)"
            R"("sample":["p-3","p-5"],"control":77,"settled":false,)"
            R"("problems":["p-7 is pinned to worker-0, which is drained"]})");
}

TEST(WireRoundTrip, EveryRecord) {
  EXPECT_EQ(DecodeControl(Encode(SomeControl())).value(), SomeControl());
  EXPECT_EQ(DecodeControl(Encode(Control{})).value(), Control{});
  EXPECT_EQ(DecodeReport(Encode(SomeReport())).value(), SomeReport());
  EXPECT_EQ(DecodeClaim(Encode(SomeClaim())).value(), SomeClaim());
  EXPECT_EQ(DecodeLeader(Encode(SomeLeader())).value(), SomeLeader());
  EXPECT_EQ(DecodeHeartbeat(Encode(SomeHeartbeat())).value(), SomeHeartbeat());
  EXPECT_EQ(DecodeHeartbeat(Encode(FullHeartbeat())).value(), FullHeartbeat());
  EXPECT_EQ(DecodeHeartbeat(Encode(Tombstone())).value(), Tombstone());
  EXPECT_EQ(DecodeDoc(Encode(SomeDoc())).value(), SomeDoc());
}

TEST(WireRoundTrip, EveryEnumerator) {
  Leader leader = SomeLeader();
  leader.mode = Mode::kFast;
  leader.released = true;
  EXPECT_EQ(DecodeLeader(Encode(leader)).value(), leader);
  Heartbeat left = FullHeartbeat();
  left.kind = HeartbeatKind::kLeft;
  EXPECT_EQ(DecodeHeartbeat(Encode(left)).value(), left);
}

TEST(WireRoundTrip, ExtremeNumbers) {
  Heartbeat heartbeat = SomeHeartbeat();
  heartbeat.incarnation = heartbeat.number = heartbeat.applied_revision = heartbeat.highest_epoch =
      kMaxExactInteger;
  heartbeat.nonce = heartbeat.applied_nonce = UINT64_MAX;
  heartbeat.lease_ms = kMaxLeaseMs;
  heartbeat.capacity = 0;
  EXPECT_EQ(DecodeHeartbeat(Encode(heartbeat)).value(), heartbeat);
}

TEST(WireRoundTrip, EmptyDoc) {
  Doc doc = SomeDoc();
  doc.owned.clear();
  doc.releasing.clear();
  EXPECT_EQ(DecodeDoc(Encode(doc)).value(), doc);
  EXPECT_LE(Encode(doc).size(), kDocBaseBytes);
}

TEST(WireRoundTrip, StringsThatNeedEscaping) {
  Claim claim = SomeClaim();
  using namespace std::string_literals;
  claim.identity = "tab\t quote\" back\\slash \x01 nul:\0 d\xc3\xa9j\xc3\xa0"s;
  EXPECT_EQ(DecodeClaim(Encode(claim)).value(), claim);
}

TEST(WireRoundTrip, LargeDocTravelsCompressed) {
  const Doc doc = LargeDoc(20'000);
  const std::string bytes = Encode(doc);
  EXPECT_LT(bytes.size(), 20'000 * DocBytesPerPartition(doc.owned[0].id) / 4);
  EXPECT_NE(bytes[0], '{');
  EXPECT_EQ(DecodeDoc(bytes).value(), doc);
}

TEST(WireEncode, BytesThatAreNotUtf8AreReplaced) {
  Heartbeat heartbeat = SomeHeartbeat();
  heartbeat.refused = {{.partition = "p-1", .token = {1, 1}, .reason = "bad \xff\xfe byte"}};
  const auto decoded = DecodeHeartbeat(Encode(heartbeat));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->refused.at(0).reason, "bad \xef\xbf\xbd\xef\xbf\xbd byte");
}

TEST(WireEncode, WhatAnApplicationSaysNeverMakesAHeartbeatUnreadable) {
  Heartbeat heartbeat = SomeHeartbeat();
  heartbeat.refused.assign(
      kMaxRefusals + 5,
      {.partition = "p-1", .token = {1, 1}, .reason = std::string(100'000, '\xff')});
  const auto decoded = DecodeHeartbeat(Encode(heartbeat));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->refused.size(), kMaxRefusals);
  EXPECT_LE(decoded->refused.at(0).reason.size(), kMaxTextBytes);
}

TEST(WireEncode, NoReportOfOursIsUnreadable) {
  Report report = SomeReport();
  report.cause = std::string(100'000, '\xff');
  report.problems.assign(kReportSample + 5, std::string(100'000, '\xff'));
  report.sample.clear();
  for (std::size_t i = 0; i < kReportSample + 5; ++i) {
    report.sample.push_back(fmt::format("{:03}", i) + std::string(kMaxPartitionIdBytes - 3, '%'));
  }
  const auto decoded = DecodeReport(Encode(report));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->problems.size(), kReportSample);
  EXPECT_EQ(decoded->sample.size(), kReportSample);
}

TEST(WireRoundTrip, LargeControlTravelsCompressed) {
  Control control;
  for (std::size_t i = 0; i < kMaxPins; ++i) {
    control.pins.push_back({fmt::format("p-{:06}", i), fmt::format("worker-{}", i % 100)});
    control.drained.push_back(fmt::format("worker-{:06}", i));
  }
  const std::string bytes = Encode(control);
  EXPECT_LT(bytes.size(), 1'000'000U);
  EXPECT_EQ(DecodeControl(bytes).value(), control);
}

TEST(WireEncode, DocBytesPerPartitionIsAnUpperBound) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    Doc doc = SomeDoc();
    doc.owned.clear();
    doc.releasing.clear();
    doc.epoch = doc.version = doc.life_incarnation = kMaxExactInteger;
    doc.life_lease_ms = kMaxLeaseMs;
    std::size_t bound = kDocBaseBytes;
    for (int i = 0; i < 30; ++i) {
      std::string id = fmt::format("{:03}", i);
      id.push_back(static_cast<char>(1 + random() % 127));
      bound += DocBytesPerPartition(id);
      if (random() % 3 == 0) {
        doc.releasing.push_back(id);
      } else {
        doc.owned.push_back(
            {id, {kMaxExactInteger - random() % 3, kMaxExactInteger - random() % 9}});
      }
    }
    EXPECT_LE(Encode(doc).size(), bound);
    EXPECT_EQ(DecodeDoc(Encode(doc)).value(), doc);
  }
}

using Decoder = std::function<absl::Status(std::string_view)>;

std::vector<Decoder> AllDecoders() {
  return {[](std::string_view bytes) { return DecodeClaim(bytes).status(); },
          [](std::string_view bytes) { return DecodeLeader(bytes).status(); },
          [](std::string_view bytes) { return DecodeHeartbeat(bytes).status(); },
          [](std::string_view bytes) { return DecodeDoc(bytes).status(); },
          [](std::string_view bytes) { return DecodeControl(bytes).status(); },
          [](std::string_view bytes) { return DecodeReport(bytes).status(); }};
}

TEST(WireMalformed, NotARecordAtAll) {
  const std::vector<std::string> garbage = {
      "",
      " ",
      "garbage",
      "null",
      "1",
      "\"text\"",
      "[]",
      "{}",
      "{\"v\":1}",
      "{\"v\":1",
      "{\"v\":\"1\"}",
      "{\"v\":0}",
      "{\"v\":-1}",
      "{\"v\":1.0}",
      "{\"v\":1e999}",
      "{\"v\":1}{\"v\":1}",
      "\xff\xfe",
      "{\"v\":1,\"\xff\":1}",
      std::string(1, '\0'),
      std::string("\x28\xb5\x2f\xfd", 4),
      std::string("\x28\xb5\x2f\xfd garbage", 12),
  };
  for (const std::string& bytes : garbage) {
    for (const Decoder& decode : AllDecoders()) {
      EXPECT_EQ(decode(bytes).code(), absl::StatusCode::kInvalidArgument)
          << bytes << ": " << decode(bytes);
    }
  }
}

TEST(WireMalformed, OneRecordIsNotAnother) {
  EXPECT_FALSE(DecodeLeader(Encode(SomeClaim())).ok());
  EXPECT_FALSE(DecodeHeartbeat(Encode(SomeClaim())).ok());
  EXPECT_FALSE(DecodeDoc(Encode(SomeLeader())).ok());
  EXPECT_FALSE(DecodeClaim(Encode(SomeHeartbeat())).ok());
  EXPECT_FALSE(DecodeControl(Encode(SomeLeader())).ok());
  EXPECT_FALSE(DecodeReport(Encode(SomeLeader())).ok());
  EXPECT_FALSE(DecodeLeader(Encode(SomeReport())).ok());
  EXPECT_FALSE(DecodeReport(Encode(SomeDoc())).ok());
}

struct Damage {
  std::string from, to;
  std::string says;  // part of the error
};

void ExpectRefused(const Decoder& decode, const std::string& bytes,
                   const std::vector<Damage>& damages) {
  ASSERT_TRUE(decode(bytes).ok()) << decode(bytes);
  for (const Damage& damage : damages) {
    const absl::Status status = decode(Replaced(bytes, damage.from, damage.to));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << damage.to;
    EXPECT_THAT(std::string(status.message()), HasSubstr(damage.says)) << damage.to;
  }
}

TEST(WireMalformed, Claim) {
  ExpectRefused(AllDecoders()[0], Encode(SomeClaim()),
                {{"\"host-a:77\"", "7", "\"identity\" isn't a string"},
                 {"\"host-a:77\"", '"' + std::string(kMaxNameBytes + 1, 'x') + '"', "bytes"},
                 {"\"incarnation\":7", "\"incarnation\":-7", "\"incarnation\""},
                 {"\"incarnation\":7", "\"incarnation\":7.5", "\"incarnation\""},
                 {"\"incarnation\":7", "\"incarnation\":9007199254740992", "\"incarnation\""},
                 {"\"incarnation\":7", "\"other\":7", "\"incarnation\" is missing"},
                 {"fedcba9876543210", "FEDCBA9876543210", "hexadecimal"},
                 {"fedcba9876543210", "edcba9876543210", "hexadecimal"},
                 {"fedcba9876543210", "0xdcba9876543210", "hexadecimal"},
                 {"\"fedcba9876543210\"", "7", "\"nonce\" isn't a string"},
                 {"\"lease_ms\":3000", "\"lease_ms\":0", "\"lease_ms\" is 0"},
                 {"\"lease_ms\":3000", "\"lease_ms\":-1", "\"lease_ms\" is -1"},
                 {"\"lease_ms\":3000", "\"lease_ms\":86400001", "must be 1 to 86400000"},
                 {"\"lease_ms\":3000", "\"lease_ms\":18446744073709551615", "\"lease_ms\""},
                 {"\"lease_ms\":3000", "\"lease_ms\":\"3000\"", "\"lease_ms\""},
                 {"\"lease_ms\":3000", "\"lease_ms\":null", "\"lease_ms\""},
                 {"\"process\":{", "\"other\":{", "\"process\" is missing"},
                 {"{\"boot\"", "7,\"x\":{\"boot\"", "\"process\" isn't an object"},
                 {"\"pid\":77", "\"pid\":-77", "\"pid\" is -77"},
                 {"\"start\":123456", "\"start\":true", "\"start\""}});
}

TEST(WireMalformed, Leader) {
  ExpectRefused(AllDecoders()[1], Encode(SomeLeader()),
                {{"\"epoch\":3", "\"epoch\":0", "\"epoch\" is 0"},
                 {"worker-0", "", "\"holder\" has 0 bytes"},
                 {"false", "0", "\"released\" is neither"},
                 {"exclusive", "sloppy", "\"mode\" is neither"},
                 {"\"exclusive\"", "1", "\"mode\""},
                 {"\"renewals\":12", "\"renewals\":[]", "\"renewals\""},
                 {"17d0000000000001", "", "\"assignment\""},
                 {"\"heartbeat\":", "\"heart\":", "\"heartbeat\" is missing"}});
}

TEST(WireMalformed, Heartbeat) {
  ExpectRefused(AllDecoders()[2], Encode(FullHeartbeat()),
                {{"live", "alive", "\"kind\" is none of"},
                 {"\"life\":7", "\"life\":0", "\"life\" is 0"},
                 {"\"number\":42", "\"number\":0", "\"number\" is 0"},
                 {"\"capacity\":2", "\"capacity\":-1", "\"capacity\" is -1"},
                 {"\"capacity\":2", "\"capacity\":1000001", "\"capacity\""},
                 {"\"r1\"", "1", "\"labels\""},
                 {"{\"rack\"", "[],\"x\":{\"rack\"", "\"labels\" isn't an object"},
                 {"[{\"id\"", "{},\"x\":[{\"id\"", "\"refused\" isn't an array"},
                 {"[{\"id\"", "[7,{\"id\"", "\"refused\""},
                 {"{\"id\":\"p-1\"", "{\"id\":\"\"", "\"refused\""},
                 {"\"why\":", "\"because\":", "\"why\" is missing"}});
  ExpectRefused(AllDecoders()[2], Encode(Tombstone()),
                {{"\"replaced\":17", "\"replaced\":-17", "\"replaced\""},
                 {"\"evicted_by\":4", "\"by\":4", "\"evicted_by\" is missing"}});
}

TEST(WireMalformed, HeartbeatWithTooManyLabels) {
  std::string labels = "\"labels\":{\"n0\":\"\"";
  for (std::size_t i = 1; i <= kMaxLabels; ++i) labels += fmt::format(",\"n{}\":\"\"", i);
  ExpectRefused(AllDecoders()[2], Encode(FullHeartbeat()),
                {{"\"labels\":{\"rack\":\"r1\"", labels, "\"labels\" are"}});
}

TEST(WireMalformed, Doc) {
  ExpectRefused(AllDecoders()[3], Encode(SomeDoc()),
                {{"\"epoch\":3", "\"epoch\":0", "\"epoch\""},
                 {"\"lease_ms\":3000", "\"lease_ms\":0", "\"lease_ms\""},
                 {"\"life\":{", "\"x\":{", "\"life\" is missing"},
                 {"[2,5,[\"p-2\"]]", "[2,5]", "isn't [epoch"},
                 {"[2,5,[\"p-2\"]]", "[-2,5,[\"p-2\"]]", "isn't [epoch"},
                 {"[2,5,[\"p-2\"]]", "[2,5.5,[\"p-2\"]]", "isn't [epoch"},
                 {"[2,5,[\"p-2\"]]", "[2,5,\"p-2\"]", "isn't [epoch"},
                 {"[2,5,[\"p-2\"]]", "[2,9007199254740992,[\"p-2\"]]", "exceeds"},
                 {"[2,5,[\"p-2\"]]", "{}", "isn't [epoch"},
                 {"[2,5,[\"p-2\"]]", "[2,5,[]]", "without partitions"},
                 {"[2,5,[\"p-2\"]]", "[2,5,[7]]", "isn't a string"},
                 {"[2,5,[\"p-2\"]]", "[2,5,[\"\"]]", "0 bytes"},
                 {"[2,5,[\"p-2\"]]", "[4,5,[\"p-2\"]]", "sorted"},
                 {"[2,5,[\"p-2\"]]", "[2,5,[\"p-3\"]]", "p-3 is there twice"},
                 {"[\"p-1\",\"p-3\"]", "[\"p-3\",\"p-1\"]", "sorted"},
                 {"[\"p-1\",\"p-3\"]", "[\"p-1\",\"p-1\"]", "twice"},
                 {"[\"p-0\",\"p-9\"]", "[\"p-9\",\"p-0\"]", "sorted and distinct"},
                 {"[\"p-0\",\"p-9\"]", "[\"p-0\",\"p-0\"]", "sorted and distinct"},
                 {"[\"p-0\",\"p-9\"]", "[\"p-0\",\"p-1\"]", "p-1 is owned as well"},
                 {"[\"p-0\",\"p-9\"]", "[\"p-0\",9]", "isn't a string"},
                 {"[\"p-0\",\"p-9\"]", "{}", "\"releasing\" isn't an array"},
                 {"\"p-2\"", '"' + std::string(kMaxPartitionIdBytes + 1, 'x') + '"', "bytes"}});
}

TEST(WireMalformed, Control) {
  ExpectRefused(
      [](std::string_view bytes) { return DecodeControl(bytes).status(); }, Encode(SomeControl()),
      {
          {"\"paused\":true", "\"paused\":1", "\"paused\" is neither true nor false"},
          {"\"paused\":true,", "", "\"paused\" is missing"},
          {"\"drained\"", "\"dry\"", "\"drained\" is missing"},
          {"[\"worker-1\"", "[7", "control.drained: holds something else than strings"},
          {"[\"worker-1\"", "[\"\"", "an entry has 0 bytes, must have 1 to 1024"},
          {"worker-1", std::string(1025, 'w'), "an entry has 1025 bytes, must have 1 to 1024"},
          {"worker-4", "worker-1", "control.drained: entries aren't sorted and distinct: worker-1"},
          {"worker-4", "worker-0", "entries aren't sorted and distinct: worker-0"},
          {"\"pins\":[", "\"pins\":{\"a\":[", "not JSON"},
          {"[\"p-1\",\"worker-0\"]", "[\"p-1\"]", "isn't [partition id, worker id]"},
          {"[\"p-1\",\"worker-0\"]", "\"p-1\"", "isn't [partition id, worker id]"},
          {"\"p-1\"", "1", "a partition id isn't a string"},
          {"\"p-1\"", "\"\"", "a partition id has 0 bytes"},
          {"[\"p-1\",\"worker-0\"]", "[\"p-1\",\"\"]", "a worker id has 0 bytes"},
          {"[\"p-1\",\"worker-0\"]", "[\"p-1\",0]", "isn't [partition id, worker id]"},
          {"p-7", "p-1", "control.pins: partitions aren't sorted and distinct: p-1"},
          {"p-7", "p-0", "control.pins: partitions aren't sorted and distinct: p-0"},
      });
}

TEST(WireMalformed, ControlWithTooMuch) {
  Control control;
  for (std::size_t i = 0; i <= kMaxPins; ++i) {
    control.pins.push_back({fmt::format("p-{:06}", i), "w"});
  }
  EXPECT_THAT(std::string(DecodeControl(Encode(control)).status().message()),
              HasSubstr("control.pins: has 100001 entries, at most 100000 are allowed"));
  control.pins.clear();
  for (std::size_t i = 0; i <= kMaxDrained; ++i) {
    control.drained.push_back(fmt::format("w-{:06}", i));
  }
  EXPECT_THAT(std::string(DecodeControl(Encode(control)).status().message()),
              HasSubstr("control.drained: has 100001 entries, at most 100000 are allowed"));
}

TEST(WireMalformed, Report) {
  const std::string many = "\"p-3\"" + [] {
    std::string more;
    for (int i = 0; i < 100; ++i) more += fmt::format(",\"p-4{:03}\"", i);
    return more;
  }();
  ExpectRefused(
      [](std::string_view bytes) { return DecodeReport(bytes).status(); }, Encode(SomeReport()),
      {
          {"\"epoch\":3", "\"epoch\":0", "\"epoch\" is 0, must be 1 to"},
          {"0000000000000abc", "abc", "\"nonce\" isn't 16 lower-case hexadecimal digits"},
          {"\"leader\":\"worker-0\"", "\"leader\":\"\"", "\"leader\" has 0 bytes"},
          {"\"state\":\"Idle\"", "\"state\":null", "\"state\" isn't a string"},
          {"1 joined", std::string(4097, 'x'), "\"cause\" has 4097 bytes"},
          {"\"listed\":true", "\"listed\":\"yes\"", "\"listed\" is neither true nor false"},
          {"\"unassigned\":2", "\"unassigned\":25", "\"unassigned\" is 25 of 24 partitions"},
          {"\"unassigned\":2", "\"unassigned\":-2", "\"unassigned\" isn't a whole number"},
          {"\"p-3\"", many, "report.sample: has 102 entries, at most 100 are allowed"},
          {"\"p-5\"", "\"p-3\"", "report.sample: entries aren't sorted and distinct"},
          {"\"control\":77", "\"control\":7.5", "\"control\" isn't a whole number"},
          {"\"settled\":false,", "", "\"settled\" is missing"},
          {"[\"p-7 is", "[[],\"p-7 is", "report.problems: holds something else than short strings"},
      });
}

TEST(WireMalformed, DeepNestingIsRefusedBeforeParsing) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string bytes = "{\"v\":1,\"deep\":";
    for (int i = 0; i < 1'000'000; ++i) bytes += open;
    for (const Decoder& decode : AllDecoders()) {
      EXPECT_THAT(std::string(decode(bytes).message()), HasSubstr("nested deeper"));
    }
  }
}

TEST(WireMalformed, TooManyValuesAreRefusedBeforeParsing) {
  std::string bytes = "{\"v\":1,\"many\":[0";
  for (std::size_t i = 0; i < kMaxDocValues; ++i) bytes += ",0";
  bytes += "]}";
  for (const Decoder& decode : AllDecoders()) {
    EXPECT_THAT(std::string(decode(bytes).message()), HasSubstr("values"));
  }
}

TEST(WireMalformed, ErrorsNameTheByte) {
  const auto claim = DecodeClaim("{\"v\":1,\"identity\":oops}");
  EXPECT_THAT(std::string(claim.status().message()), HasSubstr("not JSON from byte 19"));
}

TEST(WireMalformed, NothingFollowsANul) {
  const std::string bytes = Encode(Heartbeat{});
  for (const std::string& tail : {std::string("\0", 1), std::string("\0 garbage", 9)}) {
    const auto heartbeat = DecodeHeartbeat(bytes + tail);
    EXPECT_THAT(std::string(heartbeat.status().message()),
                HasSubstr(fmt::format("a NUL at byte {}", bytes.size())));
  }
}

TEST(WireVersions, NewerOnesAreUnimplementedWhateverTheyHold) {
  for (const Decoder& decode : AllDecoders()) {
    const absl::Status status = decode("{\"v\":2,\"unheard\":[{\"of\":1}]}");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  }
}

// An additive change needs no new version, of whichever record.
TEST(WireVersions, UnknownFieldsOfTheSameVersionAreIgnored) {
  const auto with_more = [](const std::string& text) {
    return Replaced(text, "{\"v\":1", "{\"v\":1,\"new\":[1,{\"x\":null}]");
  };
  EXPECT_EQ(DecodeClaim(with_more(Encode(SomeClaim()))).value(), SomeClaim());
  EXPECT_EQ(DecodeLeader(with_more(Encode(SomeLeader()))).value(), SomeLeader());
  EXPECT_EQ(DecodeHeartbeat(with_more(Encode(FullHeartbeat()))).value(), FullHeartbeat());
  EXPECT_EQ(DecodeHeartbeat(with_more(Encode(Tombstone()))).value(), Tombstone());
  EXPECT_EQ(DecodeDoc(with_more(Encode(SomeDoc()))).value(), SomeDoc());
  EXPECT_EQ(DecodeControl(with_more(Encode(SomeControl()))).value(), SomeControl());
  EXPECT_EQ(DecodeReport(with_more(Encode(SomeReport()))).value(), SomeReport());
}

// In nested objects, too.
TEST(WireVersions, UnknownFieldsWithinAreIgnored) {
  EXPECT_EQ(
      DecodeClaim(Replaced(Encode(SomeClaim()), "\"process\":{", "\"process\":{\"host\":\"h\","))
          .value(),
      SomeClaim());
  EXPECT_EQ(
      DecodeLeader(Replaced(Encode(SomeLeader()), "\"streams\":{", "\"streams\":{\"more\":1,"))
          .value(),
      SomeLeader());
  EXPECT_EQ(DecodeDoc(Replaced(Encode(SomeDoc()), "\"life\":{", "\"life\":{\"more\":1,")).value(),
            SomeDoc());
}

TEST(WireVersions, RecordsAreWrittenInTheVersionAskedFor) {
  EXPECT_THAT(Encode(SomeClaim(), 2), HasSubstr("{\"v\":2,"));
  EXPECT_THAT(Encode(SomeHeartbeat(), 2), HasSubstr("{\"v\":2,"));
  EXPECT_THAT(Encode(SomeDoc(), 2), HasSubstr("{\"v\":2,"));
  EXPECT_EQ(DecodeClaim(Encode(SomeClaim(), 2), 2).value(), SomeClaim());
  EXPECT_EQ(DecodeHeartbeat(Encode(SomeHeartbeat(), 2), 2).value(), SomeHeartbeat());
  EXPECT_EQ(DecodeDoc(Encode(SomeDoc(), 2), 2).value(), SomeDoc());
  const absl::Status newer = DecodeDoc(Encode(SomeDoc(), 2), 1).status();
  EXPECT_EQ(newer.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(newer.message()), HasSubstr("doc of wire version 2"));
  EXPECT_THAT(std::string(newer.message()), HasSubstr("versions up to 1"));
}

// A newer build reads what an older one wrote.
TEST(WireVersions, OlderOnesAreRead) {
  EXPECT_EQ(DecodeDoc(Encode(SomeDoc(), 1), 3).value(), SomeDoc());
}

// Whatever the group speaks: who can't follow has to be able to read that.
TEST(WireVersions, TheLeaderRecordKeepsItsLayout) {
  Leader leader = SomeLeader();
  leader.wire_version = 7;
  EXPECT_THAT(Encode(leader), HasSubstr("{\"v\":1,"));
  EXPECT_THAT(Encode(leader), HasSubstr(",\"wire\":7}"));
  EXPECT_EQ(DecodeLeader(Encode(leader), 1).value(), leader);
}

TEST(WireVersions, AHeartbeatSaysWhatItsSenderSpeaks) {
  Heartbeat heartbeat = SomeHeartbeat();
  heartbeat.speaks = 3;
  EXPECT_THAT(Encode(heartbeat), HasSubstr(",\"speaks\":3"));
  EXPECT_EQ(DecodeHeartbeat(Encode(heartbeat)).value(), heartbeat);
  for (const char* bad : {"0", "-1", "1.5", "\"2\"", "9007199254740992", "1000001"}) {
    const std::string text =
        Replaced(Encode(heartbeat), "\"speaks\":3", std::string("\"speaks\":") + bad);
    EXPECT_FALSE(DecodeHeartbeat(text).ok()) << bad;
  }
}

TEST(WireVersions, TheLeaseIsToldWhateverTheVersion) {
  EXPECT_EQ(LeaseOfUnreadable(Encode(SomeClaim(), 9)), 3000);
  EXPECT_EQ(LeaseOfUnreadable(Encode(SomeHeartbeat(), 9)), 3000);
  EXPECT_EQ(LeaseOfUnreadable(Encode(SomeDoc(), 9)), 3000);
  EXPECT_EQ(LeaseOfUnreadable(R"({"v":9,"life":3,"lease_ms":"long"})"), 0);
  EXPECT_EQ(LeaseOfUnreadable(R"({"v":9,"lease_ms":99999999999})"), 0);
  EXPECT_EQ(LeaseOfUnreadable("garbage"), 0);
}

TEST(WireCompression, SmallFramesAreReadToo) {
  EXPECT_EQ(DecodeClaim(Compressed(Encode(SomeClaim()))).value(), SomeClaim());
}

TEST(WireCompression, BombsAreRefusedUnread) {
  const std::string bomb = Compressed(std::string(kMaxDecodedBytes + 1, ' '));
  EXPECT_LT(bomb.size(), 100'000u);
  for (const Decoder& decode : AllDecoders()) {
    EXPECT_EQ(decode(bomb).code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(WireCompression, BombsThatHideTheirSizeAreRefusedToo) {
  // Written as a stream, a frame doesn't tell its size.
  ZSTD_CCtx* encoder = ZSTD_createCCtx();
  const std::string plain(1 << 20, ' ');
  std::string bomb(1 << 20, '\0');
  ZSTD_outBuffer out{bomb.data(), bomb.size(), 0};
  for (std::size_t i = 0; i <= kMaxDecodedBytes / plain.size(); ++i) {
    ZSTD_inBuffer in{plain.data(), plain.size(), 0};
    while (in.pos < in.size) ZSTD_compressStream2(encoder, &out, &in, ZSTD_e_continue);
  }
  ZSTD_inBuffer none{nullptr, 0, 0};
  ASSERT_EQ(ZSTD_compressStream2(encoder, &out, &none, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(encoder);
  bomb.resize(out.pos);
  EXPECT_EQ(DecodeDoc(bomb).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(WireCompression, ExactlyTheLimitIsRead) {
  std::string scratch;
  const std::string frame = Compressed(std::string(kMaxDecodedBytes, ' '));
  EXPECT_EQ(Unpack(frame, &scratch).value().size(), kMaxDecodedBytes);
}

TEST(WireCompression, CutOrExtendedFramesAreMalformed) {
  const std::string frame = Compressed(Encode(SomeDoc()));
  for (std::size_t size = 4; size < frame.size(); ++size) {
    EXPECT_EQ(DecodeDoc(frame.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(DecodeDoc(frame + "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeDoc(frame + frame).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(WireCompression, WhatDoesNotShrinkStaysPlain) {
  std::mt19937_64 random(7);
  std::string noise(kCompressFromBytes, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  EXPECT_EQ(Pack(noise), noise);
}

TEST(WireNames, AreTheBucketsSuffixes) {
  EXPECT_EQ(BucketName(Bucket::kStableId), "stableid");
  EXPECT_EQ(BucketName(Bucket::kElection), "election");
  EXPECT_EQ(BucketName(Bucket::kHeartbeat), "heartbeat");
  EXPECT_EQ(BucketName(Bucket::kAssignment), "assignment");
  EXPECT_EQ(KvCodeName(KvCode::kConflict), "conflict");
}

}  // namespace
}  // namespace parti::wire
