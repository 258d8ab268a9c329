// What the parts of a worker's core share: the present time, the effects so far, requests and their
// answers, watches, randomness, and the highest epoch seen.
#ifndef PARTI_INTERNAL_CORE_CONTEXT_H_
#define PARTI_INTERNAL_CORE_CONTEXT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "internal/core/effect.h"
#include "internal/core/environment.h"
#include "internal/core/event.h"
#include "internal/core/settings.h"
#include "internal/core/time.h"
#include "internal/wire/limits.h"
#include "internal/wire/records.h"

namespace parti::core {

class Watch;

// A part of core keeps one of these while answers to its requests matter to it. Renewing or
// destroying it makes all answers still under way fall on deaf ears.
class Scope {
 public:
  Scope() : token_(std::make_shared<int>(0)) {}
  void Renew() { token_ = std::make_shared<int>(0); }
  std::weak_ptr<int> token() const { return token_; }

 private:
  std::shared_ptr<int> token_;
};

class Context {
 public:
  using Callback = std::function<void(const KvAnswer&)>;

  Context(Settings settings_in, Environment* environment_in)
      : settings(std::move(settings_in)), environment(environment_in) {}

  const Settings settings;
  Environment* const environment;
  Nanos now = 0;

  // The highest epoch seen anywhere: in `leader`, in docs, in heartbeats.
  std::uint64_t highest_epoch = 0;
  // The epoch of the next term. At the largest there is (which takes a forged record) terms share
  // it and only their nonces tell them apart: rule [2] compares both, so a group outlives it.
  std::uint64_t NextEpoch() const { return std::min(highest_epoch + 1, wire::kMaxExactInteger); }
  void SawEpoch(std::uint64_t epoch) { highest_epoch = std::max(highest_epoch, epoch); }

  // The longest lease that anything ever read by this process tells of, our own included. It
  // outlasts terms and lives: what told of it may be lost with its bucket while somebody still
  // holds by it.
  Nanos longest_lease = settings.lease;
  void SawLease(std::int64_t lease_ms) {
    longest_lease = std::max(longest_lease, lease_ms * kMillisecond);
  }

  // The group's wire version, as far as known: what we write. The oldest that we speak until then.
  int wire_version = settings.oldest_wire_version;
  std::string Encode(const wire::Claim& record) const { return wire::Encode(record, wire_version); }
  std::string Encode(const wire::Leader& record) const { return wire::Encode(record); }
  std::string Encode(const wire::Heartbeat& record) const {
    return wire::Encode(record, wire_version);
  }
  std::string Encode(const wire::Doc& record) const { return wire::Encode(record, wire_version); }
  // Whatever our build can read is read, also while the group is at an older version.
  absl::StatusOr<wire::Claim> DecodeClaim(std::string_view bytes) const {
    return wire::DecodeClaim(bytes, settings.newest_wire_version);
  }
  absl::StatusOr<wire::Leader> DecodeLeader(std::string_view bytes) const {
    return wire::DecodeLeader(bytes, settings.newest_wire_version);
  }
  absl::StatusOr<wire::Heartbeat> DecodeHeartbeat(std::string_view bytes) const {
    return wire::DecodeHeartbeat(bytes, settings.newest_wire_version);
  }
  absl::StatusOr<wire::Doc> DecodeDoc(std::string_view bytes) const {
    return wire::DecodeDoc(bytes, settings.newest_wire_version);
  }

  // Our own newest heartbeat sent; the leader record names it.
  std::uint64_t beat_nonce = 0;
  std::uint64_t beat_number = 0;
  std::uint64_t beat_epoch = 0;  // the highest epoch that it told of

  void set_effects(std::vector<Effect>* effects) { effects_ = effects; }
  // Outside of an event (a worker being destroyed) nothing is carried out any more.
  void Emit(Effect effect) {
    if (effects_ != nullptr) effects_->push_back(std::move(effect));
  }

  // Requests. `callback` runs when the answer comes, unless `scope` was renewed or destroyed by
  // then.
  void Get(const Scope& scope, wire::Bucket bucket, std::string key, Callback callback);
  void Put(const Scope& scope, wire::Bucket bucket, std::string key, std::uint64_t expected,
           std::string value, Callback callback);
  void Info(const Scope& scope, wire::Bucket bucket, Callback callback);
  void OnAnswer(const KvAnswer& answer);

  // Watches find their owner by id.
  WatchId Register(Watch* watch);
  void Unregister(WatchId id) { watches_.erase(id); }
  Watch* FindWatch(WatchId id) const;

  Ticket NextTicket() { return ++last_ticket_; }

  // A value that can't be read was met.
  void Malformed(wire::Bucket bucket, const std::string& key) { Emit(MalformedNote{bucket, key}); }

  void Report(Severity severity, absl::Status status);
  // Once for each `about`, as far as is remembered: a flood of different ones is cut off for an
  // hour.
  void ReportOnce(const std::string& about, Severity severity, absl::Status status);

  // Uniform in [0, bound); 0 when bound is 0.
  std::uint64_t Random(std::uint64_t bound);
  // Uniform in [0, span).
  Nanos Jitter(Nanos span) {
    return static_cast<Nanos>(Random(static_cast<std::uint64_t>(std::max<Nanos>(span, 0))));
  }
  // Never 0, which stands for "none".
  std::uint64_t Nonce();

  // `lease` stretched by the drift that two clocks may have against each other.
  Nanos WithDrift(Nanos lease) const {
    return lease + lease / 1'000'000 * settings.drift_ppm + kMillisecond;
  }

 private:
  struct Pending {
    std::weak_ptr<int> scope;
    Callback callback;
  };
  RequestId Expect(const Scope& scope, Callback callback);

  std::vector<Effect>* effects_ = nullptr;
  RequestId last_request_ = 0;
  WatchId last_watch_ = 0;
  Ticket last_ticket_ = 0;
  std::map<RequestId, Pending> pending_;
  std::map<WatchId, Watch*> watches_;
  std::set<std::string> reported_;
  Nanos forgot_reported_at_ = 0;
};

// Exponential backoff between the settings' bounds.
class Backoff {
 public:
  // When the next try may be made; each call doubles the step.
  Nanos Next(Context& context) {
    const Settings& s = context.settings;
    step_ = step_ == 0 ? s.retry_backoff_min : std::min(step_ * 2, s.retry_backoff_max);
    return context.now + step_ / 2 + context.Jitter(step_ / 2 + 1);
  }
  void Reset() { step_ = 0; }

 private:
  Nanos step_ = 0;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_CONTEXT_H_
