#include "parti/cli/group_arguments.h"

#include <fmt/format.h>

#include <utility>

#include "internal/kv/urls.h"
#include "parti/cli/connection_flags.h"

namespace parti::cli {

void AddGroupOptions(CLI::App* command, WorkerArguments* arguments) {
  AddConnectionFlags(*command, &arguments->connection);
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
}

absl::StatusOr<Group> ResolveGroup(const WorkerArguments& arguments) {
  absl::StatusOr<GroupPlace> place = ResolveGroupPlace(arguments);
  if (!place.ok()) return place.status();
  Group group;
  group.prefix = place->config.prefix;
  group.kv.nats = place->nats;
  group.kv.nats.name = "parti command";
  group.kv.prefix = place->config.prefix;
  const Config::BucketNames names = place->config.Buckets();
  group.kv.buckets = {names.stableid, names.election, names.heartbeat, names.assignment};
  group.kv.jetstream_domain = place->config.jetstream_domain;
  for (const std::string& url : kv::SplitUrls(place->nats.url)) {
    group.server += (group.server.empty() ? "" : ", ") + kv::AddressOf(url);
  }
  return group;
}

absl::Status Explain(const absl::Status& why, const Group& group) {
  const std::string text = InFlagNames(std::string(why.message()));
  switch (why.code()) {
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(
          fmt::format("no group \"{}\" on {}: {}; is --prefix right, and has a worker ever run?",
                      group.prefix, group.server, text));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(
          fmt::format("{}; docs/operations.md lists what a reader needs", text));
    default:
      return absl::Status(why.code(), text);
  }
}

}  // namespace parti::cli
