// A folder of one's own under $TMPDIR (or /tmp), removed with all it holds when the object goes.
#ifndef PARTI_CLI_TEMP_FOLDER_H_
#define PARTI_CLI_TEMP_FOLDER_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace parti::cli {

class TempFolder {
 public:
  // Named after `purpose`, letters and '-' only.
  static absl::StatusOr<std::unique_ptr<TempFolder>> Create(std::string_view purpose);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_TEMP_FOLDER_H_
