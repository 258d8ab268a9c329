// Decoding, remembered. Each record is written once and read by many: by its leader, by the judges,
// by whoever watches. The simulator's build of core calls these instead of the encoders and
// decoders, whose own names get the suffix `Unremembered` there (CMakeLists.txt). They are pure
// functions of bytes and version, so nothing of a history changes.
//
// What is written most, leader records and heartbeats, is remembered as soon as it is encoded: half
// of a campaign's time would go into reading JSON back. One in kProof, by the bytes' hash, is read
// back nevertheless, and isn't readable to anyone if it comes back as another record.
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "internal/wire/records.h"

namespace parti::wire {

absl::StatusOr<Claim> DecodeClaimUnremembered(std::string_view bytes, int newest);
absl::StatusOr<Leader> DecodeLeaderUnremembered(std::string_view bytes, int newest);
absl::StatusOr<Heartbeat> DecodeHeartbeatUnremembered(std::string_view bytes, int newest);
absl::StatusOr<Doc> DecodeDocUnremembered(std::string_view bytes, int newest);
absl::StatusOr<Control> DecodeControlUnremembered(std::string_view bytes, int newest);
absl::StatusOr<Report> DecodeReportUnremembered(std::string_view bytes, int newest);

std::string EncodeUnremembered(const Claim& record, int version);
std::string EncodeUnremembered(const Leader& record);
std::string EncodeUnremembered(const Heartbeat& record, int version);
std::string EncodeUnremembered(const Doc& record, int version);
std::string EncodeUnremembered(const Control& record);
std::string EncodeUnremembered(const Report& record);

namespace {

constexpr std::uint64_t kProof = 16;

// Of each kind of record, as many as a small world has under way at a time.
constexpr std::size_t kSlots = 512;

template <typename Record>
class Memo {
 public:
  using Decoder = absl::StatusOr<Record> (*)(std::string_view, int);

  const absl::StatusOr<Record>& Get(std::string_view bytes, int newest, Decoder decode) {
    Slot& slot = slots_[Hash(bytes) % kSlots];
    if (!slot.Knows(newest) || slot.bytes != bytes)
      slot = {std::string(bytes), newest, decode(bytes, newest)};
    return *slot.record;
  }

  // `record` was written as `bytes`, in wire version `version`.
  void Put(std::string_view bytes, int version, const Record& record, Decoder decode) {
    const std::uint64_t hash = Hash(bytes);
    Slot& slot = slots_[hash % kSlots];
    slot = {std::string(bytes), version, record};
    if (hash / kSlots % kProof != 0) return;
    slot.record = decode(bytes, version);
    if (slot.record->ok() && !(**slot.record == record)) {
      slot.record = absl::DataLossError("it isn't read as the record that was written");
    }
  }

 private:
  static std::uint64_t Hash(std::string_view bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
  }

  struct Slot {
    std::string bytes;
    int newest = 0;  // the newest wire version that the reader spoke
    std::optional<absl::StatusOr<Record>> record;

    // Who speaks newer versions reads what a reader of older ones could read.
    bool Knows(int reader) const {
      return record && (reader == newest || (record->ok() && reader > newest));
    }
  };
  std::array<Slot, kSlots> slots_;
};

template <typename Record>
Memo<Record>& MemoOf() {
  thread_local Memo<Record> memo;
  return memo;
}

template <typename Record>
absl::StatusOr<Record> Remembered(std::string_view bytes, int newest,
                                  typename Memo<Record>::Decoder decode) {
  return MemoOf<Record>().Get(bytes, newest, decode);
}

}  // namespace

absl::StatusOr<Claim> DecodeClaim(std::string_view bytes, int newest) {
  return Remembered<Claim>(bytes, newest, DecodeClaimUnremembered);
}
absl::StatusOr<Leader> DecodeLeader(std::string_view bytes, int newest) {
  return Remembered<Leader>(bytes, newest, DecodeLeaderUnremembered);
}
absl::StatusOr<Heartbeat> DecodeHeartbeat(std::string_view bytes, int newest) {
  return Remembered<Heartbeat>(bytes, newest, DecodeHeartbeatUnremembered);
}
absl::StatusOr<Doc> DecodeDoc(std::string_view bytes, int newest) {
  return Remembered<Doc>(bytes, newest, DecodeDocUnremembered);
}
absl::StatusOr<Control> DecodeControl(std::string_view bytes, int newest) {
  return Remembered<Control>(bytes, newest, DecodeControlUnremembered);
}
absl::StatusOr<Report> DecodeReport(std::string_view bytes, int newest) {
  return Remembered<Report>(bytes, newest, DecodeReportUnremembered);
}

std::string Encode(const Leader& record) {
  std::string bytes = EncodeUnremembered(record);
  MemoOf<Leader>().Put(bytes, kOldestWireVersion, record, DecodeLeaderUnremembered);
  return bytes;
}
std::string Encode(const Heartbeat& record, int version) {
  std::string bytes = EncodeUnremembered(record, version);
  // What is cut to size in writing, or written for some kinds only, is read.
  if (record.kind == HeartbeatKind::kLive && record.refused.empty()) {
    MemoOf<Heartbeat>().Put(bytes, version, record, DecodeHeartbeatUnremembered);
  }
  return bytes;
}
std::string Encode(const Claim& record, int version) { return EncodeUnremembered(record, version); }
std::string Encode(const Doc& record, int version) { return EncodeUnremembered(record, version); }
std::string Encode(const Control& record) { return EncodeUnremembered(record); }
std::string Encode(const Report& record) { return EncodeUnremembered(record); }

}  // namespace parti::wire
