// Partitions from a text file: one per line, its keys separated by blanks, then optionally a weight
// after an `=`. What follows a `#` is a comment.
//
//   # region  customer
//   eu  acme   = 10
//   eu  initech
#ifndef EXAMPLES_CUSTOM_SOURCE_FILE_SOURCE_H_
#define EXAMPLES_CUSTOM_SOURCE_FILE_SOURCE_H_

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "parti/partition_source.h"

class FileSource : public parti::PartitionSource {
 public:
  explicit FileSource(std::filesystem::path path) : path_(std::move(path)) {}

  // An error, with the line's number, leaves the partitions of before in force.
  absl::StatusOr<std::vector<parti::Partition>> List() override;

 private:
  const std::filesystem::path path_;
};

#endif  // EXAMPLES_CUSTOM_SOURCE_FILE_SOURCE_H_
