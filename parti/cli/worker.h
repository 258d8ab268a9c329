// Runs one worker until it is told to stop.
#ifndef PARTI_CLI_WORKER_H_
#define PARTI_CLI_WORKER_H_

#include "parti/cli/worker_options.h"

namespace parti::cli {

// Joins the group and works until SIGTERM or SIGINT, then leaves it; a second signal ends the
// process at once. Returns the exit status: 0 after a clean stop, 1 after a failure, which is on
// stderr.
int RunWorker(const WorkerOptions& options);

}  // namespace parti::cli

#endif  // PARTI_CLI_WORKER_H_
