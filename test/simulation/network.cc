#include "test/simulation/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "test/simulation/process.h"

namespace parti::simulation {

using wire::Bucket;
using wire::KvCode;

namespace {

constexpr Bucket kBuckets[] = {Bucket::kStableId, Bucket::kElection, Bucket::kHeartbeat,
                               Bucket::kAssignment};

}  // namespace

Network::Network(Shared* shared, KvJudge* judge) : shared_(*shared), judge_(*judge) {
  for ([[maybe_unused]] const Bucket bucket : kBuckets) {
    streams_.push_back(std::make_unique<Stream>(1'000 + streams_made_++));
    open_.emplace_back();
  }
  shared_.queue.After(core::kSecond, [this] { ExpireHeartbeats(); });
}

// ---- requests

void Network::Get(Process* process, core::KvGet get) {
  Request request;
  request.process = process;
  request.id = get.request;
  request.bucket = get.bucket;
  request.key = std::move(get.key);
  Send(std::move(request), get.timeout);
}

void Network::Put(Process* process, core::KvPut put) {
  const Nanos timeout = put.timeout;
  Request request;
  request.process = process;
  request.id = put.request;
  request.bucket = put.bucket;
  SentPut sent;
  sent.process = process->number();
  sent.sent = process->clock_now();
  sent.decided = process->clock().At(process->step_time());
  sent.decided_at = process->step_time();
  sent.put = std::move(put);
  request.put = judge_.Sending(std::move(sent));
  Send(std::move(request), timeout);
}

void Network::Info(Process* process, core::KvInfo info) {
  Request request;
  request.process = process;
  request.id = info.request;
  request.bucket = info.bucket;
  Send(std::move(request), info.timeout);
}

Nanos Network::Latency() {
  const NetworkFaults& faults = shared_.scenario.network;
  Nanos latency = faults.latency_min;
  if (faults.latency_extra > 0) latency += shared_.random.Exponential(faults.latency_extra);
  if (shared_.random.Chance(faults.slow)) latency += shared_.random.Exponential(faults.slow_mean);
  return latency;
}

Network::Fate Network::DrawFate(Nanos timeout, bool document) {
  const NetworkFaults& faults = shared_.scenario.network;
  Random& random = shared_.random;
  Fate fate;
  fate.there = Latency();
  fate.back = Latency();
  if (random.Chance(faults.lose_request)) {
    shared_.tally.Add(Count::kRequestLost);
    fate.lost = true;
  } else if (random.Chance(faults.lose_answer)) {
    shared_.tally.Add(Count::kAnswerLost);
    fate.answer_lost = true;
  } else if (random.Chance(document ? faults.land_late + faults.document_late : faults.land_late)) {
    shared_.tally.Add(Count::kLandedLate);
    fate.late = true;
    fate.there = timeout + std::min(random.Exponential(faults.late_mean), faults.late_max);
  } else if (random.Chance(faults.refuse)) {
    shared_.tally.Add(Count::kRefused);
    fate.refused = true;
  }
  return fate;
}

// A fault that a story or a test has laid in wait for this request.
void Network::Spring(const Process* process, const Request& request, Nanos timeout, Fate* fate) {
  for (Ambush& ambush : ambushes_) {
    const std::string& key = request.put ? request.put->put.key : request.key;
    if (ambush.times <= 0 || ambush.put != (request.put != nullptr) ||
        ambush.bucket != request.bucket) {
      continue;
    }
    if (ambush.process != nullptr && ambush.process != process) continue;
    if (!ambush.key.empty() && ambush.key != key) continue;
    if (ambush.when && !(request.put && ambush.when(*request.put))) continue;
    --ambush.times;
    switch (ambush.fate) {
      case Ambush::Fate::kLoseRequest:
        fate->lost = true;
        break;
      case Ambush::Fate::kLoseAnswer:
        fate->answer_lost = true;
        break;
      case Ambush::Fate::kRefuse:
        fate->refused = true;
        break;
      case Ambush::Fate::kSlow:
        fate->there = ambush.delay;
        break;
      case Ambush::Fate::kSlowAnswer:
        fate->back = ambush.delay;
        break;
      case Ambush::Fate::kLandLate:
        fate->late = true;
        fate->there = std::max(timeout, ambush.delay);
        break;
    }
    shared_.history.Fact(shared_.now(), process->name(), 30, [&] {
      return fmt::format("* the network strikes at its {} {}/{}", ambush.put ? "put" : "get",
                         wire::BucketName(request.bucket), key);
    });
    return;
  }
}

void Network::Send(Request request, Nanos timeout) {
  request.deadline = shared_.now() + timeout;
  request.fate = DrawFate(timeout, request.put && request.bucket == Bucket::kAssignment);
  if (!ambushes_.empty()) Spring(request.process, request, timeout, &request.fate);
  shared_.history.Traffic(shared_.now(), request.process->name(), 40 + request.id * 64, [&request] {
    if (request.put) {
      return fmt::format("put {}/{} at {}: {}", wire::BucketName(request.bucket),
                         request.put->put.key, request.put->put.expected, request.put->put.value);
    }
    return fmt::format("{} {}/{}", request.key.empty() ? "info" : "get",
                       wire::BucketName(request.bucket), request.key);
  });
  auto sent = std::make_shared<Request>(std::move(request));
  if (IsCut(*sent->process)) {
    // Known at once, or only when the time is over.
    const Nanos at = shared_.random.Chance(0.5) ? shared_.now() + Latency() : sent->deadline;
    return AnswerUnknown(sent, at, "not connected");
  }
  if (sent->fate.lost) {
    shared_.last_fault = std::max(shared_.last_fault, shared_.now());
    return AnswerUnknown(sent, sent->deadline, "no answer in time");
  }
  const Nanos arrival = shared_.now() + sent->fate.there;
  if (sent->fate.late) {
    shared_.last_fault = std::max(shared_.last_fault, arrival);
    AnswerUnknown(sent, sent->deadline, "no answer in time");
  }
  shared_.queue.At(arrival, [this, sent] { Arrive(sent); });
}

void Network::Arrive(const std::shared_ptr<Request>& request) {
  if (server_frozen_) {
    waiting_.push_back(request);
    if (!request->fate.late) {
      request->fate.late = true;
      AnswerUnknown(request, request->deadline, "no answer in time");
    }
    return;
  }
  const bool late = request->fate.late;
  if (down_) {
    if (!late) AnswerUnknown(request, request->deadline, "no answer in time");
    return;
  }
  core::KvAnswer answer = Serve(*request);
  if (late) return;
  if (request->fate.answer_lost || IsCut(*request->process)) {
    shared_.last_fault = std::max(shared_.last_fault, shared_.now());
    return AnswerUnknown(request, request->deadline, "no answer in time");
  }
  const Nanos at = shared_.now() + request->fate.back;
  if (at > request->deadline) return AnswerUnknown(request, request->deadline, "no answer in time");
  Answer(request, at, std::move(answer));
}

core::KvAnswer Network::Serve(const Request& request) {
  core::KvAnswer answer;
  answer.request = request.id;
  Stream& stream = StreamOf(request.bucket);
  if (request.fate.refused) {
    answer.code = KvCode::kRefused;
    answer.error = "insufficient resources";
    return answer;
  }
  if (request.put) {
    const core::KvPut& put = request.put->put;
    if (stream.Revision(put.key) != put.expected) {
      shared_.tally.Add(Count::kConflict);
      if (judge_.MetTombstone(*request.put)) shared_.tally.Add(Count::kTombstoneMet);
      answer.code = KvCode::kConflict;
      return answer;
    }
    answer.code = KvCode::kOk;
    judge_.Accepted(*request.put, stream.id(), stream.last_sequence() + 1);
    answer.revision = Append(put.bucket, put.key, put.value, false);
    return answer;
  }
  if (request.key.empty()) {
    answer.code = KvCode::kOk;
    answer.stream = stream.State();
    return answer;
  }
  const std::uint64_t revision = stream.Revision(request.key);
  answer.code = revision == 0 ? KvCode::kNotFound : KvCode::kOk;
  if (revision != 0) answer.entry = stream.Entry(revision);
  if (revision != 0 && request.bucket == Bucket::kElection && request.key == wire::kLeaderKey) {
    judge_.LeaderServed(request.process->number(), answer.entry.value);
  }
  return answer;
}

void Network::Answer(const std::shared_ptr<Request>& request, Nanos at, core::KvAnswer answer) {
  shared_.queue.At(at, [this, request, got = std::move(answer)] {
    shared_.history.Traffic(shared_.now(), request->process->name(), 41 + request->id * 64, [&] {
      return fmt::format(
          "{} {}/{}: {}{}",
          request->put           ? "put"
          : request->key.empty() ? "info"
                                 : "get",
          wire::BucketName(request->bucket), request->put ? request->put->put.key : request->key,
          wire::KvCodeName(got.code),
          got.code != KvCode::kOk
              ? ""
              : fmt::format(", revision {}", request->put ? got.revision : got.entry.revision));
    });
    request->process->Deliver(got);
  });
}

void Network::AnswerUnknown(const std::shared_ptr<Request>& request, Nanos at, std::string why) {
  core::KvAnswer answer;
  answer.request = request->id;
  answer.code = KvCode::kUnknown;
  answer.error = std::move(why);
  Answer(request, at, std::move(answer));
}

std::uint64_t Network::Append(Bucket bucket, const std::string& key, std::string value,
                              bool deleted) {
  const std::uint64_t sequence =
      StreamOf(bucket).Append(key, std::move(value), deleted, shared_.now());
  for (const std::size_t watch : open_[Index(bucket)]) {
    const Watch& open = watches_[watch];
    if (open.live && (open.key.empty() || open.key == key)) {
      DeliverEntry(watch, sequence, Latency());
    }
  }
  if (on_change_) on_change_(bucket, key);
  return sequence;
}

// ---- by hand

std::uint64_t Network::Write(Bucket bucket, const std::string& key, std::string value) {
  judge_.Tampered(bucket, key);
  if (bucket == Bucket::kElection && key == wire::kControlKey) {
    judge_.Controlled(value, StreamOf(bucket).last_sequence() + 1);
  }
  return Append(bucket, key, std::move(value), false);
}

void Network::Delete(Bucket bucket, const std::string& key) {
  judge_.Tampered(bucket, key);
  Append(bucket, key, "", true);
}

void Network::Purge(Bucket bucket, const std::string& key) {
  judge_.Tampered(bucket, key);
  StreamOf(bucket).Remove(key);
}

void Network::Wipe(Bucket bucket) {
  Replace(bucket, std::make_unique<Stream>(1'000 + streams_made_++));
}

void Network::RollBack(Bucket bucket, std::uint64_t until) {
  Replace(bucket, std::make_unique<Stream>(StreamOf(bucket).AsOf(until, 1'000 + streams_made_++)));
}

void Network::LoseEnd(Bucket bucket, std::uint64_t until) {
  const Stream& stream = StreamOf(bucket);
  Replace(bucket, std::make_unique<Stream>(stream.AsOf(until, stream.id())));
}

void Network::Replace(Bucket bucket, std::unique_ptr<Stream> stream) {
  judge_.Wiped(bucket);
  streams_[Index(bucket)] = std::move(stream);
  // Whoever watches the old stream is told, or sees what comes after it has resumed.
  const std::vector<std::size_t> open = open_[Index(bucket)];
  for (const std::size_t watch : open) {
    if (shared_.random.Chance(0.5)) {
      Break(watch, shared_.random.Exponential(core::kSecond), "the stream was deleted");
    } else if (shared_.random.Chance(0.5)) {
      watches_[watch].stalled = true;
    }
  }
}

void Network::ExpireHeartbeats() {
  const Nanos ttl = 10 * shared_.scenario.longest_lease();
  Stream& stream = StreamOf(Bucket::kHeartbeat);
  if (shared_.now() > ttl) {
    const Nanos limit = shared_.now() - ttl;
    for (const auto& [key, sequence] : stream.newest()) {
      if (stream.At(sequence).written < limit) judge_.Expired(key);
    }
    stream.Expire(limit);
  }
  shared_.queue.After(core::kSecond, [this] { ExpireHeartbeats(); });
}

// ---- faults

bool Network::IsCut(const Process& process) const { return cut_.contains(process.number()); }

void Network::Cut(Process* process) {
  if (++cut_[process->number()] > 1) return;
  BreakWatches(process);
  process->Deliver(core::ConnectionChanged{false});
}

void Network::Heal(Process* process) {
  const auto cut = cut_.find(process->number());
  if (cut == cut_.end() || --cut->second > 0) return;
  cut_.erase(cut);
  process->Deliver(core::ConnectionChanged{true});
}

void Network::Outage(bool down) {
  if (down == down_) return;
  down_ = down;
  if (!down) return;
  for (const std::vector<std::size_t>& bucket : std::vector<std::vector<std::size_t>>(open_)) {
    for (const std::size_t watch : bucket) {
      Break(watch, shared_.random.Exponential(core::kSecond), "the server is gone");
    }
  }
}

void Network::FreezeServer(bool frozen) {
  server_frozen_ = frozen;
  if (frozen) return;
  const std::vector<std::shared_ptr<Request>> waiting = std::exchange(waiting_, {});
  for (const std::shared_ptr<Request>& request : waiting) Arrive(request);
}

void Network::HealAll() {
  cut_.clear();
  down_ = false;
  FreezeServer(false);
  ambushes_.clear();
  scans_.clear();
}

}  // namespace parti::simulation
