// `parti worker`, the command: its events, its signals, its options.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "parti/cli/event_line.h"
#include "test/support/support.h"

namespace parti::test {
namespace {

using cli::EventKind;
using cli::EventLine;
using testing::HasSubstr;

struct Finished {
  ExitStatus exit;
  std::string out;
  std::string err;
};

class WorkerTest : public testing::Test {
 protected:
  std::string events() const { return folder_->File("events"); }
  std::string errors() const { return folder_->File("err"); }

  void StartServer() { server_ = test::StartServer(); }

  // A worker of a group of its own with five partitions, its events in events().
  std::unique_ptr<Process> StartWorker(const std::vector<std::string>& more = {}) {
    std::vector<std::string> argv = {
        PARTI_BINARY,   "worker",
        "--server",     server_ ? server_->url() : "nats://127.0.0.1:1",
        "--preset",     "fast",
        "--set",        "assume_new_group=true",
        "--set",        "heartbeat_ttl=3s",
        "--set",        "election_ttl=3s",
        "--partitions", "5",
        "--events",     events()};
    argv.insert(argv.end(), more.begin(), more.end());
    return StartProcess(
        {.argv = argv, .stdout_file = folder_->File("out"), .stderr_file = errors()});
  }

  // Runs `parti` with these arguments to its end.
  Finished Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PARTI_BINARY);
    const auto folder = MakeTempDir();
    const auto process = StartProcess({.argv = arguments,
                                       .stdout_file = folder->File("out"),
                                       .stderr_file = folder->File("err")});
    const auto exit = process->Wait(kDeadline);
    EXPECT_TRUE(exit.has_value()) << "still runs";
    return {exit.value_or(ExitStatus{}), ReadFile(folder->File("out")),
            ReadFile(folder->File("err"))};
  }

  ExitStatus Await(Process& process) {
    const auto exit = process.Wait(kDeadline);
    EXPECT_TRUE(exit.has_value()) << "still runs; it said: " << ReadFile(errors());
    return exit.value_or(ExitStatus{.code = -1});
  }

  // Every whole line so far. Lines are whole whenever they are read: each is one write.
  std::vector<EventLine> Events(const std::string& path) const {
    std::vector<EventLine> parsed;
    for (const std::string& line : ReadLines(path)) {
      auto event = cli::ParseEventLine(line);
      EXPECT_TRUE(event.ok()) << line << ": " << event.status();
      if (event.ok()) parsed.push_back(*std::move(event));
    }
    return parsed;
  }
  int Count(EventKind kind) const {
    const std::vector<EventLine> all = Events(events());
    return static_cast<int>(std::count_if(
        all.begin(), all.end(), [kind](const EventLine& event) { return event.kind == kind; }));
  }
  bool AwaitAcquired(int count = 5) {
    return WaitFor([&] { return Count(EventKind::kAcquired) >= count; });
  }

  std::unique_ptr<TempDir> folder_ = MakeTempDir();
  std::unique_ptr<NatsServer> server_;
};

TEST_F(WorkerTest, SigtermReleasesEverythingAndLeaves) {
  StartServer();
  const auto worker = StartWorker();
  ASSERT_TRUE(AwaitAcquired()) << ReadFile(errors());
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*worker).ok()) << ReadFile(errors());

  const std::vector<EventLine> all = Events(events());
  std::map<std::string, EventKind> last;  // of each partition
  std::int64_t t = 0;
  std::int64_t until = 0;
  for (const EventLine& event : all) {
    EXPECT_GE(event.t, t);
    t = event.t;
    if (event.kind == EventKind::kLease) until = event.until;
    if (event.kind == EventKind::kAcquired) {
      EXPECT_GT(until, event.t) << "acquired without a lease";
      EXPECT_GT(event.token.epoch, 0U);
      EXPECT_GT(event.token.version, 0U);
    }
    if (!event.partition.empty()) last[event.partition] = event.kind;
  }
  EXPECT_EQ(last.size(), 5U);
  for (const auto& [partition, kind] : last) EXPECT_EQ(kind, EventKind::kReleased) << partition;
  EXPECT_EQ(Count(EventKind::kStarted), 1);
  EXPECT_EQ(Count(EventKind::kLeader), 2);
  EXPECT_EQ(all.back().kind, EventKind::kStopped);
}

