// Text of unknown origin, made safe to print. Names and values read from the KV may hold anything:
// bytes that command a terminal (ESC, and the C1 controls, which some take for ESC and a letter),
// that begin a new log line, or that turn the direction of what follows on the screen.
//
//   Printable("a\x1b[2Jb\n")   is   a\x1b[2Jb\n      (with backslashes, as in C)
//   Printable("größe")         is   größe
//
// Meant for people: a backslash stays as it is, so the original can't always be told.
//
// Thread safety: pure functions.
#ifndef PARTI_INTERNAL_WIRE_PRINTABLE_H_
#define PARTI_INTERNAL_WIRE_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace parti::wire {

// What a text begins with.
struct Glyph {
  std::size_t bytes = 1;
  char32_t code = 0;       // if it is a character
  bool character = false;  // false: a byte that belongs to no well-formed UTF-8 character
  bool printable = false;  // a character that neither commands a terminal nor begins a line
};

inline bool IsPrintableCode(char32_t code) {
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;  // C0, DEL, C1
  if (code == 0x061C || code == 0x200E || code == 0x200F) return false;
  // Separators of lines and paragraphs, embeddings and overrides of direction; isolates.
  return !(code >= 0x2028 && code <= 0x202E) && !(code >= 0x2066 && code <= 0x2069);
}

// `text` isn't empty.
inline Glyph FirstGlyph(std::string_view text) {
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // shorter would have done
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  Glyph glyph;
  if (lead < 0x80) {
    glyph.code = lead;
  } else {
    const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC0 || lead >= 0xF8 || bytes > text.size()) return glyph;
    char32_t code = lead & (0x7FU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return glyph;
      code = code << 6 | (byte(i) & 0x3FU);
    }
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < kLeast[bytes] || code > 0x10FFFF || surrogate) return glyph;
    glyph.bytes = bytes;
    glyph.code = code;
  }
  glyph.character = true;
  glyph.printable = IsPrintableCode(glyph.code);
  return glyph;
}

inline std::string Printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Glyph glyph = FirstGlyph(text);
    const auto escape = [&](char kind, char32_t code, int digits) {
      clean += '\\';
      clean += kind;
      for (int i = digits - 1; i >= 0; --i) clean += kDigits[code >> (4 * i) & 0xF];
    };
    if (glyph.printable) {
      clean += text.substr(0, glyph.bytes);
    } else if (!glyph.character) {
      escape('x', static_cast<unsigned char>(text.front()), 2);
    } else if (glyph.code == '\n' || glyph.code == '\r' || glyph.code == '\t') {
      escape(glyph.code == '\n' ? 'n' : glyph.code == '\r' ? 'r' : 't', 0, 0);
    } else if (glyph.code < 0x80) {
      escape('x', glyph.code, 2);
    } else {
      escape('u', glyph.code, 4);
    }
    text.remove_prefix(glyph.bytes);
  }
  return clean;
}

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_PRINTABLE_H_
