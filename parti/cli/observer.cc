#include "parti/cli/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

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
  return text;
}

Observer::Observer(std::vector<std::string> partitions)
    : partitions_(std::move(partitions)), known_(partitions_.begin(), partitions_.end()) {}

std::size_t Observer::AddProcess(std::string name) {
  processes_.push_back({.name = std::move(name)});
  return processes_.size() - 1;
}

void Observer::AddLine(std::size_t process, std::string_view line) {
  Process& p = processes_[process];
  ++p.lines;
  const absl::StatusOr<EventLine> event = ParseEventLine(line);
  if (!event.ok()) {
    broken_lines_.push_back(
        fmt::format("{} line {}: {}", p.name, p.lines, std::string(event.status().message())));
    return;
  }
  AddEvent(process, *event);
}

void Observer::AddEvent(std::size_t process, const EventLine& event) {
  Process& p = processes_[process];
  if (event.kind == EventKind::kGone) return ProcessGone(process, event.t);
  if (event.t < p.last_event) Anomaly(process, event.t, "time ran backwards");
  p.last_event = std::max(p.last_event, event.t);
  if (p.lives.empty() && event.kind != EventKind::kStarted && event.kind != EventKind::kState &&
      event.kind != EventKind::kStopped) {
    Anomaly(process, event.t, "an event before the first life");
    return;
  }
  switch (event.kind) {
    case EventKind::kStarted:
      return OnStarted(process, event);
    case EventKind::kState:
      p.state = event.state;
      if (!p.lives.empty()) MayBeLeaving(p, event.t);
      return;
    case EventKind::kLeader:
      return OnLeader(process, event);
    case EventKind::kAcquired:
      return OnAcquired(process, event);
    case EventKind::kReleased:
    case EventKind::kLost:
      return OnEnded(process, event);
    case EventKind::kLease:
      return OnLease(process, event);
    case EventKind::kStopped:
      return OnStopped(process, event);
    case EventKind::kGone:
      return;
  }
}

void Observer::OnStarted(std::size_t index, const EventLine& event) {
  Process& process = processes_[index];
  if (!process.lives.empty()) {
    const Life& before = process.lives.back();
    if (!before.open.empty() && std::min(before.until.value_or(0), before.gone) > event.t) {
      Anomaly(index, event.t, "a new life began while the one before held claims under its lease");
    }
  }
  process.leader = false;
  process.lives.push_back(
      {.worker = event.worker, .incarnation = event.incarnation, .started = event.t});
}

void Observer::OnLeader(std::size_t index, const EventLine& event) {
  Process& process = processes_[index];
  process.leader = event.gained;
  if (!event.gained) return;
  process.epoch = event.token.epoch;
  leaderships_.push_back({.process = index, .t = event.t, .epoch = event.token.epoch});
}

void Observer::OnAcquired(std::size_t index, const EventLine& event) {
  Life& life = processes_[index].lives.back();
  const std::size_t life_index = processes_[index].lives.size() - 1;
  last_change_ = std::max(last_change_, event.t);
  grants_of_[event.partition].push_back(
      {.t = event.t, .token = event.token, .process = index, .life = life_index});
  if (!life.until.has_value() || *life.until <= event.t) {
    AfterLease(index, event.t, fmt::format("acquired {} without a running lease", event.partition));
  }
  if (any_partition_) {
    if (known_.insert(event.partition).second) partitions_.push_back(event.partition);
  } else if (!known_.contains(event.partition)) {
    Anomaly(index, event.t, fmt::format("acquired {}, which is no partition", event.partition));
  }
  const auto open = life.open.find(event.partition);
  if (open != life.open.end()) {  // held already: the claim goes on under a new token
    claims_[open->second].token = event.token;
    return;
  }
  life.open[event.partition] = claims_.size();
  claims_of_[event.partition].push_back(claims_.size());
  claims_.push_back({.partition = event.partition,
                     .process = index,
                     .life = life_index,
                     .token = event.token,
                     .from = event.t});
}

// A loss may be written when the next life has begun already: draining takes its time.
void Observer::OnEnded(std::size_t index, const EventLine& event) {
  Process& process = processes_[index];
  last_change_ = std::max(last_change_, event.t);
  for (auto life = process.lives.rbegin(); life != process.lives.rend(); ++life) {
    const auto open = life->open.find(event.partition);
    if (open == life->open.end()) continue;
    claims_[open->second].ended = event.t;
    life->open.erase(open);
    return MayBeLeaving(process, event.t);
  }
  Anomaly(index, event.t, fmt::format("gave up {}, which it didn't hold", event.partition));
}

