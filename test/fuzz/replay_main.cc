// Runs files through a target, in any build:
//
//   fuzz_replay --list                       names the targets
//   fuzz_replay TARGET [FILE or FOLDER …]    the target's seeds, then these, in order of their
//   names fuzz_replay --seeds TARGET FOLDER        writes the seeds
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "test/fuzz/targets.h"

namespace {

using parti::fuzz::Target;

void RunOn(const Target& target, const std::string& name, const std::string& bytes) {
  // Before: if it ends the program, this is what is asked for.
  std::printf("%s (%zu bytes)\n", name.c_str(), bytes.size());
  std::fflush(stdout);
  // An array of its own size, so that a sanitizer sees reads beyond its end.
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  target.run(input);
}

std::vector<std::string> FilesOf(const std::string& path) {
  std::vector<std::string> files;
  if (!std::filesystem::is_directory(path)) return {path};
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int Replay(const Target& target, const std::vector<std::string>& paths) {
  std::size_t count = 0;
  if (target.name == "worker") parti::fuzz::CheckWorkerSeeds();
  for (const auto& [name, bytes] : parti::fuzz::SeedsOf(target.name)) {
    RunOn(target, "seed " + name, bytes);
    ++count;
  }
  for (const std::string& path : paths) {
    for (const std::string& file : FilesOf(path)) {
      std::ifstream in(file, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      if (!in.is_open()) {
        std::fprintf(stderr, "fuzz_replay: %s can't be read\n", file.c_str());
        return 1;
      }
      RunOn(target, file, bytes);
      ++count;
    }
  }
  std::printf("%.*s: %zu inputs\n", static_cast<int>(target.name.size()), target.name.data(),
              count);
  return count == 0 ? 1 : 0;
}

int WriteSeeds(const Target& target, const std::string& folder) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : parti::fuzz::SeedsOf(target.name)) {
    std::ofstream out(folder + "/" + name, std::ios::binary);
    out << bytes;
    out.close();
    if (!out) return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const Target& target : parti::fuzz::Targets()) {
      std::printf("%.*s\n", static_cast<int>(target.name.size()), target.name.data());
    }
    return 0;
  }
  const bool seeds = arguments.size() == 3 && arguments[0] == "--seeds";
  const std::string name = arguments.empty() ? "" : arguments[seeds ? 1 : 0];
  const Target* target = parti::fuzz::FindTarget(name);
  if (target == nullptr) {
    std::fprintf(stderr, "fuzz_replay: no target \"%s\"; fuzz_replay --list names them\n",
                 name.c_str());
    return 2;
  }
  if (seeds) return WriteSeeds(*target, arguments[2]);
  return Replay(*target, {arguments.begin() + 1, arguments.end()});
}
