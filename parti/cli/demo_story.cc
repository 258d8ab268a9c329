#include "parti/cli/demo_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace parti::cli {
namespace {

constexpr std::chrono::milliseconds kTick(25);

double Millis(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

}  // namespace

DemoStory::DemoStory(WorkerGroup* group, StoryOptions options, StoryTeller teller)
    : group_(group),
      options_(options),
      teller_(std::move(teller)),
      random_(options.seed),
      unowned_(group->observer().partitions().size()) {}

bool DemoStory::Run() {
  const auto cold_start = [this] {
    for (int i = 0; i < options_.workers; ++i) {
      if (!Start(fmt::format("w{}", i))) return false;
    }
    return true;
  };
  if (!Step(fmt::format("cold start of {} workers", options_.workers), true, cold_start))
    return false;

  const std::string newcomer = fmt::format("w{}", options_.workers);
  if (!Step("a worker joins", false, [&] { return Start(newcomer); })) return false;

  const std::size_t leaver = AnyFollower();
  if (!Step(fmt::format("{} leaves (SIGTERM)", Label(leaver)), false, [&] {
        group_->Terminate(leaver);
        return Await([&] { return group_->Running(leaver) ? "it still runs" : std::string(); });
      })) {
    return false;
  }
  if (!group_->exit(leaver)->ok()) {
    return Fail(fmt::format("{} left with {}", Label(leaver), group_->exit(leaver)->ToString()));
  }

  const std::size_t leader = *group_->Leader();  // there is one when a step is over
  if (!Step(fmt::format("SIGKILL of the leader, {}", Label(leader)), true, [&] {
        group_->Kill(leader);
        return true;
      })) {
    return false;
  }

  const std::size_t victim = AnyFollower();
  if (!Step(fmt::format("SIGKILL of {}", Label(victim)), false, [&] {
        group_->Kill(victim);
        return true;
      })) {
    return false;
  }

  const std::string name = group_->name(victim) + "-again";
  if (!Step(fmt::format("{} starts again", Label(victim)), false, [&] { return Start(name); })) {
    return false;
  }
  return true;
}

// A worker that starts again keeps the identity of the process it replaces, and so gets its id
// back.
bool DemoStory::Start(const std::string& name) {
  const std::string identity = name.substr(0, name.find('-'));
  const absl::StatusOr<std::size_t> worker = group_->Spawn(name, {"identity=demo-" + identity});
  if (!worker.ok()) return Fail(std::string(worker.status().message()));
  return true;
}

bool DemoStory::Step(const std::string& name, bool changes_leader,
                     const std::function<bool()>& cause) {
  const std::vector<Holder> before = group_->observer().HoldersAt(BootNanos());
  const std::size_t terms_before = group_->observer().leaderships().size();
  teller_.say(name);
  teller_.now("waiting until every partition is owned by exactly the living workers …");
  cause_at_ = BootNanos();
  if (!cause()) return false;
  if (!Await([this] { return group_->WhyUnsettled(options_.quiet); })) return false;

  const std::vector<Holder> after = group_->observer().HoldersAt(BootNanos());
  std::int64_t done_at = cause_at_;
  for (const Holder& holder : after) done_at = std::max(done_at, holder.since);
  DemoStep step{.name = name,
                .ms = Millis(done_at - cause_at_),
                .moved = CountMoved(before, after),
                .least = LeastMoves(before, after)};
  const std::vector<Leadership>& terms = group_->observer().leaderships();
  if (changes_leader && terms.size() > terms_before) {
    step.new_leader_ms = Millis(terms[terms_before].t - cause_at_);
  }
  unowned_ =
      static_cast<std::size_t>(std::count_if(after.begin(), after.end(), [](const Holder& holder) {
        return !holder.process.has_value();
      }));
  teller_.say(fmt::format("  all owned after {:.0f} ms; moved {}, least possible {}", step.ms,
                          step.moved, step.least));
  steps_.push_back(std::move(step));
  return Rest();
}

bool DemoStory::Await(const std::function<std::string()>& why_not) {
  const auto end = std::chrono::steady_clock::now() + options_.deadline;
  std::string why;
  do {
    if (!Tick()) return false;
    why = why_not();
    if (why.empty()) return true;
  } while (std::chrono::steady_clock::now() < end);
  return Fail(fmt::format("not settled within {} s: {}\n{}", options_.deadline.count() / 1000, why,
                          group_->Describe()));
}

bool DemoStory::Rest() {
  teller_.now("");
  const auto end = std::chrono::steady_clock::now() + options_.pause;
  while (std::chrono::steady_clock::now() < end) {
    if (!Tick()) return false;
  }
  return true;
}

bool DemoStory::Tick() {
  std::this_thread::sleep_for(kTick);
  group_->Poll();
  TellNews();
  if (!teller_.tick()) return false;
  std::string ended = group_->UnexpectedEnd();
  return ended.empty() || Fail(std::move(ended));
}

void DemoStory::TellNews() {
  const std::vector<Leadership>& terms = group_->observer().leaderships();
  for (; leaderships_told_ < terms.size(); ++leaderships_told_) {
    const Leadership& term = terms[leaderships_told_];
    teller_.say(fmt::format("  {} leads, epoch {}, after {:.0f} ms", Label(term.process),
                            term.epoch, Millis(term.t - cause_at_)));
  }
}

bool DemoStory::Fail(std::string why) {
  failure_ = std::move(why);
  return false;
}

std::size_t DemoStory::AnyFollower() {
  std::vector<std::size_t> followers = group_->Living();
  std::erase(followers, group_->Leader());
  std::uniform_int_distribution<std::size_t> any(0, followers.size() - 1);
  return followers[any(random_)];
}

std::string DemoStory::Label(std::size_t worker) const {
  const std::string id = group_->observer().View(worker).worker;
  return id.empty() ? group_->name(worker) : id;
}

}  // namespace parti::cli
