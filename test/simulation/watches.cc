// The watches of the simulated network.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "test/simulation/network.h"
#include "test/simulation/process.h"

namespace parti::simulation {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

}  // namespace

void Network::Open(Process* process, core::OpenWatch open) {
  shared_.history.Traffic(shared_.now(), process->name(), 50 + open.watch * 64, [&open] {
    return fmt::format("watch {} {}/{}", open.watch, wire::BucketName(open.bucket), open.key);
  });
  Watch watch;
  watch.process = process;
  watch.id = open.watch;
  watch.bucket = open.bucket;
  watch.key = std::move(open.key);
  watch.opened = shared_.now();
  watches_.push_back(std::move(watch));
  const std::size_t index = watches_.size() - 1;
  open_[Index(watches_[index].bucket)].push_back(index);
  const auto laid = scans_.find({process->number(), Index(watches_[index].bucket)});
  const Nanos delay = laid == scans_.end() ? 0 : laid->second.delay;
  shared_.queue.After(delay + Latency(), [this, index] { TakeSnapshot(index); });
}

std::size_t Network::FindWatch(const Process& process, core::WatchId id) const {
  for (const std::vector<std::size_t>& bucket : open_) {
    for (const std::size_t watch : bucket) {
      if (watches_[watch].process == &process && watches_[watch].id == id) return watch;
    }
  }
  return kNone;
}

// What is under way still arrives, as it may in the real world; core has to ignore it.
void Network::Close(Process* process, core::CloseWatch close) {
  const std::size_t watch = FindWatch(*process, close.watch);
  if (watch == kNone) return;
  watches_[watch].closed = true;
  watches_[watch].open = false;
  std::erase(open_[Index(watches_[watch].bucket)], watch);
}

void Network::TakeSnapshot(std::size_t index) {
  Watch& watch = watches_[index];
  if (!watch.open) return;
  if (down_ || IsCut(*watch.process)) {
    return Break(index, shared_.random.Exponential(core::kSecond), "not connected");
  }
  if (server_frozen_) {
    shared_.queue.After(100 * core::kMillisecond, [this, index] { TakeSnapshot(index); });
    return;
  }
  const Stream& stream = StreamOf(watch.bucket);
  // A scan served by a replica that lags: it ends before the last messages, which come later or
  // never.
  std::uint64_t until = stream.last_sequence();
  const NetworkFaults& faults = shared_.scenario.network;
  const auto laid = scans_.find({watch.process->number(), Index(watch.bucket)});
  if (laid != scans_.end() && laid->second.until) {
    until = std::min(until, *laid->second.until);
    watch.stalled = true;
  } else if (until > 0 && shared_.random.Chance(faults.partial_scan)) {
    shared_.tally.Add(Count::kPartialScan);
    until -= std::min<std::uint64_t>(until, 1 + shared_.random.Below(8));
    watch.stalled = shared_.random.Chance(0.5);
  }
  const std::vector<std::uint64_t> found = stream.Scan(watch.key, until);
  const bool stalled = std::exchange(watch.stalled, false);
  for (const std::uint64_t sequence : found) DeliverEntry(index, sequence, Latency());
  watches_[index].live = true;
  shared_.queue.After(Latency(), [this, index] { EndSnapshot(index); });
  for (std::uint64_t sequence = until + 1; sequence <= stream.last_sequence() && !stalled;
       ++sequence) {
    const Stream::Message& message = stream.At(sequence);
    if (!message.gone && (watch.key.empty() || watch.key == message.key)) {
      DeliverEntry(index, sequence, Latency() + shared_.random.Exponential(faults.slow_mean));
    }
  }
  // (One that a fault stalled meanwhile stays so: nothing is left out in the middle.)
  watches_[index].stalled |= stalled;
}

// The stream's state is asked for by a request of its own, after the watch was opened.
void Network::EndSnapshot(std::size_t index) {
  Watch& watch = watches_[index];
  if (!watch.open) return;
  watch.last_delivery = std::max(watch.last_delivery, shared_.now() + Latency());
  const wire::StreamState state = StreamOf(watch.bucket).State();
  shared_.queue.At(watch.last_delivery, [this, index, state] {
    Watch& now = watches_[index];
    now.end = state;
    NoteScan(now);
    shared_.history.Traffic(shared_.now(), now.process->name(), 51 + now.id * 64, [&] {
      return fmt::format("watch {}: end of the snapshot, stream {} at {}", now.id, state.stream_id,
                         state.last_seq);
    });
    now.process->Deliver(core::WatchSnapshotEnd{now.id, state});
  });
}

