// What others wrote, as it is printed.
#include "internal/wire/printable.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "internal/wire/utf8.h"
#include "parti/cli/status_text.h"

namespace parti::wire {
namespace {

TEST(PrintableTest, WhatIsPrintableStaysAsItIs) {
  for (const char* text : {"", "orders-7", "a\\b \"c\"", "größe", "工人", "👷", "\u00a0"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(PrintableTest, ControlCharactersAreEscaped) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\n");
  EXPECT_EQ(Printable("\r\t\a\x7f"), "\\r\\t\\x07\\x7f");
  EXPECT_EQ(Printable(std::string("\0", 1)), "\\x00");
  // C1: as a character some terminals take it for ESC [.
  EXPECT_EQ(Printable("\u009b2J\u0080\u009f"), "\\u009b2J\\u0080\\u009f");
}

TEST(PrintableTest, BytesThatAreNoUtf8AreEscapedOneByOne) {
  EXPECT_EQ(Printable("\xff\x9b\xc3"), "\\xff\\x9b\\xc3");
  // An overlong ESC, a surrogate, beyond the last character, cut short within a text.
  EXPECT_EQ(Printable("\xc0\x9b"), "\\xc0\\x9b");
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(Printable("\xe5\xb7x\xe5\xb7\xa5"), "\\xe5\\xb7x工");
}

// With an override, "orders-7" would show as "7-sredro".
TEST(PrintableTest, WhatTurnsTheDirectionOrBeginsALineIsEscaped) {
  EXPECT_EQ(Printable("a\u202eb\u2028c\u2066d"), "a\\u202eb\\u2028c\\u2066d");
}

TEST(PrintableTest, NoByteStringComesOutWithAControlCharacter) {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string text = {'a', static_cast<char>(first), static_cast<char>(second), '\x9b'};
      const std::string clean = Printable(text);
      EXPECT_TRUE(IsUtf8(clean)) << first << " " << second;
      std::string_view rest = clean;
      while (!rest.empty()) {
        const Glyph glyph = FirstGlyph(rest);
        EXPECT_TRUE(glyph.printable) << first << " " << second;
        rest.remove_prefix(glyph.bytes);
      }
      EXPECT_EQ(Printable(clean), clean);
    }
  }
}

TEST(PrintableTest, StatusPutsOneCharacterForEach) {
  EXPECT_EQ(cli::OneLine("a\x1b[2Jb\n\u009b\xff\u202e工"), "a?[2Jb????工");
}

}  // namespace
}  // namespace parti::wire
