// A world for one worker's core, made of an input's bytes: a small KV that keeps its promises when
// it is asked to, and every kind of lie in between.
//
//   World world(&bytes);
//   world.Run();          // ends the program if something happened that must not
//
// The first bytes are the worker's settings, then each byte chooses what happens next.
//
// Thread safety: none.
#ifndef PARTI_TEST_FUZZ_WORKER_WORLD_H_
#define PARTI_TEST_FUZZ_WORKER_WORLD_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "internal/core/worker.h"
#include "test/fuzz/bytes.h"
#include "test/fuzz/worker_judge.h"

namespace parti::fuzz {

class World : public core::Environment {
 public:
  explicit World(Bytes* bytes);
  ~World() override = default;
  void Run();

  // How far it got.
  bool led() const { return led_; }
  std::size_t most_owned() const { return most_owned_; }

 private:
  using Request = std::variant<core::KvGet, core::KvPut, core::KvInfo>;
  struct Bucket {
    std::uint64_t stream = 1;
    std::uint64_t last = 0;
    std::map<std::string, wire::Entry> entries;
  };
  struct Watch {
    wire::Bucket bucket{};
    std::string key;
    bool opened = false;                  // its snapshot was delivered
    std::deque<wire::Entry> undelivered;  // changes since
  };

  // core::Environment
  std::uint64_t RandomBits() override;
  bool ProcessIsGone(const wire::ProcessId& process) override { return process.pid % 2 == 1; }

  // worker_world.cc: time, events, effects, and a KV that does what it should.
  core::Settings TakeSettings();
  void Send(const core::Event& event);
  void Take(const core::Effect& effect);
  void Tick();
  void Advance(core::Nanos span);
  void Settle();
  bool SettleOnce();
  core::KvAnswer Honest(const Request& request);
  void Write(wire::Bucket bucket, const std::string& key, std::string value, bool deleted);
  void Deliver(core::WatchId id);
  void RunStrategy(const core::RunStrategy& run);
  Bucket& At(wire::Bucket bucket) { return buckets_.at(static_cast<std::size_t>(bucket)); }

  // worker_lies.cc: what happens next, and what else may be told.
  void Step();
  void Lie(std::size_t which);
  void AnswerOne(bool honest);
  void Interfere(std::size_t which);
  void Application(std::size_t which);
  void ListPartitions();
  wire::Bucket TakeBucket() { return static_cast<wire::Bucket>(bytes_.Below(wire::kBucketCount)); }
  std::string TakeKey(wire::Bucket bucket);
  std::uint64_t TakeNumber(std::uint64_t near);
  std::uint64_t TakeRevision(std::uint64_t near);
  std::string TakeValue(wire::Bucket bucket, const std::string& key);
  std::string TakeRecord(wire::Bucket bucket, const std::string& key);
  std::string TakeLeader();
  std::string TakeDoc();
  std::string TakeHeartbeat();
  std::string TakeClaim();
  std::string TakeControl();
  std::vector<std::string> TakePartitions();
  wire::Entry TakeEntry(wire::Bucket bucket);
  core::WatchId TakeWatch();
  std::optional<wire::Leader> StandingLeader();

  Bytes& bytes_;
  std::uint64_t random_;
  const core::Settings settings_;
  WorkerJudge judge_;
  core::Worker worker_;
  core::Nanos now_ = 1000 * core::kSecond;

  std::array<Bucket, wire::kBucketCount> buckets_;
  std::deque<Request> requests_;
  std::map<core::WatchId, Watch> watches_;
  std::deque<std::pair<core::Ticket, bool>> tickets_;  // whether it was lost
  std::deque<OwnedPartition> acquiring_;
  std::deque<core::RunStrategy> plans_;
  bool led_ = false;
  std::size_t most_owned_ = 0;
};

}  // namespace parti::fuzz

#endif  // PARTI_TEST_FUZZ_WORKER_WORLD_H_
