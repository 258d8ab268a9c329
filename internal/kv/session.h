// One connection to a NATS server, from connect to close, with one inbox for all that comes back.
//
// It never reconnects by itself: a session that failed is over, and the next one starts from
// nothing. That leaves no room for what cnats's own reconnecting carries over (buffered writes that
// land late, subscriptions that skip what was lost), and Publish never waits behind a connection
// attempt.
#ifndef PARTI_INTERNAL_KV_SESSION_H_
#define PARTI_INTERNAL_KV_SESSION_H_

#include <nats/nats.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

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

// "nats://user:secret@host:1" -> "host:1"
std::string AddressOf(const std::string& url);

// Who a session reports to, from cnats's threads.
class SessionHandler {
 public:
  virtual ~SessionHandler() = default;
  virtual void OnMessage(std::uint64_t session, const Message& message) = 0;
  // The connection is lost for good.
  virtual void OnSessionLost(std::uint64_t session) = 0;
  // The server refused something, e.g. `Permissions Violation for Publish to "x"`.
  virtual void OnSessionError(std::uint64_t session, std::string_view text) = 0;
};

class Session {
 public:
  enum class PublishResult { kSent, kNotSent, kTooBig };

  // Tries once, for at most about 2 s (a frozen server accepts connections too). Unauthenticated if
  // the server refuses the credentials, InvalidArgument for a malformed URL, else Unavailable.
  static absl::StatusOr<std::shared_ptr<Session>> Connect(const std::string& url,
                                                          std::weak_ptr<SessionHandler> handler);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::uint64_t id() const { return id_; }
  // Messages to any subject that begins with this and a dot arrive here.
  const std::string& inbox() const { return inbox_; }
  std::size_t max_payload() const { return max_payload_; }
  // Without credentials.
  const std::string& address() const { return address_; }

  // Blocks while the socket is full, for at most a second. kNotSent: it may have been sent in part.
  PublishResult Publish(const OutgoingMessage& message);

  // Ends the connection and waits, within bounds, until no more messages are handed over. Publish
  // may still be called, in vain. Idempotent.
  void Close();

 private:
  struct Callbacks;

  Session(std::uint64_t id, std::string address, std::shared_ptr<Callbacks> callbacks);
  absl::Status Open(const std::string& url);
  absl::Status SubscribeInbox();
  static natsStatus SetOptions(natsOptions* options, const std::string& url, void* closure);

  // What cnats calls; `closure` is the session's id, which stays valid as a name for ever.
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
  natsSubscription* subscription_ = nullptr;
  std::mutex close_mutex_;
  bool closed_ = false;
  bool delivery_done_ = false;  // else the destructor must leave libnats's objects alone
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_SESSION_H_
