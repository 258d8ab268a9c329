// Judges what the register saw. The register decides: its stream is the one order of all writes
// that got through, and the event logs are asked only for who had been granted which token.
//
//   RegisterJudge judge;
//   for (… each log …) judge.AddLog("w2", text);
//   for (const std::string& violation : judge.Judge(entries)) …
//
// Of each partition, in the order of the stream:
//   tokens never go down: no older owner's write got through after a newer one's;
//   one token has one writer;
//   appends are counted without a hole or a repetition: none was overwritten unseen;
//   the writer had acquired the partition under that very token before it wrote, and when it last
//   saw that it owns, its claim (as its own log tells it) had not ended.
#ifndef PARTI_TEST_CHAOS_REGISTER_JUDGE_H_
#define PARTI_TEST_CHAOS_REGISTER_JUDGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "test/chaos/register.h"

namespace parti::chaos {

class RegisterJudge {
 public:
  // The event log of a process, whole. `writer` is its name in the register.
  void AddLog(const std::string& writer, std::string_view text);

  std::vector<std::string> Judge(const std::vector<RegisterEntry>& entries) const;

 private:
  struct Held {
    std::int64_t from = 0;
    std::int64_t to = 0;
  };
  // By writer, partition and token: when it was held.
  std::map<std::tuple<std::string, std::string, Token>, Held> held_;
};

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_REGISTER_JUDGE_H_
