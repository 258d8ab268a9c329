// The workers of a chaos run: places, each with an identity and a host (or a proxy) of its own, at
// which a worker process runs, dies and is started again.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_CREW_H_
#define PARTI_TEST_CHAOS_CREW_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "parti/cli/worker_group.h"
#include "test/chaos/network.h"
#include "test/chaos/servers.h"
#include "test/support/proxy.h"

namespace parti::chaos {

using Place = std::size_t;

struct CrewOptions {
  std::string binary;  // chaos_worker
  std::string folder;
  std::string prefix = "chaos";
  std::string preset = "fast";
  int places = 5;
  int partitions = 24;
  int replicas = 1;
  std::string broken = {};  // of place 0; see worker.cc
};

class Crew {
 public:
  // `network` may be null: then each place reaches each server through a proxy.
  static absl::StatusOr<std::unique_ptr<Crew>> Create(const CrewOptions& options, Servers* servers,
                                                      Network* network);

  // Starts a process at the place; nothing if one runs.
  absl::Status Start(Place place);
  // A second process under the place's identity, on its host. Its number in the group.
  absl::StatusOr<std::size_t> StartTwin(Place place);
  void Kill(Place place);       // SIGKILL, reaped, and told to the observer and the log
  void Terminate(Place place);  // SIGTERM
  void Pause(Place place);
  void Resume(Place place);

  enum class Way { kBoth, kDeaf, kMute };  // kDeaf: it gets nothing; kMute: nothing of it arrives
  void Cut(Place place, Way way);
  void Heal(Place place);
  void Slow(Place place);
  void Lossy(Place place);  // with a network only
  void Mend(Place place);

  bool Runs(Place place) const;
  std::optional<Place> Leader() const;
  std::size_t size() const { return places_.size(); }
  const std::string& name(Place place) const { return places_[place].name; }
  bool busy(Place place) const { return places_[place].busy; }
  void SetBusy(Place place, bool busy) { places_[place].busy = busy; }

  // SIGTERM to all that run.
  void StopAll();

  cli::WorkerGroup& group() { return *group_; }
  const cli::WorkerGroup& group() const { return *group_; }

 private:
  struct At {
    std::string name;
    HostId host = 0;
    std::string script = {};                                 // starts the worker on the host
    std::vector<std::unique_ptr<test::Proxy>> proxies = {};  // one for each server
    std::optional<std::size_t> worker = {};                  // in the group
    int starts = 0;
    bool busy = false;
    bool cut = false;
  };

  Crew(const CrewOptions& options, Servers* servers, Network* network);
  absl::Status Prepare();
  absl::StatusOr<std::size_t> Spawn(Place place, const std::string& name);

  const CrewOptions options_;
  Servers& servers_;
  Network* const network_;
  std::vector<At> places_;
  std::unique_ptr<cli::WorkerGroup> group_;
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_CREW_H_
