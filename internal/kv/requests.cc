#include "internal/kv/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <utility>
#include <vector>

#include "internal/kv/jetstream.h"

namespace parti::kv {
namespace {

// More than core ever has under way; beyond it something is wrong, and memory has to stay bounded.
constexpr std::size_t kMaxPending = 100'000;

constexpr std::size_t kMaxRefused = 1'000;

// Of libnats's unique ids.
bool IsUnique(std::string_view token) {
  return token.size() == 22 && std::all_of(token.begin(), token.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

// What many refusals for one cause have in common: a subject without the names of our own consumers
// and inboxes, which differ from one try to the next, and without the number that it ends with.
std::string RefusalOf(std::string_view subject) {
  subject = subject.substr(0, subject.find(".parti_"));
  for (std::size_t begin = 0; begin < subject.size();) {
    const std::size_t end = std::min(subject.find('.', begin), subject.size());
    if (IsUnique(subject.substr(begin, end - begin))) return std::string(subject.substr(0, begin));
    begin = end + 1;
  }
  while (!subject.empty() && subject.back() >= '0' && subject.back() <= '9') {
    subject.remove_suffix(1);
  }
  return std::string(subject);
}

// The subject in `Permissions Violation for Publish to "…"`; empty: none is quoted.
std::string_view QuotedIn(std::string_view error) {
  const std::size_t begin = error.find('"');
  const std::size_t end = error.find('"', begin + 1);
  if (begin == std::string_view::npos || end == std::string_view::npos) return {};
  return error.substr(begin + 1, end - begin - 1);
}

Reply Disconnected() {
  return {.kind = Reply::Kind::kDisconnected, .data = {}, .error = "no connection to NATS"};
}

}  // namespace

Requests::Requests(Timers* timers, std::function<void(std::uint64_t session)> on_silence)
    : timers_(timers), on_silence_(std::move(on_silence)), thread_([this] { Run(); }) {}

Requests::~Requests() { Stop(); }

void Requests::SetSession(std::shared_ptr<Session> session) {
  std::unordered_map<std::uint64_t, Pending> lost;
  last_sign_ = Timers::Clock::now();
  std::shared_ptr<Session> old;  // its end may take a while, so not under the lock
  {
    const std::lock_guard lock(mutex_);
    old = std::exchange(session_, std::move(session));
    lost.swap(pending_);
    queue_.clear();
    for (const auto& [request, pending] : lost) timers_->Cancel(pending.timer);
  }
  FinishAll(std::move(lost), Disconnected());
}

void Requests::DropSession(std::uint64_t session) {
  {
    const std::lock_guard lock(mutex_);
    if (session_ == nullptr || session_->id() != session) return;
  }
  // Only the connector, which is told of the loss after this, puts another in its place.
  SetSession(nullptr);
}

void Requests::Send(OutgoingMessage message, std::chrono::nanoseconds timeout, OnReply on_reply) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || session_ == nullptr || pending_.size() >= kMaxPending) {
    timers_->After(std::chrono::nanoseconds(0),
                   [on_reply = std::move(on_reply)] { on_reply(Disconnected()); });
    return;
  }
  const std::uint64_t request = next_request_++;
  message.reply = fmt::format("{}.r.{}", session_->inbox(), request);
  const Timers::Id timer = timers_->After(timeout, [this, request] { OnTimeout(request); });
  pending_.emplace(request, Pending{message.subject, timer, std::move(on_reply)});
  queue_.push_back({Queued::Kind::kPublish, request, std::move(message)});
  changed_.notify_one();
}

void Requests::OnTimeout(std::uint64_t request) {
  Finish(request,
         {.kind = Reply::Kind::kTimedOut, .data = {}, .error = "no answer from NATS in time"});
  if (Timers::Clock::now() - last_sign_.load() < kSilence) return;
  std::uint64_t silent = 0;
  {
    const std::lock_guard lock(mutex_);
    if (session_ != nullptr) silent = session_->id();
  }
  if (silent != 0) on_silence_(silent);
}

void Requests::OnSignOfLife() { last_sign_ = Timers::Clock::now(); }

Requests::Answer Requests::Call(OutgoingMessage message, std::chrono::nanoseconds timeout) {
  auto promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> answer = promise->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return {Reply::Kind::kDisconnected, Disconnected().error};
  }
  Send(std::move(message), timeout, [promise](const Reply& reply) {
    const bool ok = reply.kind == Reply::Kind::kAnswer;
    promise->set_value({reply.kind, ok ? std::string(reply.data) : reply.error});
  });
  return answer.get();
}

