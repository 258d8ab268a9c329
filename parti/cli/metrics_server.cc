#include "parti/cli/metrics_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#ifdef PARTI_PROMETHEUS
#include <prometheus/exposer.h>

#include <exception>

#include "parti/prometheus.h"
#endif

namespace parti::cli {

absl::StatusOr<std::string> MetricsAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  int number = 0;
  const char* const end = port.data() + port.size();
  const auto [parsed, error] = std::from_chars(port.data(), end, number);
  const bool host_is_odd = std::any_of(host.begin(), host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == ',' || c == '/';
  });
  if (error != std::errc() || parsed != end || number < 0 || number > 65535 || host_is_odd) {
    return absl::InvalidArgumentError(fmt::format(
        "--metrics {}: must be HOST:PORT, or a port of 127.0.0.1, such as 127.0.0.1:9464 or 9464",
        text));
  }
  if (host.empty()) host = "127.0.0.1";
  return fmt::format("{}:{}", host, number);
}

#ifdef PARTI_PROMETHEUS

namespace {

class PrometheusServer : public MetricsServer {
 public:
  PrometheusServer(const std::string& address, const prometheus::Labels& labels)
      : registry_(std::make_shared<prometheus::Registry>()),
        metrics_(std::make_shared<PrometheusMetrics>(registry_, labels)),
        host_(address.substr(0, address.rfind(':'))),
        exposer_(address) {
    exposer_.RegisterCollectable(registry_);
  }
  std::shared_ptr<Metrics> metrics() override { return metrics_; }
  std::string url() const override {
    const std::vector<int> ports = exposer_.GetListeningPorts();
    return fmt::format("http://{}:{}/metrics", host_, ports.empty() ? 0 : ports.front());
  }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  const std::shared_ptr<Metrics> metrics_;
  const std::string host_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Open(const std::string& address,
                                                                   const Config& config) {
  prometheus::Labels labels = {{"group", config.prefix}};
  if (!config.identity.empty()) labels["identity"] = config.identity;
  try {
    return std::make_unique<PrometheusServer>(address, labels);
  } catch (const std::exception& error) {
    return absl::UnavailableError(fmt::format(
        "--metrics {}: can't listen there ({}); is the port free, and the address this machine's?",
        address, error.what()));
  }
}

#else

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Open(const std::string& address,
                                                                   const Config&) {
  return absl::UnimplementedError(fmt::format(
      "--metrics {}: this parti was built without prometheus-cpp; install prometheus-cpp-dev and "
      "build it with -DPARTI_PROMETHEUS=ON",
      address));
}

#endif

}  // namespace parti::cli
