#include "test/simulation/retell.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "test/simulation/story.h"

namespace parti::simulation {

std::vector<std::string> StoriesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string StoryPath(const std::string& folder, const std::string& name) {
  return folder + "/" + name + ".txt";
}

std::string ReadStory(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::optional<std::string> ToldOtherwise(const std::string& path) {
  const std::string written = ReadStory(path);
  const std::string told = Story::Tell(written);
  if (told == written) return std::nullopt;
  std::istringstream before(written);
  std::istringstream now(told);
  for (int number = 1;; ++number) {
    std::string was;
    std::string is;
    const bool more = static_cast<bool>(std::getline(before, was));
    const bool goes_on = static_cast<bool>(std::getline(now, is));
    if (more && goes_on && was == is) continue;
    return fmt::format("line {} was: {}\n  now it is: {}", number, more ? was : "(the end)",
                       goes_on ? is : "(the end)");
  }
}

}  // namespace parti::simulation
