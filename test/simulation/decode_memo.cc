// Decoding, remembered. Each record is written once and read by many: by its leader, by the judges,
// by whoever watches. The simulator's build of core calls these instead of the decoders, whose own
// names get the suffix `Unremembered` there (CMakeLists.txt). They are pure functions of bytes and
// version, so nothing of a history changes.
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

namespace {

// Of each kind of record, as many as a small world has under way at a time.
constexpr std::size_t kSlots = 512;

template <typename Record>
class Memo {
 public:
  using Decoder = absl::StatusOr<Record> (*)(std::string_view, int);

  const absl::StatusOr<Record>& Get(std::string_view bytes, int newest, Decoder decode) {
    Slot& slot = slots_[XXH3_64bits(bytes.data(), bytes.size()) % kSlots];
    if (!slot.record || slot.newest != newest || slot.bytes != bytes) {
      slot.record = decode(bytes, newest);
      slot.bytes = bytes;
      slot.newest = newest;
    }
    return *slot.record;
  }

 private:
  struct Slot {
    std::string bytes;
    int newest = 0;
    std::optional<absl::StatusOr<Record>> record;
  };
  std::array<Slot, kSlots> slots_;
};

template <typename Record>
absl::StatusOr<Record> Remembered(std::string_view bytes, int newest,
                                  typename Memo<Record>::Decoder decode) {
  thread_local Memo<Record> memo;
  return memo.Get(bytes, newest, decode);
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

}  // namespace parti::wire
