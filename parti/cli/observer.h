// The independent observer: judges from workers' event logs alone whether partitions were owned
// exclusively. It shares no code with what it judges.
//
// The logs of one machine share one clock (CLOCK_BOOTTIME), so times of different processes may be
// compared. Processes may be put on different clocks that were made comparable up to an error: what
// lies within the error is doubtful, and no finding. A claim lasts from `acquired` to `released`,
// `lost` or the latest `until` of its life's lease, whichever is first. Where a log leaves a doubt,
// the observer assumes the longer claim: a life that ends without a word holds until its lease has
// run out, also when the process starts a new one.
//
// Thread safety: none.
#ifndef PARTI_CLI_OBSERVER_H_
#define PARTI_CLI_OBSERVER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "parti/cli/event_line.h"

namespace parti::cli {

inline constexpr std::int64_t kEndOfTime = std::numeric_limits<std::int64_t>::max();

// Two processes held one partition at once, during [from, to).
struct Overlap {
  std::string partition;
  std::size_t first = 0;  // processes
  std::size_t second = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::size_t first_claim = 0;  // for Observer::Explain
  std::size_t second_claim = 0;
};

// Nobody held the partition during [from, to), after somebody had.
struct Gap {
  std::string partition;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string after = {};   // the line that tells the end of the claim before, as "a.events:12"
  std::string before = {};  // that of the next claim; empty: there is none
};

struct Verdict {
  std::vector<Overlap> overlaps;
  std::vector<std::string> unowned;  // partitions without a valid claim at the time judged
  std::vector<Gap> gaps;
  // Of a partition: a later claim whose fencing token isn't greater. (Of one that is held, the same
  // life may acquire it again under the same token.)
  std::vector<std::string> token_regressions;
  // An epoch that was gained twice, or by a process after a greater one; that was granted under
  // before it was gained, or when a greater one had been gained before it.
  std::vector<std::string> epoch_regressions;
  // A version that a later epoch granted under, below one that an earlier epoch had reached: a new
  // leader goes on above the highest version that it finds.
  std::vector<std::string> version_regressions;
  // A worker id held by two processes at once. Only where the server lost its buckets may a correct
  // worker take an id while another's lease on it runs.
  std::vector<std::string> id_conflicts;
  // A later life of a worker id whose incarnation isn't greater.
  std::vector<std::string> incarnation_regressions;
  // A claim without a running lease, or a lease that was extended after it had run out.
  std::vector<std::string> after_lease;
  // What else a correct worker doesn't write: a release of what wasn't held, a new life while the
  // one before holds claims, what a life says when the next has begun or its process is gone, a log
  // without its beginning, time running backwards.
  std::vector<std::string> anomalies;
  // What would be one of the above, but for clocks that differ by no more than their error.
  std::vector<std::string> doubtful;
  // Epochs that partitions were granted under and that nobody gained: a log may be missing.
  std::set<std::uint64_t> unknown_epochs;
  // Lines that couldn't be read, each with its process and number.
  std::vector<std::string> broken_lines;

  // Gaps up to this long are no finding: how long nobody may own a partition depends on what was
  // done to the group, which the logs don't tell. Set by whoever knows. ns
  std::int64_t longest_gap = kEndOfTime;

  // Nothing was owned twice, and no token, epoch, id or incarnation went wrong.
  bool Exclusive() const;
  // One line per finding, at most `limit` of each kind; gaps only where longer than longest_gap.
  std::string Describe(std::size_t limit = 5) const;
};

// What the log says of one process now.
struct ProcessView {
  std::string name;
  std::string worker = {};  // of the present life; empty before the first
  std::uint64_t incarnation = 0;
  std::size_t lives = 0;
  std::string state = {};
  bool leader = false;
  std::uint64_t epoch = 0;  // the last one gained
  std::int64_t until = 0;   // end of the lease
  bool stopped = false;     // it said so
  std::int64_t last_event = 0;
};

struct Leadership {
  std::size_t process = 0;
  std::int64_t t = 0;
  std::uint64_t epoch = 0;
};

// Who holds a partition at some moment.
struct Holder {
  std::string partition;
  std::optional<std::size_t> process = {};
  Token token = {};
  std::int64_t since = 0;
};

class Observer {
 public:
  // `partitions`: the ids that shall be owned. A claim to any other is an anomaly.
  explicit Observer(std::vector<std::string> partitions);
  // The partitions are those that are ever claimed.
  Observer() : any_partition_(true) {}

  // A process with a log of its own. `name` is for people, and `file` for the places of lines (the
  // name if it is empty). Times of processes on one `clock` are compared as they are.
  std::size_t AddProcess(std::string name, std::string file = "", std::size_t clock = 0);

  // By how much times of processes on different clocks may be wrong, ns.
  void SetClockError(std::int64_t error) { clock_error_ = error; }

  // The next line of that process's log, without its newline.
  void AddLine(std::size_t process, std::string_view line);
  // The last line of a process that was killed: it may be cut short, which is no finding.
  void AddLastLine(std::size_t process, std::string_view line);
  // The same as AddLine, of a line that was read already, and its number in the file.
  void AddEvent(std::size_t process, const EventLine& event, std::size_t line);

  // The process was seen to exist no more (it was reaped) by `t`, which ends its claims. The one
  // thing taken from outside the logs (or from a line "gone"), and only needed where a process is
  // started again under its old identity before its lease has run out. What follows in the same
  // log is of its successor.
  void ProcessGone(std::size_t process, std::int64_t t);

