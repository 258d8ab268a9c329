// Keeps a session going for as long as it is wanted: connects, sees to the buckets, tells that all
// is ready, and begins anew when the session is lost. One thread.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_INTERNAL_KV_CONNECTOR_H_
#define PARTI_INTERNAL_KV_CONNECTOR_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "internal/kv/buckets.h"
#include "internal/kv/pace.h"
#include "internal/kv/requests.h"
#include "internal/kv/session.h"
#include "parti/connection.h"

namespace parti::kv {

class Connector {
 public:
  struct Options {
    ConnectionOptions nats;  // valid
    Names names;
    Pace pace;
    std::vector<BucketSpec> buckets;
    bool create_buckets = true;
  };
  // Called without locks held, from the connector's thread (on_error: from any).
  struct Callbacks {
    std::function<void(const std::shared_ptr<Session>&)> on_session;  // connected; no buckets yet
    std::function<void(const std::shared_ptr<Session>&)> on_ready;    // and the buckets are there
    std::function<void()> on_lost;                                    // after on_session
    std::function<void(wire::Bucket)> on_recreated;  // a bucket had gone while connected
    std::function<void(const absl::Status&)> on_error;
  };

  Connector(Options options, Requests* requests, Callbacks callbacks);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // `handler` gets what the sessions report; it hands losses on to OnSessionLost. Once.
  void Start(std::weak_ptr<SessionHandler> handler);

  void OnSessionLost(std::uint64_t session);
  // A bucket seems to be missing: look after them all.
  void CheckBuckets();
  // A problem to tell of, unless it has been told since all was well last.
  void Report(const absl::Status& status);
  // The same, told in any case.
  void Tell(const absl::Status& status);

  // As NatsKv's.
  absl::Status WaitReady(std::chrono::milliseconds timeout);
  std::vector<std::string> MissingBuckets();

  // Two steps, so that several threads can be told before the first is waited for. Idempotent.
  void BeginStop();
  void Stop();

 private:
  void Run();
  std::shared_ptr<Session> Connect();
  bool Serve(const std::shared_ptr<Session>& session);
  bool EnsureBuckets(Session& session, bool recreating);
  absl::Status TryBuckets(const Session& session, bool recreating);
  absl::Status BindExisting(std::vector<BucketSpec>* missing);
  absl::Status FindBuckets();
  absl::Status ExplainSilence(const Session& session, const absl::Status& status) const;
  absl::Status CheckVersion(const Session& session) const;
  std::shared_ptr<Session> Borrow();
  // Of a borrowed connection: tells if the session is over, and what the server refused.
  void LookAfter(Session& session);
  void SetReady(bool ready);
  // Waits for that long, or until the session is over. False: it is over.
  bool Pause(std::chrono::milliseconds time);
  // With mutex_ held: stopping, or the session was lost.
  bool Over() const { return stopping_ || (session_ != 0 && lost_session_ >= session_); }

  const Options options_;
  const std::vector<std::string> urls_;  // at least one
  Requests* const requests_;
  const Callbacks callbacks_;
  std::weak_ptr<SessionHandler> handler_;
  std::minstd_rand random_;  // the thread's own, as the next
  std::size_t next_url_ = 0;
  bool borrowed_is_closed_ = false;
  bool had_buckets_ = false;  // all of them, in this session or before

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t session_ = 0;       // 0: none
  std::uint64_t lost_session_ = 0;  // the newest that was lost; ids rise
  bool check_buckets_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  absl::Status problem_;        // the last that there was
  std::set<std::string> told_;  // those that were reported since ready_ was last set
  std::vector<std::string> missing_;
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_CONNECTOR_H_
