// One line of a worker's event log, as `parti worker --events` writes it. Reading it back is kept
// apart from the writer and from core, so that a fault of theirs can't hide itself.
//
// One kind of line no worker writes: {"t":…,"event":"gone"} is appended by whoever saw the process
// end (reaped it), which ends its claims at `t`.
#ifndef PARTI_CLI_EVENT_LINE_H_
#define PARTI_CLI_EVENT_LINE_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace parti::cli {

enum class EventKind {
  kOpened,
  kStarted,
  kState,
  kLeader,
  kAcquired,
  kReleased,
  kLost,
  kLease,
  kStopped,
  kGone
};

struct Token {
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  friend auto operator<=>(const Token&, const Token&) = default;
};

// Fields that a kind of event doesn't bear are left as they are here.
struct EventLine {
  EventKind kind{};
  std::int64_t t = 0;             // CLOCK_BOOTTIME, ns
  std::string worker;             // of any kind, where the line bears it
  std::uint64_t incarnation = 0;  // the same; 0: it doesn't
  Token token;                    // acquired: of the grant; leader: the epoch
  std::string partition;          // acquired, released, lost
  std::int64_t until = 0;         // lease
  bool gained = false;            // leader
  std::string state;              // state
  std::string clock;              // opened: which clock `t` and `until` are of; may be empty
  std::int64_t wall = 0;          // opened: ns since 1970 at t
  bool alone = false;             // opened: whoever wrote to this log before has ended
};

// InvalidArgument says what is wrong with the line.
absl::StatusOr<EventLine> ParseEventLine(std::string_view line);

}  // namespace parti::cli

#endif  // PARTI_CLI_EVENT_LINE_H_
