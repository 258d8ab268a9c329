// sim: runs seeds of the simulated world.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "test/simulation/campaign.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Runs groups of workers in a simulated world, one seed after the other, and judges them."};
  parti::simulation::CampaignOptions options;
  app.add_option("--seeds", options.seeds, "how many seeds to run")->capture_default_str();
  app.add_option("--seed", options.first, "the first of them")->capture_default_str();
  app.add_flag("--story", options.story, "print the whole history of the seed");
  app.add_flag("--verbose", options.verbose, "histories show every request and watch event");
  app.add_option("--off", options.off, "rules of the protocol to switch off")->delimiter(',');
  app.add_option("--provoke", options.provoke, "make worlds in which this rule matters often");
  app.add_option(
      "--schedule", options.schedule,
      "play this precise schedule, with the seed of --seed; \"list\" tells which there are");
  app.add_flag("--no-shrink", options.no_shrink, "a seed that fails is told, and not shrunk");
  app.add_flag("--shrink", options.shrink,
               "find the smallest world that fails like the seed of --seed, and print its story");
  app.add_flag("--keep-going", options.keep_going, "run all seeds and count the promises broken");
  options.stories = PARTI_STORIES;
  app.add_option("--stories", options.stories,
                 "folder of stories that are told after the seeds; \"\" for none")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "how many seeds at a time; as many as processors, if 0")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.jobs == 0) {
    options.jobs = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  if (options.story && app.count("--seeds") == 0) options.seeds = 1;
  return parti::simulation::RunCampaign(options);
}
