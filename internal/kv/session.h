// One connection to a NATS server, from connect to close; or the time that the application's own
// connection stays connected.
//
// It never reconnects: a session that failed is over, and the next one starts from
// nothing. That leaves no room for what cnats's own reconnecting carries over (buffered writes that
// land late, subscriptions that skip what was lost), and Publish never waits behind a connection
// attempt.
#ifndef PARTI_INTERNAL_KV_SESSION_H_
#define PARTI_INTERNAL_KV_SESSION_H_

#include <nats/nats.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/kv/pace.h"
#include "parti/connection.h"

namespace parti::kv {

// A received message, valid during the call that hands it over.
class Message {
 public:
  explicit Message(natsMsg* message) : message_(message) {}
  std::string_view subject() const;
  std::string_view reply() const;  // empty: none
  std::string_view data() const;
  std::string_view Header(const char* name) const;  // empty: none
  bool IsNoResponders() const;

 private:
  natsMsg* const message_;
};

// The most that the one header of an OutgoingMessage takes of the server's max_payload.
inline constexpr std::size_t kHeaderBytes = 128;

struct OutgoingMessage {
  std::string subject;
  std::string reply = {};        // empty: none
  std::string header_name = {};  // empty: no header
  std::string header_value = {};
  std::string data = {};
};

// Who a session reports to, from libnats's threads.
class SessionHandler {
 public:
  virtual ~SessionHandler() = default;
  // `subscribed`: the subject that was subscribed to; the message's own may be another.
  virtual void OnMessage(std::uint64_t session, std::string_view subscribed,
                         const Message& message) = 0;
  // The connection is lost for good.
  virtual void OnSessionLost(std::uint64_t session) = 0;
  // The server refused something, e.g. `Permissions Violation for Publish to "x"`.
  virtual void OnSessionError(std::uint64_t session, std::string_view text) = 0;
};

class Session {
 public:
  enum class PublishResult { kSent, kNotSent, kTooBig };

  // Tries once, for at most about twice pace.connect_timeout (a frozen server accepts connections
  // too). `url` is one of connection.url. Errors as ConnectError has them.
  static absl::StatusOr<std::shared_ptr<Session>> Connect(const ConnectionOptions& connection,
                                                          const std::string& url, const Pace& pace,
                                                          std::weak_ptr<SessionHandler> handler);
  // On the application's connection, from now until it disconnects. Unavailable while that isn't
  // connected; FailedPrecondition once it is closed or being drained, for good.
  static absl::StatusOr<std::shared_ptr<Session>> Borrow(const ConnectionOptions& connection,
                                                         std::weak_ptr<SessionHandler> handler);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::uint64_t id() const { return id_; }
  // Unique in the world: what begins with it and a dot is this session's to use as a subject.
  const std::string& inbox() const { return inbox_; }
  std::size_t max_payload() const { return max_payload_; }
  // Without credentials.
  const std::string& address() const { return address_; }

  bool borrowed() const { return borrowed_; }
  // False: it is over, or will be as soon as its handler has been told. Of a borrowed connection
  // that is known only to who asks.
  bool Alive();
  // Of a borrowed connection, whose callbacks are the application's: a refusal (as OnSessionError
  // has it) since the last call; empty: none, or the same text again.
  std::string TakeRefusal();

  // These three block while the socket is full, for at most a second, and do nothing once the
  // connection is lost. Publish, kNotSent: it may have been sent in part.
  PublishResult Publish(const OutgoingMessage& message);
  void Subscribe(const std::string& subject);
  void Unsubscribe(const std::string& subject);

  // Ends the connection and waits, within bounds, until no more messages are handed over.
  // Idempotent.
  void Close();

 private:
  struct Callbacks;
  struct Subscription;
  class Graveyard;

  Session(std::uint64_t id, std::string address, std::shared_ptr<Callbacks> callbacks);
  static std::shared_ptr<Session> Create(std::string address,
                                         std::weak_ptr<SessionHandler> handler);
  absl::Status Open(const ConnectionOptions& connection, const std::string& url, const Pace& pace);
  natsStatus Prepare(const ConnectionOptions& connection);
  std::string LastError() const;
  static natsStatus SetBehaviour(const Pace& pace, natsOptions* options, void* closure);
  bool Begin(Subscription* subscription);
  void DestroyRetired(bool all);
  static void DestroyQuiet(std::chrono::steady_clock::time_point until,
                           std::vector<std::unique_ptr<Subscription>>& subscriptions);

  // What libnats calls. `closure` is a Subscription for the first two, the session's id for the
  // others.
  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure);
  static void OnDeliveryDone(void* closure);
  static void OnClosed(natsConnection*, void* closure);
  static void OnError(natsConnection* connection, natsSubscription*, natsStatus error,
                      void* closure);

  const std::uint64_t id_;
  const std::string address_;
  const std::shared_ptr<Callbacks> callbacks_;
  std::string inbox_;
  std::size_t max_payload_ = 0;
  natsConnection* connection_ = nullptr;
  bool borrowed_ = false;
  std::uint64_t reconnections_ = 0;  // of a borrowed connection, when it was borrowed

  std::mutex mutex_;
  bool closed_ = false;
  bool flushed_ = false;  // when it was closed: nothing more is read for its subscriptions
  std::string refusal_;   // the last that was taken
  std::map<std::string, std::unique_ptr<Subscription>> subscriptions_;
  std::vector<std::unique_ptr<Subscription>> retired_;  // unsubscribed, not yet destroyed
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_SESSION_H_
