#include "internal/wire/pack.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "internal/wire/records.h"

namespace parti::wire {
namespace {

constexpr int kLevel = 3;
// A frame may ask its reader for a window of gigabytes. Level 3 never needs more than 2 MiB.
constexpr int kMaxWindowLog = 23;
constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::string_view kFrameMagic = "\x28\xb5\x2f\xfd";

struct FreeDecoder {
  void operator()(ZSTD_DCtx* decoder) const { ZSTD_freeDCtx(decoder); }
};

absl::Status TooLarge() {
  return absl::ResourceExhaustedError(
      fmt::format("record of more than {} bytes: not read", kMaxDecodedBytes));
}

}  // namespace

std::string Pack(std::string plain) {
  if (plain.size() < kCompressFromBytes) return plain;
  std::string frame(ZSTD_compressBound(plain.size()), '\0');
  const std::size_t size =
      ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), kLevel);
  if (ZSTD_isError(size) != 0 || size >= plain.size()) return plain;
  frame.resize(size);
  return frame;
}

absl::StatusOr<std::string_view> Unpack(std::string_view bytes, std::string* scratch) {
  if (!bytes.starts_with(kFrameMagic)) {
    if (bytes.size() > kMaxDecodedBytes) return TooLarge();
    return bytes;
  }
  std::unique_ptr<ZSTD_DCtx, FreeDecoder> decoder(ZSTD_createDCtx());
  if (decoder == nullptr) return absl::ResourceExhaustedError("no memory for a zstd decoder");
  ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, kMaxWindowLog);

  scratch->clear();
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    // One byte above the limit is enough to know that the limit is exceeded.
    const std::size_t before = scratch->size();
    const std::size_t room = std::min(kChunkBytes, kMaxDecodedBytes + 1 - before);
    scratch->resize(before + room);
    ZSTD_outBuffer out{scratch->data() + before, room, 0};
    const std::size_t rest = ZSTD_decompressStream(decoder.get(), &out, &in);
    if (ZSTD_isError(rest) != 0) {
      return absl::InvalidArgumentError(
          fmt::format("broken zstd frame: {}", ZSTD_getErrorName(rest)));
    }
    scratch->resize(before + out.pos);
    if (scratch->size() > kMaxDecodedBytes) return TooLarge();
    if (rest == 0) break;
    if (in.pos == in.size && out.pos < room) {
      return absl::InvalidArgumentError("zstd frame cut short");
    }
  }
  if (in.pos != in.size) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes after the end of the zstd frame", in.size - in.pos));
  }
  return std::string_view(*scratch);
}

}  // namespace parti::wire
