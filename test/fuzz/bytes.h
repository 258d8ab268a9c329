// Takes an input apart: small choices from its front, until there is nothing left.
//
//   Bytes bytes(input);
//   switch (bytes.Below(3)) { … }
//
// Thread safety: none.
#ifndef PARTI_TEST_FUZZ_BYTES_H_
#define PARTI_TEST_FUZZ_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "test/fuzz/targets.h"

namespace parti::fuzz {

// Once all is used up, every number is 0 and every text empty.
class Bytes {
 public:
  explicit Bytes(Input input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }

  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  bool Flag() { return (Byte() & 1) != 0; }
  // In [0, bound); bound from 1 to 256.
  std::size_t Below(std::size_t bound) { return Byte() % bound; }
  std::uint16_t Short() {
    const unsigned high = Byte();
    return static_cast<std::uint16_t>(high << 8U | Byte());
  }
  std::uint64_t Long() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8U | Byte();
    return value;
  }
  std::string Text(std::size_t size) {
    size = std::min(size, rest_.size());
    std::string text(TextOf(rest_.first(size)));
    rest_ = rest_.subspan(size);
    return text;
  }
  std::string Rest() { return Text(rest_.size()); }

 private:
  Input rest_;
};

}  // namespace parti::fuzz

#endif  // PARTI_TEST_FUZZ_BYTES_H_
