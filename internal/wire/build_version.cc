// Alone in its file: a test program that defines BuildVersion itself is, to everybody else, a newer
// build.
#include "internal/wire/records.h"

namespace parti::wire {

int BuildVersion() { return kWireVersion; }

}  // namespace parti::wire
