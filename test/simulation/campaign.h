// Many seeds, their sum, and the story of the first that fails.
#ifndef PARTI_TEST_SIMULATION_CAMPAIGN_H_
#define PARTI_TEST_SIMULATION_CAMPAIGN_H_

#include <cstdint>
#include <string>
#include <vector>

namespace parti::simulation {

struct CampaignOptions {
  std::uint64_t first = 1;
  std::uint64_t seeds = 100;
  int jobs = 0;
  bool story = false;
  bool verbose = false;
  bool keep_going = false;  // after a failure, to see which promises break how often
  std::vector<std::string> off;
  bool no_shrink = false;  // of a seed that fails, only its own story
  bool shrink = false;     // the smallest world that can be found to fail like the first seed
  std::string schedule;    // plays it instead of random worlds; "list" tells which there are
  std::string provoke;     // a rule: worlds in which it matters often
  std::string stories;     // a folder: they are told after the seeds; none, if empty
};

// Prints what it finds. 0: every seed kept every promise; 1: one didn't, or too little happened, or
// a story goes otherwise than it is written down;
// 2: the options make no sense.
int RunCampaign(const CampaignOptions& options);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_CAMPAIGN_H_
