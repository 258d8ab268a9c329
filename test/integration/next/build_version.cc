// What makes parti-next a newer build: this takes the place of internal/wire/build_version.cc.
#include "internal/wire/records.h"

namespace parti::wire {

int BuildVersion() { return kWireVersion + 1; }

}  // namespace parti::wire
