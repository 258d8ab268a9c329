// A chaos run: servers, workers that work, a nemesis, and the verdict.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_CHAOS_H_
#define PARTI_TEST_CHAOS_CHAOS_H_

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "test/chaos/crew.h"
#include "test/chaos/nats_client.h"
#include "test/chaos/nemesis.h"
#include "test/chaos/network.h"
#include "test/chaos/report.h"
#include "test/chaos/servers.h"

namespace parti::chaos {

struct ChaosOptions {
  std::string worker_binary;
  std::string server_binary;
  std::string folder;  // for logs and the servers' files
  double minutes = 1;
  std::uint64_t seed = 1;
  int workers = 5;
  int partitions = 24;
  int cluster = 1;
  std::string preset = "fast";
  std::string broken = {};
  std::vector<std::string> only = {};  // kinds of faults
  std::chrono::seconds settle{120};    // after the last fault, everything has to be owned within
  std::function<bool()> interrupted;
  std::function<void(const std::string&)> say;       // a line that stays
  std::function<void(const std::string&)> progress;  // one that the next replaces
};

class ChaosRun {
 public:
  // `network` may be null.
  ChaosRun(const ChaosOptions& options, Network* network) : options_(options), network_(network) {}

  // Unavailable: it couldn't even begin.
  absl::StatusOr<ChaosReport> Run();

 private:
  absl::Status Begin();
  void Torment();
  // Waits until somebody came to lead after `led_since`, and everything is owned.
  bool Settle(std::chrono::milliseconds quiet, const std::string& when, std::int64_t led_since = 0);
  bool LedSince(std::int64_t t) const;
  void Tick();
  void ShowProgress();
  void TellDeeds();
  bool SawViolation();
  void Judge(ChaosReport* report);
  void JudgeLogs(const cli::Verdict& settled, ChaosReport* report);
  void JudgeRegister(ChaosReport* report);
  void Violation(std::string what) { violations_.push_back(std::move(what)); }
  std::int64_t Left() const;

  const ChaosOptions options_;
  Network* const network_;
  const std::string prefix_ = "chaos";
  int replicas_ = 1;
  std::string version_;
  std::unique_ptr<Servers> servers_;
  std::unique_ptr<Crew> crew_;
  std::unique_ptr<NatsClient> client_;
  std::unique_ptr<Nemesis> nemesis_;
  std::vector<std::string> violations_;
  std::int64_t began_ = 0;
  std::int64_t ends_ = 0;
  std::int64_t shown_ = 0;
  std::int64_t judged_ = 0;
  std::size_t seen_ = 0;  // violations, while it runs
  std::size_t told_ = 0;
  std::ofstream deeds_;
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_CHAOS_H_
