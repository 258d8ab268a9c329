#include "parti/cli/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <functional>
#include <future>
#include <thread>
#include <utility>

extern char** environ;

namespace parti::cli {
namespace {

constexpr std::chrono::milliseconds kPollInterval(2);

// Everything the child needs, prepared before the fork: after it, only async-signal-safe calls.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> envp;
  const char* stdout_file = nullptr;
  const char* stderr_file = nullptr;
  int stdout_fd = -1;  // the pipe's writing end
  int error_fd = -1;   // where errno goes if the program can't be started
  pid_t parent = 0;
};

[[noreturn]] void GiveUp(const Prepared& prepared) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(prepared.error_fd, &error, sizeof(error));
  _exit(127);
}

void Redirect(const Prepared& prepared, const char* file, int to) {
  const int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0 || dup2(fd, to) < 0) GiveUp(prepared);
  if (fd != to) close(fd);
}

[[noreturn]] void RunChild(const Prepared& prepared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != prepared.parent) _exit(127);  // it died before the line above took hold
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A process group of its own: a Ctrl-C at the terminal is for the parent to hand on.
  setpgid(0, 0);
  if (prepared.stdout_fd >= 0) {
    if (dup2(prepared.stdout_fd, STDOUT_FILENO) < 0) GiveUp(prepared);
  } else if (prepared.stdout_file != nullptr) {
    Redirect(prepared, prepared.stdout_file, STDOUT_FILENO);
  }
  if (prepared.stderr_file != nullptr) Redirect(prepared, prepared.stderr_file, STDERR_FILENO);
  execvpe(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  GiveUp(prepared);
}

// PR_SET_PDEATHSIG fires when the *thread* that forked ends, so one thread, which lives as long as
// this process does, forks for all.
class Forker {
 public:
  static Forker& Get() {
    static Forker* const forker = new Forker;  // never destroyed: its thread uses it to the end
    return *forker;
  }

  // The child's pid, or -1 with errno in `error`.
  pid_t Fork(const Prepared& prepared, int* error) {
    std::promise<std::pair<pid_t, int>> done;
    auto result = done.get_future();
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back([&prepared, &done] {
        const pid_t pid = fork();
        if (pid == 0) RunChild(prepared);
        done.set_value({pid, errno});
      });
    }
    changed_.notify_one();
    const auto [pid, fork_error] = result.get();
    *error = fork_error;
    return pid;
  }

 private:
  Forker() {
    std::thread([this] { Run(); }).detach();
  }

  [[noreturn]] void Run() {
    // Signals are for the threads that chose to handle them.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !jobs_.empty(); });
      std::function<void()> job = std::move(jobs_.back());
      jobs_.pop_back();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> jobs_;
};

std::vector<std::string> MergedEnvironment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    if (!extra.contains(text.substr(0, text.find('=')))) merged.push_back(text);
  }
  for (const auto& [name, value] : extra) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

class Fd {
 public:
  ~Fd() { Reset(); }
  int get() const { return fd_; }
  void Set(int fd) { fd_ = fd; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

absl::Status MakePipe(Fd* reading, Fd* writing) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(fmt::format("can't make a pipe: {}", strerror(errno)));
  }
  reading->Set(ends[0]);
  writing->Set(ends[1]);
  return absl::OkStatus();
}

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

std::string ExitStatus::ToString() const {
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit status {}", code);
}

absl::StatusOr<std::unique_ptr<Process>> Process::Start(const ProcessOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("a process needs an argv[0]");
  Fd error_in, error_out, stdout_in, stdout_out;
  if (absl::Status made = MakePipe(&error_in, &error_out); !made.ok()) return made;
  if (options.pipe_stdout) {
    if (absl::Status made = MakePipe(&stdout_in, &stdout_out); !made.ok()) return made;
  }
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  const Prepared prepared{.argv = Pointers(argv),
                          .envp = Pointers(environment),
                          .stdout_file = OrNull(options.stdout_file),
                          .stderr_file = OrNull(options.stderr_file),
                          .stdout_fd = stdout_out.get(),
                          .error_fd = error_out.get(),
                          .parent = getpid()};
  int error = 0;
  const pid_t pid = Forker::Get().Fork(prepared, &error);
  if (pid < 0) {
    return absl::ResourceExhaustedError(
        fmt::format("can't fork for {}: {}", options.argv[0], strerror(error)));
  }
  error_out.Reset();
  stdout_out.Reset();
  ssize_t got = 0;  // the pipe closes without a word when the program starts
  do {
    got = read(error_in.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got != 0) {
    waitpid(pid, nullptr, 0);
    return absl::NotFoundError(fmt::format("can't start {}: {}", options.argv[0], strerror(error)));
  }
  return std::unique_ptr<Process>(new Process(pid, stdout_in.Release()));
}

Process::~Process() {
  Kill();
  if (stdout_fd_ >= 0) close(stdout_fd_);
}

bool Process::Reap() {
  if (exit_) return true;
  int status = 0;
  const pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return false;
  exit_.emplace();
  if (got < 0) {
    exit_->code = -1;  // reaped by someone else
  } else if (WIFSIGNALED(status)) {
    exit_->signal = WTERMSIG(status);
  } else {
    exit_->code = WEXITSTATUS(status);
  }
  return true;
}

absl::Status Process::Signal(int signal) {
  std::lock_guard lock(mutex_);
  if (Reap()) {
    return absl::FailedPreconditionError(
        fmt::format("process {} has ended: {}", pid_, exit_->ToString()));
  }
  if (kill(pid_, signal) != 0) {
    return absl::InternalError(
        fmt::format("can't send signal {} to process {}: {}", signal, pid_, strerror(errno)));
  }
  return absl::OkStatus();
}

void Process::Freeze() {
  while (Signal(SIGSTOP).ok()) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG) == 0 &&
        info.si_pid == pid_) {
      return;
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

bool Process::Running() {
  std::lock_guard lock(mutex_);
  return !Reap();
}

std::optional<ExitStatus> Process::Wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (Reap()) return exit_;
    }
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(kPollInterval);
  }
}

ExitStatus Process::Kill() {
  Signal(SIGKILL).IgnoreError();
  while (true) {
    if (const auto exit = Wait(std::chrono::hours(1))) return *exit;
  }
}

}  // namespace parti::cli
