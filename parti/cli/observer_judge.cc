// The observer's conclusions from the lines that it was given.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <utility>

#include "parti/cli/observer.h"

namespace parti::cli {
namespace {

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string TokenText(const Token& token) {
  return fmt::format("({}, {})", token.epoch, token.version);
}

// Half open, but an instant within another's claim counts: work may have been done in it.
bool Intersect(std::int64_t from, std::int64_t to, std::int64_t other_from, std::int64_t other_to) {
  if (from == to) return other_from < from && from < other_to;
  if (other_from == other_to) return from < other_from && other_from < to;
  return std::max(from, other_from) < std::min(to, other_to);
}

}  // namespace

bool Verdict::Exclusive() const {
  return overlaps.empty() && token_regressions.empty() && epoch_regressions.empty() &&
         id_conflicts.empty() && incarnation_regressions.empty();
}

std::string Verdict::Describe(std::size_t limit) const {
  std::string text;
  const auto add = [&](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    text += fmt::format("{}: {}\n", title, lines.size());
    for (std::size_t i = 0; i < std::min(limit, lines.size()); ++i) {
      text += fmt::format("  {}\n", lines[i]);
    }
  };
  std::vector<std::string> pairs;
  for (const Overlap& overlap : overlaps) {
    pairs.push_back(fmt::format("{}: processes {} and {} for {:.3f} ms from {:.6f} s",
                                overlap.partition, overlap.first, overlap.second,
                                Seconds(overlap.to - overlap.from) * 1e3, Seconds(overlap.from)));
  }
  add("overlaps", pairs);
  std::vector<std::string> long_gaps;
  for (const Gap& gap : gaps) {
    if (gap.to - gap.from <= longest_gap) continue;
    long_gaps.push_back(fmt::format("{}: nobody's for {:.3f} ms from {:.6f} s", gap.partition,
                                    Seconds(gap.to - gap.from) * 1e3, Seconds(gap.from)));
  }
  add("gaps", long_gaps);
  add("unowned", unowned);
  add("token regressions", token_regressions);
  add("epoch regressions", epoch_regressions);
  add("version regressions", version_regressions);
  add("id conflicts", id_conflicts);
  add("incarnation regressions", incarnation_regressions);
  add("after a lease", after_lease);
  add("anomalies", anomalies);
  add("broken lines", broken_lines);
  add("doubtful", doubtful);
  return text;
}

std::int64_t Observer::EndOf(const Claim& claim) const {
  const Life& life = LifeOf(claim);
  const std::int64_t until = life.until.value_or(life.begins_early ? life.last : claim.from);
  return std::max(claim.from, std::min({claim.ended, until, life.gone}));
}

std::int64_t Observer::EndOf(const Life& life) {
  const std::int64_t until = life.until.value_or(life.begins_early ? life.last : life.started);
  return std::max(life.started, std::min({life.stopped, life.leaving, until, life.gone}));
}

bool Observer::IsCertain(std::size_t process, std::size_t other, std::int64_t apart) const {
  return processes_[process].clock == processes_[other].clock || apart > clock_error_;
}

void Observer::Tell(bool certain, std::string what, std::vector<std::string>* findings,
                    Verdict* verdict) const {
  (certain ? *findings : verdict->doubtful).push_back(std::move(what));
}

// The line that tells when the claim ended.
std::string Observer::EndPlace(const Claim& claim) const {
  const Life& life = LifeOf(claim);
  const std::int64_t end = EndOf(claim);
  if (claim.ended == end && claim.ended_line != 0) return Place(claim.process, claim.ended_line);
  return Place(claim.process, life.until_line != 0 ? life.until_line : claim.line);
}

std::string Observer::ClaimText(const Claim& claim, std::int64_t overlap_from) const {
  const Life& life = LifeOf(claim);
  const std::int64_t end = EndOf(claim);
  std::string text =
      fmt::format("{} from {}", processes_[claim.process].name, Place(claim.process, claim.line));
  if (claim.ended == end && claim.ended_line != 0) {
    return text + " to " + Place(claim.process, claim.ended_line);
  }
  if (life.gone == end) return text + " until it was gone";
  text += fmt::format(" to the end of its lease ({})",
                      Place(claim.process, life.until_line != 0 ? life.until_line : claim.line));
  if (life.last <= overlap_from) {
    text += fmt::format(", its last line at {:.6f} s", Seconds(life.last));
  }
  return text;
}

std::string Observer::Explain(const Overlap& overlap) const {
  return fmt::format("{}: for {:.3f} ms, from {:.6f} s to {:.6f} s: {}; {}", overlap.partition,
                     Seconds(overlap.to - overlap.from) * 1e3, Seconds(overlap.from),
                     Seconds(overlap.to), ClaimText(claims_[overlap.first_claim], overlap.from),
                     ClaimText(claims_[overlap.second_claim], overlap.from));
}

Verdict Observer::Judge(std::int64_t at) const {
  Verdict verdict;
  verdict.anomalies = anomalies_;
  verdict.after_lease = after_lease_;
  verdict.broken_lines = broken_lines_;
  for (const auto& [partition, claims] : claims_of_) JudgeClaims(claims, at, &verdict);
  for (const Holder& holder : HoldersAt(at)) {
    if (!holder.process.has_value()) verdict.unowned.push_back(holder.partition);
  }
  JudgeTokens(&verdict);
  JudgeEpochs(&verdict);
  JudgeEpochsOfGrants(&verdict);
  JudgeVersions(&verdict);
  JudgeIds(&verdict);
  return verdict;
}

// Overlaps and gaps of one partition.
void Observer::JudgeClaims(const std::vector<std::size_t>& claims, std::int64_t at,
                           Verdict* verdict) const {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> spans;  // from, to, claim
  for (const std::size_t index : claims) {
    const Claim& claim = claims_[index];
    if (claim.from <= at) spans.emplace_back(claim.from, EndOf(claim), index);
  }
  std::sort(spans.begin(), spans.end());
  const std::string& partition = claims_[claims.front()].partition;
  std::optional<std::int64_t> held_to;
  const Claim* holder = nullptr;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto& [from, to, index] = spans[i];
    const Claim& claim = claims_[index];
    for (std::size_t j = i + 1; j < spans.size(); ++j) {
      const auto& [other_from, other_to, other_index] = spans[j];
      if (other_from > to) break;
      const Claim& other = claims_[other_index];
      // Two lives of one process are two owners, too: either may be what another process wrote.
      if (other.process == claim.process && other.life == claim.life) continue;
      if (!Intersect(from, to, other_from, other_to)) continue;
      const Overlap overlap{.partition = partition,
                            .first = claim.process,
                            .second = other.process,
                            .from = other_from,
                            .to = std::min(to, other_to),
                            .first_claim = index,
                            .second_claim = other_index};
      if (IsCertain(claim.process, other.process, overlap.to - overlap.from)) {
        verdict->overlaps.push_back(overlap);
      } else {
        verdict->doubtful.push_back(Explain(overlap));
      }
    }
    if (holder != nullptr && *held_to < from) {
      verdict->gaps.push_back({.partition = partition,
                               .from = *held_to,
                               .to = from,
                               .after = EndPlace(*holder),
                               .before = Place(claim.process, claim.line)});
    }
    if (holder == nullptr || to >= *held_to) {
      holder = &claim;
      held_to = to;
    }
  }
  if (holder != nullptr && *held_to < at && at != kEndOfTime) {
    verdict->gaps.push_back(
        {.partition = partition, .from = *held_to, .to = at, .after = EndPlace(*holder)});
  }
}

