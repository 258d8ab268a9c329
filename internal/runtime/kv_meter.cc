#include "internal/runtime/kv_meter.h"

#include "internal/runtime/clock.h"

namespace parti::runtime {
namespace {

std::string_view OutcomeOf(wire::KvCode code) {
  switch (code) {
    case wire::KvCode::kOk:
      return "ok";
    case wire::KvCode::kConflict:
      return "conflict";
    case wire::KvCode::kNotFound:
      return "not_found";
    case wire::KvCode::kUnknown:
      return "unanswered";
    case wire::KvCode::kRefused:
      return "refused";
  }
  return "refused";
}

}  // namespace

void KvMeter::Sent(core::RequestId request, std::string_view operation) {
  if (recorder_->on()) requests_[request] = {operation, BootNow()};
}

void KvMeter::Answered(const core::KvAnswer& answer) {
  const auto found = requests_.find(answer.request);
  if (found == requests_.end()) return;
  const Request& request = found->second;
  recorder_->Add(Metric::kKvRequests, {request.operation, OutcomeOf(answer.code)});
  recorder_->Observe(Metric::kKvRequestSeconds, BootNow() - request.sent, {request.operation});
  requests_.erase(found);
}

void KvMeter::Opened(const core::OpenWatch& open) {
  if (recorder_->on()) watches_[open.watch] = open.bucket;
}

void KvMeter::Broke(core::WatchId watch) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  recorder_->Add(Metric::kWatchBreaks, {wire::BucketName(found->second)});
  watches_.erase(found);
}

}  // namespace parti::runtime
