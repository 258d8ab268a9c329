// What a command's main thread waits for: signals, and word from its other threads.
#ifndef PARTI_CLI_WAKEUP_H_
#define PARTI_CLI_WAKEUP_H_

namespace parti::cli {

// Make it before any thread starts: threads inherit that SIGTERM, SIGINT and SIGHUP are blocked,
// and so these reach Wait() only. (Under nohup SIGHUP stays ignored.) SIGPIPE is ignored: a reader
// of the output that goes away is an error like others.
class Wakeup {
 public:
  static constexpr int kNotified = 0;

  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // SIGTERM, SIGINT or SIGHUP (the terminal is gone) when one came; kNotified after Notify. A
  // signal goes first.
  int Wait();

  // From any thread. Several before a Wait are one.
  void Notify();

 private:
  int signals_ = -1;
  int notified_ = -1;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_WAKEUP_H_
