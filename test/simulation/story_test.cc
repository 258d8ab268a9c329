// Runs the stories in test/stories. PARTI_REWRITE_STORIES=1 writes down what really happened.
#include "test/simulation/story.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace parti::simulation {
namespace {

std::vector<std::string> Stories() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(PARTI_STORIES)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class StoryTest : public testing::TestWithParam<std::string> {};

TEST_P(StoryTest, IsTold) {
  const std::string path = std::string(PARTI_STORIES) + "/" + GetParam() + ".txt";
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string told = Story::Tell(text.str());
  EXPECT_EQ(told.find("BROKEN"), std::string::npos) << told;
  if (std::getenv("PARTI_REWRITE_STORIES") != nullptr) {
    std::ofstream(path) << told;
    return;
  }
  EXPECT_EQ(told, text.str()) << "PARTI_REWRITE_STORIES=1 writes the new story down";
}

INSTANTIATE_TEST_SUITE_P(Stories, StoryTest, testing::ValuesIn(Stories()), [](const auto& story) {
  std::string name = story.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(StoryRunner, SaysWhatItDoesNotUnderstand) {
  Story story;
  EXPECT_EQ(story.Do("fly a"), "error: no command is called fly\n");
  EXPECT_EQ(story.Do("crash nobody"), "error: nobody is called nobody\n");
  EXPECT_EQ(story.Do("run 2"), "error: a duration is a number with ms or s: 2\n");
}

}  // namespace
}  // namespace parti::simulation
