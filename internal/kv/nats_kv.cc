#include "internal/kv/nats_kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string_view>
#include <utility>
#include <variant>

#include "internal/kv/buckets.h"
#include "internal/kv/connector.h"
#include "internal/kv/jetstream.h"
#include "internal/kv/requests.h"
#include "internal/kv/session.h"
#include "internal/kv/timers.h"
#include "internal/kv/watches.h"

namespace parti::kv {
namespace {

using core::KvAnswer;
using wire::KvCode;

constexpr std::size_t kDefaultMaxPayload = 1024 * 1024;
constexpr core::Nanos kLeastHeartbeatTtl = 100 * core::kMillisecond;

// The way out for events. After Close nothing passes, and nothing is passing.
class Gate {
 public:
  explicit Gate(Sink sink) : sink_(std::move(sink)) {}
  void Emit(core::Event event) {
    const std::lock_guard lock(mutex_);
    if (!closed_) sink_(std::move(event));
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  // For what isn't an event, under the same promise.
  template <typename Call>
  void Pass(Call call) {
    const std::lock_guard lock(mutex_);
    if (!closed_) call();
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  const Sink sink_;
};

KvAnswer Unknown(core::RequestId request, std::string error) {
  KvAnswer answer;
  answer.request = request;
  answer.code = KvCode::kUnknown;
  answer.error = std::move(error);
  return answer;
}

KvAnswer Refused(core::RequestId request, std::string error) {
  KvAnswer answer = Unknown(request, std::move(error));
  answer.code = KvCode::kRefused;
  return answer;
}

// What an error of the API means to who asked.
KvAnswer Failed(core::RequestId request, const ApiError& error) {
  const bool may_pass = error.IsTransient() || error.IsOutOfResources() || error.IsDisabled();
  return may_pass ? Unknown(request, error.ToString()) : Refused(request, error.ToString());
}

// What became of a request without an answer of the API.
KvAnswer Unanswered(core::RequestId request, const Reply& reply) {
  const bool refused =
      reply.kind == Reply::Kind::kNotPermitted || reply.kind == Reply::Kind::kTooBig;
  return refused ? Refused(request, reply.error) : Unknown(request, reply.error);
}

// As far as NATS is concerned; what keys core uses is stricter.
bool IsValidKey(std::string_view key) {
  const auto bad = [](char c) {
    return c == '*' || c == '>' || static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
  };
  return !key.empty() && key.front() != '.' && key.back() != '.' &&
         key.find("..") == std::string_view::npos && std::none_of(key.begin(), key.end(), bad);
}

KvAnswer InvalidKey(core::RequestId request, std::string_view key) {
  return Refused(request, fmt::format("\"{}\" is not a valid key: NATS allows no white space, "
                                      "wildcards or empty tokens",
                                      key));
}

absl::Status CheckNames(const NatsKvOptions& options) {
  const auto bad = [](const std::string& name) {
    return !IsValidKey(name) || name.find('.') != std::string::npos;
  };
  if (bad(options.prefix)) {
    return absl::InvalidArgumentError(fmt::format(
        "prefix \"{}\" can't name buckets; use letters, digits, '_' and '-'", options.prefix));
  }
  for (const std::string& name : options.buckets) {
    if (name.empty() || !bad(name)) continue;
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" can't name a bucket; use letters, digits, '_' and '-'", name));
  }
  if (!options.jetstream_domain.empty() && bad(options.jetstream_domain)) {
    return absl::InvalidArgumentError(
        fmt::format("jetstream_domain \"{}\" can't be one; use letters, digits, '_' and '-'",
                    options.jetstream_domain));
  }
  return absl::OkStatus();
}

absl::Status Check(const NatsKvOptions& options) {
  if (absl::Status status = options.nats.Validate(); !status.ok()) return status;
  if (absl::Status status = CheckNames(options); !status.ok()) return status;
  if (options.replicas < 1 || options.replicas > 5) {
    return absl::InvalidArgumentError(
        fmt::format("replicas is {}, but must be 1 … 5", options.replicas));
  }
  if (options.heartbeat_ttl < kLeastHeartbeatTtl) {
    return absl::InvalidArgumentError(fmt::format("heartbeat_ttl is {} ns, but must be at least {}",
                                                  options.heartbeat_ttl, kLeastHeartbeatTtl));
  }
  return absl::OkStatus();
}

}  // namespace

// The parts and how they are joined. Locks are taken in this order: Watches, Requests, Timers;
// Watches, Gate; each part calls others only along it.
class NatsKv::Impl : public SessionHandler {
 public:
  Impl(const NatsKvOptions& options, Sink sink);
  ~Impl() override { Shutdown(); }

