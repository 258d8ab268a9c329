// Log lines for people, on standard error.
#ifndef PARTI_CLI_STDERR_LOGGER_H_
#define PARTI_CLI_STDERR_LOGGER_H_

#include <string_view>

#include "parti/logger.h"

namespace parti::cli {

// "12:34:56.789 warning  message", each line one write. Nothing in a message can begin another line
// or command a terminal.
class StderrLogger : public Logger {
 public:
  explicit StderrLogger(LogLevel least) : least_(least) {}
  void Log(LogLevel level, std::string_view message) override;

 private:
  const LogLevel least_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_STDERR_LOGGER_H_
