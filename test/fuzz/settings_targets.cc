// Settings as people write them: by name and value, and in a YAML file.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "parti/cli/worker_options.h"
#include "parti/config.h"
#include "test/fuzz/targets.h"

namespace parti::fuzz {
namespace {

// A file in memory, with a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : fd_(memfd_create("yaml", MFD_CLOEXEC)) {
    Require(fd_ >= 0, "no file in memory");
    Require(write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// What Get says, Set takes, and it means the same.
void CheckRoundTrip(const Config& config, const std::string& name) {
  const absl::StatusOr<std::string> value = config.Get(name);
  Require(value.ok(), "a setting that was set can't be got");
  Config again;
  Require(again.Set(name, *value).ok(), "what Get said, Set refuses");
  Require(again.Get(name).value() == *value, "a setting changes on its way");
}

void CheckConfig(const Config& config) {
  Require(config.Validate().ok(), "a configuration that wasn't checked");
  for (const std::string& name : Config::FieldNames()) CheckRoundTrip(config, name);
}

}  // namespace

// Lines of name=value, all into one configuration.
void FuzzSettings(Input input) {
  Config config;
  std::string_view rest = TextOf(input);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t equals = std::min(line.find('='), line.size());
    const std::string name(line.substr(0, equals));
    const std::string value(line.substr(std::min(equals + 1, line.size())));
    const absl::StatusOr<std::string> before = config.Get(name);
    if (config.Set(name, value).ok()) {
      CheckRoundTrip(config, name);
    } else if (before.ok()) {
      Require(config.Get(name).value() == *before,
              "a value that was refused was taken all the same");
    }
  }
  if (config.Validate().ok()) CheckConfig(config);
}

void FuzzYaml(Input input) {
  // Files that this file names would be read; one of a token, which would replace the password,
  // too.
  const std::string_view text = TextOf(input);
  if (text.find("token_file") != text.npos || text.find('\\') != text.npos) return;
  const MemoryFile file(text);
  const MemoryFile secret("secret\n");
  cli::WorkerArguments arguments;
  arguments.config_file = file.path();
  arguments.connection.user = "u";
  arguments.connection.password_file = secret.path();
  arguments.connection.creds = "";
  arguments.connection.nkey = "";
  arguments.connection.tls_ca = "";
  arguments.connection.tls_cert = "";
  arguments.connection.tls_key = "";
  const auto place = cli::ResolveGroupPlace(arguments);
  if (place.ok()) CheckConfig(place->config);
  const auto options = cli::ResolveWorkerOptions(arguments);
  if (options.ok()) {
    Require(options->partitions >= 1 && options->partitions <= cli::kMaxPartitions, "partitions");
    CheckConfig(options->config);
  }
}

}  // namespace parti::fuzz
