// The little of JetStream that this example needs, over the NATS C client: a stream ORDERS, and for
// each partition a durable consumer, which remembers what was acknowledged whoever works on it.
#ifndef EXAMPLES_BASIC_JETSTREAM_H_
#define EXAMPLES_BASIC_JETSTREAM_H_

#include <nats/nats.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

constexpr int kPartitions = 12;  // the producer and all workers must agree

class JetStream {
 public:
  // Connects and creates the stream if there is none. Ends the program if that fails.
  explicit JetStream(const std::string& url);
  ~JetStream();
  JetStream(const JetStream&) = delete;
  JetStream& operator=(const JetStream&) = delete;

  // True once the stream has the message.
  bool Publish(const std::string& subject, std::string_view text);

  // The messages of one subject that nobody has acknowledged.
  class Consumer {
   public:
    Consumer(JetStream& stream, const std::string& subject, const std::string& durable_name);
    ~Consumer();
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    // Waits up to a fifth of a second for a few messages and hands them to `handle` in order. True
    // from it acknowledges the message; at false the rest comes again, to whoever fetches then.
    void Fetch(const std::function<bool(std::string_view text)>& handle);

   private:
    natsSubscription* subscription_ = nullptr;
  };

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* js_ = nullptr;
};

#endif  // EXAMPLES_BASIC_JETSTREAM_H_