void Observer::JudgeTokens(Verdict* verdict) const {
  for (const auto& [partition, unsorted] : grants_of_) {
    std::vector<Grant> grants = unsorted;
    std::stable_sort(grants.begin(), grants.end(),
                     [](const Grant& a, const Grant& b) { return a.t < b.t; });
    const Grant* greatest = nullptr;
    for (const Grant& grant : grants) {
      if (greatest != nullptr) {
        const bool renews =
            grant.renews && grant.process == greatest->process && grant.life == greatest->life;
        if (renews ? grant.token < greatest->token : grant.token <= greatest->token) {
          Tell(IsCertain(grant.process, greatest->process, grant.t - greatest->t),
               fmt::format("{}: {} of {} at {:.6f} s after {} of {} at {:.6f} s", partition,
                           TokenText(grant.token), Who(grant.process, grant.line), Seconds(grant.t),
                           TokenText(greatest->token), Who(greatest->process, greatest->line),
                           Seconds(greatest->t)),
               &verdict->token_regressions, verdict);
          continue;
        }
      }
      greatest = &grant;
    }
  }
}

void Observer::JudgeEpochs(Verdict* verdict) const {
  std::vector<std::size_t> order(leaderships_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
    return leaderships_[a].t < leaderships_[b].t;
  });
  std::map<std::uint64_t, std::size_t> gained;   // by epoch, indices
  std::map<std::size_t, std::uint64_t> last_of;  // by process
  for (const std::size_t i : order) {
    const Leadership& term = leaderships_[i];
    const std::string who = Who(term.process, term_lines_[i]);
    const auto [first, is_new] = gained.try_emplace(term.epoch, i);
    if (!is_new) {
      verdict->epoch_regressions.push_back(
          fmt::format("epoch {} was gained by {} and by {}", term.epoch,
                      Who(leaderships_[first->second].process, term_lines_[first->second]), who));
      continue;
    }
    std::uint64_t& last = last_of[term.process];
    if (term.epoch < last) {
      verdict->epoch_regressions.push_back(
          fmt::format("{} gained epoch {} after {}", who, term.epoch, last));
    }
    last = std::max(last, term.epoch);
  }
}

