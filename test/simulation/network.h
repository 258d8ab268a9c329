// The simulated NATS: four streams behind a network that delays, loses and reorders.
//
// A write is a compare-and-set, made at one instant between its sending and its answer, or long
// after its sender has given up on it. A read is served at one such instant. A watch delivers in
// order, late, in part, or not at all.
#ifndef PARTI_TEST_SIMULATION_NETWORK_H_
#define PARTI_TEST_SIMULATION_NETWORK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "test/simulation/kv_judge.h"
#include "test/simulation/shared.h"
#include "test/simulation/stream.h"

namespace parti::simulation {

class Process;

class Network {
 public:
  Network(Shared* shared, KvJudge* judge);

  // The effects of core.
  void Get(Process* process, core::KvGet get);
  void Put(Process* process, core::KvPut put);
  void Info(Process* process, core::KvInfo info);
  void Open(Process* process, core::OpenWatch open);
  void Close(Process* process, core::CloseWatch close);

  // The process is gone, and its connection with it. What it has sent may still land.
  void Gone(const Process& process);

  // Faults.
  void Cut(Process* process);
  void Heal(Process* process);
  bool IsCut(const Process& process) const;
  void Outage(bool down);          // requests get lost, watches break
  void FreezeServer(bool frozen);  // requests wait and are carried out once it thaws
  void StallWatches(const Process& process);
  void StallWatches(const Process& process, wire::Bucket bucket);
  void BreakWatches(Process* process);
  void HealAll();

  // By hand, at once.
  std::uint64_t Write(wire::Bucket bucket, const std::string& key, std::string value);
  void Delete(wire::Bucket bucket, const std::string& key);  // leaves a marker
  void Purge(wire::Bucket bucket, const std::string& key);   // leaves nothing, tells nobody
  void Wipe(wire::Bucket bucket);
  // Restores it from a backup made when `until` was its last message.
  void RollBack(wire::Bucket bucket, std::uint64_t until);
  // The same, and nothing tells: the stream keeps its identity, as after a power cut.
  void LoseEnd(wire::Bucket bucket, std::uint64_t until);

  // Precise faults: what becomes of one process's next request that matches.
  struct Ambush {
    enum class Fate { kLoseRequest, kLoseAnswer, kLandLate, kSlow, kSlowAnswer, kRefuse };
    const Process* process = nullptr;  // none: anyone's
    bool put = true;                   // else get, or info
    wire::Bucket bucket{};
    std::string key;  // empty: any
    Fate fate{};
    Nanos delay = 0;
    int times = 1;
    // Further conditions on a put, e.g. what it says. May be empty.
    std::function<bool(const SentPut&)> when;
  };
  void Lay(Ambush ambush) { ambushes_.push_back(std::move(ambush)); }
  // From now on, and until HealAll, what watches that the process opens on this bucket first
  // deliver is the bucket as it was at `until`, and the rest never comes.
  void ShortenScans(const Process& process, wire::Bucket bucket, std::uint64_t until);
  // … or is taken only after `delay`.
  void DelayScans(const Process& process, wire::Bucket bucket, Nanos delay);

  const Stream& stream(wire::Bucket bucket) const { return *streams_[Index(bucket)]; }
  // Called when a write was made, by whomever.
  void OnChange(std::function<void(wire::Bucket, const std::string& key)> callback) {
    on_change_ = std::move(callback);
  }

 private:
  struct Fate {
    bool lost = false;  // never reaches the server
    bool answer_lost = false;
    bool refused = false;
    bool late = false;  // reaches the server after the timeout
    Nanos there = 0;
    Nanos back = 0;
  };
  struct Request {
    Process* process = nullptr;
    core::RequestId id = 0;
    wire::Bucket bucket{};
    Nanos deadline = 0;  // true time
    Fate fate;
    std::shared_ptr<SentPut> put;  // a put
    std::string key;               // a get
  };
  struct Watch {
    Process* process = nullptr;
    core::WatchId id = 0;
    wire::Bucket bucket{};
    std::string key;
    bool open = true;      // not closed by core, not broken
    bool closed = false;   // by core
    bool live = false;     // the snapshot was taken
    bool stalled = false;  // delivers nothing, silently
    Nanos opened = 0;
    Nanos last_delivery = 0;
    std::uint64_t highest = 0;             // of what was delivered
    std::optional<wire::StreamState> end;  // of its snapshot, as it was delivered
  };

  struct ScanFault {
    std::optional<std::uint64_t> until;
    Nanos delay = 0;
  };

  static std::size_t Index(wire::Bucket bucket) { return static_cast<std::size_t>(bucket); }
  Stream& StreamOf(wire::Bucket bucket) { return *streams_[Index(bucket)]; }
  Nanos Latency();
  Fate DrawFate(Nanos timeout, bool document);
  void Replace(wire::Bucket bucket, std::unique_ptr<Stream> stream);
  void Spring(const Process* process, const Request& request, Nanos timeout, Fate* fate);
  void Send(Request request, Nanos timeout);
  void Arrive(const std::shared_ptr<Request>& request);
  core::KvAnswer Serve(const Request& request);
  void Answer(const std::shared_ptr<Request>& request, Nanos at, core::KvAnswer answer);
  void AnswerUnknown(const std::shared_ptr<Request>& request, Nanos at, std::string why);
  std::uint64_t Append(wire::Bucket bucket, const std::string& key, std::string value,
                       bool deleted);

  void TakeSnapshot(std::size_t watch);
  void EndSnapshot(std::size_t watch);
  void NoteScan(const Watch& watch);
  void DeliverEntry(std::size_t watch, std::uint64_t sequence, Nanos delay);
  void Break(std::size_t watch, Nanos delay, const std::string& reason);
  std::size_t FindWatch(const Process& process, core::WatchId id) const;
  void ExpireHeartbeats();

  Shared& shared_;
  KvJudge& judge_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::uint64_t streams_made_ = 0;
  std::vector<Watch> watches_;
  std::vector<std::vector<std::size_t>> open_;  // per bucket
  std::map<int, int> cut_;                      // process number -> how many cuts are on
  bool down_ = false;
  bool server_frozen_ = false;
  std::vector<std::shared_ptr<Request>> waiting_;  // for the server to thaw
  std::vector<Ambush> ambushes_;
  std::map<std::pair<int, std::size_t>, ScanFault> scans_;
  std::function<void(wire::Bucket, const std::string&)> on_change_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_NETWORK_H_