TEST_F(WorkerTest, EveryLineBearsTheFieldsInTheirOrder) {
  StartServer();
  const auto worker = StartWorker();
  ASSERT_TRUE(AwaitAcquired());
  ASSERT_TRUE(worker->Signal(SIGINT).ok());
  EXPECT_TRUE(Await(*worker).ok());
  std::map<std::string, std::string> example;  // by event
  for (const std::string& line : ReadLines(events())) {
    const std::size_t name = line.find("\"event\":\"") + 9;
    example[line.substr(name, line.find('"', name) - name)] = line;
  }
  const std::string common = R"(\{"t":[0-9]+,"event":"[a-z]+","worker":"worker-[0-9]+",)"
                             R"("incarnation":[1-9][0-9]*)";
  const std::string grant = R"(,"epoch":[1-9][0-9]*,"version":[1-9][0-9]*,"partition":"p-[0-4]"\})";
  using testing::MatchesRegex;
  EXPECT_THAT(ReadLines(events()).front(),
              MatchesRegex(R"(\{"t":[0-9]+,"event":"opened","worker":"","incarnation":0,)"
                           R"("clock":"[-0-9a-f]+","wall":[0-9]+,"alone":true\})"));
  EXPECT_THAT(example["started"], MatchesRegex(common + "\\}"));
  EXPECT_THAT(example["lease"], MatchesRegex(common + R"(,"until":[0-9]+\})"));
  EXPECT_THAT(example["acquired"], MatchesRegex(common + grant));
  EXPECT_THAT(example["released"], MatchesRegex(common + grant));
  EXPECT_THAT(example["leader"], MatchesRegex(common + R"(,"epoch":[1-9][0-9]*,"gained":false\})"));
  EXPECT_THAT(example["state"], MatchesRegex(common + R"(,"state":"Shutdown"\})"));
  EXPECT_THAT(example["stopped"], MatchesRegex(common + "\\}"));
}

TEST_F(WorkerTest, EventsGoToStandardOutputOnRequest) {
  StartServer();
  const auto other =
      StartProcess({.argv = {PARTI_BINARY, "worker", "--server", server_->url(), "--preset", "fast",
                             "--set", "assume_new_group=true", "-n", "1", "--events", "-"},
                    .stdout_file = folder_->File("stdout"),
                    .stderr_file = errors()});
  EXPECT_TRUE(WaitFor([this] {
    return ReadFile(folder_->File("stdout")).find("\"acquired\"") != std::string::npos;
  }));
  ASSERT_TRUE(other->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*other).ok());
}

TEST_F(WorkerTest, SigtermWhileThereIsNoServer) {
  const auto worker = StartWorker();
  ASSERT_TRUE(WaitFor([this] { return ReadFile(errors()).find("warning") != std::string::npos; }));
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*worker).ok()) << ReadFile(errors());
  EXPECT_EQ(Count(EventKind::kStopped), 1);
}

TEST_F(WorkerTest, ASecondSignalEndsItAtOnce) {
  StartServer();
  const auto worker = StartWorker({"--release-delay", "10m"});
  ASSERT_TRUE(AwaitAcquired());
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  ASSERT_TRUE(WaitFor([this] { return ReadFile(errors()).find("stopping") != std::string::npos; }));
  // One that comes on the heels of the first counts as the first.
  EXPECT_TRUE(WaitFor([&] {
    (void)worker->Signal(SIGINT);
    return !worker->Running();
  }));
  EXPECT_EQ(Await(*worker).code, 128 + SIGINT);
}

