#include "internal/kv/session.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <utility>

namespace parti::kv {
namespace {

constexpr std::int64_t kConnectTimeoutMs =
    1'000;  // for the TCP connection, and again for the greeting
constexpr std::int64_t kWriteDeadlineMs = 1'000;
// A server that answers nothing is noticed after three intervals at the most.
constexpr std::int64_t kPingIntervalMs = 500;
constexpr int kMaxPingsOut = 2;
constexpr std::int64_t kFlushTimeoutMs = 300;
constexpr std::chrono::seconds kDeliveryDoneTimeout(2);

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : text; }

absl::Status ConnectError(const std::string& address, natsStatus status) {
  const std::string text =
      fmt::format("can't connect to NATS at {}: {}", address, natsStatus_GetText(status));
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
      return absl::UnauthenticatedError(text + "; check the user and password in the URL");
    case NATS_ADDRESS_MISSING:
    case NATS_INVALID_ARG:
      return absl::InvalidArgumentError(text + "; a URL looks like nats://host:4222");
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

std::string AddressOf(const std::string& url) {
  const std::size_t scheme = url.find("://");
  std::string address = scheme == std::string::npos ? url : url.substr(scheme + 3);
  const std::size_t at = address.rfind('@');
  return at == std::string::npos ? address : address.substr(at + 1);
}

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

// A callback may come after its session is gone: libnats's threads end in their own time. So
// callbacks get an id, and find here what still belongs to it.
struct Session::Callbacks {
  std::weak_ptr<SessionHandler> handler;
  std::mutex mutex;
  std::condition_variable changed;
  bool delivery_done = false;

  bool AwaitDeliveryDone() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kDeliveryDoneTimeout, [this] { return delivery_done; });
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
  static std::shared_ptr<Callbacks> Find(void* closure) {
    const std::lock_guard lock(TableMutex());
    const auto found = Table().find(Id(closure));
    return found == Table().end() ? nullptr : found->second;
  }
  static std::shared_ptr<SessionHandler> FindHandler(void* closure) {
    const std::shared_ptr<Callbacks> callbacks = Find(closure);
    return callbacks == nullptr ? nullptr : callbacks->handler.lock();
  }
};

void Session::OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  if (const auto handler = Callbacks::FindHandler(closure)) {
    handler->OnMessage(Callbacks::Id(closure), Message(message));
  }
  natsMsg_Destroy(message);
}

void Session::OnDeliveryDone(void* closure) {
  const std::shared_ptr<Callbacks> callbacks = Callbacks::Find(closure);
  if (callbacks == nullptr) return;
  const std::lock_guard lock(callbacks->mutex);
  callbacks->delivery_done = true;
  callbacks->changed.notify_all();
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
  const char* last = nullptr;
  natsConnection_GetLastError(connection, &last);
  const std::string_view text = View(last).empty() ? View(natsStatus_GetText(error)) : View(last);
  handler->OnSessionError(Callbacks::Id(closure), text);
}

Session::Session(std::uint64_t id, std::string address, std::shared_ptr<Callbacks> callbacks)
    : id_(id), address_(std::move(address)), callbacks_(std::move(callbacks)) {}

absl::StatusOr<std::shared_ptr<Session>> Session::Connect(const std::string& url,
                                                          std::weak_ptr<SessionHandler> handler) {
  static std::uint64_t next_id = 1;
  auto callbacks = std::make_shared<Callbacks>();
  callbacks->handler = std::move(handler);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(Callbacks::TableMutex());
    id = next_id++;
    Callbacks::Table()[id] = callbacks;
  }
  std::shared_ptr<Session> session(new Session(id, AddressOf(url), std::move(callbacks)));
  if (absl::Status status = session->Open(url); !status.ok()) return status;
  return session;
}

natsStatus Session::SetOptions(natsOptions* options, const std::string& url, void* closure) {
  const natsStatus results[] = {
      natsOptions_SetURL(options, url.c_str()),
      natsOptions_SetName(options, "parti"),
      natsOptions_SetTimeout(options, kConnectTimeoutMs),
      natsOptions_SetWriteDeadline(options, kWriteDeadlineMs),
      natsOptions_SetPingInterval(options, kPingIntervalMs),
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

absl::Status Session::Open(const std::string& url) {
  natsOptions* options = nullptr;
  natsStatus status = natsOptions_Create(&options);
  if (status == NATS_OK) status = SetOptions(options, url, Callbacks::Closure(id_));
  if (status == NATS_OK) status = natsConnection_Connect(&connection_, options);
  natsOptions_Destroy(options);
  if (status != NATS_OK) return ConnectError(address_, status);
  max_payload_ = static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_));
  return SubscribeInbox();
}

absl::Status Session::SubscribeInbox() {
  natsInbox* inbox = nullptr;
  natsStatus status = natsInbox_Create(&inbox);
  if (status == NATS_OK) {
    inbox_ = inbox;
    natsInbox_Destroy(inbox);
    status = natsConnection_Subscribe(&subscription_, connection_, (inbox_ + ".>").c_str(),
                                      &OnMessage, Callbacks::Closure(id_));
  }
  // A dropped message would be an answer lost or a watch broken; what arrives is bounded by what
  // was asked for, and by JetStream's flow control.
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(subscription_, -1, -1);
  if (status == NATS_OK) {
    status =
        natsSubscription_SetOnCompleteCB(subscription_, &OnDeliveryDone, Callbacks::Closure(id_));
  }
  return status == NATS_OK ? absl::OkStatus() : ConnectError(address_, status);
}

// libnats 3.4.1 crashes when a subscription is destroyed while messages arrive for it: its delivery
// thread has to be over. If it isn't in time, leaking the two objects is the only safe way on.
Session::~Session() {
  Close();
  if (delivery_done_) {
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
  }
  const std::lock_guard lock(Callbacks::TableMutex());
  Callbacks::Table().erase(id_);
}

Session::PublishResult Session::Publish(const OutgoingMessage& outgoing) {
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

void Session::Close() {
  const std::lock_guard lock(close_mutex_);
  if (closed_) return;
  closed_ = true;
  if (subscription_ != nullptr && natsSubscription_Unsubscribe(subscription_) == NATS_OK) {
    natsConnection_FlushTimeout(connection_, kFlushTimeoutMs);
  }
  if (connection_ != nullptr) natsConnection_Close(connection_);
  delivery_done_ = subscription_ == nullptr || callbacks_->AwaitDeliveryDone();
}

}  // namespace parti::kv
