// JSON carries UTF-8 only: a name that isn't would come back from the KV as another one.
#ifndef PARTI_INTERNAL_WIRE_UTF8_H_
#define PARTI_INTERNAL_WIRE_UTF8_H_

#include <string_view>

namespace parti::wire {

// True if `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool IsUtf8(std::string_view text);

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_UTF8_H_
