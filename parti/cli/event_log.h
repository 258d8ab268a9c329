// The event log of `parti worker --events`: one JSON object per line, enough for anyone to check
// from outside that no partition was ever owned twice.
//
//   {"t":81023456789,"event":"acquired","worker":"worker-0","incarnation":7,"epoch":2,"version":5,
//    "partition":"p-3"}
//
// `t` and `until` are CLOCK_BOOTTIME in ns. Every line bears t, event, worker and incarnation
// (before the first life "" and 0). The first line of each process is
//
//   {"t":81000000000,"event":"opened","worker":"","incarnation":0,"clock":"<boot id>",
//    "wall":1790000000000000000,"alone":true}
//
// `clock`: processes whose boot ids are the same share one CLOCK_BOOTTIME, and their times can be
// compared as they are; those of others by `wall`, the ns since 1970 at `t`. `alone`: no other
// process has the file open, so whoever wrote to it before has ended. A claim lasts from `acquired`
// to `released`, `lost` or the last `until` of its life, whichever is first; `acquired` for a
// partition that is held renews its token.
#ifndef PARTI_CLI_EVENT_LOG_H_
#define PARTI_CLI_EVENT_LOG_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "parti/hooks.h"

namespace parti::cli {

// Each line is one write(2) to a file opened for appending, at the instant that it speaks of:
// nothing is buffered, so a SIGKILL loses nothing, and several processes may share a file. (The
// kernel may cut a line in two if SIGKILL strikes within the write; the next worker then starts a
// new line.)
class EventLog : public OwnershipObserver {
 public:
  // `target`: a file, or "-" for standard output. `on_failure` is called once, when a line can't be
  // written: from then on the log is no proof of anything.
  static absl::StatusOr<std::shared_ptr<EventLog>> Open(
      const std::string& target, std::function<void(const absl::Status&)> on_failure);
  ~EventLog() override;
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void OnStarted(std::int64_t now, std::string_view worker, std::uint64_t incarnation) override;
  void OnState(std::int64_t now, State from, State to) override;
  void OnLeader(std::int64_t now, bool gained, std::uint64_t epoch) override;
  void OnAcquired(std::int64_t now, std::uint64_t epoch, std::uint64_t version,
                  std::span<const OwnedPartition> partitions) override;
  void OnReleased(std::int64_t now, std::span<const OwnedPartition> partitions) override;
  void OnLost(std::int64_t now, std::span<const OwnedPartition> partitions) override;
  void OnLease(std::int64_t now, std::int64_t until) override;
  void OnStopped(std::int64_t now) override;

 private:
  struct Life {
    std::string worker;
    std::uint64_t incarnation = 0;
  };

  EventLog(int fd, std::string target, std::function<void(const absl::Status&)> on_failure);
  void StartNewLine();
  void WriteOpened();
  bool IsAlone() const;
  void WriteGrants(std::int64_t now, std::string_view event,
                   std::span<const OwnedPartition> partitions, bool ended);
  nlohmann::ordered_json Line(std::int64_t now, std::string_view event, const Life& life) const;
  void Write(const nlohmann::ordered_json& line);
  void WriteBytes(std::string_view bytes);

  const int fd_;
  const std::string target_;
  const std::function<void(const absl::Status&)> on_failure_;
  bool failed_ = false;
  std::shared_ptr<const Life> life_;
  // Under which life each partition is held: a loss may be written when the next life has begun.
  std::map<std::string, std::shared_ptr<const Life>, std::less<>> held_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_EVENT_LOG_H_
