// The story that `parti demo` plays: a group starts, grows, shrinks, loses its leader and a worker
// to SIGKILL, and gets one back. Each step waits until everything is owned again by exactly the
// living.
#ifndef PARTI_CLI_DEMO_STORY_H_
#define PARTI_CLI_DEMO_STORY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "parti/cli/demo_summary.h"
#include "parti/cli/worker_group.h"

namespace parti::cli {

struct StoryOptions {
  int workers = 4;
  std::uint64_t seed = 1;                      // who leaves, who dies
  std::chrono::milliseconds pause{400};        // between steps, for whoever watches
  std::chrono::milliseconds quiet{500};        // without a move: the step is over
  std::chrono::milliseconds deadline{60'000};  // of each step
};

// Who is told what happens. All three are called from Run.
struct StoryTeller {
  std::function<void(const std::string&)> say;  // something happened
  std::function<void(const std::string&)> now;  // something is being done
  // Called many times a second, after the logs were read. False: break off.
  std::function<bool()> tick;
};

class DemoStory {
 public:
  // The group must outlive the story and have no workers yet.
  DemoStory(WorkerGroup* group, StoryOptions options, StoryTeller teller);

  // Plays it. False if it broke off: failure() says why; empty when tick wanted it.
  bool Run();

  const std::vector<DemoStep>& steps() const { return steps_; }
  const std::string& failure() const { return failure_; }
  // Partitions that nobody held when the last step was over.
  std::size_t unowned() const { return unowned_; }

 private:
  bool Step(const std::string& name, bool changes_leader, const std::function<bool()>& cause);
  bool Start(const std::string& name);
  bool Tick();
  bool Await(const std::function<std::string()>& why_not);
  bool Rest();
  bool Fail(std::string why);
  void TellNews();
  std::size_t AnyFollower();
  std::string Label(std::size_t worker) const;

  WorkerGroup* const group_;
  const StoryOptions options_;
  const StoryTeller teller_;
  std::mt19937_64 random_;
  std::size_t leaderships_told_ = 0;
  std::int64_t cause_at_ = 0;
  std::vector<DemoStep> steps_;
  std::size_t unowned_ = 0;
  std::string failure_;
};

}  // namespace parti::cli

#endif  // PARTI_CLI_DEMO_STORY_H_
