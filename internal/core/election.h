// The election: who may write docs, and with which epoch.
//
// A candidate watches `leader` and judges by its own clock: when the record has not changed for
// election_ttl, or its holder released it, it writes the next epoch with itself as holder, by
// compare-and-set. The leader renews the record; when it can't, it stops. Taking over early is
// always safe, because safety never rests on who thinks it leads: rules [1] and [2] do the work.
#ifndef PARTI_INTERNAL_CORE_ELECTION_H_
#define PARTI_INTERNAL_CORE_ELECTION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "internal/core/context.h"
#include "internal/core/host.h"
#include "internal/core/watch.h"

namespace parti::core {

class Election {
 public:
  Election(Context* context, Host* host);

  // Begins to watch `leader`.
  void Start();
  // The worker holds an id: it may stand for election, as `worker`.
  void Join(const std::string& worker);
  // Its life ended: it stands down (and releases the record if it led).
  void Withdraw();
  // Ends all; `released()` tells when the release of the record is done with.
  void Stop();
  bool released() const { return !releasing_; }

  // The group's settings are known, or known not to exist yet.
  bool view_known() const { return known_; }
  bool leader_known() const { return known_ && record_.has_value() && !record_->released; }
  bool leading() const { return role_ == Role::kLeading; }
  std::uint64_t epoch() const { return term_.epoch; }

  // The leader's picture rests on these streams now; its successors will compare.
  void ConfirmStreams(std::uint64_t assignment, std::uint64_t heartbeat);
  // The members all speak this newer wire version: it becomes the group's with the next renewal.
  void Raise(int wire_version);
  // Somebody else read the record, too.
  void Learn(const wire::Entry& entry);
  // The leader found its term unfit (a stream recreated, a higher epoch in a record): the next
  // epoch, at once. `unknown_past`: that term, or its successor's, must take it that lives go on
  // of which no bucket tells.
  void Refence(const std::string& why, bool unknown_past);
  void OnTime();
  Nanos NextDeadline() const;

 private:
  enum class Role { kIdle, kCandidate, kScanning, kChallenging, kLeading };

  void OnEntry(const wire::Entry& entry);
  void View(const wire::Entry& entry);
  void Changed();
  absl::Status Fits() const;
  void Doubt(const absl::Status& why);
  int FirstVersion() const;
  void Resign(const std::string& why);
  Nanos RenewForBeatAt() const;
  Nanos ChallengeAt() const;
  void Challenge();
  void OnLook(const KvAnswer& answer, std::uint64_t waited_for);
  void BeginScan();
  void OnScanReady();
  void WriteChallenge();
  void OnChallengeAnswer(const KvAnswer& answer);
  void OnChallengeReadBack(const KvAnswer& answer);
  void Won(std::uint64_t revision);
  void Renew();
  void OnRenewAnswer(const KvAnswer& answer, Nanos sent);
  void OnRenewReadBack(const KvAnswer& answer);
  void HoldOff();
  void StepDown(const std::string& why);
  wire::Leader Record() const;

  Context* const context_;
  Host* const host_;
  Scope scope_;
  Scope release_scope_;
  Watch watch_;

  Role role_ = Role::kIdle;
  std::string worker_;  // empty: not a candidate

  // What is known of `leader`, and since when it has been that.
  bool known_ = false;
  std::uint64_t revision_ = 0;
  std::optional<wire::Leader> record_;  // none: absent, deleted or unreadable
  bool unreadable_ = false;
  bool too_new_ = false;  // unreadable, for its wire version is above what we speak
  // Once a record was there that this worker fits, one that it doesn't fit must be renewed before
  // it is believed: a single value that somebody wrote doesn't end a group.
  bool fitted_ = false;
  struct Strange {
    std::uint64_t revision = 0;
    std::optional<wire::Leader> record;
  };
  std::optional<Strange> strange_;  // a record that we don't fit stands
  Nanos since_ = 0;
  Nanos jitter_ = 0;
  int holdoff_level_ = 0;
  Nanos holdoff_until_ = 0;
  Nanos deposed_at_ = -kNever / 2;

  // The scan of a group without a record: for epochs that its other buckets remember.
  std::unique_ptr<Watch> scan_docs_;
  std::unique_ptr<Watch> scan_heartbeats_;
  int scanned_speak_ = wire::kMaxWireVersion;  // what all the living that it saw speak

  // Our term, challenged for or led.
  Term term_;
  bool unknown_past_ = false;  // our next term's
  std::uint64_t renewals_ = 0;
  int wire_version_ = 1;  // what our record says of the group
  std::uint64_t assignment_stream_ = 0;
  std::uint64_t heartbeat_stream_ = 0;
  Nanos sent_ = 0;
  Nanos renewed_at_ = 0;
  Nanos until_ = 0;  // no acknowledged renewal past this: stop writing
  bool outstanding_ = false;
  bool confirm_pending_ = false;  // the streams are to be written with the next renewal
  wire::Leader sent_record_;
  std::map<std::uint64_t, Nanos> renewals_sent_;
  bool releasing_ = false;
  Nanos act_at_ = kNever;
  std::function<void()> act_;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_ELECTION_H_
