// Where the library's log lines go.
#ifndef PARTI_LOGGER_H_
#define PARTI_LOGGER_H_

#include <string_view>

#include "parti/export.h"

namespace parti {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Called from several threads at once; must be thread-safe and quick. Lines hold no secrets, and
// are safe to print: what others wrote into the buckets stands in them with its control characters
// escaped. What it throws is dropped.
class PARTI_EXPORT Logger {
 public:
  virtual ~Logger() = default;
  virtual void Log(LogLevel level, std::string_view message) = 0;
};

}  // namespace parti

#endif  // PARTI_LOGGER_H_
