// Serves a worker's metrics over HTTP, for Prometheus to scrape.
#ifndef PARTI_CLI_METRICS_SERVER_H_
#define PARTI_CLI_METRICS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "parti/config.h"
#include "parti/metrics.h"

namespace parti::cli {

// Where to listen: "HOST:PORT", ":PORT" or "PORT", without a host on 127.0.0.1; port 0 lets the
// system choose. InvalidArgument if it isn't one of these.
absl::StatusOr<std::string> MetricsAddress(const std::string& text);

class MetricsServer {
 public:
  virtual ~MetricsServer() = default;
  virtual std::shared_ptr<Metrics> metrics() = 0;
  virtual std::string url() const = 0;  // with the port that it is

  // Listens at once. Unimplemented if this build is without prometheus-cpp, Unavailable if the
  // address can't be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Open(const std::string& address,
                                                             const Config& config);
};

}  // namespace parti::cli

#endif  // PARTI_CLI_METRICS_SERVER_H_