void Observer::MayBeLeaving(Process& process, std::int64_t t) {
  Life& life = process.lives.back();
  if (process.state == "Shutdown" && life.open.empty()) life.leaving = t;
}

void Observer::OnLease(std::size_t index, const EventLine& event) {
  Life& life = processes_[index].lives.back();
  if (life.until.has_value() && *life.until < event.t && event.until > *life.until) {
    AfterLease(index, event.t,
               fmt::format("a lease that had run out {:.3f} ms ago was extended",
                           Seconds(event.t - *life.until) * 1e3));
  }
  life.until = std::max(life.until.value_or(0), event.until);
}

void Observer::OnStopped(std::size_t index, const EventLine& event) {
  Process& process = processes_[index];
  process.leader = false;
  if (process.lives.empty()) return;
  Life& life = process.lives.back();
  life.stopped = event.t;
  if (!life.open.empty()) {
    Anomaly(index, event.t,
            fmt::format("stopped without giving up {} partitions", life.open.size()));
  }
}

void Observer::ProcessGone(std::size_t process, std::int64_t t) {
  for (Life& life : processes_[process].lives) life.gone = std::min(life.gone, t);
  processes_[process].leader = false;
}

std::int64_t Observer::EndOf(const Claim& claim) const {
  const Life& life = processes_[claim.process].lives[claim.life];
  const std::int64_t until = life.until.value_or(claim.from);
  return std::max(claim.from, std::min({claim.ended, until, life.gone}));
}

std::int64_t Observer::EndOf(const Life& life) {
  return std::max(life.started, std::min({life.stopped, life.leaving,
                                          life.until.value_or(life.started), life.gone}));
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
  JudgeVersions(&verdict);
  JudgeIds(&verdict);
  return verdict;
}

// Overlaps and gaps of one partition.
void Observer::JudgeClaims(const std::vector<std::size_t>& claims, std::int64_t at,
                           Verdict* verdict) const {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> spans;  // from, to, process
  for (const std::size_t index : claims) {
    const Claim& claim = claims_[index];
    if (claim.from <= at) spans.emplace_back(claim.from, EndOf(claim), claim.process);
  }
  std::sort(spans.begin(), spans.end());
  const std::string& partition = claims_[claims.front()].partition;
  std::optional<std::int64_t> held_to;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto& [from, to, process] = spans[i];
    for (std::size_t j = i + 1; j < spans.size(); ++j) {
      const auto& [other_from, other_to, other] = spans[j];
      if (other_from > to) break;
      if (other == process || !Intersect(from, to, other_from, other_to)) continue;
      verdict->overlaps.push_back({.partition = partition,
                                   .first = process,
                                   .second = other,
                                   .from = other_from,
                                   .to = std::min(to, other_to)});
    }
    if (held_to.has_value() && *held_to < from) {
      verdict->gaps.push_back({.partition = partition, .from = *held_to, .to = from});
    }
    held_to = std::max(held_to.value_or(to), to);
  }
  if (held_to.has_value() && *held_to < at && at != kEndOfTime) {
    verdict->gaps.push_back({.partition = partition, .from = *held_to, .to = at});
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
        const bool same_life = grant.process == greatest->process && grant.life == greatest->life;
        const bool rises =
            same_life ? grant.token >= greatest->token : grant.token > greatest->token;
        if (!rises) {
          verdict->token_regressions.push_back(
              fmt::format("{}: {} of {} at {:.6f} s after {} of {}", partition,
                          TokenText(grant.token), processes_[grant.process].name, Seconds(grant.t),
                          TokenText(greatest->token), processes_[greatest->process].name));
          continue;
        }
      }
      greatest = &grant;
    }
  }
}

void Observer::JudgeEpochs(Verdict* verdict) const {
  std::map<std::uint64_t, std::size_t> holder_of;
  std::map<std::size_t, std::uint64_t> last_of;
  for (const Leadership& term : leaderships_) {
    const std::string& name = processes_[term.process].name;
    const auto [holder, is_new] = holder_of.try_emplace(term.epoch, term.process);
    if (!is_new) {
      verdict->epoch_regressions.push_back(fmt::format("epoch {} was gained by {} and by {}",
                                                       term.epoch, processes_[holder->second].name,
                                                       name));
    }
    std::uint64_t& last = last_of[term.process];
    if (term.epoch < last) {
      verdict->epoch_regressions.push_back(
          fmt::format("{} gained epoch {} after {}", name, term.epoch, last));
    }
    last = std::max(last, term.epoch);
  }
}

