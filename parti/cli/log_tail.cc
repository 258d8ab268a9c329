#include "parti/cli/log_tail.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <utility>

namespace parti::cli {

void LogTail::Poll(const LineSink& sink) {
  const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  std::array<char, 64 * 1024> buffer;
  while (true) {
    const ssize_t got = pread(file, buffer.data(), buffer.size(), offset_);
    if (got <= 0) break;
    offset_ += got;
    partial_.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end; (end = partial_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      sink(std::string_view(partial_).substr(begin, end - begin));
    }
    partial_.erase(0, begin);
  }
  close(file);
}

void LogTail::Finish(const LineSink& sink, const LineSink& last) {
  Poll(sink);
  if (partial_.empty()) return;
  last(partial_);
  partial_.clear();
}

}  // namespace parti::cli
