// Follows a file that another process appends lines to.
#ifndef PARTI_CLI_LOG_TAIL_H_
#define PARTI_CLI_LOG_TAIL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace parti::cli {

class LogTail {
 public:
  using LineSink = std::function<void(std::string_view)>;

  // The file need not exist yet.
  explicit LogTail(std::string path) : path_(std::move(path)) {}

  // Hands over the complete lines that were appended since the last call, without their newlines.
  void Poll(const LineSink& sink);

  // The writer is gone: as Poll, and what follows the last newline (a line that a kill may have
  // torn) is handed to `last`.
  void Finish(const LineSink& sink, const LineSink& last);

  // The torn last line so far.
  std::string_view partial() const { return partial_; }

 private:
  std::string path_;
  std::int64_t offset_ = 0;
  std::string partial_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_LOG_TAIL_H_
