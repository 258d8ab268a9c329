// The live view of `parti demo`: a picture of the group, drawn as text. A pure function of its
// input.
#ifndef PARTI_CLI_DEMO_VIEW_H_
#define PARTI_CLI_DEMO_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "parti/cli/observer.h"
#include "parti/cli/terminal.h"

namespace parti::cli {

enum class RowStatus { kRuns, kLeaving, kLeft, kKilled, kReplaced };

// One worker process. Replaced: it ended, and another bears its id now; not shown.
struct DemoRow {
  std::string label;  // its worker id, or what stands for it before it has one
  RowStatus status = RowStatus::kRuns;
  bool leader = false;
  std::string state = {};
  double lease_left_ms = 0;
  double lease_ms = 0;  // the longest seen: the whole bar
};

struct DemoPicture {
  double seconds = 0;
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::vector<DemoRow> rows = {};       // by process number at the observer
  std::vector<Holder> holders = {};     // by partition
  std::vector<std::string> story = {};  // what happened, oldest first
  std::string now = {};                 // what is happening
  std::size_t overlaps = 0;
};

// Lines separated by '\n', none wider and no more of them than the terminal has.
std::string Render(const DemoPicture& picture, TerminalSize size);

}  // namespace parti::cli

#endif  // PARTI_CLI_DEMO_VIEW_H_
