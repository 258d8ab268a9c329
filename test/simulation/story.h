// Stories: text files of commands to a calm simulated world, and what then happens, in the manner
// of etcd's raft tests. They read like what they tell; chance plays no part but in jitter.
//
//   # The leader dies between revoke and grant.
//   start a
//   ----
//      0.0  a  is worker-2, incarnation 1
//
//   run 5s
//   ----
//   …
//
// A command prints the history since the one before. README.md beside the stories lists the
// commands.
#ifndef PARTI_TEST_SIMULATION_STORY_H_
#define PARTI_TEST_SIMULATION_STORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "test/simulation/history.h"
#include "test/simulation/world.h"

namespace parti::simulation {

class Story {
 public:
  Story();
  ~Story();

  // Carries out one command line and returns what it prints. A command that makes no sense prints
  // "error: …", a broken promise "BROKEN: …".
  std::string Do(const std::string& line);

  // Runs a whole text. Returns the same text with what really was printed.
  static std::string Tell(const std::string& text);

 private:
  struct Words;

  void Group(const Words& words);
  void Start(const Words& words);
  void Run(const Words& words);
  std::string Settle(const Words& words);
  void Ambush(const Words& words);
  void StrikeAfter(const Words& words);
  bool OnProcess(const Words& words);
  bool ByHand(const Words& words);
  std::string WorkerId(const std::string& name);
  std::pair<wire::Bucket, std::string> Place(const std::string& text);
  void Forge(const Words& words);
  std::string Show(const Words& words);
  std::string ShowOwners();
  std::string ShowDocs();
  std::string ShowLeader();
  std::string ShowHeartbeats();
  std::string ShowReport();
  std::string Wishes(const Words& words);
  std::string Happened();
  World& world();
  Process& Named(const std::string& name);
  std::string NameOf(const std::string& worker);

  Scenario scenario_;
  History history_{History::Keep::kFacts};
  std::unique_ptr<World> world_;
  std::size_t told_ = 0;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_STORY_H_