  // Who held what in an overlap, and which lines say so.
  std::string Explain(const Overlap& overlap) const;

  // Judges what the logs say up to `at`: claims that begin later are left out. While workers run,
  // choose `at` so far back that every line up to it was surely read, or a release not read yet
  // looks like an overlap.
  Verdict Judge(std::int64_t at) const;

  // Per partition, in the order given to the constructor.
  std::vector<Holder> HoldersAt(std::int64_t at) const;

  ProcessView View(std::size_t process) const;
  std::size_t processes() const { return processes_.size(); }
  const std::vector<std::string>& partitions() const { return partitions_; }
  // In the order in which the lines were read.
  const std::vector<Leadership>& leaderships() const { return leaderships_; }
  // When a claim last began or ended by a line of a log.
  std::int64_t last_change() const { return last_change_; }

 private:
  struct Claim {
    std::string partition;
    std::size_t process = 0;
    std::size_t life = 0;
    Token token;
    std::int64_t from = 0;
    std::int64_t ended = kEndOfTime;
    std::size_t line = 0;
    std::size_t ended_line = 0;
  };
  struct Life {
    std::string worker;
    std::uint64_t incarnation = 0;
    std::int64_t started = 0;
    std::size_t line = 0;
    std::optional<std::int64_t> until = {};
    std::size_t until_line = 0;
    std::int64_t stopped = kEndOfTime;
    // Since when it shuts down and holds nothing: it says `left` from now on, and whoever reads
    // that may take its id before it writes `stopped`.
    std::int64_t leaving = kEndOfTime;
    std::int64_t gone = kEndOfTime;
    std::int64_t last = 0;      // its last line
    bool begins_early = false;  // before the log does: what it held and its lease aren't known
    std::map<std::string, std::size_t, std::less<>> open = {};  // partition → index in claims_
  };
  struct Process {
    std::string name;
    std::string file;
    std::size_t clock = 0;
    std::size_t lines = 0;
    std::vector<Life> lives = {};
    std::string state = {};
    bool leader = false;
    std::uint64_t epoch = 0;
    std::int64_t last_event = 0;
  };
  struct Grant {  // an `acquired` line
    std::int64_t t = 0;
    Token token;
    std::size_t process = 0;
    std::size_t life = 0;
    std::size_t line = 0;
    bool renews = false;  // the life held it
  };

  static std::optional<std::size_t> LifeOf(const Process& process, const EventLine& event);
  std::optional<std::size_t> LifeFor(std::size_t index, const EventLine& event, std::size_t line);
  void CheckThatItMay(std::size_t index, std::size_t life, const EventLine& event,
                      std::size_t line);
  void OnStarted(std::size_t index, const EventLine& event, std::size_t line);
  void OnLeader(std::size_t index, const EventLine& event, std::size_t line);
  void OnAcquired(std::size_t index, std::size_t life, const EventLine& event, std::size_t line);
  void OnEnded(std::size_t index, std::size_t life, const EventLine& event, std::size_t line);
  void OnLease(std::size_t index, std::size_t life, const EventLine& event, std::size_t line);
  static void MayBeLeaving(Process& process, std::int64_t t);
  void OnStopped(std::size_t index, const EventLine& event, std::size_t line);

  std::int64_t EndOf(const Claim& claim) const;
  static std::int64_t EndOf(const Life& life);
  const Life& LifeOf(const Claim& claim) const {
    return processes_[claim.process].lives[claim.life];
  }
  // Whether what happened `apart` of each other is in a known order.
  bool IsCertain(std::size_t process, std::size_t other, std::int64_t apart) const;
  void Tell(bool certain, std::string what, std::vector<std::string>* findings,
            Verdict* verdict) const;
  void JudgeClaims(const std::vector<std::size_t>& claims, std::int64_t at, Verdict* verdict) const;
  void JudgeTokens(Verdict* verdict) const;
  void JudgeEpochs(Verdict* verdict) const;
  void JudgeEpochsOfGrants(Verdict* verdict) const;
  void JudgeVersions(Verdict* verdict) const;
  void JudgeIds(Verdict* verdict) const;
  void Anomaly(std::size_t process, std::int64_t t, std::size_t line, std::string_view what);
  void AfterLease(std::size_t process, std::int64_t t, std::size_t line, std::string_view what);
  std::string At(std::size_t process, std::int64_t t, std::size_t line,
                 std::string_view what) const;
  std::string Place(std::size_t process, std::size_t line) const;
  // "worker-0 (a.events:12)"
  std::string Who(std::size_t process, std::size_t line) const;
  std::string EndPlace(const Claim& claim) const;
  std::string ClaimText(const Claim& claim, std::int64_t overlap_from) const;

  bool any_partition_ = false;
  std::vector<std::string> partitions_;
  std::set<std::string, std::less<>> known_;  // the same
  std::vector<Process> processes_;
  std::vector<Claim> claims_;
  std::map<std::string, std::vector<std::size_t>, std::less<>> claims_of_;  // by partition
  std::map<std::string, std::vector<Grant>, std::less<>> grants_of_;
  std::vector<Leadership> leaderships_;
  std::vector<std::size_t> term_lines_;  // of each
  std::vector<std::string> anomalies_;
  std::vector<std::string> after_lease_;
  std::vector<std::string> broken_lines_;
  std::int64_t last_change_ = 0;
  std::int64_t clock_error_ = 0;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_OBSERVER_H_
