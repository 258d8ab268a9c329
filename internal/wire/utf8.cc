#include "internal/wire/utf8.h"

#include <array>
#include <cstddef>

namespace parti::wire {
namespace {

// The forms of RFC 3629, section 4: how long a character is that begins with a byte of `first` to
// `last`, and the range of its second byte. The bytes after are always 80 to BF.
struct Form {
  unsigned char first, last;
  std::size_t length;
  unsigned char second_min, second_max;
};
constexpr std::array<Form, 8> kForms = {{{0xC2, 0xDF, 2, 0x80, 0xBF},
                                         {0xE0, 0xE0, 3, 0xA0, 0xBF},
                                         {0xE1, 0xEC, 3, 0x80, 0xBF},
                                         {0xED, 0xED, 3, 0x80, 0x9F},
                                         {0xEE, 0xEF, 3, 0x80, 0xBF},
                                         {0xF0, 0xF0, 4, 0x90, 0xBF},
                                         {0xF1, 0xF3, 4, 0x80, 0xBF},
                                         {0xF4, 0xF4, 4, 0x80, 0x8F}}};

const Form* FormOf(unsigned char byte) {
  for (const Form& form : kForms) {
    if (byte >= form.first && byte <= form.last) return &form;
  }
  return nullptr;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if (byte(i) < 0x80) {
      ++i;
      continue;
    }
    const Form* form = FormOf(byte(i));
    if (form == nullptr || text.size() - i < form->length) return false;
    if (byte(i + 1) < form->second_min || byte(i + 1) > form->second_max) return false;
    for (std::size_t k = 2; k < form->length; ++k) {
      if (byte(i + k) < 0x80 || byte(i + k) > 0xBF) return false;
    }
    i += form->length;
  }
  return true;
}

}  // namespace parti::wire
