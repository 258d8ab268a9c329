// What happened, for people and for comparison. A campaign keeps only a running hash; the seed of a
// violation is run once more with the lines kept, which costs nothing in the thousands that pass.
#ifndef PARTI_TEST_SIMULATION_HISTORY_H_
#define PARTI_TEST_SIMULATION_HISTORY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "internal/core/time.h"

namespace parti::simulation {

using core::Nanos;

class History {
 public:
  enum class Keep {
    kHash,     // no lines
    kFacts,    // lives, claims, leadership, documents, faults
    kTraffic,  // every request, answer and watch event besides
  };
  struct Line {
    Nanos time = 0;
    std::string who;
    std::string what;
    bool traffic = false;
  };

  explicit History(Keep keep) : keep_(keep) {}

  // `code` stands for the line in the hash. `text` makes the line and is called only if it is kept.
  template <typename Text>
  void Fact(Nanos time, std::string_view who, std::uint64_t code, const Text& text) {
    Mix(static_cast<std::uint64_t>(time));
    Mix(code);
    if (keep_ != Keep::kHash) lines_.push_back({time, std::string(who), text(), false});
  }
  template <typename Text>
  void Traffic(Nanos time, std::string_view who, std::uint64_t code, const Text& text) {
    Mix(static_cast<std::uint64_t>(time));
    Mix(code);
    if (keep_ == Keep::kTraffic) lines_.push_back({time, std::string(who), text(), true});
  }

  std::uint64_t hash() const { return hash_; }
  bool keeps_lines() const { return keep_ != Keep::kHash; }
  const std::vector<Line>& lines() const { return lines_; }

  // "  12.345678  a         claims p-0"
  static std::string Render(const Line& line);

 private:
  void Mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ULL + (hash_ >> 29); }

  Keep keep_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::vector<Line> lines_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_HISTORY_H_
