#include "test/simulation/history.h"

#include <fmt/format.h>

namespace parti::simulation {

std::string History::Render(const Line& line) {
  return fmt::format("{:>12.6f}  {:<10}{}{}", static_cast<double>(line.time) / 1e9, line.who,
                     line.traffic ? "  . " : "", line.what);
}

}  // namespace parti::simulation
