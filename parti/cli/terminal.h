// The terminal while a live view is on it: another screen, no cursor; and back again, however the
// program ends.
#ifndef PARTI_CLI_TERMINAL_H_
#define PARTI_CLI_TERMINAL_H_

#include <string_view>

namespace parti::cli {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

// True if standard output is a terminal that understands escape sequences.
bool StdoutIsTerminal();
TerminalSize GetTerminalSize();

// Writes everything to standard output; gives up silently if nobody reads it.
void WriteAll(std::string_view text);

// At most one at a time.
class LiveScreen {
 public:
  LiveScreen();
  // Restores the terminal. A crash and std::exit do too.
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // Shows a frame: lines separated by '\n', each no wider than the terminal.
  void Draw(std::string_view frame);
};

}  // namespace parti::cli

#endif  // PARTI_CLI_TERMINAL_H_
