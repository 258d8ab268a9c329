// Runs the stories in test/stories. PARTI_REWRITE_STORIES=1 writes down what really happened.
#include "test/simulation/story.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "test/simulation/retell.h"

namespace parti::simulation {
namespace {

class StoryTest : public testing::TestWithParam<std::string> {};

TEST_P(StoryTest, IsTold) {
  const std::string path = StoryPath(PARTI_STORIES, GetParam());
  const std::string text = ReadStory(path);
  const std::string told = Story::Tell(text);
  EXPECT_EQ(told.find("BROKEN"), std::string::npos) << told;
  if (std::getenv("PARTI_REWRITE_STORIES") != nullptr) {
    std::ofstream(path) << told;
    return;
  }
  EXPECT_EQ(told, text) << "PARTI_REWRITE_STORIES=1 writes the new story down";
}

INSTANTIATE_TEST_SUITE_P(Stories, StoryTest, testing::ValuesIn(StoriesIn(PARTI_STORIES)),
                         [](const auto& story) {
                           std::string name = story.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(StoryRunner, SaysWhereAStoryGoesOtherwise) {
  const std::string path = fmt::format("{}/story-{}.txt", testing::TempDir(), getpid());
  std::ofstream(path) << "start a\n----\n   0.0  b  is worker-2, incarnation 1\n";
  const auto otherwise = ToldOtherwise(path);
  ASSERT_TRUE(otherwise);
  EXPECT_NE(otherwise->find("line 3 was:    0.0  b  is worker-2"), std::string::npos) << *otherwise;
  std::ofstream(path) << Story::Tell(ReadStory(path));
  EXPECT_FALSE(ToldOtherwise(path));
  std::remove(path.c_str());
}

TEST(StoryRunner, SaysWhatItDoesNotUnderstand) {
  Story story;
  EXPECT_EQ(story.Do("fly a"), "error: no command is called fly\n");
  EXPECT_EQ(story.Do("crash nobody"), "error: nobody is called nobody\n");
  EXPECT_EQ(story.Do("run 2"), "error: a duration is a number with ms or s: 2\n");
}

}  // namespace
}  // namespace parti::simulation
