#include "test/chaos/register_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "parti/cli/event_line.h"

namespace parti::chaos {
namespace {

constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();

std::string Text(const Token& token) { return fmt::format("({}, {})", token.epoch, token.version); }

std::string Describe(const RegisterEntry& entry) {
  return fmt::format("write {} of {}, {} under {}", entry.sequence, entry.partition, entry.writer,
                     Text(entry.token));
}

}  // namespace

void RegisterJudge::AddLog(const std::string& writer, std::string_view text) {
  // Of the present life: the lease's end, and what is open.
  std::int64_t until = 0;
  std::map<std::string, std::set<Token>> open;
  const auto close = [&](const std::string& partition, std::int64_t t) {
    for (const Token& token : open[partition]) {
      Held& held = held_[{writer, partition, token}];
      held.to = std::min(t, held.to);
    }
    open.erase(partition);
  };
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    const auto event = cli::ParseEventLine(text.substr(begin, end - begin));
    if (!event.ok()) continue;
    switch (event->kind) {
      case cli::EventKind::kStarted: {
        // What the life before still had ended with its lease.
        for (const auto& [partition, tokens] : open) {
          for (const Token& token : tokens) {
            Held& held = held_[{writer, partition, token}];
            held.to = std::min(held.to, until);
          }
        }
        open.clear();
        until = 0;
        break;
      }
      case cli::EventKind::kLease:
        until = std::max(until, event->until);
        break;
      case cli::EventKind::kAcquired:
        held_.try_emplace({writer, event->partition, event->token}, Held{event->t, kEver});
        open[event->partition].insert(event->token);
        break;
      case cli::EventKind::kReleased:
      case cli::EventKind::kLost:
        close(event->partition, std::min(event->t, until));
        break;
      default:
        break;
    }
  }
  while (!open.empty()) close(std::string(open.begin()->first), until);
}

std::vector<std::string> RegisterJudge::Judge(const std::vector<RegisterEntry>& entries) const {
  std::vector<std::string> violations;
  std::map<std::string, RegisterEntry> last_of;  // the write with the greatest token so far
  std::map<std::string, std::uint64_t> count_of;
  std::map<std::pair<std::string, Token>, std::string> writer_of;
  for (const RegisterEntry& entry : entries) {
    const auto say = [&](const std::string& what) {
      violations.push_back(Describe(entry) + ": " + what);
    };
    const auto [last, first] = last_of.try_emplace(entry.partition, entry);
    if (!first && entry.token < last->second.token) {
      say(fmt::format("got through after write {} of {} under {}", last->second.sequence,
                      last->second.writer, Text(last->second.token)));
    } else {
      last->second = entry;
    }
    const std::uint64_t expected = ++count_of[entry.partition];
    if (entry.count != expected) {
      say(fmt::format("counts {} appends where there are {}", entry.count, expected));
      count_of[entry.partition] = entry.count;
    }
    const auto writer = writer_of.try_emplace({entry.partition, entry.token}, entry.writer).first;
    if (writer->second != entry.writer) say("the token is also " + writer->second + "'s");
    const auto held = held_.find({entry.writer, entry.partition, entry.token});
    if (held == held_.end()) {
      say("it never had that token");
    } else if (entry.sent < held->second.from) {
      say(fmt::format("sent {:.3f} ms before it had the token",
                      static_cast<double>(held->second.from - entry.sent) / 1e6));
    } else if (entry.asked > held->second.to) {
      say(fmt::format("it believed to own {:.3f} ms after its claim had ended",
                      static_cast<double>(entry.asked - held->second.to) / 1e6));
    }
  }
  return violations;
}

}  // namespace parti::chaos
