// The fenced register: what the partitions' owners write to. A store outside of Parti that keeps,
// per partition, a value with the fencing token it was written under, and refuses a smaller token
// than the stored one. It lies in a NATS stream whose subjects and values are a KV bucket's, with
// the whole history kept, so that afterwards every write that ever got through can be read, in
// order.
//
//   FencedRegister reg(&client, "chaos");
//   WriteResult result = reg.Append({.partition = "p-3", .token = token, .writer = "w2", …});
//
// An append reads the stored value from the stream's leader, compares the tokens, and writes by
// compare-and-set on the revision that it read: between the comparison and the write nobody else's
// write fits, so the rule is the register's, not the writer's good will.
#ifndef PARTI_TEST_CHAOS_REGISTER_H_
#define PARTI_TEST_CHAOS_REGISTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/event_line.h"
#include "test/chaos/nats_client.h"

namespace parti::chaos {

using cli::Token;

struct RegisterEntry {
  std::string partition = {};
  std::uint64_t sequence = 0;  // in the stream
  Token token = {};
  std::uint64_t count = 0;  // appends to this partition so far, this one included
  std::string writer = {};  // the process
  std::int64_t asked = 0;   // CLOCK_BOOTTIME, ns: just before the writer saw that it owns
  std::int64_t sent = 0;    // just before the write was sent
};

std::string Encode(const RegisterEntry& entry);
// Partition and sequence are left as they are.
absl::StatusOr<RegisterEntry> Decode(std::string_view value);

enum class WriteOutcome {
  kWritten,
  kRefused,   // a greater token is stored
  kConflict,  // another write came in between
  kUnknown,   // no answer: it may have been written, or be yet
};

struct WriteResult {
  WriteOutcome outcome = WriteOutcome::kUnknown;
  std::optional<RegisterEntry> stored = {};  // what was read before
};

// What may be left out of an append, for runs that shall fail.
struct RegisterRules {
  bool compares_tokens = true;
  // Without it the writer also takes its time, so that whoever is stopped is mostly stopped amid
  // it.
  bool compares_revisions = true;
};

class FencedRegister {
 public:
  // `client` is borrowed.
  FencedRegister(NatsClient* client, std::string bucket, RegisterRules rules = {})
      : client_(*client), bucket_(std::move(bucket)), rules_(rules) {}

  // Creates the stream if there is none.
  absl::Status Create(int replicas);

  // `entry.count` and `entry.sent` are filled in.
  WriteResult Append(RegisterEntry entry);

  // Every write that got through, in the order of the stream, and whether any is missing.
  struct Contents {
    std::vector<RegisterEntry> entries;
    std::vector<std::string> broken;  // unreadable or missing
  };
  absl::StatusOr<Contents> ReadAll();

 private:
  std::string Stream() const { return "KV_" + bucket_; }
  std::string Subject(const std::string& partition) const {
    return "$KV." + bucket_ + "." + partition;
  }

  NatsClient& client_;
  const std::string bucket_;
  const RegisterRules rules_;
};

// CLOCK_BOOTTIME, ns: the clock of the event logs.
std::int64_t BootNow();

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_REGISTER_H_
