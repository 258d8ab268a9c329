// One bucket of the simulated KV, as the server keeps it: a numbered stream of messages, of which
// the newest per key counts. Superseded ones are remembered here, for scans that lag behind.
#ifndef PARTI_TEST_SIMULATION_STREAM_H_
#define PARTI_TEST_SIMULATION_STREAM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "internal/core/time.h"
#include "internal/wire/kv_types.h"

namespace parti::simulation {

using core::Nanos;

class Stream {
 public:
  struct Message {
    std::string key;
    std::string value;
    bool deleted = false;
    bool gone = false;  // expired: no reader reaches it
    Nanos written = 0;
  };

  explicit Stream(std::uint64_t id) : id_(id) {}

  std::uint64_t id() const { return id_; }
  std::uint64_t last_sequence() const { return messages_.size(); }
  wire::StreamState State() const {
    return {id_, last_sequence(), !messages_.empty() && messages_.back().gone};
  }

  // The revision of a key's newest message; 0 if it has none.
  std::uint64_t Revision(std::string_view key) const {
    const auto found = newest_.find(key);
    return found == newest_.end() ? 0 : found->second;
  }
  const Message& At(std::uint64_t sequence) const { return messages_[sequence - 1]; }
  wire::Entry Entry(std::uint64_t sequence) const {
    const Message& message = At(sequence);
    return {message.key, sequence, message.deleted, message.value};
  }

  std::uint64_t Append(std::string key, std::string value, bool deleted, Nanos now) {
    messages_.push_back({key, std::move(value), deleted, false, now});
    newest_[std::move(key)] = messages_.size();
    return messages_.size();
  }

  // The sequences that a scan finds which sees the stream as it was at `until`, in order. An empty
  // `key` means every key.
  std::vector<std::uint64_t> Scan(std::string_view key, std::uint64_t until) const;

  // Removes what was written before `limit`, silently, as a server's TTL does.
  void Expire(Nanos limit);

  // The stream as it was when `until` was its last message, under an identity of its own, as it
  // comes back from a backup.
  Stream AsOf(std::uint64_t until, std::uint64_t id) const;

  // Removes a key's message, silently, as a purge of its subject does.
  void Remove(std::string_view key);

  const std::map<std::string, std::uint64_t, std::less<>>& newest() const { return newest_; }

 private:
  std::uint64_t id_;
  std::vector<Message> messages_;  // messages_[i] has sequence i + 1
  std::map<std::string, std::uint64_t, std::less<>> newest_;
};

}  // namespace parti::simulation

#endif  // PARTI_TEST_SIMULATION_STREAM_H_