TEST_F(WorkerTest, ReleaseDelayHoldsTheReleaseBack) {
  StartServer();
  const auto worker = StartWorker({"--release-delay", "500ms"});
  ASSERT_TRUE(AwaitAcquired());
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*worker).ok());
  EXPECT_EQ(Count(EventKind::kReleased), 5);
}

TEST_F(WorkerTest, ALogThatCannotBeWrittenEndsTheWorker) {
  StartServer();
  const Finished run = Run({"worker", "--server", server_->url(), "-n", "3", "--preset", "fast",
                            "--events", "/dev/full"});
  EXPECT_EQ(run.exit.code, 1);
  EXPECT_THAT(run.err, HasSubstr("/dev/full"));
  EXPECT_THAT(run.err, HasSubstr("No space left"));
}

// The second knows that the first is gone, and a third that the second isn't.
TEST_F(WorkerTest, WhoOpensALogKnowsWhetherItIsAlone) {
  StartServer();
  const auto alone = [this] {
    std::vector<bool> all;
    for (const EventLine& event : Events(events())) {
      if (event.kind == EventKind::kOpened) all.push_back(event.alone);
    }
    return all;
  };
  const auto first = StartWorker({"--set", "identity=one"});
  ASSERT_TRUE(AwaitAcquired(5)) << ReadFile(errors());
  first->Kill();
  const auto second = StartWorker({"--set", "identity=one"});
  ASSERT_TRUE(AwaitAcquired(10)) << ReadFile(errors());
  const auto third = StartWorker({"--set", "identity=two"});
  ASSERT_TRUE(WaitFor([&] { return alone().size() == 3; })) << ReadFile(errors());
  EXPECT_THAT(alone(), testing::ElementsAre(true, true, false));
  for (Process* worker : {second.get(), third.get()}) {
    ASSERT_TRUE(worker->Signal(SIGTERM).ok());
    EXPECT_TRUE(Await(*worker).ok()) << ReadFile(errors());
  }
  const Finished judged = Run({"check-history", events()});
  EXPECT_TRUE(judged.exit.ok()) << judged.out;
}

TEST_F(WorkerTest, ALineThatAKillCutOffIsEndedByTheNextWorker) {
  StartServer();
  WriteFile(events(), "{\"t\":12,\"event\":\"acq");
  const auto worker = StartWorker();
  ASSERT_TRUE(WaitFor([this] { return ReadLines(events()).size() >= 3; }));
  const std::vector<std::string> lines = ReadLines(events());
  EXPECT_EQ(lines[0], "{\"t\":12,\"event\":\"acq");
  EXPECT_TRUE(cli::ParseEventLine(lines[1]).ok()) << lines[1];
}

TEST_F(WorkerTest, SeveralProcessesShareALog) {
  StartServer();
  std::vector<std::unique_ptr<Process>> workers;
  for (int i = 0; i < 3; ++i) {
    workers.push_back(StartWorker({"--identity", "w" + std::to_string(i)}));
  }
  ASSERT_TRUE(AwaitAcquired());
  EXPECT_TRUE(WaitFor([this] { return Count(EventKind::kStarted) == 3; }));
  for (const auto& worker : workers) ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  for (const auto& worker : workers) EXPECT_TRUE(Await(*worker).ok());
  // Each line parses, or Events() complains.
  EXPECT_EQ(Count(EventKind::kStopped), 3);
}

TEST_F(WorkerTest, TheGroupsModeIsNotOurs) {
  StartServer();
  const auto worker = StartWorker();
  ASSERT_TRUE(AwaitAcquired());
  const Finished run = Run(
      {"worker", "--server", server_->url(), "-n", "5", "--preset", "fast", "--set", "mode=fast"});
  EXPECT_EQ(run.exit.code, 1);
  EXPECT_THAT(run.err, HasSubstr("mode"));
}

