// The four buckets: what they are to be, and how they are created or bound.
#ifndef PARTI_INTERNAL_KV_BUCKETS_H_
#define PARTI_INTERNAL_KV_BUCKETS_H_

#include <array>
#include <chrono>
#include <cstddef>
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

// How the group's buckets are called, and where JetStream's API is.
class Names {
 public:
  using Buckets = std::array<std::string, wire::kBucketCount>;

  // Where `buckets` has none: "<prefix>-heartbeat" and so on. `domain`: empty for the server's own.
  Names(std::string_view prefix, const Buckets& buckets, std::string_view domain);

  const std::string& Bucket(wire::Bucket bucket) const {
    return buckets_.at(static_cast<std::size_t>(bucket));
  }
  std::string Stream(wire::Bucket bucket) const { return "KV_" + Bucket(bucket); }
  // What a key's messages bear, and what they are published to: the same but for a domain.
  std::string Subject(wire::Bucket bucket, std::string_view key) const;
  std::string PutSubject(wire::Bucket bucket, std::string_view key) const;
  // Of a request, such as "STREAM.INFO.KV_parti-heartbeat".
  std::string Api(std::string_view request) const;
  const std::string& domain() const { return domain_; }

 private:
  Buckets buckets_;
  std::string domain_;
};

struct BucketSpec {
  wire::Bucket bucket{};
  std::string name;
  int replicas = 1;
  Storage storage = Storage::kFile;
  core::Nanos max_age = 0;        // 0: for ever
  core::Nanos max_age_least = 0;  // what an existing bucket may do with
};
std::vector<BucketSpec> BucketSpecs(const Names& names, int replicas, Storage storage,
                                    core::Nanos heartbeat_ttl);

// The body of a STREAM.CREATE.
std::string StreamCreateBody(const BucketSpec& spec);

// OK if the existing bucket will do. FailedPrecondition names the bucket and, for each field that
// doesn't fit, what was found and what is wanted.
absl::Status CheckFits(const BucketSpec& spec, const StreamInfo& found);

// Creates the bucket, or binds it if it is there; `created` tells which. Unavailable: try again;
// Aborted: nobody answered, so there may be no JetStream; any other error needs somebody to act.
// Waits for answers. Without `may_create` NotFound says that there is none.
absl::Status EnsureBucket(Requests& requests, const Names& names, const BucketSpec& spec,
                          std::chrono::milliseconds timeout, bool* created, bool may_create = true);

// OK if the bucket is there, whatever it is like. NotFound: it isn't. Waits for answers.
absl::Status FindBucket(Requests& requests, const Names& names, const BucketSpec& spec,
                        std::chrono::milliseconds timeout);

}  // namespace parti::kv

#endif  // PARTI_INTERNAL_KV_BUCKETS_H_
