#include "file_source.h"

#include <charconv>
#include <fstream>
#include <sstream>

namespace {

absl::Status ParseWeight(std::string text, std::int64_t* weight) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *weight);
  if (error == std::errc() && end == text.data() + text.size()) return absl::OkStatus();
  return absl::InvalidArgumentError("the weight \"" + text + "\" is not a whole number");
}

absl::StatusOr<parti::Partition> Parse(const std::string& line) {
  parti::Partition partition;
  const std::size_t equals = line.find('=');
  std::istringstream keys(line.substr(0, equals));
  for (std::string key; keys >> key;) partition.keys.push_back(key);
  if (equals != std::string::npos) {
    absl::Status status = ParseWeight(line.substr(equals + 1), &partition.weight);
    if (!status.ok()) return status;
  }
  if (absl::Status status = parti::Validate(partition); !status.ok()) return status;
  return partition;
}

}  // namespace

absl::StatusOr<std::vector<parti::Partition>> FileSource::List() {
  std::ifstream file(path_);
  if (!file) return absl::NotFoundError(path_.string() + " can't be read");
  std::vector<parti::Partition> partitions;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    absl::StatusOr<parti::Partition> partition = Parse(line);
    if (!partition.ok()) {
      return absl::InvalidArgumentError(path_.string() + ":" + std::to_string(number) + ": " +
                                        std::string(partition.status().message()));
    }
    partitions.push_back(*std::move(partition));
  }
  if (file.bad()) return absl::UnavailableError(path_.string() + ": reading it failed");
  if (absl::Status status = parti::Validate(partitions); !status.ok()) {
    return absl::InvalidArgumentError(path_.string() + ": " + std::string(status.message()));
  }
  return partitions;
}
