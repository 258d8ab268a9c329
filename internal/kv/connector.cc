#include "internal/kv/connector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "internal/kv/server_version.h"
#include "internal/kv/unshared.h"
#include "internal/kv/urls.h"

namespace parti::kv {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReconnectWait(80);  // at first; and up to half as much again, at random
constexpr milliseconds kBackoffMin(10);
constexpr milliseconds kBackoffMax(160);
constexpr milliseconds kPermanentBackoff(1'000);
// Between two looks after missing buckets, however many requests miss them.
constexpr milliseconds kCheckInterval(200);
// The server says that a deleted stream is gone before its files are. A stream of the same name
// that is created in between loses them: it then takes creates of one key again and again, and so
// has had four leaders of one epoch (nats-server 2.9.10, on a busy machine).
constexpr milliseconds kRecreateWait(400);
constexpr milliseconds kLookAgain(20);  // meanwhile, for somebody else may create it
constexpr milliseconds kVersionTimeout(1'500);
constexpr milliseconds kBorrowedPoll(50);
constexpr std::size_t kMaxTold = 100;

}  // namespace

Connector::Connector(Options options, Requests* requests, Callbacks callbacks)
    : options_(std::move(options)),
      urls_(SplitUrls(options_.nats.url)),
      requests_(requests),
      callbacks_(std::move(callbacks)),
      random_(std::random_device{}()) {}

Connector::~Connector() { Stop(); }

void Connector::Start(std::weak_ptr<SessionHandler> handler) {
  handler_ = std::move(handler);
  thread_ = std::thread([this] { Run(); });
}

void Connector::OnSessionLost(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  lost_session_ = std::max(lost_session_, session);
  changed_.notify_all();
}

void Connector::CheckBuckets() {
  const std::lock_guard lock(mutex_);
  check_buckets_ = true;
  changed_.notify_all();
}

// Problems may take turns: of several servers each may have one of its own.
void Connector::Report(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    problem_ = status;
    changed_.notify_all();
    if (told_.size() >= kMaxTold) told_.clear();
    if (!told_.insert(status.ToString()).second) return;
  }
  callbacks_.on_error(status);
}

void Connector::Tell(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    told_.erase(status.ToString());
  }
  Report(status);
}

absl::Status Connector::WaitReady(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto somebody_has_to_act = [this] {
    return !problem_.ok() && problem_.code() != absl::StatusCode::kUnavailable;
  };
  changed_.wait_for(lock, timeout, [&] { return ready_ || stopping_ || somebody_has_to_act(); });
  if (ready_) return absl::OkStatus();
  if (stopping_) return absl::CancelledError("the connection to NATS is being shut down");
  if (!problem_.ok()) return Unshared(problem_);
  return absl::UnavailableError(fmt::format("no answer from NATS at {} within {} ms",
                                            AddressOf(urls_.front()), timeout.count()));
}

void Connector::BeginStop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Connector::Stop() {
  BeginStop();
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Connector::Run() {
  milliseconds wait = kReconnectWait;
  while (true) {
    bool served = false;
    if (const std::shared_ptr<Session> session = Connect()) served = Serve(session);
    if (served) wait = kReconnectWait;
    const auto half = static_cast<int>(wait.count() / 2);
    Pause(wait + milliseconds(std::uniform_int_distribution<int>(0, half)(random_)));
    wait = std::min(2 * wait, std::max(kReconnectWait, options_.pace.reconnect_max));
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
}

// The application's connection, while it is connected. Once it is closed it is never touched again.
std::shared_ptr<Session> Connector::Borrow() {
  if (borrowed_is_closed_) {
    Pause(kPermanentBackoff);
    return nullptr;
  }
  absl::StatusOr<std::shared_ptr<Session>> session = Session::Borrow(options_.nats, handler_);
  if (session.ok()) return *std::move(session);
  borrowed_is_closed_ = absl::IsFailedPrecondition(session.status());
  Report(session.status());
  return nullptr;
}

void Connector::LookAfter(Session& session) {
  const std::string refused = session.TakeRefusal();
  if (session.Alive() && refused.empty()) return;
  const std::shared_ptr<SessionHandler> handler = handler_.lock();
  if (handler == nullptr) return;
  if (!refused.empty()) handler->OnSessionError(session.id(), refused);
  if (!session.Alive()) handler->OnSessionLost(session.id());
}

// One URL at a time, so that stopping never waits for more than one attempt.
std::shared_ptr<Session> Connector::Connect() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return nullptr;
  }
  if (options_.nats.connection != nullptr) return Borrow();
  const std::string& url = urls_[next_url_++ % urls_.size()];
  absl::StatusOr<std::shared_ptr<Session>> session =
      Session::Connect(options_.nats, url, options_.pace, handler_);
  if (!session.ok()) {
    Report(session.status());
    if (session.status().code() != absl::StatusCode::kUnavailable) Pause(kPermanentBackoff);
    return nullptr;
  }
  return *std::move(session);
}

// Until the session is over. Whether it came to be of use.
bool Connector::Serve(const std::shared_ptr<Session>& session) {
  bool was_ready = false;
  {
    const std::lock_guard lock(mutex_);
    session_ = session->id();
    check_buckets_ = false;
  }
  callbacks_.on_session(session);
  if (EnsureBuckets(*session, /*recreating=*/false)) {
    callbacks_.on_ready(session);
    SetReady(true);
    was_ready = true;
    std::unique_lock lock(mutex_);
    while (true) {
      const auto something_is_up = [this] { return Over() || check_buckets_; };
      if (!session->borrowed()) {
        changed_.wait(lock, something_is_up);
      } else if (!changed_.wait_for(lock, kBorrowedPoll, something_is_up)) {
        lock.unlock();
        LookAfter(*session);
        lock.lock();
        continue;
      }
      if (Over()) break;
      check_buckets_ = false;
      lock.unlock();
      EnsureBuckets(*session, /*recreating=*/true);
      Pause(kCheckInterval);
      lock.lock();
    }
  }
  SetReady(false);
  callbacks_.on_lost();
  Report(absl::UnavailableError(
      fmt::format("the connection to NATS at {} was lost", session->address())));
  session->Close();
  const std::lock_guard lock(mutex_);
  session_ = 0;
  return was_ready;
}

