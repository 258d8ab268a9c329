// What `parti demo` measured, as a table and as JSON; and the arithmetic behind "moved" and
// "least".
#ifndef PARTI_CLI_DEMO_SUMMARY_H_
#define PARTI_CLI_DEMO_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parti/cli/observer.h"

namespace parti::cli {

// Partitions whose owner before and after differ. A process started again counts as another owner.
int CountMoved(const std::vector<Holder>& before, const std::vector<Holder>& after);

// The fewest changes of owner that lead from `before` to as many partitions per worker as they have
// in `after`: what has no owner any more moves, and what one worker gains beyond that comes from
// others. After a leave that is what the leaver held; after a join, the newcomer's share.
int LeastMoves(const std::vector<Holder>& before, const std::vector<Holder>& after);

struct DemoStep {
  std::string name;
  double ms = 0;  // from the cause to the last acquisition, by the event logs
  int moved = 0;
  int least = 0;
  std::optional<double> new_leader_ms = {};  // where the leader changed
};

struct DemoSummary {
  int workers = 0;
  int partitions = 0;
  std::string strategy = {};
  std::vector<DemoStep> steps = {};
  std::size_t unowned = 0;  // when the story ended, all workers of then living
  Verdict verdict = {};     // over all logs, to their ends
  double seconds = 0;
  std::string failure = {};  // why the story broke off; empty: it didn't

  // Nothing was owned twice, everything was owned again, the story came to its end.
  bool Ok() const;
};

std::string SummaryTable(const DemoSummary& summary);
std::string SummaryJson(const DemoSummary& summary);  // one line, without a newline

}  // namespace parti::cli

#endif  // PARTI_CLI_DEMO_SUMMARY_H_
