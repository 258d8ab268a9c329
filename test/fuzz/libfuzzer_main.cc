// libFuzzer's side: `fuzz --target=NAME [libFuzzer's arguments] [FOLDERS or FILES]`.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "test/fuzz/targets.h"

namespace {
const parti::fuzz::Target* chosen = nullptr;  // of this process, for good
}

// libFuzzer leaves alone what begins with two dashes.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument((*argv)[i]);
    if (argument.starts_with("--target=")) chosen = parti::fuzz::FindTarget(argument.substr(9));
  }
  if (chosen == nullptr) {
    std::fprintf(stderr, "fuzz: --target=NAME is missing or unknown; there are\n");
    for (const auto& target : parti::fuzz::Targets()) {
      std::fprintf(stderr, "  %-12.*s %.*s\n", static_cast<int>(target.name.size()),
                   target.name.data(), static_cast<int>(target.about.size()), target.about.data());
    }
    std::exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({data, size});
  return 0;
}