// Of a whole bucket, once it has delivered all that stood when its snapshot's end was asked for.
void Network::NoteScan(const Watch& watch) {
  if (watch.closed || !watch.key.empty() || !watch.end) return;
  if (watch.highest < watch.end->last_seq && !watch.end->last_seq_gone) return;
  judge_.Scanned(watch.process->number(), watch.bucket, watch.opened);
}

void Network::DeliverEntry(std::size_t index, std::uint64_t sequence, Nanos delay) {
  Watch& watch = watches_[index];
  const NetworkFaults& faults = shared_.scenario.network;
  if (watch.live && shared_.random.Chance(faults.watch_stall)) {
    shared_.tally.Add(Count::kWatchStalled);
    watch.stalled = true;
  }
  if (watch.stalled) return;
  if (watch.live && shared_.random.Chance(faults.watch_break)) {
    shared_.tally.Add(Count::kWatchBroken);
    return Break(index, Latency(), "the consumer was restarted");
  }
  watch.last_delivery = std::max(watch.last_delivery, shared_.now() + delay);
  // The stream may be another one by then; what was sent is what arrives.
  const bool may_skip = shared_.random.Chance(faults.skip_superseded);
  shared_.queue.At(watch.last_delivery, [this, index, sequence, may_skip,
                                         entry = StreamOf(watch.bucket).Entry(sequence)] {
    Watch& now = watches_[index];
    if (may_skip && StreamOf(now.bucket).Revision(entry.key) > sequence) return;
    now.highest = std::max(now.highest, sequence);
    NoteScan(now);
    shared_.history.Traffic(shared_.now(), now.process->name(), 52 + sequence * 64, [&] {
      return fmt::format("watch {}: {}/{} revision {}{}", now.id, wire::BucketName(now.bucket),
                         entry.key, sequence, entry.deleted ? " (deleted)" : "");
    });
    now.process->Deliver(core::WatchEntry{now.id, entry});
  });
}

void Network::Break(std::size_t index, Nanos delay, const std::string& reason) {
  Watch& watch = watches_[index];
  if (!watch.open) return;
  watch.open = false;
  std::erase(open_[Index(watch.bucket)], index);
  const Nanos at = std::max(watch.last_delivery, shared_.now() + delay);
  shared_.queue.At(at, [this, index, reason] {
    const Watch& now = watches_[index];
    shared_.history.Traffic(shared_.now(), now.process->name(), 53 + now.id * 64,
                            [&] { return fmt::format("watch {} is broken: {}", now.id, reason); });
    now.process->Deliver(core::WatchBroken{now.id, reason});
  });
}

void Network::Gone(const Process& process) {
  for (std::vector<std::size_t>& bucket : open_) {
    std::erase_if(bucket, [&](std::size_t watch) {
      if (watches_[watch].process != &process) return false;
      watches_[watch].open = false;
      return true;
    });
  }
}

void Network::StallWatches(const Process& process) {
  for (Watch& watch : watches_) {
    if (watch.open && watch.process == &process) watch.stalled = true;
  }
}

void Network::StallWatches(const Process& process, wire::Bucket bucket) {
  for (const std::size_t watch : open_[Index(bucket)]) {
    if (watches_[watch].process == &process) watches_[watch].stalled = true;
  }
}

void Network::ShortenScans(const Process& process, wire::Bucket bucket, std::uint64_t until) {
  scans_[{process.number(), Index(bucket)}].until = until;
}

void Network::DelayScans(const Process& process, wire::Bucket bucket, Nanos delay) {
  scans_[{process.number(), Index(bucket)}].delay = delay;
}

void Network::BreakWatches(Process* process) {
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    if (watches_[i].process == process) {
      Break(i, shared_.random.Exponential(core::kSecond), "connection lost");
    }
  }
}

}  // namespace parti::simulation
