// How soon silence counts as failure, and how soon to try again.
//
//   const Pace pace = Pace::Of(lease);
//   natsOptions_SetPingInterval(options, pace.ping_interval.count());
//
// As soon as the lease makes worth while, and no sooner: a server under load answers late, and
// whoever then connects anew, asks again, or opens its watches again makes it answer later still.
// With short leases and hundreds of workers on a slow machine that has no end.
//
// Thread safety: a value.
#ifndef PARTI_INTERNAL_KV_PACE_H_
#define PARTI_INTERNAL_KV_PACE_H_

#include <algorithm>
#include <chrono>

#include "internal/core/time.h"

namespace parti::kv {

struct Pace {
  using milliseconds = std::chrono::milliseconds;

  // For the TCP connection, and again for the greeting: what a shutdown may have to wait for.
  milliseconds connect_timeout{1'000};
  // After three of them without an answer the connection is given up.
  milliseconds ping_interval{500};
  // For the answer to a request of the JetStream API.
  milliseconds api_timeout{2'000};
  // How often the server says that a watch lives that has nothing to show. After four of them
  // without a sign it is opened anew.
  milliseconds watch_heartbeat{500};
  // The longest pause before connecting again; they begin at 80 ms and double.
  milliseconds reconnect_max{120};

  static Pace Of(core::Nanos lease) {
    const auto part = [lease](int divisor, milliseconds least, milliseconds most) {
      const milliseconds share(lease / divisor / core::kMillisecond);
      return std::clamp(share, least, most);
    };
    using std::chrono_literals::operator""ms;
    return {.connect_timeout = part(6, 1'000ms, 2'000ms),
            .ping_interval = part(12, 500ms, 10'000ms),
            .api_timeout = part(6, 2'000ms, 10'000ms),
            .watch_heartbeat = part(24, 500ms, 5'000ms),
            .reconnect_max = part(12, 120ms, 5'000ms)};
  }
};

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_PACE_H_
