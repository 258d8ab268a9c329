// Reads JSON that can't be trusted: bounded in depth and number of values, never throwing, each
// field checked for its type and range, with an error that says which field is wrong and why.
#ifndef PARTI_INTERNAL_WIRE_JSON_READER_H_
#define PARTI_INTERNAL_WIRE_JSON_READER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/wire/limits.h"

namespace parti::wire {

// Parses `text`, which must be one JSON object. `what` names it in errors.
absl::StatusOr<nlohmann::json> ParseObject(std::string_view what, std::string_view text,
                                           std::size_t max_values);

enum class Presence { kRequired, kOptional };

// Takes typed fields out of one JSON object. Every call is a no-op once one has failed, and an
// optional field that is missing leaves the target as it is; status() tells the first error.
//
//   FieldReader fields("claim", object);
//   fields.Text("identity", &claim.identity, kMaxNameBytes);
//   fields.Integer("lease_ms", &claim.lease_ms, 1, kMaxLeaseMs);
//   if (!fields.status().ok()) return fields.status();
//
// Fields that nobody asks for are ignored: a later release may add some without a new wire version.
class FieldReader {
 public:
  // `object` must outlive the reader.
  FieldReader(std::string_view where, const nlohmann::json& object)
      : where_(where), object_(object) {}

  void Unsigned(const char* name, std::uint64_t* out, std::uint64_t min = 0,
                Presence presence = Presence::kRequired);
  void Integer(const char* name, std::int64_t* out, std::int64_t min, std::int64_t max,
               Presence presence = Presence::kRequired);
  // Exactly 16 lower-case hexadecimal digits.
  void Hex(const char* name, std::uint64_t* out, Presence presence = Presence::kRequired);
  void Text(const char* name, std::string* out, std::size_t min_bytes, std::size_t max_bytes,
            Presence presence = Presence::kRequired);
  void Boolean(const char* name, bool* out, Presence presence = Presence::kRequired);

  // The field, or null: missing (when optional), or of another type (an error).
  const nlohmann::json* Object(const char* name, Presence presence = Presence::kRequired);
  const nlohmann::json* Array(const char* name, Presence presence = Presence::kRequired);

  // Records an error of the field, unless there is one already.
  void Fail(std::string_view name, std::string_view why);

  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }

 private:
  const nlohmann::json* Find(const char* name, Presence presence);

  std::string_view where_;
  const nlohmann::json& object_;
  absl::Status status_;
};

// Errors of values that aren't fields of an object.
absl::Status Malformed(std::string_view where, std::string_view why);

}  // namespace parti::wire

#endif  // PARTI_INTERNAL_WIRE_JSON_READER_H_
