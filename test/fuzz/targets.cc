#include "test/fuzz/targets.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace parti::fuzz {
namespace {

constexpr std::array<Target, 14> kTargets = {{
    {"claim", "the record of who holds a worker id", FuzzClaim},
    {"leader", "the record of who leads", FuzzLeader},
    {"heartbeat", "heartbeats and tombstones", FuzzHeartbeat},
    {"doc", "assignment docs", FuzzDoc},
    {"control", "what people want of the leader", FuzzControl},
    {"report", "what the leader tells people", FuzzReport},
    {"unpack", "zstd frames, and what isn't one", FuzzUnpack},
    {"jetstream", "answers of NATS, and the subjects that it replies to", FuzzJetstream},
    {"connection", "URLs, nkeys, credentials files, the server's greeting", FuzzConnection},
    {"event-line", "lines of event logs", FuzzEventLine},
    {"settings", "Config::Set with any name and value", FuzzSettings},
    {"yaml", "the YAML file of `parti worker --config`", FuzzYaml},
    {"status", "`parti status` over any keys and values in the buckets", FuzzStatus},
    {"worker", "the whole core of a worker, in a world that lies", FuzzWorker},
}};

}  // namespace

std::span<const Target> Targets() { return kTargets; }

const Target* FindTarget(std::string_view name) {
  for (const Target& target : kTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace parti::fuzz
