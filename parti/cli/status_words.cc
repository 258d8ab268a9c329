// Names and small texts of the status.
#include <fmt/format.h>

#include <algorithm>

#include "parti/cli/status_model.h"

namespace parti::cli {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The digits that `text` begins with, without zeros in front.
std::string_view Number(std::string_view text, std::size_t* length) {
  std::size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  *length = end;
  std::size_t begin = 0;
  while (begin + 1 < end && text[begin] == '0') ++begin;
  return text.substr(begin, end - begin);
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHealthy:
      return "healthy";
    case Verdict::kUnhealthy:
      return "not healthy";
    case Verdict::kUnknown:
      return "can't tell";
  }
  return "?";
}

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "?";
}

std::string_view LifeName(Life life) {
  switch (life) {
    case Life::kLive:
      return "live";
    case Life::kSilent:
      return "silent";
    case Life::kEvicted:
      return "evicted";
    case Life::kJoining:
      return "joining";
    case Life::kUnreadable:
      return "unreadable";
    case Life::kLeft:
      return "left";
    case Life::kDead:
      return "dead";
    case Life::kGone:
      return "gone";
  }
  return "?";
}

std::string_view PartitionStateName(PartitionState state) {
  switch (state) {
    case PartitionState::kOwned:
      return "owned";
    case PartitionState::kGranted:
      return "granted";
    case PartitionState::kMoving:
      return "moving";
    case PartitionState::kReleasing:
      return "releasing";
    case PartitionState::kWaiting:
      return "waiting";
    case PartitionState::kContested:
      return "contested";
    case PartitionState::kUnowned:
      return "unowned";
  }
  return "?";
}

bool NaturalLess(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (IsDigit(a.front()) && IsDigit(b.front())) {
      std::size_t length_a = 0;
      std::size_t length_b = 0;
      const std::string_view number_a = Number(a, &length_a);
      const std::string_view number_b = Number(b, &length_b);
      if (number_a.size() != number_b.size()) return number_a.size() < number_b.size();
      if (number_a != number_b) return number_a < number_b;
      a.remove_prefix(length_a);
      b.remove_prefix(length_b);
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;  // "a01" and "a1"
}

std::string TextOfAge(std::int64_t ms) {
  if (ms < 1'000) return fmt::format("{} ms", ms);
  const double seconds = static_cast<double>(ms) / 1e3;
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 120.0 * 60) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 48.0 * 3600) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86400);
}

std::string TextOfList(const std::vector<std::string>& items, std::size_t most, std::size_t total) {
  total = std::max(total, items.size());
  const std::size_t shown = std::min(items.size(), most);
  std::string text;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == total ? " and " : ", ";
    text += items[i];
  }
  if (shown < total) {
    text += fmt::format("{}{}", shown == 0 ? "" : " and ", total - shown);
    if (shown > 0) text += " more";
  }
  return text;
}

}  // namespace parti::cli