void Requests::Publish(OutgoingMessage message) {
  Enqueue({Queued::Kind::kPublish, 0, std::move(message)});
}

void Requests::Subscribe(std::string subject) {
  Enqueue({Queued::Kind::kSubscribe, 0, {.subject = std::move(subject)}});
}

void Requests::Unsubscribe(std::string subject) {
  Enqueue({Queued::Kind::kUnsubscribe, 0, {.subject = std::move(subject)}});
}

void Requests::Enqueue(Queued queued) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || session_ == nullptr) return;
  queue_.push_back(std::move(queued));
  changed_.notify_one();
}

std::string Requests::AnswerSubject(const Session& session) { return session.inbox() + ".r.*"; }

void Requests::OnAnswer(std::string_view token, const Message& message) {
  const auto request = ReadNumber(token);
  if (!request) return;
  if (message.IsNoResponders()) {
    Finish(*request, {.kind = Reply::Kind::kNoResponders,
                      .data = {},
                      .error = "nobody answers: no such stream, no leader, or no JetStream"});
  } else {
    Finish(*request, {.kind = Reply::Kind::kAnswer, .data = message.data(), .error = {}});
  }
}

void Requests::OnInboxWorks() {
  const std::lock_guard lock(mutex_);
  if (session_ != nullptr) refused_.erase(RefusalOf(session_->inbox()));
}

bool Requests::OnRefused(std::string_view error) {
  const std::string_view subject = QuotedIn(error);
  if (subject.empty()) return false;  // torn: it comes again with the next try
  std::vector<std::uint64_t> refused;
  bool news = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [request, pending] : pending_) {
      if (pending.subject == subject) refused.push_back(request);
    }
    news = refused_.size() < kMaxRefused && refused_.insert(RefusalOf(subject)).second;
  }
  for (const std::uint64_t request : refused) {
    Finish(request, {.kind = Reply::Kind::kNotPermitted, .data = {}, .error = std::string(error)});
  }
  return news;
}

void Requests::BeginStop() {
  std::unordered_map<std::uint64_t, Pending> lost;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    lost.swap(pending_);
    queue_.clear();
    changed_.notify_one();
  }
  FinishAll(std::move(lost), Disconnected());
}

void Requests::Stop() {
  BeginStop();
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Requests::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Queued next = std::move(queue_.front());
    queue_.pop_front();
    // Timed out while it waited here: sending it now could only surprise.
    if (next.request != 0 && !pending_.contains(next.request)) continue;
    std::shared_ptr<Session> session = session_;
    lock.unlock();
    if (session != nullptr) CarryOut(*session, next);
    session.reset();
    lock.lock();
  }
}

void Requests::CarryOut(Session& session, const Queued& queued) {
  const OutgoingMessage& message = queued.message;
  if (queued.kind == Queued::Kind::kSubscribe) return session.Subscribe(message.subject);
  if (queued.kind == Queued::Kind::kUnsubscribe) return session.Unsubscribe(message.subject);
  const Session::PublishResult result = session.Publish(message);
  if (result == Session::PublishResult::kTooBig) {
    Finish(queued.request,
           {.kind = Reply::Kind::kTooBig,
            .data = {},
            .error = fmt::format("{} bytes for {} are more than the server's max_payload",
                                 message.data.size(), message.subject)});
  } else if (result == Session::PublishResult::kNotSent) {
    Finish(queued.request, Disconnected());
  }
}

void Requests::Finish(std::uint64_t request, const Reply& reply) {
  OnReply on_reply;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(request);
    if (found == pending_.end()) return;
    timers_->Cancel(found->second.timer);
    // It is permitted (again): the next refusal is worth telling.
    if (!refused_.empty() && reply.kind == Reply::Kind::kAnswer) {
      refused_.erase(RefusalOf(found->second.subject));
    }
    on_reply = std::move(found->second.on_reply);
    pending_.erase(found);
  }
  on_reply(reply);
}

void Requests::FinishAll(std::unordered_map<std::uint64_t, Pending> pending, const Reply& reply) {
  for (auto& [request, one] : pending) one.on_reply(reply);
}

}  // namespace parti::kv
