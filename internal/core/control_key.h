// The control key: what people want of the leader, as far as this leader knows it.
//
// A watch brings the news; a read now and then finds what a silent watch left out. What can't be
// read is reported once and changes nothing: the last readable record of this term stands. Control
// never touches safety: it only bends the plan, which the Publisher carries out by the same rules
// as any other.
#ifndef PARTI_INTERNAL_CORE_CONTROL_KEY_H_
#define PARTI_INTERNAL_CORE_CONTROL_KEY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "internal/core/context.h"
#include "internal/core/watch.h"

namespace parti::core {

class ControlKey {
 public:
  // `changed`: what is below differs from before.
  ControlKey(Context* context, std::function<void()> changed);

  void Open();

  // It was read in this term, or couldn't be for a lease: the leader then goes on without.
  bool known() const { return known_; }
  // What people want; empty if there is nothing to read.
  const wire::Control& control() const { return control_; }
  // Of the newest record seen, readable or not; 0: the key is absent.
  std::uint64_t revision() const { return revision_; }
  // Why `control` isn't what the key holds; empty: it is.
  const std::string& problem() const { return problem_; }

  void OnTime();
  Nanos NextDeadline() const;

 private:
  void OnEntry(const wire::Entry& entry);
  void OnReady();
  void Read();
  void OnRead(const KvAnswer& answer, std::uint64_t known_before);
  void Take(const wire::Entry& entry);
  void Absent();
  void Known();

  Context* const context_;
  const std::function<void()> changed_;
  Scope scope_;
  Watch watch_;
  bool known_ = false;
  bool reading_ = false;
  bool readable_ = false;  // something could be read in this term
  wire::Control control_;
  std::uint64_t revision_ = 0;
  std::string problem_;
  Nanos give_up_at_ = kNever;
  Nanos read_at_ = kNever;
  Backoff backoff_;
};

}  // namespace parti::core

#endif  // PARTI_INTERNAL_CORE_CONTROL_KEY_H_
