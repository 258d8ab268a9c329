// `./run chaos`.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "parti/cli/interrupt.h"
#include "parti/cli/temp_folder.h"
#include "test/chaos/chaos.h"

namespace parti::chaos {
namespace {

constexpr int kViolated = 1;
constexpr int kCannotRun = 2;

constexpr const char* kDescription =
    "Worker processes on real NATS servers, under a nemesis. Every partition's owner appends to a "
    "fenced register in NATS; in the end the checker reads every write that got through, and all "
    "event logs, and tells what was violated.";

constexpr const char* kFooter =
    R"(What the nemesis does: SIGKILLs, SIGSTOPs and restarts workers, leaders, all at once; starts a second process under
an identity; cuts workers off, one, several, and in one direction; makes links slow and lossy; kills,
stops and pauses NATS servers; deletes keys and buckets, one or all at once; with --cluster 3 also cuts
servers off from each other and makes stream leaders step down. Cuts need the package iproute2, and root
or user namespaces, for network namespaces; without, workers reach the servers through proxies, and what
is left out is told as SKIPPED.

Faults and their victims follow from --seed; when things happen also hangs on the machine.

Exit status: 0 no violation, 1 a violation (the folder of all logs is kept, and named), 2 it couldn't
run or a mistake in the options, 130 after Ctrl-C.)";

struct Arguments {
  ChaosOptions chaos;
  std::string keep;
  bool no_namespaces = false;
  bool quiet = false;
};

// One that lies beside this program, unless given.
std::string Beside(const std::string& name) {
  std::error_code error;
  return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name).string();
}

std::string FindServer() {
  if (const char* set = std::getenv("NATS_SERVER"); set != nullptr && *set != '\0') return set;
  // Debian installs it to /usr/sbin, which isn't on an ordinary user's PATH.
  for (const char* file : {"/usr/sbin/nats-server", "/usr/local/bin/nats-server"}) {
    if (access(file, X_OK) == 0) return file;
  }
  return "nats-server";
}

// Whether all that a Network takes is to be had. (Asked of a child, for what follows a failed
// attempt in this process is a machine without loopback.)
bool NamespacesWork() {
  constexpr const char* kTry =
      "for as in '' '--user --map-root-user'; do unshare $as --net sh -c 'ip link set lo up && "
      "ip link add bridge0 type bridge && ip link add port0 type veth peer name port1' && exit; "
      "done >/dev/null 2>&1; exit 1";
  return std::system(kTry) == 0;
}

