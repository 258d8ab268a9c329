// A group's status as text for people and as JSON for programs. Pure functions of their input.
#ifndef PARTI_CLI_STATUS_TEXT_H_
#define PARTI_CLI_STATUS_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "parti/cli/status_model.h"

namespace parti::cli {

struct TextOptions {
  bool colour = false;
  bool all_workers = false;  // also those that are gone, and however many
  // Nothing is wider, and there are no more lines; 0: no bound.
  std::size_t columns = 0;
  std::size_t rows = 0;
};

// The verdict first, then what to do; the group; the workers; what was found. Lines end with '\n'.
std::string StatusText(const GroupStatus& status, const TextOptions& options);

// One line, without '\n'; docs/operations.md describes it.
std::string StatusJson(const GroupStatus& status);

// What tells whether something has changed but ages, which always do.
std::string StatusSignature(const GroupStatus& status);

// Without what would command a terminal or begin a new line.
std::string OneLine(std::string_view text);

}  // namespace parti::cli

#endif  // PARTI_CLI_STATUS_TEXT_H_
