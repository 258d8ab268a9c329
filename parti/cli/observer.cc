// What the observer keeps of the lines that it is given. observer_judge.cc draws the conclusions.
#include "parti/cli/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace parti::cli {
namespace {

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

Observer::Observer(std::vector<std::string> partitions)
    : partitions_(std::move(partitions)), known_(partitions_.begin(), partitions_.end()) {}

std::size_t Observer::AddProcess(std::string name, std::string file, std::size_t clock) {
  processes_.push_back({.name = std::move(name), .file = std::move(file), .clock = clock});
  return processes_.size() - 1;
}

void Observer::AddLine(std::size_t process, std::string_view line) {
  Process& p = processes_[process];
  ++p.lines;
  const absl::StatusOr<EventLine> event = ParseEventLine(line);
  if (!event.ok()) {
    broken_lines_.push_back(
        fmt::format("{}: {}", Place(process, p.lines), std::string(event.status().message())));
    return;
  }
  AddEvent(process, *event, p.lines);
}

void Observer::AddLastLine(std::size_t process, std::string_view line) {
  if (ParseEventLine(line).ok()) AddLine(process, line);
}

void Observer::AddEvent(std::size_t process, const EventLine& event, std::size_t line) {
  Process& p = processes_[process];
  if (event.kind == EventKind::kGone) return ProcessGone(process, event.t);
  if (event.t < p.last_event) {
    Anomaly(process, event.t, line,
            fmt::format("time ran backwards, from {:.6f} s (another boot of the machine?)",
                        Seconds(p.last_event)));
  }
  p.last_event = event.t;
  switch (event.kind) {
    case EventKind::kOpened:
      if (event.alone) ProcessGone(process, event.t);
      return;
    case EventKind::kStarted:
      return OnStarted(process, event, line);
    case EventKind::kState:
      p.state = event.state;
      if (!p.lives.empty()) MayBeLeaving(p, event.t);
      return;
    case EventKind::kStopped:
      return OnStopped(process, event, line);
    case EventKind::kLeader:
    case EventKind::kAcquired:
    case EventKind::kReleased:
    case EventKind::kLost:
    case EventKind::kLease:
    case EventKind::kGone:
      break;
  }
  const std::optional<std::size_t> life = LifeFor(process, event, line);
  if (!life.has_value()) return;
  CheckThatItMay(process, *life, event, line);
  p.lives[*life].last = std::max(p.lives[*life].last, event.t);
  if (event.kind == EventKind::kLeader) return OnLeader(process, event, line);
  if (event.kind == EventKind::kLease) return OnLease(process, *life, event, line);
  if (event.kind == EventKind::kAcquired) return OnAcquired(process, *life, event, line);
  OnEnded(process, *life, event, line);
}

// The life that a line is of: the one that it names, or else the newest.
std::optional<std::size_t> Observer::LifeOf(const Process& process, const EventLine& event) {
  for (std::size_t i = process.lives.size(); i-- > 0;) {
    const Life& life = process.lives[i];
    if (event.worker.empty() || event.incarnation == 0 ||
        (life.worker == event.worker && life.incarnation == event.incarnation)) {
      return i;
    }
  }
  return std::nullopt;
}

// A log may begin amid a life (a rotated one, whose older part wasn't given). That is told once;
// what is known of the life is judged nevertheless.
std::optional<std::size_t> Observer::LifeFor(std::size_t index, const EventLine& event,
                                             std::size_t line) {
  Process& process = processes_[index];
  std::optional<std::size_t> life = LifeOf(process, event);
  if (life.has_value()) return life;
  if (event.worker.empty() || event.incarnation == 0) {
    Anomaly(index, event.t, line, "an event before the first life");
    return std::nullopt;
  }
  Anomaly(index, event.t, line,
          fmt::format("incarnation {} of {} has no beginning in this log (is its older part "
                      "missing?)",
                      event.incarnation, event.worker));
  process.lives.push_back({.worker = event.worker,
                           .incarnation = event.incarnation,
                           .started = event.t,
                           .line = line,
                           .begins_early = true});
  return process.lives.size() - 1;
}

// Who has been followed by another life, has stopped or was seen to be gone says nothing any more.
// Where it does, it is counted as alive, for what it claims counts.
void Observer::CheckThatItMay(std::size_t index, std::size_t life_index, const EventLine& event,
                              std::size_t line) {
  Process& process = processes_[index];
  Life& life = process.lives[life_index];
  if (life.gone < event.t) {
    Anomaly(index, event.t, line,
            fmt::format("goes on, {:.3f} ms after its process was seen to be gone",
                        Seconds(event.t - life.gone) * 1e3));
    life.gone = kEndOfTime;
  }
  // What a life had may be given up when the next has begun already: draining takes its time.
  if (event.kind == EventKind::kReleased || event.kind == EventKind::kLost) return;
  const bool loses = event.kind == EventKind::kLeader && !event.gained;
  if (loses) return;
  const auto next =
      std::find_if(process.lives.begin() + static_cast<std::ptrdiff_t>(life_index) + 1,
                   process.lives.end(), [](const Life& l) { return !l.begins_early; });
  if (next != process.lives.end()) {
    Anomaly(index, event.t, line,
            fmt::format("acts as incarnation {}, though incarnation {} has begun ({})",
                        life.incarnation, next->incarnation, Place(index, next->line)));
  }
  if (life.stopped != kEndOfTime) {
    Anomaly(index, event.t, line, "acts, though it said that it had stopped");
    life.stopped = kEndOfTime;
  }
}

void Observer::OnStarted(std::size_t index, const EventLine& event, std::size_t line) {
  Process& process = processes_[index];
  if (!process.lives.empty()) {
    const Life& before = process.lives.back();
    if (!before.open.empty() && std::min(before.until.value_or(0), before.gone) > event.t) {
      Anomaly(index, event.t, line,
              "a new life began while the one before held claims under its lease");
    }
  }
  process.leader = false;
  // Of a process before this one in the same log.
  if (process.state == "Shutdown") process.state.clear();
  process.lives.push_back({.worker = event.worker,
                           .incarnation = event.incarnation,
                           .started = event.t,
                           .line = line,
                           .last = event.t});
}

void Observer::OnLeader(std::size_t index, const EventLine& event, std::size_t line) {
  Process& process = processes_[index];
  process.leader = event.gained;
  if (!event.gained) return;
  process.epoch = event.token.epoch;
  leaderships_.push_back({.process = index, .t = event.t, .epoch = event.token.epoch});
  term_lines_.push_back(line);
}

void Observer::OnAcquired(std::size_t index, std::size_t life_index, const EventLine& event,
                          std::size_t line) {
  Life& life = processes_[index].lives[life_index];
  last_change_ = std::max(last_change_, event.t);
  const auto open = life.open.find(event.partition);
  const bool renews = open != life.open.end();
  grants_of_[event.partition].push_back({.t = event.t,
                                         .token = event.token,
                                         .process = index,
                                         .life = life_index,
                                         .line = line,
                                         .renews = renews});
  const bool lease_is_known = life.until.has_value() || !life.begins_early;
  if (lease_is_known && life.until.value_or(event.t) <= event.t) {
    AfterLease(index, event.t, line,
               fmt::format("acquired {} without a running lease", event.partition));
  }
  if (any_partition_) {
    if (known_.insert(event.partition).second) partitions_.push_back(event.partition);
  } else if (!known_.contains(event.partition)) {
    Anomaly(index, event.t, line,
            fmt::format("acquired {}, which is no partition", event.partition));
  }
  if (renews) {  // the claim goes on under a new token
    claims_[open->second].token = event.token;
    return;
  }
  life.open[event.partition] = claims_.size();
  claims_of_[event.partition].push_back(claims_.size());
  claims_.push_back({.partition = event.partition,
                     .process = index,
                     .life = life_index,
                     .token = event.token,
                     .from = event.t,
                     .line = line});
}

void Observer::OnEnded(std::size_t index, std::size_t life_index, const EventLine& event,
                       std::size_t line) {
  Process& process = processes_[index];
  last_change_ = std::max(last_change_, event.t);
  const bool named = !event.worker.empty() && event.incarnation != 0;
  // A line that names no life is of whichever had it last.
  for (std::size_t i = life_index + 1; i-- > 0;) {
    Life& life = process.lives[i];
    const auto open = life.open.find(event.partition);
    if (open != life.open.end()) {
      claims_[open->second].ended = event.t;
      claims_[open->second].ended_line = line;
      life.open.erase(open);
      return MayBeLeaving(process, event.t);
    }
    if (named) break;
  }
  if (process.lives[life_index].begins_early) return;
  Anomaly(index, event.t, line, fmt::format("gave up {}, which it didn't hold", event.partition));
}

void Observer::MayBeLeaving(Process& process, std::int64_t t) {
  Life& life = process.lives.back();
  if (process.state == "Shutdown" && life.open.empty()) life.leaving = t;
}

void Observer::OnLease(std::size_t index, std::size_t life_index, const EventLine& event,
                       std::size_t line) {
  Life& life = processes_[index].lives[life_index];
  if (life.until.has_value() && *life.until < event.t && event.until > *life.until) {
    AfterLease(index, event.t, line,
               fmt::format("a lease that had run out {:.3f} ms ago was extended",
                           Seconds(event.t - *life.until) * 1e3));
  }
  if (life.until.has_value() && event.until <= *life.until) return;
  life.until = event.until;
  life.until_line = line;
}

void Observer::OnStopped(std::size_t index, const EventLine& event, std::size_t line) {
  Process& process = processes_[index];
  process.leader = false;
  const std::optional<std::size_t> index_of_life = LifeOf(process, event);
  if (!index_of_life.has_value()) return;
  Life& life = process.lives[*index_of_life];
  life.stopped = event.t;
  // Who leaves in order says `left` once it holds nothing: somebody may read that, and take its id,
  // before it is answered and this line written.
  if (life.open.empty()) life.leaving = std::min(life.leaving, life.last);
  if (!life.open.empty()) {
    Anomaly(index, event.t, line,
            fmt::format("stopped without giving up {} partitions", life.open.size()));
  }
}

void Observer::ProcessGone(std::size_t process, std::int64_t t) {
  for (Life& life : processes_[process].lives) life.gone = std::min(life.gone, t);
  processes_[process].leader = false;
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

void Observer::Anomaly(std::size_t process, std::int64_t t, std::size_t line,
                       std::string_view what) {
  anomalies_.push_back(At(process, t, line, what));
}

void Observer::AfterLease(std::size_t process, std::int64_t t, std::size_t line,
                          std::string_view what) {
  after_lease_.push_back(At(process, t, line, what));
}

std::string Observer::At(std::size_t process, std::int64_t t, std::size_t line,
                         std::string_view what) const {
  return fmt::format("{} at {:.6f} s: {}", Who(process, line), Seconds(t), what);
}

std::string Observer::Place(std::size_t process, std::size_t line) const {
  const Process& p = processes_[process];
  return fmt::format("{}:{}", p.file.empty() ? p.name : p.file, line);
}

std::string Observer::Who(std::size_t process, std::size_t line) const {
  return fmt::format("{} ({})", processes_[process].name, Place(process, line));
}

}  // namespace parti::cli
