// A KV in memory for tests of the runtime: the four buckets of one group, shared by several kv::Kv,
// which answer at once. It can be switched off, and then answers "unknown" like a dead connection.
#ifndef PARTI_TEST_UNIT_MEMORY_KV_H_
#define PARTI_TEST_UNIT_MEMORY_KV_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "internal/kv/kv.h"
#include "internal/wire/kv_types.h"

namespace parti::test {

class MemoryStore {
 public:
  void SwitchOff() { off_ = true; }
  void SwitchOn() { off_ = false; }
  bool off() const { return off_; }
  int puts() const { return puts_; }
  std::string Value(wire::Bucket bucket, const std::string& key) {
    const std::lock_guard lock(mutex_);
    return Of(bucket).entries[key].value;
  }

 private:
  friend class MemoryKv;
  struct Watcher {
    const void* owner;
    core::OpenWatch open;
    kv::Sink sink;
  };
  struct BucketData {
    std::map<std::string, wire::Entry> entries;
    std::uint64_t last_seq = 0;
    std::vector<Watcher> watchers;
  };

  wire::StreamState StateOf(wire::Bucket bucket) {
    return {.stream_id = 100 + static_cast<std::uint64_t>(bucket),
            .last_seq = Of(bucket).last_seq,
            .last_seq_gone = false};
  }
  BucketData& Of(wire::Bucket bucket) { return buckets_[static_cast<std::size_t>(bucket)]; }

  std::atomic<bool> off_{false};
  std::atomic<int> puts_{0};
  std::mutex mutex_;
  std::array<BucketData, wire::kBucketCount> buckets_;
};

class MemoryKv : public kv::Kv {
 public:
  MemoryKv(std::shared_ptr<MemoryStore> store, kv::Sink sink)
      : store_(std::move(store)), sink_(std::move(sink)) {
    sink_(core::ConnectionChanged{true});
  }
  ~MemoryKv() override { Shutdown(); }

  void Get(const core::KvGet& get) override {
    const std::lock_guard lock(store_->mutex_);
    core::KvAnswer answer;
    answer.request = get.request;
    const auto& entries = store_->Of(get.bucket).entries;
    if (const auto found = entries.find(get.key); found != entries.end()) {
      answer.code = wire::KvCode::kOk;
      answer.entry = found->second;
    } else {
      answer.code = wire::KvCode::kNotFound;
    }
    Answer(std::move(answer));
  }

  void Put(const core::KvPut& put) override {
    const std::lock_guard lock(store_->mutex_);
    core::KvAnswer answer;
    answer.request = put.request;
    MemoryStore::BucketData& bucket = store_->Of(put.bucket);
    const auto found = bucket.entries.find(put.key);
    const std::uint64_t last = found == bucket.entries.end() ? 0 : found->second.revision;
    if (store_->off()) {
      answer.code = wire::KvCode::kUnknown;
    } else if (last != put.expected) {
      answer.code = wire::KvCode::kConflict;
    } else {
      ++store_->puts_;
      answer.code = wire::KvCode::kOk;
      answer.revision = ++bucket.last_seq;
      const wire::Entry entry{put.key, answer.revision, false, put.value};
      bucket.entries[put.key] = entry;
      for (const MemoryStore::Watcher& watcher : bucket.watchers) {
        if (!watcher.open.key.empty() && watcher.open.key != put.key) continue;
        watcher.sink(core::WatchEntry{watcher.open.watch, entry});
      }
    }
    Answer(std::move(answer));
  }

  void Info(const core::KvInfo& info) override {
    const std::lock_guard lock(store_->mutex_);
    core::KvAnswer answer;
    answer.request = info.request;
    answer.code = wire::KvCode::kOk;
    answer.stream = store_->StateOf(info.bucket);
    Answer(std::move(answer));
  }

  void Open(const core::OpenWatch& open) override {
    const std::lock_guard lock(store_->mutex_);
    if (store_->off()) return sink_(core::WatchBroken{open.watch, "switched off"});
    MemoryStore::BucketData& bucket = store_->Of(open.bucket);
    for (const auto& [key, entry] : bucket.entries) {
      if (open.key.empty() || open.key == key) sink_(core::WatchEntry{open.watch, entry});
    }
    sink_(core::WatchSnapshotEnd{open.watch, store_->StateOf(open.bucket)});
    bucket.watchers.push_back({this, open, sink_});
  }

  void Close(const core::CloseWatch& close) override {
    const std::lock_guard lock(store_->mutex_);
    Forget([&](const MemoryStore::Watcher& watcher) { return watcher.open.watch == close.watch; });
  }

  std::size_t MaxValueBytes() const override { return 1 << 20; }

  void Shutdown() override {
    const std::lock_guard lock(store_->mutex_);
    Forget([](const MemoryStore::Watcher&) { return true; });
  }

 private:
  void Answer(core::KvAnswer answer) {
    if (store_->off()) {
      answer.code = wire::KvCode::kUnknown;
      answer.error = "switched off";
    }
    sink_(std::move(answer));
  }

  template <typename Predicate>
  void Forget(Predicate predicate) {
    for (MemoryStore::BucketData& bucket : store_->buckets_) {
      std::erase_if(bucket.watchers, [&](const MemoryStore::Watcher& watcher) {
        return watcher.owner == this && predicate(watcher);
      });
    }
  }

  const std::shared_ptr<MemoryStore> store_;
  const kv::Sink sink_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_UNIT_MEMORY_KV_H_
