// From the public, validated configuration to what core works with.
#ifndef PARTI_INTERNAL_RUNTIME_SETTINGS_H_
#define PARTI_INTERNAL_RUNTIME_SETTINGS_H_

#include <cstddef>

#include "internal/core/settings.h"
#include "parti/config.h"

namespace parti::runtime {

// `config` is valid. An empty identity becomes DefaultIdentity(). max_doc_bytes is left for
// MaxDocBytes, once a server has announced what it takes.
core::Settings CoreSettings(const Config& config);

// The largest doc for a server that takes values of this size.
std::size_t MaxDocBytes(std::size_t max_value_bytes);

}  // namespace parti::runtime

#endif  // PARTI_INTERNAL_RUNTIME_SETTINGS_H_
