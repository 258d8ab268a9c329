// A private nats-server with JetStream: on loopback, on a free port, its files in a folder of its
// own.
//
//   auto server = NatsServer::Start({});
//   Connect((*server)->url());
//   (*server)->Kill();            // SIGKILL: the process is gone, its files and port stay reserved
//   (*server)->Restart();         // on the same files and port
//
// It dies with this process, and its temporary folder goes with the object.
//
// Thread safety: none.
#ifndef PARTI_CLI_NATS_SERVER_H_
#define PARTI_CLI_NATS_SERVER_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parti/cli/process.h"
#include "parti/cli/temp_folder.h"

namespace parti::cli {

struct NatsServerOptions {
  std::string binary = {};  // empty: $NATS_SERVER, else nats-server on PATH or in /usr/sbin
  bool start = true;        // false: choose a port only; Restart() starts it
  bool jetstream = true;    // false: a server without JetStream
  std::string extra_jetstream = {};  // more within jetstream {}, such as "domain: hub"
  std::string extra_config = {};     // more lines for the server's configuration file
};

class NatsServer {
 public:
  // Returns once the server accepts connections.
  static absl::StatusOr<std::unique_ptr<NatsServer>> Start(const NatsServerOptions& options);
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  std::string url() const;
  int port() const { return port_; }
  bool Running() const { return process_ != nullptr && process_->Running(); }
  pid_t pid() const { return process_ == nullptr ? 0 : process_->pid(); }

  void Stop();             // SIGTERM: the server shuts down in order
  void Kill();             // SIGKILL
  absl::Status Restart();  // Stop() if it runs; then starts on the same files and port
  void Pause();            // SIGSTOP: connections stay open, nothing is answered
  void Resume();           // SIGCONT

  // SIGHUP: the server reads its configuration again, without interruption. Returns once it has;
  // the error is what the server says.
  absl::Status Reload();

  // Replaces NatsServerOptions::extra_config; takes effect at the next Restart() or Reload().
  void SetExtraConfig(std::string extra_config) { extra_config_ = std::move(extra_config); }

  // The server's log so far, for error messages.
  std::string Log() const;

  // The folder of its configuration, log and store.
  const std::string& folder() const { return folder_->path(); }

 private:
  NatsServer(std::string binary, std::unique_ptr<TempFolder> folder,
             const NatsServerOptions& options)
      : binary_(std::move(binary)),
        folder_(std::move(folder)),
        jetstream_(options.jetstream),
        extra_jetstream_(options.extra_jetstream),
        extra_config_(options.extra_config) {}
  absl::Status Launch();  // on port_
  absl::Status AwaitReady();
  absl::Status WriteConfig();

  const std::string binary_;
  std::unique_ptr<TempFolder> folder_;
  const bool jetstream_;
  const std::string extra_jetstream_;
  std::string extra_config_;
  std::string name_;  // tells our server from one that another process started on the same port
  int port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_NATS_SERVER_H_
