// What tests share: waiting for conditions, temporary folders, a server, child processes.
#ifndef PARTI_TEST_SUPPORT_SUPPORT_H_
#define PARTI_TEST_SUPPORT_SUPPORT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "parti/cli/nats_server.h"
#include "parti/cli/process.h"
#include "parti/cli/temp_folder.h"

namespace parti::test {

using cli::ExitStatus;
using cli::NatsServer;
using cli::NatsServerOptions;
using cli::Process;
using cli::ProcessOptions;
using TempDir = cli::TempFolder;

// Generous, for a loaded machine under a sanitizer; a test that passes never waits this long.
inline constexpr std::chrono::seconds kDeadline(60);

// Asks `condition` again and again until it is true; false if it never was within `deadline`.
bool WaitFor(const std::function<bool()>& condition,
             std::chrono::milliseconds deadline = kDeadline);

// True if `condition` stays true for the whole of `span`. For what must not happen.
bool StaysTrue(const std::function<bool()>& condition, std::chrono::milliseconds span);

// These end the test program with the reason if they fail: without them no test means anything.
std::unique_ptr<NatsServer> StartServer(const NatsServerOptions& options = {});
void RestartServer(NatsServer& server);
// With `config` in place of its NatsServerOptions::extra_config, while its clients stay connected.
void ReloadServer(NatsServer& server, const std::string& config);
std::unique_ptr<Process> StartProcess(const ProcessOptions& options);
std::unique_ptr<TempDir> MakeTempDir();

std::string ReadFile(const std::string& path);  // empty if it can't be read
std::vector<std::string> ReadLines(const std::string& path);
void WriteFile(const std::string& path, std::string_view text);

}  // namespace parti::test

#endif  // PARTI_TEST_SUPPORT_SUPPORT_H_
