// The options by which `parti status` and the orders find a group.
#ifndef PARTI_CLI_GROUP_ARGUMENTS_H_
#define PARTI_CLI_GROUP_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "internal/kv/nats_kv.h"
#include "parti/cli/worker_options.h"

namespace parti::cli {

inline constexpr int kUsageStatus = 2;

// --server, --prefix, --config and --set, as for `parti worker`.
void AddGroupOptions(CLI::App* command, WorkerArguments* arguments);

struct Group {
  kv::NatsKvOptions kv;
  std::string prefix;
  std::string server;  // without credentials
};
// InvalidArgument names the value, the limit and the remedy.
absl::StatusOr<Group> ResolveGroup(const WorkerArguments& arguments);

// Why a group can't be read, for people: says what to do.
absl::Status Explain(const absl::Status& why, const Group& group);

}  // namespace parti::cli

#endif  // PARTI_CLI_GROUP_ARGUMENTS_H_
