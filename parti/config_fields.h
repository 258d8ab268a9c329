// The one table of Config's settings. Set, Get, FieldNames, the range checks of Validate and the
// reference in the docs are all driven by it, so a setting can't be in one and missing in another.
#ifndef PARTI_CONFIG_FIELDS_H_
#define PARTI_CONFIG_FIELDS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "parti/config.h"

namespace parti {

struct ConfigField {
  using Labels = std::map<std::string, std::string>;
  using Member =
      std::variant<std::string Config::*, bool Config::*, int Config::*, std::int64_t Config::*,
                   Config::Millis Config::*, Mode Config::*, Storage Config::*, Labels Config::*>;

  std::string_view name;
  Member member;
  // Of a number its range, of a duration the same in milliseconds, of a string its length in bytes.
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view unit;  // what the value counts or looks like, for people
  std::string_view help;  // one line

  // The value as Parse takes it.
  std::string Format(const Config& config) const;
  // Parses and checks the range; `config` is unchanged on an error.
  absl::Status Parse(std::string_view text, Config* config) const;
  // What it may be, for people: "100ms … 86400s", "true or false".
  std::string Range() const;
  // The range alone.
  absl::Status Check(const Config& config) const;
};

std::span<const ConfigField> ConfigFields();

// The candidate that `name` is a misspelling of, as far as one can tell; empty: none is near.
std::string_view NearestName(std::string_view name, std::span<const std::string> candidates);

// Null if there is none.
const ConfigField* FindConfigField(std::string_view name);

}  // namespace parti

#endif  // PARTI_CONFIG_FIELDS_H_
