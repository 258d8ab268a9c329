#include "parti/cli/wakeup.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace parti::cli {

Wakeup::Wakeup() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGHUP);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  notified_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

Wakeup::~Wakeup() {
  close(signals_);
  close(notified_);
}

int Wakeup::Wait() {
  while (true) {
    std::array<pollfd, 2> waiting = {pollfd{signals_, POLLIN, 0}, pollfd{notified_, POLLIN, 0}};
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
    signalfd_siginfo info{};
    if (read(signals_, &info, sizeof info) == sizeof info) return static_cast<int>(info.ssi_signo);
    std::uint64_t count = 0;
    if (read(notified_, &count, sizeof count) == sizeof count) return kNotified;
  }
}

void Wakeup::Notify() {
  const std::uint64_t one = 1;
  // It fails only when it is notified already, 2^64 times over.
  if (write(notified_, &one, sizeof one) < 0) return;
}

}  // namespace parti::cli