// Nobody can grant under an epoch before it is gained; nor after a greater one was. (A leader that
// was stopped may learn only then that it was elected, but its docs are behind the fence.)
void Observer::JudgeEpochsOfGrants(Verdict* verdict) const {
  std::map<std::uint64_t, std::size_t> gained;  // by epoch, the first, indices
  for (std::size_t i = 0; i < leaderships_.size(); ++i) {
    const auto [first, is_new] = gained.try_emplace(leaderships_[i].epoch, i);
    if (!is_new && leaderships_[i].t < leaderships_[first->second].t) first->second = i;
  }
  // By epoch: of all greater ones that which was gained first.
  std::map<std::uint64_t, std::size_t> overtaken_by;
  std::optional<std::size_t> earliest;
  for (auto term = gained.rbegin(); term != gained.rend(); ++term) {
    const auto& [epoch, i] = *term;
    if (earliest.has_value() && leaderships_[*earliest].t < leaderships_[i].t) {
      overtaken_by[epoch] = *earliest;
    } else {
      earliest = i;
    }
  }
  const auto tell = [&](const std::string& partition, const Grant& grant, const char* when,
                        std::size_t i, std::int64_t apart) {
    const Leadership& term = leaderships_[i];
    Tell(IsCertain(grant.process, term.process, apart),
         fmt::format("{}: {} of {} at {:.6f} s, though epoch {} {} by {} at {:.6f} s", partition,
                     TokenText(grant.token), Who(grant.process, grant.line), Seconds(grant.t),
                     term.epoch, when, Who(term.process, term_lines_[i]), Seconds(term.t)),
         &verdict->epoch_regressions, verdict);
  };
  for (const auto& [partition, grants] : grants_of_) {
    for (const Grant& grant : grants) {
      const auto term = gained.find(grant.token.epoch);
      if (term == gained.end()) {
        verdict->unknown_epochs.insert(grant.token.epoch);
        continue;
      }
      const Leadership& leader = leaderships_[term->second];
      if (grant.t < leader.t) {
        tell(partition, grant, "was gained only then,", term->second, leader.t - grant.t);
      } else if (const auto other = overtaken_by.find(leader.epoch); other != overtaken_by.end()) {
        tell(partition, grant, "had been gained before,", other->second,
             leader.t - leaderships_[other->second].t);
      }
    }
  }
}

