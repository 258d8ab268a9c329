// Counts and times the loop's requests to the KV, from sending to the answer's arrival at the loop.
#ifndef PARTI_INTERNAL_RUNTIME_KV_METER_H_
#define PARTI_INTERNAL_RUNTIME_KV_METER_H_

#include <map>
#include <string_view>

#include "internal/core/effect.h"
#include "internal/core/event.h"
#include "internal/core/time.h"
#include "internal/runtime/recorder.h"

namespace parti::runtime {

// Thread safety: none; the loop's.
class KvMeter {
 public:
  explicit KvMeter(const Recorder* recorder) : recorder_(recorder) {}

  void Sent(const core::KvGet& get) { Sent(get.request, "get"); }
  void Sent(const core::KvPut& put) { Sent(put.request, "put"); }
  void Sent(const core::KvInfo& info) { Sent(info.request, "info"); }
  void Answered(const core::KvAnswer& answer);

  void Opened(const core::OpenWatch& open);
  void Closed(core::WatchId watch) { watches_.erase(watch); }
  void Broke(core::WatchId watch);

 private:
  struct Request {
    std::string_view operation;
    core::Nanos sent = 0;
  };
  void Sent(core::RequestId request, std::string_view operation);

  const Recorder* const recorder_;
  std::map<core::RequestId, Request> requests_;  // each is answered
  std::map<core::WatchId, wire::Bucket> watches_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_KV_METER_H_
