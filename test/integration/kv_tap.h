// Listens to what everyone writes into a group's buckets, and says which connection wrote it: what
// an outsider can know of who leads, without asking any worker.
//
//   KvTap tap(cluster.server().url(), cluster.prefix());
//   … tap.Writes() …
//
// It sees attempts: a write that the server refused is in the list too.
//
// Thread safety: every method may be called from any thread.
#ifndef PARTI_TEST_INTEGRATION_KV_TAP_H_
#define PARTI_TEST_INTEGRATION_KV_TAP_H_

#include <nats/nats.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "internal/wire/records.h"

namespace parti::test {

class KvTap {
 public:
  struct Write {
    std::string bucket;  // without the prefix: "assignment"
    std::string key;
    std::string writer;  // one name for each connection
    std::string value;
  };
  struct DocWrite {
    std::string worker;  // whose doc
    std::string writer;
    wire::Doc doc;
  };
  struct LeaderWrite {
    std::string writer;
    wire::Leader leader;
  };

  KvTap(const std::string& url, std::string prefix);
  ~KvTap();
  KvTap(const KvTap&) = delete;
  KvTap& operator=(const KvTap&) = delete;

  // In the order in which the server handed them on.
  std::vector<Write> Writes() const;
  std::vector<DocWrite> Docs() const;
  std::vector<LeaderWrite> Leaders() const;
  // The highest version of any doc written so far; 0: none.
  std::uint64_t Version() const;
  // How often somebody asked for the state of this bucket's stream: the leader's poll does.
  std::size_t Polls(std::string_view bucket) const;

 private:
  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure);
  void Listen(const std::string& subject);

  const std::string prefix_;
  mutable std::mutex mutex_;
  std::vector<Write> writes_;
  std::vector<std::string> polls_;  // the streams asked for
  natsConnection* connection_ = nullptr;
  std::vector<natsSubscription*> subscriptions_;
};

}  // namespace parti::test

#endif  // PARTI_TEST_INTEGRATION_KV_TAP_H_
