#include "internal/kv/session.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <utility>

#include "internal/kv/jetstream.h"
#include "internal/kv/nats_options.h"
#include "internal/kv/server_version.h"
#include "internal/kv/tls_errors.h"
#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

constexpr std::int64_t kWriteDeadlineMs = 1'000;
constexpr int kMaxPingsOut = 2;
// Less than a server waits for the end of the handshake: what ended sooner was refused.
constexpr std::chrono::milliseconds kTlsTimeout(1'000);
constexpr std::int64_t kFlushTimeoutMs = 300;
constexpr std::chrono::seconds kDeliveryDoneTimeout(2);
// libnats 3.4.1 crashes when a subscription is destroyed while a message for it is being read.
// After this long the reading thread has seen a PONG sent after the unsubscription, or the
// connection is lost.
constexpr std::chrono::seconds kRetirement(10);

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : text; }

std::uint64_t Reconnections(natsConnection* connection) {
  natsStatistics* created = nullptr;
  if (natsStatistics_Create(&created) != NATS_OK) return 0;
  const std::unique_ptr<natsStatistics, void (*)(natsStatistics*)> statistics(
      created, &natsStatistics_Destroy);
  std::uint64_t reconnections = 0;
  if (natsConnection_GetStats(connection, created) != NATS_OK) return 0;
  natsStatistics_GetCounts(created, nullptr, nullptr, nullptr, nullptr, &reconnections);
  return reconnections;
}

// libnats has room for one error, which the next is written over while this one is read.
std::string LastErrorOf(natsConnection* connection) {
  const auto read = [connection] {
    const char* text = nullptr;
    natsConnection_GetLastError(connection, &text);
    return std::string(View(text));
  };
  std::string text = read();
  for (int tries = 0; tries < 10; ++tries) {
    std::string again = read();
    if (again == text) break;
    text = std::move(again);
  }
  return text;
}

// With TLS 1.3 a server that refuses a client certificate, or misses one, tells so by closing a
// connection that the client takes for made. What libnats then says depends on its version.
bool MayBeTheCertificate(natsStatus status, const std::string& detail) {
  if (status == NATS_SSL_ERROR) return detail.find(":cert=") == std::string::npos;
  return status == NATS_PROTOCOL_ERROR || status == NATS_CONNECTION_CLOSED ||
         status == NATS_IO_ERROR;
}

}  // namespace

std::string_view Message::subject() const { return View(natsMsg_GetSubject(message_)); }

std::string_view Message::reply() const { return View(natsMsg_GetReply(message_)); }

std::string_view Message::data() const {
  const char* const data = natsMsg_GetData(message_);
  const int size = natsMsg_GetDataLength(message_);
  return data == nullptr || size <= 0 ? std::string_view()
                                      : std::string_view(data, static_cast<std::size_t>(size));
}

std::string_view Message::Header(const char* name) const {
  const char* value = nullptr;
  if (natsMsgHeader_Get(message_, name, &value) != NATS_OK) return {};
  return View(value);
}

bool Message::IsNoResponders() const { return natsMsg_IsNoResponders(message_); }

// A connection's callback may come after its session is gone: libnats's threads end in their own
// time. So these get an id, and find here what still belongs to it.
struct Session::Callbacks {
  std::weak_ptr<SessionHandler> handler;
  std::mutex mutex;
  std::condition_variable changed;
  int delivering = 0;  // subscriptions that may still hand a message over

  void Count(int change) {
    const std::lock_guard lock(mutex);
    delivering += change;
    changed.notify_all();
  }
  void AwaitQuiet() {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kDeliveryDoneTimeout, [this] { return delivering == 0; });
  }

  static std::mutex& TableMutex() {
    static std::mutex* const mutex = new std::mutex;
    return *mutex;
  }
  static std::map<std::uint64_t, std::shared_ptr<Callbacks>>& Table() {
    static auto* const table = new std::map<std::uint64_t, std::shared_ptr<Callbacks>>;
    return *table;
  }
  static std::uint64_t Id(void* closure) { return reinterpret_cast<std::uintptr_t>(closure); }
  static void* Closure(std::uint64_t id) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(id));
  }
  static std::shared_ptr<SessionHandler> FindHandler(void* closure) {
    const std::lock_guard lock(TableMutex());
    const auto found = Table().find(Id(closure));
    return found == Table().end() ? nullptr : found->second->handler.lock();
  }
};

