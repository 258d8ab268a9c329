// The KV seam of the real world: what core's KV effects need, asynchronously, from some server.
//
// Thread safety: every method may be called from any thread. The sink is called from threads of the
// implementation and must only enqueue.
#ifndef PARTI_INTERNAL_KV_KV_H_
#define PARTI_INTERNAL_KV_KV_H_

#include <cstddef>
#include <functional>
#include <string>

#include "internal/core/effect.h"
#include "internal/core/event.h"

namespace parti::kv {

// Where answers, watch events and connection changes go: KvAnswer, WatchEntry, WatchSnapshotEnd,
// WatchBroken, ConnectionChanged.
using Sink = std::function<void(core::Event)>;

class Kv {
 public:
  virtual ~Kv() = default;

  virtual void Get(const core::KvGet& get) = 0;
  virtual void Put(const core::KvPut& put) = 0;
  virtual void Info(const core::KvInfo& info) = 0;
  virtual void Open(const core::OpenWatch& open) = 0;
  virtual void Close(const core::CloseWatch& close) = 0;

  // The largest value that a Put may carry, as the server announced it.
  virtual std::size_t MaxValueBytes() const = 0;

  // The address of the server connected to last, for people; empty: none was, or it isn't known.
  virtual std::string Server() const { return {}; }

  // No call of the sink after it returned. Requests under way get no answer. Idempotent.
  virtual void Shutdown() = 0;
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_KV_H_