  void Start(std::weak_ptr<SessionHandler> self) { connector_.Start(std::move(self)); }
  absl::Status WaitReady(std::chrono::milliseconds timeout) {
    return connector_.WaitReady(timeout);
  }
  std::vector<std::string> MissingBuckets() { return connector_.MissingBuckets(); }
  std::size_t MaxValueBytes() const { return max_payload_ - kHeaderBytes; }
  std::string Server() const {
    const std::lock_guard lock(server_mutex_);
    return server_;
  }
  Watches& watches() { return watches_; }
  void Shutdown();

  void Get(const core::KvGet& get);
  void Put(const core::KvPut& put);
  void Info(const core::KvInfo& info);

 private:
  void OnMessage(std::uint64_t session, std::string_view subscribed,
                 const Message& message) override;
  void OnSessionLost(std::uint64_t session) override;
  void OnSessionError(std::uint64_t session, std::string_view text) override;

  Connector::Callbacks ConnectorCallbacks();
  Watches::Callbacks WatchCallbacks();
  void SetConnected(const std::shared_ptr<Session>& session);
  void SetDisconnected();

  // Sends if the buckets are there; else `on_reply` gets kDisconnected.
  void Ask(OutgoingMessage message, core::Nanos timeout, Requests::OnReply on_reply);
  void Answer(KvAnswer answer) { gate_.Emit(std::move(answer)); }
  KvAnswer PutAnswer(core::RequestId request, const std::string& stream, const Reply& reply);
  KvAnswer GetAnswer(const core::KvGet& get, const Reply& reply);
  void OnInfo(const core::KvInfo& info, const Reply& reply);
  void LookForMissing(const ApiError& error);
  void TellIfFull(const std::string& stream, const ApiError& error);