// Freed only once `done` is set: until then libnats may call with it.
struct Session::Subscription {
  std::uint64_t session = 0;
  std::string subject;
  std::shared_ptr<Callbacks> callbacks;
  natsSubscription* handle = nullptr;
  std::chrono::steady_clock::time_point retired_at{};
  std::atomic<bool> done = false;
};

// Subscriptions of borrowed connections that could not be seen to be quiet when their session
// ended: the connection lives on, and a thread of it may still hold them. They are destroyed long
// after.
class Session::Graveyard {
 public:
  static void Bury(std::vector<std::unique_ptr<Subscription>> subscriptions) {
    static auto* const graveyard = new Graveyard;  // reachable to the last, so no leak
    const std::lock_guard lock(graveyard->mutex_);
    const auto now = std::chrono::steady_clock::now();
    for (auto& subscription : subscriptions) {
      subscription->retired_at = now;
      graveyard->subscriptions_.push_back(std::move(subscription));
    }
    DestroyQuiet(now - kRetirement, graveyard->subscriptions_);
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

void Session::OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  const auto* const subscription = static_cast<const Subscription*>(closure);
  if (const auto handler = subscription->callbacks->handler.lock()) {
    handler->OnMessage(subscription->session, subscription->subject, Message(message));
  }
  natsMsg_Destroy(message);
}

void Session::OnDeliveryDone(void* closure) {
  auto* const subscription = static_cast<Subscription*>(closure);
  const std::shared_ptr<Callbacks> callbacks = subscription->callbacks;
  subscription->done = true;  // from here on it may be gone
  callbacks->Count(-1);
}

void Session::OnClosed(natsConnection*, void* closure) {
  if (const auto handler = Callbacks::FindHandler(closure)) {
    handler->OnSessionLost(Callbacks::Id(closure));
  }
}

// The subscription, which may be freed already, is not touched.
void Session::OnError(natsConnection* connection, natsSubscription*, natsStatus error,
                      void* closure) {
  const auto handler = Callbacks::FindHandler(closure);
  if (handler == nullptr) return;
  std::string text = LastErrorOf(connection);
  if (text.empty()) text = View(natsStatus_GetText(error));
  handler->OnSessionError(Callbacks::Id(closure), text);
}

Session::Session(std::uint64_t id, std::string address, std::shared_ptr<Callbacks> callbacks)
    : id_(id), address_(std::move(address)), callbacks_(std::move(callbacks)) {}

std::shared_ptr<Session> Session::Create(std::string address,
                                         std::weak_ptr<SessionHandler> handler) {
  static std::uint64_t next_id = 1;
  auto callbacks = std::make_shared<Callbacks>();
  callbacks->handler = std::move(handler);
  const std::lock_guard lock(Callbacks::TableMutex());
  const std::uint64_t id = next_id++;
  Callbacks::Table()[id] = callbacks;
  return std::shared_ptr<Session>(new Session(id, std::move(address), std::move(callbacks)));
}

absl::StatusOr<std::shared_ptr<Session>> Session::Connect(const ConnectionOptions& connection,
                                                          const std::string& url, const Pace& pace,
                                                          std::weak_ptr<SessionHandler> handler) {
  std::shared_ptr<Session> session = Create(AddressOf(url), std::move(handler));
  if (absl::Status status = session->Open(connection, url, pace); !status.ok()) return status;
  return session;
}

absl::StatusOr<std::shared_ptr<Session>> Session::Borrow(const ConnectionOptions& connection,
                                                         std::weak_ptr<SessionHandler> handler) {
  natsConnection* const borrowed = connection.connection;
  // Asked for first: a reconnection that comes after is noticed.
  const std::uint64_t reconnections = Reconnections(borrowed);
  switch (natsConnection_Status(borrowed)) {
    case NATS_CONN_STATUS_CONNECTED:
      break;
    case NATS_CONN_STATUS_CLOSED:
      return absl::FailedPreconditionError(
          "the connection to NATS that the application gave is closed; keep it open until the "
          "Manager has stopped, and let it reconnect for ever (natsOptions_SetMaxReconnect(-1))");
    case NATS_CONN_STATUS_DRAINING_SUBS:
    case NATS_CONN_STATUS_DRAINING_PUBS:
      return absl::FailedPreconditionError(
          "the connection to NATS that the application gave is being drained; stop the Manager "
          "first");
    default:
      return absl::UnavailableError(
          "the connection to NATS that the application gave is not connected at present");
  }
  char url[256] = "";
  natsConnection_GetConnectedUrl(borrowed, url, sizeof(url));
  std::shared_ptr<Session> session = Create(AddressOf(url), std::move(handler));
  session->borrowed_ = true;
  session->reconnections_ = reconnections;
  session->connection_ = borrowed;
  session->refusal_ = session->LastError();  // not of our making
  if (const natsStatus status = session->Prepare(connection); status != NATS_OK) {
    return absl::UnavailableError(
        fmt::format("the connection to NATS that the application gave can't be used: {}",
                    natsStatus_GetText(status)));
  }
  return session;
}

natsStatus Session::SetBehaviour(const Pace& pace, natsOptions* options, void* closure) {
  const natsStatus results[] = {
      natsOptions_SetTimeout(options, pace.connect_timeout.count()),
      natsOptions_SetWriteDeadline(options, kWriteDeadlineMs),
      natsOptions_SetPingInterval(options, pace.ping_interval.count()),
      natsOptions_SetMaxPingsOut(options, kMaxPingsOut),
      natsOptions_SetAllowReconnect(options, false),
      natsOptions_SetNoEcho(options, true),
      // Without it a published message waits a millisecond for company.
      natsOptions_SetSendAsap(options, true),
      natsOptions_SetClosedCB(options, &OnClosed, closure),
      natsOptions_SetErrorHandler(options, &OnError, closure),
  };
  for (const natsStatus result : results) {
    if (result != NATS_OK) return result;
  }
  return NATS_OK;
}

absl::Status Session::Open(const ConnectionOptions& connection, const std::string& url,
                           const Pace& pace) {
  const auto began = std::chrono::steady_clock::now();
  const auto failed = [&](natsStatus status) {
    const char* const last = nats_GetLastError(nullptr);
    const std::string detail = last == nullptr ? "" : last;
    const bool at_once = std::chrono::steady_clock::now() - began < kTlsTimeout;
    if (MayBeTheCertificate(status, detail)) {
      const absl::StatusOr<Greeting> greeting = AskForGreeting(address_, pace.connect_timeout);
      if (greeting.ok() && greeting->tls_verify) {
        return ClientCertificateError(
            connection.tls, fmt::format("can't connect to NATS at {}", address_), at_once);
      }
    }
    return ConnectError(connection, url, status, detail);
  };
  natsOptions* created = nullptr;
  if (const natsStatus status = natsOptions_Create(&created); status != NATS_OK) {
    return failed(status);
  }
  const std::unique_ptr<natsOptions, void (*)(natsOptions*)> options(created, &natsOptions_Destroy);
  if (absl::Status status = SetNatsOptions(connection, url, created); !status.ok()) return status;
  natsStatus status = SetBehaviour(pace, created, Callbacks::Closure(id_));
  if (status == NATS_OK) status = natsConnection_Connect(&connection_, created);
  if (status != NATS_OK) return failed(status);
  if (status = Prepare(connection); status != NATS_OK) return failed(status);
  return absl::OkStatus();
}

natsStatus Session::Prepare(const ConnectionOptions& connection) {
  max_payload_ = static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_));
  natsInbox* unique = nullptr;
  const natsStatus status = natsInbox_Create(&unique);
  if (status != NATS_OK) return status;
  inbox_ = fmt::format("{}.{}", connection.inbox_prefix, LastToken(unique));
  natsInbox_Destroy(unique);
  return NATS_OK;
}

