// Names and values that would command the terminal of whoever looks at them: they are shown, and
// do nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "internal/wire/printable.h"
#include "internal/wire/records.h"
#include "test/integration/cluster.h"
#include "test/integration/kv_client.h"

namespace parti::test {
namespace {

using testing::HasSubstr;

// The first line with something in it that isn't safe to print; "" if there is none.
std::string Unsafe(const std::string& text) {
  std::size_t line_begins = 0;
  for (std::size_t at = 0; at < text.size();) {
    const wire::Glyph glyph = wire::FirstGlyph(std::string_view(text).substr(at));
    if (text[at] == '\n') {
      line_begins = at + 1;
    } else if (!glyph.printable) {
      return wire::Printable(text.substr(line_begins, text.find('\n', at) - line_begins));
    }
    at += glyph.bytes;
  }
  return "";
}

TEST(TerminalTest, WhatCommandsATerminalIsShownEscapedByWorkersAndStatus) {
  Cluster cluster;
  const std::size_t a = cluster.Start("a");
  ASSERT_EQ(cluster.AwaitSettled(), "");
  Admin admin(cluster.server().url());
  // ESC, the C1 character that stands for ESC [, and that as a lone byte.
  for (const char* key :
       {"worker-\x1b[2J", "worker-\u009b2J", "worker-\x9b", "leader\x1b]0;x\x07"}) {
    for (const char* bucket : {"stableid", "heartbeat", "assignment", "election"}) {
      admin.AskRaw(fmt::format("$KV.test-{}.{}", bucket, key), "\x1b[2J\x07{");
    }
  }
  wire::Claim claim;
  claim.incarnation = claim.nonce = 1;
  claim.identity = "\x1b[2Jpod\u009b\n0";
  admin.AskRaw("$KV.test-stableid.worker-7", wire::Encode(claim));
  wire::Heartbeat beat;
  beat.incarnation = beat.number = 1;
  beat.nonce = 1;
  beat.lease_ms = 600'000;
  beat.state = "St\x1b[2Jable";
  beat.labels = {{"zone", "\x1b]0;owned\x07"}};
  admin.AskRaw("$KV.test-heartbeat.worker-7", wire::Encode(beat));

  const std::string log = cluster.ErrorFile(a);
  EXPECT_TRUE(WaitFor([&] { return ReadFile(log).find("worker-\\x1b[2J") != std::string::npos; }))
      << wire::Printable(ReadFile(log));
  const auto folder = MakeTempDir();
  const std::string page = folder->File("page");
  const auto status =
      StartProcess({.argv = {PARTI_BINARY, "status", "--all", "--partitions", "--server",
                             cluster.server().url(), "--prefix", cluster.prefix()},
                    .stdout_file = page,
                    .stderr_file = page});
  ASSERT_TRUE(status->Wait(kDeadline).has_value());
  EXPECT_THAT(ReadFile(page), HasSubstr("worker-7"));
  EXPECT_EQ(Unsafe(ReadFile(page)), "");
  EXPECT_EQ(Unsafe(ReadFile(log)), "");
  // That stranger lives for its lease, as far as anybody knows: nothing settles before.
  cluster.group().StopAll(kDeadline);
  EXPECT_EQ(Unsafe(ReadFile(log)), "");
}

}  // namespace
}  // namespace parti::test