TEST_F(WorkerTest, OptionsFromAFileAndWhatOverridesThem) {
  StartServer();
  WriteFile(folder_->File("worker.yaml"),
            "server: " + server_->url() +
                "\npreset: fast\npartitions: 3\nassume_new_group: true\n"
                "worker_id_prefix: filed-\nlabels:\n  zone: a\n  rack: 7\n");
  const auto worker =
      StartProcess({.argv = {PARTI_BINARY, "worker", "--config", folder_->File("worker.yaml"),
                             "--partitions", "2", "--events", events(), "--verbose"},
                    .stdout_file = folder_->File("out"),
                    .stderr_file = errors()});
  ASSERT_TRUE(AwaitAcquired(2)) << ReadFile(errors());
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*worker).ok());
  EXPECT_EQ(Count(EventKind::kAcquired), 2);
  EXPECT_THAT(ReadFile(events()), HasSubstr("\"worker\":\"filed-"));
}

TEST_F(WorkerTest, MistakesAreNamedWithTheirRemedyAndExitStatus2) {
  WriteFile(folder_->File("unknown.yaml"), "partitions: 3\nheartbeat_tll: 4s\n");
  WriteFile(folder_->File("bad.yaml"), "partitions: 3\n\nheartbeat_ttl: soon\n");
  WriteFile(folder_->File("twice.yaml"), "partitions: 3\nprefix: a\nprefix: b\n");
  WriteFile(folder_->File("empty.yaml"), "partitions: 3\nprefix:\n");
  WriteFile(folder_->File("broken.yaml"), "partitions: [3\n");
  WriteFile(folder_->File("list.yaml"), "- 1\n");
  struct Case {
    std::vector<std::string> arguments;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {{"worker"}, {"--partitions is missing"}},
      {{"worker", "-n", "0"}, {"--partitions 0", "1 to 1000000"}},
      {{"worker", "-n", "1000001"}, {"1 to 1000000"}},
      {{"worker", "-n", "7x"}, {"--partitions 7x"}},
      {{"worker", "-n", "3", "--preset", "slow"}, {"--preset slow", "default", "fast"}},
      {{"worker", "-n", "3", "--strategy", "best"}, {"best", "round-robin"}},
      {{"worker", "-n", "3", "--set", "heartbeat_ttl"}, {"--set heartbeat_ttl", "name=value"}},
      {{"worker", "-n", "3", "--set", "heartbeat_ttl=soon"}, {"heartbeat_ttl", "soon"}},
      {{"worker", "-n", "3", "--set", "heartbeat_tll=4s"}, {"heartbeat_tll", "heartbeat_ttl"}},
      {{"worker", "-n", "3", "--set", "heartbeat_ttl=1s"}, {"heartbeat_ttl", "heartbeat_interval"}},
      {{"worker", "-n", "3", "--prefix", "a.b"}, {"prefix", "a.b"}},
      {{"worker", "-n", "3", "--server", ""}, {"url"}},
      {{"worker", "-n", "3", "--config", "/nonexistent.yaml"}, {"/nonexistent.yaml", "read"}},
      {{"worker", "--config", folder_->File("unknown.yaml")},
       {"line 2: unknown setting \"heartbeat_tll\": did you mean heartbeat_ttl?"}},
      {{"worker", "--config", folder_->File("bad.yaml")},
       {"line 3: heartbeat_ttl \"soon\" isn't a duration"}},
      {{"worker", "--config", folder_->File("twice.yaml")},
       {"line 3: prefix is given in line 2 already"}},
      {{"worker", "--config", folder_->File("empty.yaml")}, {"line 2: prefix: has no value"}},
      {{"worker", "-n", "3", "--metrics", "here"}, {"--metrics here: must be HOST:PORT"}},
      {{"worker", "-n", "3", "--metrics", "65536"}, {"--metrics 65536: must be HOST:PORT"}},
      {{"worker", "--config", folder_->File("broken.yaml")}, {"broken.yaml", "line"}},
      {{"worker", "--config", folder_->File("list.yaml")}, {"list.yaml", "map"}},
      {{"worker", "-n", "3", "--events", "/nonexistent/x"}, {"/nonexistent/x", "folder"}},
      {{"worker", "-n", "3", "--release-delay", "long"}, {"--release-delay long", "500ms"}},
      {{"worker", "-n", "3", "--bogus"}, {"--bogus", "worker --help"}},
      {{"worker", "-n", "3", "-v", "-q"}, {"--quiet"}},
      {{}, {"subcommand"}},
      {{"dance"}, {"subcommand"}},
  };
  for (const Case& one : cases) {
    const Finished run = Run(one.arguments);
    std::string line;
    for (const std::string& argument : one.arguments) line += argument + " ";
    EXPECT_EQ(run.exit.code, 2) << line << "\n" << run.err;
    for (const std::string& said : one.said) EXPECT_THAT(run.err, HasSubstr(said)) << line;
    EXPECT_EQ(run.out, "") << line;
  }
}

