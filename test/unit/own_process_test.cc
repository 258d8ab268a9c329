// Proof that a process is gone: given only when it certainly is.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>

#include "internal/runtime/environment.h"
#include "internal/runtime/process.h"

namespace parti::runtime {
namespace {

// A child that only waits, and is killed and reaped in the end.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) {
      while (true) pause();
    }
  }
  ~Child() { KillAndReap(); }

  void Kill() { kill(pid_, SIGKILL); }
  void AwaitZombie() {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void KillAndReap() {
    if (reaped_) return;
    Kill();
    waitpid(pid_, nullptr, 0);
    reaped_ = true;
  }

  // Its record, as it would have written it itself.
  wire::ProcessId Record() const {
    wire::ProcessId record = OwnProcess();
    record.pid = pid_;
    return record;
  }

 private:
  const pid_t pid_;
  bool reaped_ = false;
};

// A child began at another tick than we did, so its start is found by trying: the right one is the
// one for which a living child isn't gone.
wire::ProcessId WithStart(wire::ProcessId record) {
  while (ProcessIsGone(record)) ++record.start_ticks;
  return record;
}

TEST(OwnProcessTest, KnowsItself) {
  const wire::ProcessId own = OwnProcess();
  EXPECT_EQ(own.pid, getpid());
  EXPECT_FALSE(own.boot_id.empty());
  EXPECT_GT(own.pid_namespace, 0U);
  EXPECT_GT(own.start_ticks, 0U);
  EXPECT_EQ(own, OwnProcess());
}

TEST(OwnProcessTest, ALivingProcessIsNotGone) {
  EXPECT_FALSE(ProcessIsGone(OwnProcess()));
  const Child child;
  EXPECT_FALSE(ProcessIsGone(WithStart(child.Record())));
}

TEST(OwnProcessTest, AReapedProcessIsGone) {
  Child child;
  const wire::ProcessId record = WithStart(child.Record());
  child.KillAndReap();
  EXPECT_TRUE(ProcessIsGone(record));
}

TEST(OwnProcessTest, AKilledProcessThatNobodyReapedIsGone) {
  Child child;
  const wire::ProcessId record = WithStart(child.Record());
  child.Kill();
  child.AwaitZombie();
  EXPECT_TRUE(ProcessIsGone(record));
}

TEST(OwnProcessTest, ThePidOfAnotherStartIsAnotherProcess) {
  wire::ProcessId record = OwnProcess();
  ++record.start_ticks;
  EXPECT_TRUE(ProcessIsGone(record));
}

TEST(OwnProcessTest, OfAnotherMachineOrBootOrNamespaceNothingIsKnown) {
  Child child;
  const wire::ProcessId gone = WithStart(child.Record());
  child.KillAndReap();
  wire::ProcessId record = gone;
  record.boot_id = "11111111-2222-3333-4444-555555555555";
  EXPECT_FALSE(ProcessIsGone(record));
  record.boot_id = "";
  EXPECT_FALSE(ProcessIsGone(record));
  record = gone;
  ++record.pid_namespace;
  EXPECT_FALSE(ProcessIsGone(record));
}

TEST(OwnProcessTest, PidsThatAreNoneProveNothing) {
  for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{-getpid()},
                                 std::int64_t{1} << 40, std::numeric_limits<std::int64_t>::min()}) {
    wire::ProcessId record = OwnProcess();
    record.pid = pid;
    EXPECT_FALSE(ProcessIsGone(record)) << pid;
  }
}

TEST(OwnProcessTest, RandomBitsDiffer) {
  RealEnvironment environment;
  EXPECT_NE(environment.RandomBits(), environment.RandomBits());
}

}  // namespace
}  // namespace parti::runtime
