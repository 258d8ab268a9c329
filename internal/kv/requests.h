// Requests and their answers over whatever session there is. A thread of its own publishes, so that
// no caller waits for a slow socket.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_INTERNAL_KV_REQUESTS_H_
#define PARTI_INTERNAL_KV_REQUESTS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "internal/kv/session.h"
#include "internal/kv/timers.h"

namespace parti::kv {

struct Reply {
  enum class Kind {
    kAnswer,
    kNoResponders,  // nobody listens on the subject: nothing was done
    kTimedOut,
    kDisconnected,
    kNotPermitted,  // refused by the server: nothing was done
    kTooBig,        // not sent
  };
  Kind kind{};
  std::string_view data;  // of an answer, valid during the call
  std::string error;      // otherwise: for people
};

class Requests {
 public:
  // Called once, without locks held, never from within Send.
  using OnReply = std::function<void(const Reply&)>;

  // `on_silence`: a request timed out, and for kSilence nothing at all has come from the server.
  // libnats looks after that too, but by the wall clock, which may be set back.
  static constexpr std::chrono::seconds kSilence{3};
  Requests(Timers* timers, std::function<void(std::uint64_t session)> on_silence);
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  // What was sent over the one before is answered with kDisconnected. Null: there is none.
  void SetSession(std::shared_ptr<Session> session);
  // The same with null, if this session is the present one.
  void DropSession(std::uint64_t session);

  // `message.reply` is filled in.
  void Send(OutgoingMessage message, std::chrono::nanoseconds timeout, OnReply on_reply);
  // Waits for the answer. `kind` and `data` of the result own what they show.
  struct Answer {
    Reply::Kind kind{};
    std::string text;  // the data of an answer, else the error
  };
  Answer Call(OutgoingMessage message, std::chrono::nanoseconds timeout);

  // Without a reply; lost if there is no session.
  void Publish(OutgoingMessage message);

  // In the order of the calls, also with Send and Publish; lost if there is no session.
  void Subscribe(std::string subject);
  void Unsubscribe(std::string subject);

  // What the present session's answers arrive at.
  static std::string AnswerSubject(const Session& session);
  // Something came from the server.
  void OnSignOfLife();
  // A message came for the request that this last token of its subject names.
  void OnAnswer(std::string_view token, const Message& message);
  // The server refused to let us publish on, or subscribe to, the subject that `error` quotes.
  // True: that is news. False: it has been refused before, it or one that differs in a number or a
  // name of our own making only, and has not been answered since; on any session.
  bool OnRefused(std::string_view error);
  // Answers arrive where they should: that this is refused would be news again.
  void OnInboxWorks();

  // Answers everything under way and everything to come with kDisconnected. Idempotent. Two steps,
  // so that several threads can be told before the first is waited for.
  void BeginStop();
  void Stop();

 private:
  struct Pending {
    std::string subject;
    Timers::Id timer;
    OnReply on_reply;
  };
  struct Queued {
    enum class Kind { kPublish, kSubscribe, kUnsubscribe } kind{};
    std::uint64_t request = 0;  // 0: nobody waits for an answer
    OutgoingMessage message;    // of a subscription: its subject
  };

  void Run();
  void OnTimeout(std::uint64_t request);
  void Enqueue(Queued queued);
  void CarryOut(Session& session, const Queued& queued);
  void Finish(std::uint64_t request, const Reply& reply);
  static void FinishAll(std::unordered_map<std::uint64_t, Pending> pending, const Reply& reply);

  Timers* const timers_;
  const std::function<void(std::uint64_t)> on_silence_;
  std::atomic<Timers::Clock::time_point> last_sign_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Session> session_;
  std::deque<Queued> queue_;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::set<std::string> refused_;  // of subjects what RefusalOf makes of them
  std::uint64_t next_request_ = 1;
  bool stopping_ = false;
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_REQUESTS_H_
