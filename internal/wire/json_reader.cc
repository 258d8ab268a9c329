#include "internal/wire/json_reader.h"

#include <fmt/format.h>

#include <charconv>

namespace parti::wire {
namespace {

using nlohmann::json;

// Counts before parsing, for a parsed document is many times larger than its text, and destroying a
// deep one recurses. Of text that isn't JSON the counts mean nothing, but are bounds all the same.
absl::Status CheckShape(std::string_view what, std::string_view text, std::size_t max_values) {
  int depth = 0;
  std::size_t values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        break;
      case '{':
      case '[':
        if (++depth > kMaxDepth) {
          return Malformed(what, fmt::format("nested deeper than {} at byte {}", kMaxDepth, i));
        }
        ++values;
        break;
      case '}':
      case ']':
        --depth;
        break;
      case ',':
        ++values;
        break;
      case '\0':
        // To the parser the end of the text, whatever follows.
        return Malformed(what, fmt::format("a NUL at byte {}", i));
      default:
        break;
    }
    if (values > max_values) return Malformed(what, fmt::format("more than {} values", max_values));
  }
  return absl::OkStatus();
}

// Learns what is wrong with a text that didn't parse; the parser itself says it only by throwing.
class ErrorFinder : public json::json_sax_t {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }
  std::size_t position() const { return position_; }

 private:
  std::size_t position_ = 0;
};

}  // namespace

absl::Status Malformed(std::string_view where, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("malformed {}: {}", where, why));
}

absl::StatusOr<json> ParseObject(std::string_view what, std::string_view text,
                                 std::size_t max_values) {
  if (text.empty()) return Malformed(what, "it is empty");
  if (absl::Status status = CheckShape(what, text, max_values); !status.ok()) return status;
  json parsed = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    ErrorFinder finder;
    json::sax_parse(text.begin(), text.end(), &finder);
    return Malformed(what, fmt::format("not JSON from byte {} on", finder.position()));
  }
  if (!parsed.is_object()) {
    return Malformed(what, fmt::format("it is a JSON {}, not an object", parsed.type_name()));
  }
  return parsed;
}

void FieldReader::Fail(std::string_view name, std::string_view why) {
  if (status_.ok()) status_ = Malformed(where_, fmt::format("\"{}\" {}", name, why));
}

const json* FieldReader::Find(const char* name, Presence presence) {
  if (!status_.ok()) return nullptr;
  const auto found = object_.find(name);
  if (found != object_.end()) return &*found;
  if (presence == Presence::kRequired) Fail(name, "is missing");
  return nullptr;
}

void FieldReader::Unsigned(const char* name, std::uint64_t* out, std::uint64_t min,
                           Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr) return;
  if (!value->is_number_unsigned()) return Fail(name, "isn't a whole number from 0 on");
  const auto number = value->get<std::uint64_t>();
  if (number < min || number > kMaxExactInteger) {
    return Fail(name, fmt::format("is {}, must be {} to {}", number, min, kMaxExactInteger));
  }
  *out = number;
}

void FieldReader::Integer(const char* name, std::int64_t* out, std::int64_t min, std::int64_t max,
                          Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr) return;
  if (!value->is_number_integer()) return Fail(name, "isn't a whole number");
  // An unsigned number above the signed range would turn negative.
  const bool too_large =
      value->is_number_unsigned() && value->get<std::uint64_t>() > kMaxExactInteger;
  const std::int64_t number = too_large ? INT64_MAX : value->get<std::int64_t>();
  if (number < min || number > max) {
    return Fail(name, fmt::format("is {}, must be {} to {}", number, min, max));
  }
  *out = number;
}

void FieldReader::Hex(const char* name, std::uint64_t* out, Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr) return;
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (!value->is_string()) return Fail(name, "isn't a string");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() != 16 || text.find_first_not_of(kDigits) != std::string::npos) {
    return Fail(name, "isn't 16 lower-case hexadecimal digits");
  }
  std::from_chars(text.data(), text.data() + text.size(), *out, 16);
}

void FieldReader::Text(const char* name, std::string* out, std::size_t min_bytes,
                       std::size_t max_bytes, Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(name, "isn't a string");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() < min_bytes || text.size() > max_bytes) {
    return Fail(name,
                fmt::format("has {} bytes, must have {} to {}", text.size(), min_bytes, max_bytes));
  }
  *out = text;
}

void FieldReader::Boolean(const char* name, bool* out, Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Fail(name, "is neither true nor false");
  *out = value->get<bool>();
}

const json* FieldReader::Object(const char* name, Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr || value->is_object()) return value;
  Fail(name, "isn't an object");
  return nullptr;
}

const json* FieldReader::Array(const char* name, Presence presence) {
  const json* value = Find(name, presence);
  if (value == nullptr || value->is_array()) return value;
  Fail(name, "isn't an array");
  return nullptr;
}

}  // namespace parti::wire
