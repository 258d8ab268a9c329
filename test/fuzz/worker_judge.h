// Judges one worker's core from what it was told and what it does, whatever the world is like. It
// keeps its own books and never asks core.
//
//   judge.Told(event, now);        // before Worker::On
//   for (effect) judge.Did(effect, now);
//
// What must hold, in exclusive mode, also when every value that is read is a lie:
//   - a partition is claimed only if a doc of this very life grants it, with that token, and only
//   after a read
//     of `leader` that began after the doc was seen bore the doc's epoch and nonce (rule [2]);
//   - the lease never runs longer than a heartbeat of this life that was acknowledged, or read
//   back, allows;
//   - every record that is written can be read; nothing is written where the worker has no
//   business;
//     compare-and-set never expects a revision that the worker wasn't told;
//   - docs and tombstones are written during an own term only, docs under its epoch.
//
// Thread safety: none.
#ifndef PARTI_TEST_FUZZ_WORKER_JUDGE_H_
#define PARTI_TEST_FUZZ_WORKER_JUDGE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/core/settings.h"

namespace parti::fuzz {

class WorkerJudge {
 public:
  explicit WorkerJudge(core::Settings settings) : settings_(std::move(settings)) {}

  void Told(const core::Event& event);
  void Did(const core::Effect& effect, core::Nanos now);

  // The newest life, for whoever makes up records that shall look real.
  struct Life {
    std::string worker;
    std::uint64_t incarnation = 0;
    std::uint64_t nonce = 0;
  };
  const std::optional<Life>& life() const { return life_; }
  std::size_t owned() const { return owned_.size(); }

 private:
  struct GrantDoc {
    wire::Doc doc;
    core::RequestId seen_after = 0;  // the last request before it was seen
    bool fenced = false;
  };
  using Key = std::pair<wire::Bucket, std::string>;

  void ToldEntry(wire::Bucket bucket, const wire::Entry& entry);
  void ToldAnswer(const core::KvAnswer& answer);
  void Acknowledged(std::uint64_t nonce, std::uint64_t number);

  void CheckPut(const core::KvPut& put, core::Nanos now);
  void CheckHeartbeat(const core::KvPut& put, core::Nanos now);
  void CheckDoc(const core::KvPut& put) const;
  void CheckClaim(const core::Claim& claim);
  void CheckLease(core::Nanos until) const;
  void BeginLife(const core::LifeBegan& began);

  const core::Settings settings_;
  core::RequestId last_request_ = 0;
  std::map<core::RequestId, core::KvGet> gets_;
  std::map<core::RequestId, core::KvPut> puts_;
  std::map<core::WatchId, wire::Bucket> watches_;
  std::map<Key, std::set<std::uint64_t>> revisions_;  // that the worker was told

  std::optional<Life> life_;           // the newest
  bool may_claim_ = false;             // it goes on, and hasn't begun to leave
  std::map<std::string, Life> tried_;  // by id: of the newest live heartbeat written there
  std::vector<GrantDoc> docs_;         // for this life
  std::set<std::string> owned_;
  // When each heartbeat was sent, by nonce and number; and the end of the longest lease proven.
  std::map<std::pair<std::uint64_t, std::uint64_t>, core::Nanos> sent_;
  std::map<std::uint64_t, core::Nanos> proven_;  // by nonce
  std::optional<std::uint64_t> term_;            // the epoch that it leads
};

}  // namespace parti::fuzz

#endif  // PARTI_TEST_FUZZ_WORKER_JUDGE_H_
