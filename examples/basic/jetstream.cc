#include "jetstream.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

constexpr const char* kStream = "ORDERS";
constexpr int kBatch = 16;
constexpr std::int64_t kFetchMs = 200;
// A message that was fetched and not acknowledged comes again after this long.
constexpr std::int64_t kAckWaitNs = 2'000'000'000;

void OrDie(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  std::fprintf(stderr, "%s: %s: is a nats-server running with JetStream (nats-server -js)?\n", what,
               natsStatus_GetText(status));
  std::exit(1);
}

}  // namespace

JetStream::JetStream(const std::string& url) {
  OrDie(natsConnection_ConnectTo(&connection_, url.c_str()), url.c_str());
  OrDie(natsConnection_JetStream(&js_, connection_, nullptr), "JetStream");
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  const char* subjects[] = {"orders.*"};
  config.Name = kStream;
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  OrDie(js_AddStream(nullptr, js_, &config, nullptr, nullptr), "stream ORDERS");
}

JetStream::~JetStream() {
  jsCtx_Destroy(js_);
  natsConnection_Destroy(connection_);
}

bool JetStream::Publish(const std::string& subject, std::string_view text) {
  return js_Publish(nullptr, js_, subject.c_str(), text.data(), static_cast<int>(text.size()),
                    nullptr, nullptr) == NATS_OK;
}

// The consumer is created apart from the subscription, which would delete what it created itself.
JetStream::Consumer::Consumer(JetStream& stream, const std::string& subject,
                              const std::string& durable_name) {
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Durable = durable_name.c_str();
  config.FilterSubject = subject.c_str();
  config.AckPolicy = js_AckExplicit;
  config.AckWait = kAckWaitNs;
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = kStream;
  options.Consumer = durable_name.c_str();
  natsStatus status = js_AddConsumer(nullptr, stream.js_, kStream, &config, nullptr, nullptr);
  if (status == NATS_OK) {
    status = js_PullSubscribe(&subscription_, stream.js_, subject.c_str(), nullptr, nullptr,
                              &options, nullptr);
  }
  if (status != NATS_OK) {
    std::fprintf(stderr, "consumer %s: %s\n", durable_name.c_str(), natsStatus_GetText(status));
  }
}

JetStream::Consumer::~Consumer() { natsSubscription_Destroy(subscription_); }

void JetStream::Consumer::Fetch(const std::function<bool(std::string_view text)>& handle) {
  natsMsgList list = {};
  const natsStatus status = natsSubscription_Fetch(&list, subscription_, kBatch, kFetchMs, nullptr);
  if (status != NATS_OK && status != NATS_TIMEOUT) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kFetchMs));  // the server is away
  }
  for (int i = 0; i < list.Count; ++i) {
    natsMsg* message = list.Msgs[i];
    const std::string_view text(natsMsg_GetData(message),
                                static_cast<std::size_t>(natsMsg_GetDataLength(message)));
    if (!handle(text)) break;
    (void)natsMsg_Ack(message, nullptr);
  }
  natsMsgList_Destroy(&list);
}
