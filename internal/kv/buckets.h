// The four buckets: what they are to be, and how they are created or bound.
#ifndef PARTI_INTERNAL_KV_BUCKETS_H_
#define PARTI_INTERNAL_KV_BUCKETS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "internal/core/time.h"
#include "internal/kv/jetstream.h"
#include "internal/kv/requests.h"
#include "internal/wire/kv_types.h"
#include "parti/config.h"

namespace parti::kv {

// "<prefix>-heartbeat" and so on; its stream and the subject of a key in it.
std::string FullBucketName(std::string_view prefix, wire::Bucket bucket);
std::string StreamName(std::string_view full_bucket_name);
std::string KeySubject(std::string_view full_bucket_name, std::string_view key);

struct BucketSpec {
  wire::Bucket bucket{};
  std::string name;
  int replicas = 1;
  Storage storage = Storage::kFile;
  core::Nanos max_age = 0;        // 0: for ever
  core::Nanos max_age_least = 0;  // what an existing bucket may do with
};
std::vector<BucketSpec> BucketSpecs(std::string_view prefix, int replicas, Storage storage,
                                    core::Nanos heartbeat_ttl);

// The body of a STREAM.CREATE.
std::string StreamCreateBody(const BucketSpec& spec);

// OK if the existing bucket will do. FailedPrecondition names the bucket and, for each field that
// doesn't fit, what was found and what is wanted.
absl::Status CheckFits(const BucketSpec& spec, const StreamInfo& found);

// Creates the bucket, or binds it if it is there; `created` tells which. Unavailable: try again;
// any other error needs somebody to act. Waits for answers.
absl::Status EnsureBucket(Requests& requests, const BucketSpec& spec, bool* created);

// OK if the bucket is there, whatever it is like. NotFound: it isn't. Waits for answers.
absl::Status FindBucket(Requests& requests, const BucketSpec& spec);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_BUCKETS_H_
