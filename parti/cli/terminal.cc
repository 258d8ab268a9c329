#include "parti/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>

namespace parti::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr std::array kFatalSignals = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT};

std::atomic<bool> live{false};

void Restore() {
  if (!live.exchange(false)) return;
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, kLeave.data(), kLeave.size());
}

// Async-signal-safe: a lock-free flag and write().
void RestoreAndDie(int signal) {
  Restore();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

bool StdoutIsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

TerminalSize GetTerminalSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

LiveScreen::LiveScreen() {
  static const bool at_exit = [] {
    std::atexit(Restore);
    return true;
  }();
  (void)at_exit;
  for (const int signal : kFatalSignals) std::signal(signal, RestoreAndDie);
  live = true;
  WriteAll(kEnter);
}

LiveScreen::~LiveScreen() {
  Restore();
  for (const int signal : kFatalSignals) std::signal(signal, SIG_DFL);
}

void LiveScreen::Draw(std::string_view frame) {
  std::string output = "\x1b[H";
  std::size_t begin = 0;
  while (begin <= frame.size()) {
    std::size_t end = frame.find('\n', begin);
    if (end == std::string_view::npos) end = frame.size();
    output += frame.substr(begin, end - begin);
    output += "\x1b[0m\x1b[K";
    if (end < frame.size()) output += "\r\n";
    begin = end + 1;
  }
  output += "\x1b[J";
  WriteAll(output);
}

}  // namespace parti::cli
