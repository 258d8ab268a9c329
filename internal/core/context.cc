#include "internal/core/context.h"

namespace parti::core {

namespace {
// How many distinct faults are remembered as reported; beyond it they are dropped, not repeated,
// until all are forgotten.
constexpr std::size_t kMaxReported = 1000;
constexpr Nanos kForgetReportedAfter = 3600 * kSecond;
}  // namespace

RequestId Context::Expect(const Scope& scope, Callback callback) {
  const RequestId id = ++last_request_;
  pending_.emplace(id, Pending{scope.token(), std::move(callback)});
  return id;
}

void Context::Get(const Scope& scope, wire::Bucket bucket, std::string key, Callback callback) {
  const RequestId id = Expect(scope, std::move(callback));
  Emit(KvGet{id, bucket, std::move(key), settings.request_timeout});
}

void Context::Put(const Scope& scope, wire::Bucket bucket, std::string key, std::uint64_t expected,
                  std::string value, Callback callback) {
  const RequestId id = Expect(scope, std::move(callback));
  Emit(KvPut{id, bucket, std::move(key), expected, std::move(value), settings.request_timeout});
}

void Context::Info(const Scope& scope, wire::Bucket bucket, Callback callback) {
  const RequestId id = Expect(scope, std::move(callback));
  Emit(KvInfo{id, bucket, settings.request_timeout});
}

void Context::OnAnswer(const KvAnswer& answer) {
  const auto it = pending_.find(answer.request);
  if (it == pending_.end()) return;
  const Pending pending = std::move(it->second);
  pending_.erase(it);
  if (!pending.scope.expired()) pending.callback(answer);
}

WatchId Context::Register(Watch* watch) {
  watches_.emplace(++last_watch_, watch);
  return last_watch_;
}

Watch* Context::FindWatch(WatchId id) const {
  const auto it = watches_.find(id);
  return it == watches_.end() ? nullptr : it->second;
}

void Context::Report(Severity severity, absl::Status status) {
  Emit(core::Report{severity, std::move(status)});
}

void Context::ReportOnce(const std::string& about, Severity severity, absl::Status status) {
  if (reported_.empty()) forgot_reported_at_ = now;
  if (reported_.size() >= kMaxReported && now - forgot_reported_at_ >= kForgetReportedAfter) {
    reported_.clear();
    forgot_reported_at_ = now;
  }
  if (reported_.size() >= kMaxReported || !reported_.insert(about).second) return;
  Report(severity, std::move(status));
}

std::uint64_t Context::Random(std::uint64_t bound) {
  return bound == 0 ? 0 : environment->RandomBits() % bound;
}

std::uint64_t Context::Nonce() {
  const std::uint64_t bits = environment->RandomBits();
  return bits == 0 ? 1 : bits;
}

}  // namespace parti::core
