#include "parti/cli/group_snapshot_reader.h"

#include <algorithm>
#include <ctime>
#include <utility>
#include <variant>

namespace parti::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

LocalNanos Now() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

milliseconds Left(Clock::time_point end) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(end - Clock::now()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<GroupReader>> GroupReader::Create(kv::NatsKvOptions options) {
  std::unique_ptr<GroupReader> reader(new GroupReader());
  GroupReader* const self = reader.get();
  options.create_buckets = false;
  options.on_error = [self](const absl::Status& status) {
    {
      const std::lock_guard lock(self->mutex_);
      self->problem_ = status;
    }
    self->Wake();
  };
  auto kv =
      kv::NatsKv::Create(options, [self](core::Event event) { self->Push(std::move(event)); });
  if (!kv.ok()) return kv.status();
  reader->kv_ = *std::move(kv);
  return reader;
}

GroupReader::~GroupReader() {
  if (kv_) kv_->Shutdown();
}

void GroupReader::Push(core::Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void GroupReader::Wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

absl::Status GroupReader::Problem() {
  const std::lock_guard lock(mutex_);
  return problem_;
}

bool GroupReader::Complete() const {
  return std::all_of(watches_.begin(), watches_.end(),
                     [](const Watch& watch) { return watch.ended; });
}

absl::Status GroupReader::Await(milliseconds timeout, const std::function<bool()>& stop) {
  const auto end = Clock::now() + timeout;
  while (!Complete()) {
    if (stop()) return absl::CancelledError("interrupted");
    const absl::Status problem = Problem();
    const bool hopeless = !problem.ok() && !absl::IsUnavailable(problem);
    if (hopeless) return problem;
    if (Clock::now() >= end) {
      if (!problem.ok()) return problem;
      return absl::UnavailableError("no answer from NATS in time; --timeout allows for more");
    }
    Pump(Left(end));
  }
  return absl::OkStatus();
}

bool GroupReader::Pump(milliseconds time) {
  std::deque<core::Event> events;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return woken_ || !events_.empty(); });
    if (!woken_ && events_.empty()) return false;
    woken_ = false;
    events.swap(events_);
  }
  for (core::Event& event : events) Handle(std::move(event));
  OpenMissing();
  return true;
}

void GroupReader::OpenMissing() {
  if (!connected_) return;
  for (int i = 0; i < wire::kBucketCount; ++i) {
    Watch& watch = watches_.at(static_cast<std::size_t>(i));
    if (watch.id != 0) continue;
    watch = {.id = next_id_++, .opened = Now()};
    kv_->Open({.watch = watch.id, .bucket = static_cast<wire::Bucket>(i), .key = ""});
  }
}

void GroupReader::Handle(core::Event event) {
  if (const auto* changed = std::get_if<core::ConnectionChanged>(&event)) {
    connected_ = changed->connected;
    if (connected_) {
      const std::lock_guard lock(mutex_);
      problem_ = absl::OkStatus();
    }
    return;
  }
  if (auto* answer = std::get_if<core::KvAnswer>(&event)) {
    answers_[answer->request] = std::move(*answer);
    return;
  }
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    Watch& watch = watches_.at(i);
    if (auto* entry = std::get_if<core::WatchEntry>(&event); entry && entry->watch == watch.id) {
      if (watch.ended) {
        snapshot_.Take(static_cast<wire::Bucket>(i), entry->entry, Now());
      } else {
        watch.snapshot[entry->entry.key] = std::move(entry->entry);
      }
    } else if (const auto* end = std::get_if<core::WatchSnapshotEnd>(&event);
               end && end->watch == watch.id) {
      EndSnapshot(i, *end);
    } else if (const auto* broken = std::get_if<core::WatchBroken>(&event);
               broken && broken->watch == watch.id) {
      watch = {};
      const std::lock_guard lock(mutex_);
      if (problem_.ok()) problem_ = absl::UnavailableError(broken->reason);
    }
  }
}

// What is shown stays as it was until the bucket was read to its end again.
void GroupReader::EndSnapshot(std::size_t bucket, const core::WatchSnapshotEnd& end) {
  Watch& watch = watches_.at(bucket);
  const auto which = static_cast<wire::Bucket>(bucket);
  snapshot_.Clear(which);
  const LocalNanos now = Now();
  for (const auto& [key, entry] : watch.snapshot) {
    LocalNanos since = now;
    if (end.opened_at > 0 && entry.stored_at > 0) {
      since = std::min(now, watch.opened - (end.opened_at - entry.stored_at));
    }
    snapshot_.Take(which, entry, since);
  }
  watch.snapshot.clear();
  watch.ended = true;
  if (Complete()) {
    const std::lock_guard lock(mutex_);
    problem_ = absl::OkStatus();
  }
}

const GroupSnapshot& GroupReader::snapshot() {
  snapshot_.now = Now();
  return snapshot_;
}

core::KvAnswer GroupReader::AwaitAnswer(core::RequestId request, milliseconds timeout) {
  // Every request is answered within its timeout; this is for the case that it isn't.
  const auto end = Clock::now() + timeout + milliseconds(1'000);
  while (answers_.count(request) == 0 && Clock::now() < end) Pump(Left(end));
  core::KvAnswer answer;
  answer.error = "no answer";
  if (const auto found = answers_.find(request); found != answers_.end()) {
    answer = std::move(found->second);
    answers_.erase(found);
  }
  return answer;
}

core::KvAnswer GroupReader::Put(wire::Bucket bucket, const std::string& key, std::uint64_t expected,
                                const std::string& value, milliseconds timeout) {
  const core::RequestId request = next_id_++;
  kv_->Put({.request = request,
            .bucket = bucket,
            .key = key,
            .expected = expected,
            .value = value,
            .timeout = std::chrono::nanoseconds(timeout).count()});
  return AwaitAnswer(request, timeout);
}

core::KvAnswer GroupReader::Get(wire::Bucket bucket, const std::string& key, milliseconds timeout) {
  const core::RequestId request = next_id_++;
  kv_->Get({.request = request,
            .bucket = bucket,
            .key = key,
            .timeout = std::chrono::nanoseconds(timeout).count()});
  return AwaitAnswer(request, timeout);
}

}  // namespace parti::cli
