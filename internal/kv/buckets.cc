#include "internal/kv/buckets.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

namespace parti::kv {
namespace {

using nlohmann::json;

constexpr int kHeartbeatMaxAgeFactor = 10;

const char* StorageText(Storage storage) { return storage == Storage::kFile ? "file" : "memory"; }

std::string Wildcard(const BucketSpec& spec) { return fmt::format("$KV.{}.>", spec.name); }

// Collects what doesn't fit.
class Differences {
 public:
  explicit Differences(const json& config) : config_(config) {}

  // A field that is missing counts as `fallback`: the server leaves out what has its zero value.
  json Field(const char* name, json fallback) const {
    const auto found = config_.find(name);
    return found == config_.end() || found->is_null() ? std::move(fallback) : *found;
  }

  void Want(const char* name, const json& wanted, json fallback) {
    const json found = Field(name, std::move(fallback));
    if (found != wanted) Add(name, found, Show(wanted));
  }

  void Add(const char* name, const json& found, const std::string& wanted) {
    text_ += fmt::format("{}{} is {}, but must be {}", text_.empty() ? "" : "; ", name, Show(found),
                         wanted);
  }

  const std::string& text() const { return text_; }

 private:
  static std::string Show(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  const json& config_;
  std::string text_;
};

void CheckMaxAge(const BucketSpec& spec, Differences& differences) {
  const json found = differences.Field("max_age", 0);
  if (found == 0) return;
  if (spec.max_age == 0) {
    differences.Add("max_age", found, "0: its records must not expire");
  } else if (!found.is_number_integer() || found < spec.max_age_least) {
    differences.Add("max_age", found,
                    fmt::format("0 or at least {} (heartbeat_ttl, in ns)", spec.max_age_least));
  }
}

// A full bucket may refuse new records, but never drop old ones.
void CheckLimits(Differences& differences) {
  if (differences.Field("discard", "old") == "new") return;
  for (const char* const name : {"max_msgs", "max_bytes"}) {
    const json found = differences.Field(name, -1);
    if (found != -1 && found != 0) differences.Add(name, found, "-1 unless discard is \"new\"");
  }
}

std::string StreamOf(const BucketSpec& spec) { return "KV_" + spec.name; }

// What somebody can do about an error of the API; empty: nothing is known.
std::string Remedy(const BucketSpec& spec, const ApiError& error) {
  if (error.err_code == kErrReplicasNotSupported) {
    return fmt::format("; replicas is {}: set it to 1 or use a cluster", spec.replicas);
  }
  if (error.IsDisabled()) {
    return "; enable JetStream: in the server's configuration (jetstream {}) or by its option -js, "
           "and for the user's account (jetstream: enabled)";
  }
  if (error.IsOutOfResources()) {
    return fmt::format("; raise {} of the server or the limits of the user's account, or make room",
                       spec.storage == Storage::kFile ? "max_file_store" : "max_memory_store");
  }
  return {};
}

absl::Status Failure(const BucketSpec& spec, std::string_view doing, const ApiError& error) {
  const std::string text = fmt::format("can't {} bucket {}: {}{}", doing, spec.name,
                                       error.ToString(), Remedy(spec, error));
  if (error.IsOutOfResources()) return absl::ResourceExhaustedError(text);
  if (error.IsTransient()) return absl::UnavailableError(text);
  return absl::FailedPreconditionError(text);
}

absl::Status Failure(const BucketSpec& spec, const Requests::Answer& answer) {
  const std::string text =
      fmt::format("can't create or bind bucket {}: {}", spec.name, answer.text);
  if (answer.kind == Reply::Kind::kNotPermitted) return absl::PermissionDeniedError(text);
  if (answer.kind == Reply::Kind::kNoResponders) return absl::AbortedError(text);
  return absl::UnavailableError(text);
}

// A stream's state, or why it can't be told.
absl::StatusOr<StreamInfo> AskForStream(Requests& requests, const Names& names,
                                        const BucketSpec& spec, std::chrono::milliseconds timeout) {
  const Requests::Answer answer =
      requests.Call({.subject = names.Api("STREAM.INFO." + StreamOf(spec))}, timeout);
  if (answer.kind != Reply::Kind::kAnswer) return Failure(spec, answer);
  ApiResult<StreamInfo> info = ReadStreamInfo(answer.text);
  if (auto* const found = std::get_if<StreamInfo>(&info)) return *std::move(found);
  const ApiError& error = std::get<ApiError>(info);
  if (error.err_code == kErrStreamNotFound) {
    return absl::NotFoundError(fmt::format("bucket {} doesn't exist", spec.name));
  }
  return Failure(spec, "bind", error);
}

}  // namespace

Names::Names(std::string_view prefix, const Buckets& buckets, std::string_view domain)
    : buckets_(buckets), domain_(domain) {
  for (int i = 0; i < wire::kBucketCount; ++i) {
    std::string& name = buckets_.at(static_cast<std::size_t>(i));
    if (!name.empty()) continue;
    name = fmt::format("{}-{}", prefix, wire::BucketName(static_cast<wire::Bucket>(i)));
  }
}

std::string Names::Subject(wire::Bucket bucket, std::string_view key) const {
  return fmt::format("$KV.{}.{}", Bucket(bucket), key);
}

std::string Names::PutSubject(wire::Bucket bucket, std::string_view key) const {
  return domain_.empty() ? Subject(bucket, key) : Api(Subject(bucket, key));
}

std::string Names::Api(std::string_view request) const {
  return domain_.empty() ? fmt::format("$JS.API.{}", request)
                         : fmt::format("$JS.{}.API.{}", domain_, request);
}

std::vector<BucketSpec> BucketSpecs(const Names& names, int replicas, Storage storage,
                                    core::Nanos heartbeat_ttl) {
  std::vector<BucketSpec> specs;
  for (int i = 0; i < wire::kBucketCount; ++i) {
    const auto bucket = static_cast<wire::Bucket>(i);
    BucketSpec spec{
        .bucket = bucket, .name = names.Bucket(bucket), .replicas = replicas, .storage = storage};
    if (bucket == wire::Bucket::kHeartbeat) {
      spec.max_age = kHeartbeatMaxAgeFactor * heartbeat_ttl;
      // Less than `max_age`, so that heartbeat_ttl can be changed while a group runs.
      spec.max_age_least = heartbeat_ttl;
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::string StreamCreateBody(const BucketSpec& spec) {
  return json{{"name", StreamOf(spec)},
              {"subjects", {Wildcard(spec)}},
              {"retention", "limits"},
              {"storage", StorageText(spec.storage)},
              {"num_replicas", spec.replicas},
              {"discard", "new"},
              {"max_consumers", -1},
              {"max_msgs", -1},
              {"max_bytes", -1},
              {"max_msg_size", -1},
              {"max_msgs_per_subject", 1},
              {"max_age", spec.max_age},
              {"deny_delete", true},
              {"allow_rollup_hdrs", true},
              {"allow_direct", false}}
      .dump();
}

// Not looked at: allow_direct, since reads always ask the stream's leader.
absl::Status CheckFits(const BucketSpec& spec, const StreamInfo& found) {
  Differences differences(*found.config);
  differences.Want("subjects", json::array({Wildcard(spec)}), json::array());
  differences.Want("retention", "limits", "limits");
  differences.Want("storage", StorageText(spec.storage), "file");
  differences.Want("num_replicas", spec.replicas, 1);
  differences.Want("max_msgs_per_subject", 1, -1);
  differences.Want("max_msg_size", -1, -1);
  differences.Want("max_consumers", -1, -1);
  differences.Want("discard_new_per_subject", false, false);
  differences.Want("no_ack", false, false);
  differences.Want("sealed", false, false);
  differences.Want("mirror", nullptr, nullptr);
  differences.Want("sources", nullptr, nullptr);
  differences.Want("subject_transform", nullptr, nullptr);
  CheckMaxAge(spec, differences);
  CheckLimits(differences);
  if (differences.text().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "bucket {} exists but doesn't fit: {}; change the bucket or the configuration, or "
      "choose another prefix",
      spec.name, differences.text()));
}

absl::Status FindBucket(Requests& requests, const Names& names, const BucketSpec& spec,
                        std::chrono::milliseconds timeout) {
  return AskForStream(requests, names, spec, timeout).status();
}

absl::Status EnsureBucket(Requests& requests, const Names& names, const BucketSpec& spec,
                          std::chrono::milliseconds timeout, bool* created, bool may_create) {
  *created = false;
  const absl::StatusOr<StreamInfo> found = AskForStream(requests, names, spec, timeout);
  if (found.ok()) return CheckFits(spec, *found);
  if (!absl::IsNotFound(found.status()) || !may_create) return found.status();
  const Requests::Answer answer = requests.Call(
      {.subject = names.Api("STREAM.CREATE." + StreamOf(spec)), .data = StreamCreateBody(spec)},
      timeout);
  if (answer.kind != Reply::Kind::kAnswer) return Failure(spec, answer);
  const ApiResult<StreamInfo> result = ReadStreamInfo(answer.text);
  if (std::holds_alternative<StreamInfo>(result)) {
    *created = true;
    return absl::OkStatus();
  }
  const ApiError& error = std::get<ApiError>(result);
  if (error.err_code == kErrStreamNameInUse) {
    return absl::UnavailableError(
        fmt::format("bucket {} was created by somebody else just now", spec.name));
  }
  return Failure(spec, "create", error);
}

}  // namespace parti::kv