  const Names names_;
  const ErrorSink on_error_;
  Gate gate_;
  std::atomic<std::size_t> max_payload_ = kDefaultMaxPayload;
  mutable std::mutex server_mutex_;
  std::string server_;
  std::atomic<bool> ready_ = false;
  std::atomic<std::uint64_t> session_ = 0;  // messages of others are too late
  std::once_flag shut_down_;
  Timers timers_;
  Requests requests_;
  Watches watches_;
  Connector connector_;
};

NatsKv::Impl::Impl(const NatsKvOptions& options, Sink sink)
    : names_(options.prefix, options.buckets, options.jetstream_domain),
      on_error_(options.on_error),
      gate_(std::move(sink)),
      requests_(&timers_, [this](std::uint64_t session) { OnSessionLost(session); }),
      watches_(names_, Pace::Of(options.heartbeat_ttl), &timers_, &requests_, WatchCallbacks()),
      connector_(
          {.nats = options.nats,
           .names = names_,
           .pace = Pace::Of(options.heartbeat_ttl),
           .buckets = BucketSpecs(names_, options.replicas, options.storage, options.heartbeat_ttl),
           .create_buckets = options.create_buckets},
          &requests_, ConnectorCallbacks()) {}

Watches::Callbacks NatsKv::Impl::WatchCallbacks() {
  return {.emit = [this](core::Event event) { gate_.Emit(std::move(event)); },
          .on_missing_bucket = [this] { connector_.CheckBuckets(); }};
}

Connector::Callbacks NatsKv::Impl::ConnectorCallbacks() {
  return {
      .on_session =
          [this](const std::shared_ptr<Session>& session) {
            session_ = session->id();
            requests_.SetSession(session);
            requests_.Subscribe(Requests::AnswerSubject(*session));
          },
      .on_ready = [this](const std::shared_ptr<Session>& session) { SetConnected(session); },
      .on_lost = [this] { SetDisconnected(); },
      .on_recreated =
          [this](wire::Bucket bucket) { watches_.BreakAll(bucket, "the bucket was recreated"); },
      .on_error =
          [this](const absl::Status& status) {
            gate_.Pass([&] {
              if (on_error_) on_error_(status);
            });
          },
  };
}

void NatsKv::Impl::SetConnected(const std::shared_ptr<Session>& session) {
  max_payload_ = std::max(session->max_payload(), 2 * kHeaderBytes);
  {
    const std::lock_guard lock(server_mutex_);
    server_ = session->address();
  }
  requests_.OnInboxWorks();
  watches_.SetInbox(session->inbox());
  ready_ = true;
  gate_.Emit(core::ConnectionChanged{true});
}

void NatsKv::Impl::SetDisconnected() {
  const bool was_ready = ready_.exchange(false);
  requests_.SetSession(nullptr);
  watches_.SetInbox({});
  if (was_ready) gate_.Emit(core::ConnectionChanged{false});
}

void NatsKv::Impl::Shutdown() {
  std::call_once(shut_down_, [this] {
    gate_.Close();
    connector_.BeginStop();
    requests_.BeginStop();
    // The timers last: they answer what is still waited for.
    connector_.Stop();
    requests_.Stop();
    timers_.Stop();
  });
}

void NatsKv::Impl::OnMessage(std::uint64_t session, std::string_view subscribed,
                             const Message& message) {
  if (session != session_) return;
  requests_.OnSignOfLife();
  if (subscribed.ends_with('*')) {
    requests_.OnAnswer(LastToken(message.subject()), message);
  } else {
    watches_.OnMessage(subscribed, message);
  }
}

void NatsKv::Impl::OnSessionLost(std::uint64_t session) {
  requests_.DropSession(session);
  connector_.OnSessionLost(session);
}

void NatsKv::Impl::OnSessionError(std::uint64_t, std::string_view text) {
  if (text.find("Permissions Violation") == std::string_view::npos) return;
  if (!requests_.OnRefused(text)) return;
  connector_.Tell(absl::PermissionDeniedError(
      fmt::format("NATS refuses: {}; grant the user what is missing{}", text,
                  text.find("Subscription") == std::string_view::npos
                      ? ""
                      : ", or set inbox_prefix to what it may subscribe to")));
}

void NatsKv::Impl::Ask(OutgoingMessage message, core::Nanos timeout, Requests::OnReply on_reply) {
  if (ready_) {
    requests_.Send(std::move(message), std::chrono::nanoseconds(timeout), std::move(on_reply));
    return;
  }
  timers_.After(std::chrono::nanoseconds(0), [on_reply = std::move(on_reply)] {
    on_reply({.kind = Reply::Kind::kDisconnected, .data = {}, .error = "no connection to NATS"});
  });
}

void NatsKv::Impl::Put(const core::KvPut& put) {
  if (!IsValidKey(put.key)) {
    timers_.After(std::chrono::nanoseconds(0),
                  [this, put] { Answer(InvalidKey(put.request, put.key)); });
    return;
  }
  Ask({.subject = names_.PutSubject(put.bucket, put.key),
       .header_name = "Nats-Expected-Last-Subject-Sequence",
       .header_value = std::to_string(put.expected),
       .data = put.value},
      put.timeout,
      [this, request = put.request, stream = names_.Stream(put.bucket)](const Reply& reply) {
        Answer(PutAnswer(request, stream, reply));
      });
}

// Whatever isn't certain is kUnknown: the write may have been made, or may still land.
KvAnswer NatsKv::Impl::PutAnswer(core::RequestId request, const std::string& stream,
                                 const Reply& reply) {
  if (reply.kind == Reply::Kind::kNoResponders) connector_.CheckBuckets();
  if (reply.kind != Reply::Kind::kAnswer) return Unanswered(request, reply);
  const ApiResult<PubAck> result = ReadPubAck(reply.data);
  if (const auto* error = std::get_if<ApiError>(&result)) {
    KvAnswer answer = Failed(request, *error);
    TellIfFull(stream, *error);
    if (error->err_code == kErrWrongLastSequence ||
        error->err_code == kErrWrongLastSequenceConstant) {
      answer.code = KvCode::kConflict;
    }
    return answer;
  }
  const auto& ack = std::get<PubAck>(result);
  if (ack.stream != stream) {
    return Unknown(request,
                   fmt::format("stream {} acknowledged instead of {}", ack.stream, stream));
  }
  KvAnswer answer;
  answer.request = request;
  answer.code = KvCode::kOk;
  answer.revision = ack.sequence;
  return answer;
}

void NatsKv::Impl::Get(const core::KvGet& get) {
  if (!IsValidKey(get.key)) {
    timers_.After(std::chrono::nanoseconds(0),
                  [this, get] { Answer(InvalidKey(get.request, get.key)); });
    return;
  }
  Ask({.subject = names_.Api("STREAM.MSG.GET." + names_.Stream(get.bucket)),
       .data = LastMessageBody(names_.Subject(get.bucket, get.key))},
      get.timeout, [this, get](const Reply& reply) { Answer(GetAnswer(get, reply)); });
}

KvAnswer NatsKv::Impl::GetAnswer(const core::KvGet& get, const Reply& reply) {
  if (reply.kind != Reply::Kind::kAnswer) return Unanswered(get.request, reply);
  ApiResult<StoredMessage> result = ReadStoredMessage(reply.data);
  if (const auto* error = std::get_if<ApiError>(&result)) {
    LookForMissing(*error);
    KvAnswer answer = Failed(get.request, *error);
    if (error->err_code == kErrMessageNotFound) answer.code = KvCode::kNotFound;
    if (error->err_code == kErrStreamNotFound) answer.code = KvCode::kUnknown;
    return answer;
  }
  auto& stored = std::get<StoredMessage>(result);
  KvAnswer answer;
  answer.request = get.request;
  answer.code = KvCode::kOk;
  answer.revision = stored.sequence;
  answer.entry = {.key = get.key,
                  .revision = stored.sequence,
                  .deleted = stored.deleted,
                  .value = std::move(stored.value)};
  return answer;
}

void NatsKv::Impl::Info(const core::KvInfo& info) {
  Ask({.subject = names_.Api("STREAM.INFO." + names_.Stream(info.bucket))}, info.timeout,
      [this, info](const Reply& reply) { OnInfo(info, reply); });
}

void NatsKv::Impl::OnInfo(const core::KvInfo& info, const Reply& reply) {
  if (reply.kind != Reply::Kind::kAnswer) return Answer(Unanswered(info.request, reply));
  const ApiResult<StreamInfo> result = ReadStreamInfo(reply.data);
  if (const auto* error = std::get_if<ApiError>(&result)) {
    LookForMissing(*error);
    KvAnswer answer = Failed(info.request, *error);
    if (error->err_code == kErrStreamNotFound) answer.code = KvCode::kUnknown;
    return Answer(std::move(answer));
  }
  KvAnswer answer;
  answer.request = info.request;
  answer.code = KvCode::kOk;
  answer.stream = std::get<StreamInfo>(result).state;
  Answer(std::move(answer));
}

void NatsKv::Impl::LookForMissing(const ApiError& error) {
  if (error.err_code == kErrStreamNotFound) connector_.CheckBuckets();
}

void NatsKv::Impl::TellIfFull(const std::string& stream, const ApiError& error) {
  if (!error.IsOutOfResources()) return;
  connector_.Report(absl::ResourceExhaustedError(
      fmt::format("NATS can't store more in stream {}: {}; raise the server's max_file_store or "
                  "max_memory_store, the account's limits or the bucket's max_bytes, or make room",
                  stream, error.ToString())));
}

NatsKv::NatsKv(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

NatsKv::~NatsKv() { Shutdown(); }

absl::StatusOr<std::unique_ptr<NatsKv>> NatsKv::Create(const NatsKvOptions& options, Sink sink) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  auto impl = std::make_shared<Impl>(options, std::move(sink));
  impl->Start(impl);
  return std::unique_ptr<NatsKv>(new NatsKv(std::move(impl)));
}

absl::Status NatsKv::WaitReady(std::chrono::milliseconds timeout) {
  return impl_->WaitReady(timeout);
}

void NatsKv::Get(const core::KvGet& get) { impl_->Get(get); }

void NatsKv::Put(const core::KvPut& put) { impl_->Put(put); }

void NatsKv::Info(const core::KvInfo& info) { impl_->Info(info); }

void NatsKv::Open(const core::OpenWatch& open) { impl_->watches().Open(open); }

void NatsKv::Close(const core::CloseWatch& close) { impl_->watches().Close(close); }

std::vector<std::string> NatsKv::MissingBuckets() const { return impl_->MissingBuckets(); }

std::size_t NatsKv::MaxValueBytes() const { return impl_->MaxValueBytes(); }
std::string NatsKv::Server() const { return impl_->Server(); }

void NatsKv::Shutdown() { impl_->Shutdown(); }

}  // namespace parti::kv
