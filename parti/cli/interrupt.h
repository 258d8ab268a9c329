// Ctrl-C and SIGTERM as a word in season, for commands that wait for something else.
//
//   Interrupt interrupt;                       // before any other thread
//   …
//   interrupt.Listen([&] { reader.Wake(); });
//   while (interrupt.signal() == 0) …
//
// Thread safety: signal() from any thread.
#ifndef PARTI_CLI_INTERRUPT_H_
#define PARTI_CLI_INTERRUPT_H_

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "parti/cli/wakeup.h"

namespace parti::cli {

class Interrupt {
 public:
  Interrupt() = default;
  ~Interrupt() {
    if (!thread_.joinable()) return;
    wakeup_.Notify();
    thread_.join();
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // `told` is called from another thread, for each signal. Once.
  void Listen(std::function<void()> told) {
    thread_ = std::thread([this, told = std::move(told)] {
      while (true) {
        const int signal = wakeup_.Wait();
        if (signal == Wakeup::kNotified) return;
        signal_ = signal;
        told();
      }
    });
  }

  // The signal that came; 0: none.
  int signal() const { return signal_; }

 private:
  Wakeup wakeup_;
  std::atomic<int> signal_ = 0;
  std::thread thread_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_INTERRUPT_H_
