#include "parti/cli/temp_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace parti::cli {

absl::StatusOr<std::unique_ptr<TempFolder>> TempFolder::Create(std::string_view purpose) {
  const char* base = getenv("TMPDIR");
  if (base == nullptr || *base == '\0') base = "/tmp";
  std::string path = fmt::format("{}/parti-{}-XXXXXX", base, purpose);
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnavailableError(
        fmt::format("can't make a folder under {}: {}; set TMPDIR", base, strerror(errno)));
  }
  return std::unique_ptr<TempFolder>(new TempFolder(path));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace parti::cli
