#include "parti/cli/stderr_logger.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <string>

#include "internal/wire/printable.h"

namespace parti::cli {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warning", "error"};

}  // namespace

void StderrLogger::Log(LogLevel level, std::string_view message) {
  if (level < least_) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  const std::string line = fmt::format(
      "{:02}:{:02}:{:02}.{:03} {:<7} {}\n", local.tm_hour, local.tm_min, local.tm_sec,
      now.tv_nsec / 1'000'000, kNames[static_cast<std::size_t>(level)], wire::Printable(message));
  // Where standard error can't be written, there is nobody to tell.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace parti::cli