void Observer::JudgeVersions(Verdict* verdict) const {
  struct Range {
    const Grant* lowest = nullptr;
    const Grant* highest = nullptr;
  };
  std::map<std::uint64_t, Range> versions_of;  // by epoch
  for (const auto& [partition, grants] : grants_of_) {
    for (const Grant& grant : grants) {
      Range& range = versions_of[grant.token.epoch];
      if (range.lowest == nullptr || grant.token.version < range.lowest->token.version) {
        range.lowest = &grant;
      }
      if (range.highest == nullptr || grant.token.version > range.highest->token.version) {
        range.highest = &grant;
      }
    }
  }
  const Grant* reached = nullptr;
  for (const auto& [epoch, range] : versions_of) {
    if (reached != nullptr && range.lowest->token.version < reached->token.version) {
      verdict->version_regressions.push_back(fmt::format(
          "epoch {} granted under version {} ({}), but epoch {} had reached {} ({})", epoch,
          range.lowest->token.version, Place(range.lowest->process, range.lowest->line),
          reached->token.epoch, reached->token.version, Place(reached->process, reached->line)));
    }
    if (reached == nullptr || range.highest->token.version > reached->token.version) {
      reached = range.highest;
    }
  }
}

// Lives under one worker id: incarnations rise, and no two processes bear it at once.
void Observer::JudgeIds(Verdict* verdict) const {
  struct Span {
    std::int64_t from;
    std::int64_t to;
    std::uint64_t incarnation;
    std::size_t process;
    std::size_t line;
  };
  std::map<std::string, std::vector<Span>> spans_of;
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    for (const Life& life : processes_[index].lives) {
      spans_of[life.worker].push_back(
          {life.started, EndOf(life), life.incarnation, index, life.line});
    }
  }
  for (auto& [worker, spans] : spans_of) {
    std::stable_sort(spans.begin(), spans.end(),
                     [](const Span& a, const Span& b) { return a.from < b.from; });
    std::size_t greatest = 0;
    for (std::size_t i = 1; i < spans.size(); ++i) {
      const Span& before = spans[greatest];
      const Span& span = spans[i];
      if (span.incarnation > before.incarnation) {
        greatest = i;
      } else {
        Tell(IsCertain(span.process, before.process, span.from - before.from),
             fmt::format("{}: incarnation {} at {:.6f} s ({}) after {} at {:.6f} s ({})", worker,
                         span.incarnation, Seconds(span.from), Place(span.process, span.line),
                         before.incarnation, Seconds(before.from),
                         Place(before.process, before.line)),
             &verdict->incarnation_regressions, verdict);
      }
    }
    // Each against the one before it that lasts longest: a short life between two hides nothing.
    std::size_t longest = 0;
    for (std::size_t i = 1; i < spans.size(); ++i) {
      const Span& before = spans[longest];
      const Span& span = spans[i];
      if (span.process != before.process && span.from < before.to) {
        const std::int64_t both = std::min(span.to, before.to) - span.from;
        Tell(IsCertain(span.process, before.process, both),
             fmt::format("{} was borne by {} and {} at once, for {:.3f} ms from {:.6f} s", worker,
                         Place(before.process, before.line), Place(span.process, span.line),
                         Seconds(both) * 1e3, Seconds(span.from)),
             &verdict->id_conflicts, verdict);
      }
      if (span.to >= before.to) longest = i;
    }
  }
}

}  // namespace parti::cli