bool Session::Alive() {
  if (!borrowed_) return true;
  return natsConnection_Status(connection_) == NATS_CONN_STATUS_CONNECTED &&
         Reconnections(connection_) == reconnections_;
}

std::string Session::LastError() const { return LastErrorOf(connection_); }

std::string Session::TakeRefusal() {
  if (!borrowed_) return {};
  std::string error = LastError();
  if (error == refusal_) return {};
  refusal_ = error;
  return error.find("Permissions Violation") == std::string::npos ? std::string() : error;
}

void Session::Subscribe(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  if (closed_ || subscriptions_.contains(subject)) return;
  DestroyRetired(/*all=*/false);
  auto subscription = std::make_unique<Subscription>();
  subscription->session = id_;
  subscription->subject = subject;
  subscription->callbacks = callbacks_;
  if (Begin(subscription.get())) {
    subscriptions_[subject] = std::move(subscription);
  } else {
    retired_.push_back(std::move(subscription));
  }
}

// False: the connection is lost.
bool Session::Begin(Subscription* subscription) {
  if (natsConnection_Subscribe(&subscription->handle, connection_, subscription->subject.c_str(),
                               &Session::OnMessage, subscription) != NATS_OK) {
    subscription->done = true;
    return false;
  }
  callbacks_->Count(1);
  if (natsSubscription_SetOnCompleteCB(subscription->handle, &OnDeliveryDone, subscription) !=
      NATS_OK) {
    callbacks_->Count(-1);  // and it is never known to be done
    return false;
  }
  // A dropped message would be an answer lost or a watch broken; what arrives is bounded by what
  // was asked for, and by JetStream's flow control.
  natsSubscription_SetPendingLimits(subscription->handle, -1, -1);
  return true;
}

