#include "internal/core/rules.h"

#include <array>

namespace parti::core {

namespace {
constexpr std::array<std::string_view, static_cast<std::size_t>(Rule::kCount)> kNames = {
    "read-after-fence",     "scan-reaches-end",  "hear-after-fence",      "check-fence",
    "grant-only-free",      "keep-releasing",    "unacked-holds-all",     "never-older-life",
    "rewrite-is-grant",     "rewrite-foreign",   "remember-unanswered",   "forward-only",
    "wait-after-tombstone", "confirm-tombstone", "lease-from-send",       "stop-at-tombstone",
    "joiner-watches",       "first-grant-waits", "unexplained-holds-all", "unreadable-holds-all",
    "drain-before-ack",
};
}  // namespace

std::string_view RuleName(Rule rule) { return kNames[static_cast<std::size_t>(rule)]; }

#ifdef PARTI_MUTABLE_RULES
namespace {
std::array<bool, static_cast<std::size_t>(Rule::kCount)> g_off = {};
}  // namespace
bool RuleOn(Rule rule) { return !g_off[static_cast<std::size_t>(rule)]; }
void SetRule(Rule rule, bool on) { g_off[static_cast<std::size_t>(rule)] = !on; }
#endif

}  // namespace parti::core
