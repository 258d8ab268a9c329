#include "parti/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "internal/wire/utf8.h"

namespace parti {
namespace {

// In front of one partition's errors: which one it is, of many.
std::string Where(const Partition& partition) {
  return fmt::format("partition [{}]", fmt::join(partition.keys, ", "));
}

absl::Status Invalid(const Partition& partition, std::string_view why) {
  // A key may hold anything, and the message goes to logs.
  std::string where = Where(partition);
  for (char& c : where) {
    if (c < ' ' || c > '~') c = '?';
  }
  constexpr std::size_t kEnough = 200;
  if (where.size() > kEnough) where = where.substr(0, kEnough) + "…";
  return absl::InvalidArgumentError(fmt::format("{}: {}", where, why));
}

bool IsForbidden(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7F || c == '.' || c == '*' || c == '>';
}

}  // namespace

std::string Partition::Id() const {
  std::string id;
  for (const std::string& key : keys) {
    if (&key != &keys.front()) id.push_back('-');
    for (const char c : key) {
      if (c == '-') {
        id.append("%2D");
      } else if (c == '%') {
        id.append("%25");
      } else {
        id.push_back(c);
      }
    }
  }
  return id;
}

std::string Partition::Subject() const {
  std::string subject;
  for (const std::string& key : keys) {
    if (&key != &keys.front()) subject.push_back('.');
    subject.append(key);
  }
  return subject;
}

absl::Status Validate(const Partition& partition) {
  if (partition.keys.empty()) return Invalid(partition, "has no keys; give at least one");
  if (partition.keys.size() > Partition::kMaxKeys) {
    return Invalid(partition, fmt::format("has {} keys; at most {} are allowed",
                                          partition.keys.size(), Partition::kMaxKeys));
  }
  for (std::size_t i = 0; i < partition.keys.size(); ++i) {
    const std::string& key = partition.keys[i];
    if (key.empty()) {
      return Invalid(partition, fmt::format("key {} is empty; give at least one character", i));
    }
    if (key.size() > Partition::kMaxKeyBytes) {
      return Invalid(partition, fmt::format("key {} has {} bytes; at most {} are allowed", i,
                                            key.size(), Partition::kMaxKeyBytes));
    }
    const auto bad = std::find_if(key.begin(), key.end(), IsForbidden);
    if (bad != key.end()) {
      return Invalid(partition,
                     fmt::format("key {} contains byte 0x{:02x}; '.', '*', '>', white space and "
                                 "control characters aren't allowed in a NATS token: replace it",
                                 i, static_cast<unsigned char>(*bad)));
    }
    if (!wire::IsUtf8(key)) {
      return Invalid(partition, fmt::format("key {} isn't UTF-8; encode it, e.g. as hex", i));
    }
  }
  if (partition.weight < 1 || partition.weight > Partition::kMaxWeight) {
    return Invalid(partition, fmt::format("weight {} is out of range; give 1 to {}",
                                          partition.weight, Partition::kMaxWeight));
  }
  return absl::OkStatus();
}

absl::Status Validate(const std::vector<Partition>& partitions) {
  std::vector<std::string> ids;
  ids.reserve(partitions.size());
  for (const Partition& partition : partitions) {
    if (absl::Status status = Validate(partition); !status.ok()) return status;
    ids.push_back(partition.Id());
  }
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice != ids.end()) {
    return absl::InvalidArgumentError(
        fmt::format("partition {} is listed twice; list each only once", *twice));
  }
  return absl::OkStatus();
}

}  // namespace parti
