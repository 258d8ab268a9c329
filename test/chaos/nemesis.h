// Does harm, by a seed: one fault or a few at a time, each undone after a while.
//
//   Nemesis nemesis(&crew, &servers, &network, &client, {.seed = 7});
//   while (…) { nemesis.Tick(); group.Poll(); }
//   nemesis.EndAll();
//
// A place or a server under one fault isn't chosen for another. What kinds there are depends on
// what there is: a network, a cluster; kinds() lists them, and skipped() says why others are left
// out.
//
// Thread safety: none.
#ifndef PARTI_TEST_CHAOS_NEMESIS_H_
#define PARTI_TEST_CHAOS_NEMESIS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "test/chaos/crew.h"
#include "test/chaos/nats_client.h"
#include "test/chaos/network.h"
#include "test/chaos/servers.h"

namespace parti::chaos {

// One fault, as it was done.
struct Deed {
  std::string kind;
  std::string what;        // for people
  std::int64_t began = 0;  // CLOCK_BOOTTIME, ns
};

struct NemesisOptions {
  std::uint64_t seed = 1;
  std::string prefix = "chaos";
  std::vector<std::string> only = {};  // kinds; empty: all there are
};

class Nemesis {
 public:
  Nemesis(Crew* crew, Servers* servers, Network* network, NatsClient* client,
          const NemesisOptions& options);

  // Begins a fault of a kind drawn at random (or, if it can't be had now, none).
  void Strike();
  // Ends what is over. Call it often.
  void Tick();
  // Undoes everything that lasts, at once.
  void EndAll();
  bool quiet() const { return active_.empty(); }
  // The last strike chose a fault for a group that has been calm for a while. When it is,
  // StrikeTheCalm; false: not now.
  bool wants_calm() const { return when_calm_ != nullptr; }
  bool StrikeTheCalm();

  const std::vector<Deed>& deeds() const { return deeds_; }
  std::vector<std::string> kinds() const;
  const std::vector<std::string>& skipped() const { return skipped_; }
  // A fault that couldn't be undone, such as a server that doesn't start again. Empty: none.
  const std::string& failure() const { return failure_; }

  // Records were destroyed that prove which ids are taken: a worker may take an id while another's
  // lease on it runs, and neither is wrong.
  bool ids_forgotten() const { return ids_forgotten_; }
  // Documents were destroyed: they alone tell how far versions had come.
  bool versions_forgotten() const { return versions_forgotten_; }

 private:
  struct Active {
    std::int64_t ends = 0;
    std::function<void()> undo;
    std::function<void()> meanwhile;  // at each Tick; may be empty
  };
  struct Kind {
    std::string name;
    int weight = 1;
    std::function<bool()> strike;  // false: not now
  };

  void AddWorkerKinds();
  void AddCrowdKinds();
  void AddNetworkKinds();
  void AddServerKinds();
  void AddDataKinds();

  std::uint64_t Draw(std::uint64_t below) { return random_() % below; }
  std::int64_t DrawMs(std::int64_t least, std::int64_t most);
  std::vector<Place> Idle() const;        // run, and aren't busy
  std::optional<Place> Victim();          // such a one who doesn't lead
  std::optional<Place> VictimWhoLeads();  // the same, leads
  std::optional<std::size_t> VictimServer();
  void Did(const std::string& kind, const std::string& what);
  void Until(std::int64_t ms, std::function<void()> undo, std::function<void()> meanwhile = {});
  void Check(const absl::Status& status, const std::string& what);
  bool CutPlaces(const std::string& kind, std::vector<Place> places, Crew::Way way);
  bool StopServer(const std::string& kind, bool kill);
  std::string DrawKey(std::string* bucket);
  bool Wipe(const std::string& kind, const std::function<absl::Status(std::string)>& wipe);
  void RestartTheCrashed();
  void Forget(std::uint64_t bucket);  // stableid, election, heartbeat, assignment

  Crew& crew_;
  Servers& servers_;
  Network* const network_;
  NatsClient& client_;
  const NemesisOptions options_;
  std::mt19937_64 random_;
  std::vector<Kind> kinds_;
  std::vector<std::string> skipped_;
  std::vector<Active> active_;
  std::vector<Deed> deeds_;
  std::vector<bool> server_busy_;
  std::int64_t striking_since_ = 0;
  std::string failure_;
  std::function<bool()> when_calm_;
  bool ids_forgotten_ = false;
  bool versions_forgotten_ = false;
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_NEMESIS_H_
