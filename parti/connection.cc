#include "parti/connection.h"

#include "internal/kv/connection_check.h"

namespace parti {

absl::Status ConnectionOptions::Validate() const {
  for (auto* const check : {&kv::CheckOneWay, &kv::CheckUrls, &kv::CheckCredentials, &kv::CheckTls,
                            &kv::CheckInboxPrefix}) {
    if (absl::Status status = check(*this); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace parti