void Session::Unsubscribe(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  const auto found = subscriptions_.find(subject);
  if (found == subscriptions_.end()) return;
  natsSubscription_Unsubscribe(found->second->handle);
  found->second->retired_at = std::chrono::steady_clock::now();
  retired_.push_back(std::move(found->second));
  subscriptions_.erase(found);
  DestroyRetired(/*all=*/false);
}

void Session::DestroyRetired(bool all) {
  const auto now = std::chrono::steady_clock::now();
  DestroyQuiet(all ? now : now - kRetirement, retired_);
}

// Those that have delivered all, and were retired at `until` or before.
void Session::DestroyQuiet(std::chrono::steady_clock::time_point until,
                           std::vector<std::unique_ptr<Subscription>>& subscriptions) {
  std::erase_if(subscriptions, [&](const std::unique_ptr<Subscription>& subscription) {
    if (subscription->retired_at > until || !subscription->done) return false;
    natsSubscription_Destroy(subscription->handle);
    return true;
  });
}

void Session::Close() {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  const auto now = std::chrono::steady_clock::now();
  for (auto& [subject, subscription] : subscriptions_) {
    natsSubscription_Unsubscribe(subscription->handle);
    subscription->retired_at = now;
    retired_.push_back(std::move(subscription));
  }
  subscriptions_.clear();
  if (connection_ == nullptr) return;
  if (borrowed_) {
    // A PONG was read by the thread that reads for the subscriptions; a closed connection has none.
    flushed_ = Alive() ? natsConnection_FlushTimeout(connection_, kFlushTimeoutMs) == NATS_OK
                       : natsConnection_Status(connection_) == NATS_CONN_STATUS_CLOSED;
  } else {
    natsConnection_FlushTimeout(connection_, kFlushTimeoutMs);
    natsConnection_Close(connection_);
    flushed_ = true;
  }
  callbacks_->AwaitQuiet();
}

Session::~Session() {
  Close();
  if (flushed_) DestroyRetired(/*all=*/true);
  if (!retired_.empty() && borrowed_) {
    Graveyard::Bury(std::move(retired_));
  } else if (retired_.empty() && !borrowed_) {
    natsConnection_Destroy(connection_);
  } else {
    // Something is still being delivered: leaking is the only safe way on.
    for (auto& subscription : retired_) static_cast<void>(subscription.release());
  }
  const std::lock_guard lock(Callbacks::TableMutex());
  Callbacks::Table().erase(id_);
}

Session::PublishResult Session::Publish(const OutgoingMessage& outgoing) {
  // libnats would keep it and send it after a reconnection.
  if (!Alive()) return PublishResult::kNotSent;
  // The server's limit counts the headers, and it closes the connection of whoever exceeds it.
  const std::size_t header_bytes = outgoing.header_name.empty() ? 0 : kHeaderBytes;
  if (outgoing.data.size() + header_bytes > max_payload_) return PublishResult::kTooBig;
  natsMsg* message = nullptr;
  natsStatus status = natsMsg_Create(&message, outgoing.subject.c_str(),
                                     outgoing.reply.empty() ? nullptr : outgoing.reply.c_str(),
                                     outgoing.data.data(), static_cast<int>(outgoing.data.size()));
  if (status == NATS_OK && !outgoing.header_name.empty()) {
    status =
        natsMsgHeader_Set(message, outgoing.header_name.c_str(), outgoing.header_value.c_str());
  }
  if (status == NATS_OK) status = natsConnection_PublishMsg(connection_, message);
  natsMsg_Destroy(message);
  if (status == NATS_OK) return PublishResult::kSent;
  return status == NATS_MAX_PAYLOAD ? PublishResult::kTooBig : PublishResult::kNotSent;
}

}  // namespace parti::kv
