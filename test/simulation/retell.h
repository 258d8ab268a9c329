// The stories of test/stories, told again.
#ifndef PARTI_TEST_SIMULATION_RETELL_H_
#define PARTI_TEST_SIMULATION_RETELL_H_

#include <optional>
#include <string>
#include <vector>

namespace parti::simulation {

// The stories in this folder, by name and in order; none, if there is no such folder.
std::vector<std::string> StoriesIn(const std::string& folder);
std::string StoryPath(const std::string& folder, const std::string& name);
std::string ReadStory(const std::string& path);

// Where a story goes otherwise than it is written down: the line, and both ways. Nothing: it
// doesn't.
std::optional<std::string> ToldOtherwise(const std::string& path);

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_RETELL_H_