class Screen {
 public:
  explicit Screen(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}
  ~Screen() { Clear(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void Say(const std::string& line) {
    if (quiet_) return;
    Clear();
    fmt::print(stderr, "{}\n", line);
  }
  void Progress(const std::string& line) {
    if (terminal_) {
      fmt::print(stderr, "\r\033[K{}", line);
      shown_ = true;
    } else if (++calls_ % 10 == 1) {
      fmt::print(stderr, "… {}\n", line);
    }
    std::fflush(stderr);
  }

 private:
  void Clear() {
    if (shown_) fmt::print(stderr, "\r\033[K");
    shown_ = false;
  }

  const bool quiet_;
  const bool terminal_;
  bool shown_ = false;
  int calls_ = 0;
};

int Fail(const std::string& what) {
  fmt::print(stderr, "chaos: {}\n", what);
  return kCannotRun;
}

int Run(Arguments arguments) {
  cli::Interrupt interrupt;  // before any other thread
  Screen screen(arguments.quiet);
  std::unique_ptr<Network> network;
  std::string no_network = "namespaces: --no-namespaces was given";
  if (!arguments.no_namespaces && !NamespacesWork()) {
    no_network =
        "namespaces: they take root or user namespaces, `unshare` and `ip` (package iproute2), and "
        "a kernel with veth and bridges; cuts are made by proxies";
  } else if (!arguments.no_namespaces) {
    auto created = Network::Create();
    if (!created.ok()) return Fail(std::string(created.status().message()));
    network = *std::move(created);
  }
  if (network == nullptr) screen.Say("SKIPPED: " + no_network);
  interrupt.Listen([] {});

  std::unique_ptr<cli::TempFolder> temporary;
  ChaosOptions& options = arguments.chaos;
  options.folder = arguments.keep;
  if (options.folder.empty()) {
    auto folder = cli::TempFolder::Create("chaos");
    if (!folder.ok()) return Fail(std::string(folder.status().message()));
    temporary = *std::move(folder);
    options.folder = temporary->path();
  } else {
    std::error_code error;
    std::filesystem::create_directories(options.folder, error);
    if (error || !std::filesystem::is_empty(options.folder, error)) {
      return Fail(fmt::format("--keep {}: can't be made, or is not empty", options.folder));
    }
  }
  options.interrupted = [&] { return interrupt.signal() != 0; };
  options.say = [&](const std::string& line) { screen.Say(line); };
  options.progress = [&](const std::string& line) { screen.Progress(line); };

  absl::StatusOr<ChaosReport> report;
  {
    ChaosRun run(options, network.get());
    report = run.Run();
  }
  if (!report.ok()) return Fail(std::string(report.status().message()));
  if (network == nullptr) report->skipped.push_back(no_network);
  screen.Say("");
  fmt::print("{}", ReportText(*report));
  if (!report->violations.empty()) {
    std::string kept = options.folder;
    if (temporary != nullptr) {
      kept += "-kept";
      std::error_code error;
      std::filesystem::copy(options.folder, kept, std::filesystem::copy_options::recursive, error);
    }
    fmt::print("the logs are in {}\n", kept);
    return kViolated;
  }
  return interrupt.signal() == 0 ? 0 : 128 + interrupt.signal();
}

}  // namespace
}  // namespace parti::chaos

int main(int argc, char** argv) {
  using namespace parti::chaos;
  Arguments arguments;
  ChaosOptions& chaos = arguments.chaos;
  chaos.worker_binary = Beside("chaos_worker");
  chaos.server_binary = FindServer();
  CLI::App app{kDescription};
  app.name("run chaos");
  app.footer(kFooter);
  app.add_option("--minutes", chaos.minutes, "How long the nemesis goes on")
      ->check(CLI::Range(0.05, 10'000.0))
      ->capture_default_str();
  app.add_option("--seed", chaos.seed, "Chooses faults and victims")->capture_default_str();
  app.add_option("--workers", chaos.workers, "Worker processes")
      ->check(CLI::Range(2, 50))
      ->capture_default_str();
  app.add_option("--partitions", chaos.partitions, "Partitions that they share")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--cluster", chaos.cluster,
                 "Servers: 1, or a cluster of 3 with three replicas of everything, for which "
                 "nats-server has to be 2.9.21 or newer")
      ->check(CLI::IsMember({1, 3}))
      ->capture_default_str();
  app.add_option("--preset", chaos.preset, "Of the workers' configuration")
      ->check(CLI::IsMember({"fast", "default"}))
      ->capture_default_str();
  app.add_option("--nats-server", chaos.server_binary,
                 "The server's program [$NATS_SERVER, else where Debian installs it]")
      ->type_name("FILE");
  app.add_option("--only", chaos.only, "Only these kinds of faults, comma-separated")
      ->delimiter(',')
      ->type_name("KIND");
  app.add_option("--keep", arguments.keep, "Keep all logs in this folder, which has to be empty")
      ->type_name("DIR");
  app.add_flag("--no-namespaces", arguments.no_namespaces,
               "As where there are no network namespaces to be had");
  app.add_flag("-q,--quiet", arguments.quiet, "Only the report, and a line now and then");
  app.add_option(
         "--break", chaos.broken,
         "To see that the checker sees it: with \"claims\" a worker goes on working on what it has "
         "lost and heeds no token, with \"lease\" it heeds tokens, with \"cas\" all workers write "
         "over what others have written since they read")
      ->check(CLI::IsMember({"claims", "lease", "cas"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kCannotRun;
  }
  return Run(std::move(arguments));
}
