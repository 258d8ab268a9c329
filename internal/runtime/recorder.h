// The way to the application's Metrics: there may be none, and it may throw.
#ifndef PARTI_INTERNAL_RUNTIME_RECORDER_H_
#define PARTI_INTERNAL_RUNTIME_RECORDER_H_

#include <initializer_list>
#include <string_view>

#include "internal/core/time.h"
#include "parti/metrics.h"

namespace parti::runtime {

// Thread safety: every method from any thread.
class Recorder {
 public:
  using Labels = std::initializer_list<std::string_view>;

  // `metrics` may be null, and outlives the recorder.
  explicit Recorder(Metrics* metrics = nullptr) : metrics_(metrics) {}

  bool on() const { return metrics_ != nullptr; }

  void Add(Metric counter, Labels labels = {}, double amount = 1) const {
    Guard([&] { metrics_->Add(counter, {labels.begin(), labels.size()}, amount); });
  }
  void Set(Metric gauge, double value, Labels labels = {}) const {
    Guard([&] { metrics_->Set(gauge, {labels.begin(), labels.size()}, value); });
  }
  void Observe(Metric histogram, core::Nanos time, Labels labels = {}) const {
    const double seconds = static_cast<double>(time) / static_cast<double>(core::kSecond);
    Guard([&] { metrics_->Observe(histogram, {labels.begin(), labels.size()}, seconds); });
  }

 private:
  template <typename Call>
  void Guard(Call call) const {
    if (metrics_ == nullptr) return;
    try {
      call();
    } catch (...) {
      // A number that is missing mustn't cost a heartbeat, nor fill the log with one line each.
    }
  }

  Metrics* metrics_;
};

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_RECORDER_H_
