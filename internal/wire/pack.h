// Large records travel as zstd frames, small ones as they are. The first bytes tell which: a record
// is a JSON object, and no zstd frame begins like one.
#ifndef PARTI_INTERNAL_WIRE_PACK_H_
#define PARTI_INTERNAL_WIRE_PACK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace parti::wire {

// From kCompressFromBytes on compressed, if that makes it smaller.
std::string Pack(std::string plain);

// The plain bytes: `bytes` itself, or a view of what was decompressed into `scratch`.
// InvalidArgument: a broken frame. ResourceExhausted: more than kMaxDecodedBytes, whatever the
// frame says of itself.
absl::StatusOr<std::string_view> Unpack(std::string_view bytes, std::string* scratch);

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_PACK_H_