void Observer::JudgeVersions(Verdict* verdict) const {
  struct Range {
    std::uint64_t lowest = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t highest = 0;
  };
  std::map<std::uint64_t, Range> versions_of;  // by epoch
  for (const auto& [partition, grants] : grants_of_) {
    for (const Grant& grant : grants) {
      Range& range = versions_of[grant.token.epoch];
      range.lowest = std::min(range.lowest, grant.token.version);
      range.highest = std::max(range.highest, grant.token.version);
    }
  }
  std::uint64_t reached = 0;
  std::uint64_t reached_in = 0;
  for (const auto& [epoch, range] : versions_of) {
    if (range.lowest < reached) {
      verdict->version_regressions.push_back(
          fmt::format("epoch {} granted under version {}, but epoch {} had reached {}", epoch,
                      range.lowest, reached_in, reached));
    }
    if (range.highest > reached) {
      reached = range.highest;
      reached_in = epoch;
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
  };
  std::map<std::string, std::vector<Span>> spans_of;
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    for (const Life& life : processes_[index].lives) {
      spans_of[life.worker].push_back({life.started, EndOf(life), life.incarnation, index});
    }
  }
  for (auto& [worker, spans] : spans_of) {
    std::stable_sort(spans.begin(), spans.end(),
                     [](const Span& a, const Span& b) { return a.from < b.from; });
    for (std::size_t i = 1; i < spans.size(); ++i) {
      const Span& before = spans[i - 1];
      const Span& span = spans[i];
      if (span.incarnation <= before.incarnation) {
        verdict->incarnation_regressions.push_back(
            fmt::format("{}: incarnation {} of {} at {:.6f} s after {} of {}", worker,
                        span.incarnation, processes_[span.process].name, Seconds(span.from),
                        before.incarnation, processes_[before.process].name));
      }
    }
    // Each against the one before it that lasts longest: a short life between two hides nothing.
    std::size_t longest = 0;
    for (std::size_t i = 1; i < spans.size(); ++i) {
      const Span& before = spans[longest];
      const Span& span = spans[i];
      if (span.process != before.process && span.from < before.to) {
        verdict->id_conflicts.push_back(fmt::format(
            "{} was borne by {} and {} at once, for {:.3f} ms from {:.6f} s", worker,
            processes_[before.process].name, processes_[span.process].name,
            Seconds(std::min(span.to, before.to) - span.from) * 1e3, Seconds(span.from)));
      }
      if (span.to >= before.to) longest = i;
    }
  }
}

std::vector<Holder> Observer::HoldersAt(std::int64_t at) const {
  std::vector<Holder> holders;
  holders.reserve(partitions_.size());
  for (const std::string& partition : partitions_) {
    Holder holder{.partition = partition};
    const auto claims = claims_of_.find(partition);
    if (claims != claims_of_.end()) {
      for (const std::size_t index : claims->second) {
        const Claim& claim = claims_[index];
        if (claim.from > at || EndOf(claim) <= at) continue;
        holder.process = claim.process;
        holder.token = claim.token;
        holder.since = claim.from;
      }
    }
    holders.push_back(std::move(holder));
  }
  return holders;
}

ProcessView Observer::View(std::size_t process) const {
  const Process& p = processes_[process];
  ProcessView view{.name = p.name,
                   .lives = p.lives.size(),
                   .state = p.state,
                   .leader = p.leader,
                   .epoch = p.epoch,
                   .last_event = p.last_event};
  if (!p.lives.empty()) {
    const Life& life = p.lives.back();
    view.worker = life.worker;
    view.incarnation = life.incarnation;
    view.until = life.until.value_or(0);
    view.stopped = life.stopped != kEndOfTime;
  }
  return view;
}

void Observer::Anomaly(std::size_t process, std::int64_t t, std::string_view what) {
  anomalies_.push_back(At(process, t, what));
}

void Observer::AfterLease(std::size_t process, std::int64_t t, std::string_view what) {
  after_lease_.push_back(At(process, t, what));
}

std::string Observer::At(std::size_t process, std::int64_t t, std::string_view what) const {
  return fmt::format("{} at {:.6f} s: {}", processes_[process].name, Seconds(t), what);
}

}  // namespace parti::cli