// False: the session was over first.
bool Connector::EnsureBuckets(Session& session, bool recreating) {
  milliseconds backoff = kBackoffMin;
  while (true) {
    const absl::Status status = TryBuckets(session, recreating);
    if (status.ok()) return true;
    const bool transient = status.code() == absl::StatusCode::kUnavailable;
    LookAfter(session);
    {
      const std::lock_guard lock(mutex_);
      if (Over()) return false;  // and that is why it failed
    }
    Report(status);
    if (!Pause(transient ? backoff : kPermanentBackoff)) return false;
    backoff = std::min(2 * backoff, std::max(kBackoffMax, options_.pace.reconnect_max));
  }
}

absl::Status Connector::TryBuckets(const Session& session, bool recreating) {
  if (!options_.create_buckets) return ExplainSilence(session, FindBuckets());
  if (absl::Status status = CheckVersion(session); !status.ok()) return status;
  std::vector<BucketSpec> missing = options_.buckets;
  absl::Status status = BindExisting(&missing);
  // Where there are some, or have been, those that are missing have gone. Of a new group there is
  // none.
  if (had_buckets_ || missing.size() < options_.buckets.size()) {
    const auto end = std::chrono::steady_clock::now() + kRecreateWait;
    while (status.ok() && !missing.empty() && std::chrono::steady_clock::now() < end) {
      if (!Pause(kLookAgain)) return absl::UnavailableError("the connection to NATS was lost");
      status = BindExisting(&missing);
    }
  }
  if (!status.ok()) return ExplainSilence(session, status);
  for (const BucketSpec& spec : missing) {
    bool created = false;
    status = EnsureBucket(*requests_, options_.names, spec, options_.pace.api_timeout, &created);
    if (!status.ok()) return ExplainSilence(session, status);
    if (created && recreating) callbacks_.on_recreated(spec.bucket);
  }
  had_buckets_ = true;
  return absl::OkStatus();
}

// Leaves in `missing` what isn't there.
absl::Status Connector::BindExisting(std::vector<BucketSpec>* missing) {
  std::vector<BucketSpec> still;
  for (const BucketSpec& spec : *missing) {
    bool created = false;
    const absl::Status status =
        EnsureBucket(*requests_, options_.names, spec, options_.pace.api_timeout, &created,
                     /*may_create=*/false);
    if (absl::IsNotFound(status)) {
      still.push_back(spec);
    } else if (!status.ok()) {
      return status;
    }
  }
  *missing = std::move(still);
  return absl::OkStatus();
}

absl::Status Connector::FindBuckets() {
  std::vector<std::string> missing;
  for (const BucketSpec& spec : options_.buckets) {
    const absl::Status status =
        FindBucket(*requests_, options_.names, spec, options_.pace.api_timeout);
    if (absl::IsNotFound(status)) {
      missing.push_back(spec.name);
    } else if (!status.ok()) {
      return status;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    missing_ = missing;
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::NotFoundError(fmt::format("{} {} exist", fmt::join(missing, ", "),
                                         missing.size() == 1 ? "doesn't" : "don't"));
}

// That nobody answers may pass: a cluster without a leader, say. A server that says of itself that
// it has no JetStream will go on saying so. (With a domain, JetStream is elsewhere.)
absl::Status Connector::ExplainSilence(const Session& session, const absl::Status& status) const {
  if (!absl::IsAborted(status)) return status;
  const std::string text(status.message());
  if (!options_.names.domain().empty()) {
    return absl::UnavailableError(
        fmt::format("{}; is jetstream_domain \"{}\" right, and connected to {}?", text,
                    options_.names.domain(), session.address()));
  }
  const absl::StatusOr<Greeting> greeting = AskForGreeting(session.address(), kVersionTimeout);
  if (!greeting.ok() || greeting->jetstream) return absl::UnavailableError(text);
  return absl::FailedPreconditionError(
      fmt::format("the NATS server at {} has no JetStream, which parti keeps its state in; start "
                  "it with -js, or "
                  "with jetstream {{}} in its configuration",
                  session.address()));
}

std::vector<std::string> Connector::MissingBuckets() {
  const std::lock_guard lock(mutex_);
  return missing_;
}

absl::Status Connector::CheckVersion(const Session& session) const {
  const bool replicated = std::any_of(options_.buckets.begin(), options_.buckets.end(),
                                      [](const BucketSpec& spec) { return spec.replicas > 1; });
  if (!replicated) return absl::OkStatus();
  const absl::StatusOr<Greeting> greeting = AskForGreeting(session.address(), kVersionTimeout);
  if (!greeting.ok()) return greeting.status();
  const ServerVersion& version = greeting->version;
  if (version >= kReplicatedCasVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "replicas is {}, but nats-server {} at {} acknowledges conflicting writes to replicated "
      "streams: set replicas to 1, or use nats-server {} or newer",
      options_.buckets.front().replicas, version.ToString(), session.address(),
      kReplicatedCasVersion.ToString()));
}

void Connector::SetReady(bool ready) {
  const std::lock_guard lock(mutex_);
  ready_ = ready;
  if (ready) {
    problem_ = absl::OkStatus();
    told_.clear();
  }
  changed_.notify_all();
}

bool Connector::Pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return Over(); });
}

}  // namespace parti::kv
