// Publishes orders: each to the partition of its customer, so that a customer's orders stay in
// order.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "jetstream.h"
#include "parti/partition_for.h"

int main(int argc, char** argv) {
  const std::string url = argc > 1 ? argv[1] : "nats://127.0.0.1:4222";
  const int count = argc > 2 ? std::atoi(argv[2]) : 100;
  if (count < 1) {
    std::fprintf(stderr, "usage: orders-producer [URL] [COUNT], with a COUNT of at least 1\n");
    return 2;
  }

  JetStream stream(url);
  for (int i = 0; i < count; ++i) {
    const std::string customer = "customer-" + std::to_string(i % 50);
    const auto partition = parti::PartitionFor(customer, kPartitions);
    if (!stream.Publish("orders." + std::to_string(partition),
                        std::to_string(i) + " of " + customer)) {
      std::fprintf(stderr, "orders-producer: order %d was not accepted by the stream\n", i);
      return 1;
    }
  }
  std::printf("published %d orders\n", count);
  return 0;
}
