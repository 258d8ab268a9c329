#include "test/simulation/stream.h"

#include <algorithm>

namespace parti::simulation {

std::vector<std::uint64_t> Stream::Scan(std::string_view key, std::uint64_t until) const {
  std::vector<std::uint64_t> found;
  for (const auto& [name, newest] : newest_) {
    if (!key.empty() && name != key) continue;
    std::uint64_t sequence = newest;
    if (sequence > until) {  // a scan that lags sees what this one superseded
      sequence = until;
      while (sequence > 0 && messages_[sequence - 1].key != name) --sequence;
    }
    if (sequence > 0 && !messages_[sequence - 1].gone) found.push_back(sequence);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Stream::Expire(Nanos limit) {
  for (auto entry = newest_.begin(); entry != newest_.end();) {
    Message& message = messages_[entry->second - 1];
    if (message.written >= limit) {
      ++entry;
      continue;
    }
    message.gone = true;
    entry = newest_.erase(entry);
  }
}

Stream Stream::AsOf(std::uint64_t until, std::uint64_t id) const {
  Stream before(id);
  for (std::uint64_t sequence = 1; sequence <= until; ++sequence) {
    const Message& message = At(sequence);
    before.messages_.push_back(message);
    if (!message.gone) before.newest_[message.key] = sequence;
  }
  return before;
}

void Stream::Remove(std::string_view key) {
  const auto entry = newest_.find(key);
  if (entry == newest_.end()) return;
  messages_[entry->second - 1].gone = true;
  newest_.erase(entry);
}

}  // namespace parti::simulation
