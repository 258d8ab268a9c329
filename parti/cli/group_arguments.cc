#include "parti/cli/group_arguments.h"

#include <fmt/format.h>

#include <utility>

#include "internal/kv/urls.h"
#include "parti/cli/connection_arguments.h"

namespace parti::cli {

void AddGroupOptions(CLI::App* command, WorkerArguments* arguments) {
  command
      ->add_option("-s,--server", arguments->server,
                   "NATS servers, comma-separated [nats://127.0.0.1:4222]")
      ->type_name("URL");
  command
      ->add_option("--prefix", arguments->prefix, "The group's name: its buckets' prefix [parti]")
      ->type_name("P");
  command
      ->add_option("--config", arguments->config_file,
                   "The workers' YAML file: server, prefix and names of buckets are taken from it")
      ->type_name("FILE");
  command->add_option("--set", arguments->set, "One setting; may be given again and again")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  AddConnectionOptions(command, &arguments->connection);
}

absl::StatusOr<Group> ResolveGroup(const WorkerArguments& arguments) {
  absl::StatusOr<GroupPlace> place = ResolveGroupPlace(arguments);
  if (!place.ok()) return place.status();
  Group group;
  group.prefix = place->config.prefix;
  group.kv.nats = arguments.connection;
  group.kv.nats.url = place->server;
  group.kv.nats.name = "parti command";
  if (absl::Status valid = group.kv.nats.Validate(); !valid.ok()) return valid;
  group.kv.prefix = place->config.prefix;
  for (const std::string& url : kv::SplitUrls(place->server)) {
    group.server += (group.server.empty() ? "" : ", ") + kv::AddressOf(url);
  }
  return group;
}

absl::Status Explain(const absl::Status& why, const Group& group) {
  const std::string text(why.message());
  switch (why.code()) {
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(
          fmt::format("no group \"{}\" on {}: {}; is --prefix right, and has a worker ever run?",
                      group.prefix, group.server, text));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(
          fmt::format("{}; docs/operations.md lists what a reader needs", text));
    default:
      return why;
  }
}

}  // namespace parti::cli