// What an HTTP server on the loopback says to a GET; empty if there is none.
std::string HttpGet(int port, const std::string& path) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    (void)!::write(socket, request.data(), request.size());
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(socket, buffer.data(), buffer.size())) > 0;) {
      answer.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  ::close(socket);
  return answer;
}

TEST_F(WorkerTest, ServesItsMetrics) {
  StartServer();
  const auto worker = StartWorker({"--metrics", "0"});
  const std::string said = "metrics are at http://127.0.0.1:";
  if (!WaitFor([&] { return ReadFile(errors()).find(said) != std::string::npos; })) {
    if (ReadFile(errors()).find("built without prometheus-cpp") != std::string::npos) {
      // `./run` installs it: only who builds otherwise can be without.
      if (std::getenv("PARTI_NO_SKIP") != nullptr) FAIL() << "built without prometheus-cpp";
      GTEST_SKIP() << "built without prometheus-cpp";
    }
    FAIL() << ReadFile(errors());
  }
  const std::string log = ReadFile(errors());
  const int port = std::stoi(log.substr(log.find(said) + said.size()));
  std::string text;
  EXPECT_TRUE(WaitFor([&] {
    text = HttpGet(port, "/metrics");
    return text.find("parti_partitions_owned{group=\"parti\"} 5") != std::string::npos;
  })) << text;
  EXPECT_THAT(text, HasSubstr("parti_leader{group=\"parti\"} 1"));
  EXPECT_THAT(text, HasSubstr("# TYPE parti_lease_margin_seconds histogram"));
  // Another one can't have the same port.
  const Finished second = Run({"worker", "-n", "5", "--metrics", std::to_string(port)});
  EXPECT_EQ(second.exit.code, 1);
  EXPECT_THAT(second.err, HasSubstr("can't listen there"));
  ASSERT_TRUE(worker->Signal(SIGTERM).ok());
  EXPECT_TRUE(Await(*worker).ok()) << ReadFile(errors());
}

TEST_F(WorkerTest, HelpVersionAndSettings) {
  const Finished help = Run({"worker", "--help"});
  EXPECT_TRUE(help.exit.ok());
  for (const char* said :
       {"--partitions", "--preset", "--set", "--config", "--events", "Examples"}) {
    EXPECT_THAT(help.out, HasSubstr(said));
  }
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("demo"));
  EXPECT_THAT(Run({"--version"}).out, testing::StartsWith("parti "));
  const Finished settings = Run({"worker", "--list-settings", "--preset", "fast"});
  EXPECT_TRUE(settings.exit.ok());
  EXPECT_THAT(settings.out, HasSubstr("\nheartbeat_ttl: 1s\n"));
  // It is a file that --config takes, whole: nothing is missing but the partitions.
  WriteFile(folder_->File("all.yaml"), settings.out);
  EXPECT_THAT(Run({"worker", "--config", folder_->File("all.yaml")}).err,
              HasSubstr("--partitions is missing"));
}

}  // namespace
}  // namespace parti::test
