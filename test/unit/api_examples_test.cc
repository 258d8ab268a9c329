// The code of docs/api.md, compiled, and run where it needs no server. What stands between a line
// `// [name]` and `// [end]` is a block there; docs_test.cc compares them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parti/manager.h"
#include "parti/partition_for.h"
#include "strategies/strategies.h"

namespace parti {
namespace {

using std::chrono::milliseconds;

// What the application of the examples has of its own.
class Application {
 public:
  absl::Status Open(const std::string&) { return absl::OkStatus(); }
  void Drain(const std::string&, milliseconds) {}
  void Abandon(const std::string&) {}
  bool Store(std::string_view, FencingToken) { return true; }
  void Answer(int code, const std::string& text) { answers.push_back(std::to_string(code) + text); }
  void Say(std::string_view) {}
  std::vector<std::string> answers;
};

absl::StatusOr<std::unique_ptr<parti::Manager>> CreateWorker(parti::Hooks hooks) {
  // [create]
  parti::ManagerOptions options;
  options.config = parti::Config::Preset("default").value();
  options.config.prefix = "orders";      // the group's name
  options.config.identity = "orders-0";  // of this process, the same after a restart
  options.nats.url = "nats://nats-1:4222,nats://nats-2:4222";
  options.source = std::make_shared<parti::StaticPartitionSource>(
      std::vector<parti::Partition>{{.keys = {"eu", "1"}}, {.keys = {"eu", "2"}, .weight = 3}});
  options.strategy = parti::MakeConsistentHash();
  options.hooks = std::move(hooks);
  absl::StatusOr<std::unique_ptr<parti::Manager>> manager =
      parti::Manager::Create(std::move(options));
  // [end]
  return manager;
}

absl::Status StartWorker(parti::Manager& manager, Application& app) {
  // [start]
  absl::Status status = manager.Start(std::chrono::seconds(30));
  if (absl::IsDeadlineExceeded(status)) {
    app.Say("no worker id yet: is NATS there? It goes on trying");
  } else if (!status.ok()) {
    return status;  // it has given up; the message says what to do
  }
  // [end]
  return absl::OkStatus();
}

void OnMessage(parti::Manager& manager, Application& app, const std::string& region,
               std::string_view value) {
  // [work]
  if (const auto token = manager.TokenFor("eu-" + region)) {
    app.Store(value, *token);  // which refuses a token smaller than one it has seen
  }
  // [end]
}

parti::Hooks MakeHooks(Application* app) {
  // [hooks]
  parti::Hooks hooks;
  hooks.on_acquire = [app](const parti::OwnedPartition& partition) {
    return app->Open(partition.id);  // an error gives the partition back
  };
  hooks.on_release = [app](std::span<const parti::OwnedPartition> partitions,
                           std::chrono::milliseconds bound) {
    for (const auto& partition : partitions) app->Drain(partition.id, bound);
  };
  hooks.on_lost = [app](std::span<const parti::OwnedPartition> partitions, std::string_view why) {
    app->Say(why);
    for (const auto& partition : partitions) app->Abandon(partition.id);
  };
  hooks.on_error = [app](const absl::Status& status) { app->Say(status.ToString()); };
  // [end]
  return hooks;
}

void Probe(const parti::Manager& manager, Application& app) {
  // [probes]
  const parti::WorkerHealth health = manager.Health();
  app.Answer(health.live ? 200 : 503, health.why_not);   // /healthz
  app.Answer(health.ready ? 200 : 503, health.why_not);  // /readyz
  // [end]
}

void Look(const parti::Manager& manager, Application& app) {
  // [status]
  const parti::WorkerStatus status = manager.Status();
  if (status.hook_running > std::chrono::minutes(1)) app.Say(status.hook + " takes long");
  if (status.lives > 1) app.Say("lost its lease before; last: " + status.last_error);
  // [end]
}

absl::Status StopWorker(parti::Manager& manager) {
  // [stop]
  absl::Status status = manager.Stop();
  while (absl::IsDeadlineExceeded(status)) status = manager.Stop();  // or give up, and say so
  // [end]
  return status;
}

TEST(ApiExamplesTest, AreWhatTheySay) {
  Application app;
  const auto manager = CreateWorker(MakeHooks(&app));
  ASSERT_TRUE(manager.ok()) << manager.status();
  Probe(**manager, app);
  EXPECT_THAT(app.answers,
              testing::ElementsAre("200Start was not called", "503Start was not called"));
  Look(**manager, app);
  OnMessage(**manager, app, "1", "value");
  EXPECT_TRUE(StopWorker(**manager).ok());
  EXPECT_EQ(StartWorker(**manager, app).code(), absl::StatusCode::kCancelled);
}

TEST(ApiExamplesTest, PartitionFor) {
  std::vector<std::string> subjects;
  const auto publish = [&](const std::string& subject) { subjects.push_back(subject); };
  const std::string customer = "order-1";
  // [partition_for]
  const std::int32_t number = parti::PartitionFor(customer, 24);
  publish("orders." + std::to_string(number));
  // [end]
  EXPECT_THAT(subjects, testing::ElementsAre("orders.14"));
}

}  // namespace
}  // namespace parti
