// The whole core of a worker, as a member and as a leader, fed with arbitrary entries, answers and
// events. worker_judge.h says what must hold.
#include <string>
#include <vector>

#include "test/fuzz/bytes.h"
#include "test/fuzz/worker_world.h"

namespace parti::fuzz {

void FuzzWorker(Input input) {
  // Longer ones find nothing that two shorter ones don't.
  constexpr std::size_t kMaxBytes = 8192;
  Bytes bytes(input.first(std::min(input.size(), kMaxBytes)));
  World world(&bytes);
  world.Run();
}

void CheckWorkerSeeds() {
  for (const auto& [name, script] : SeedsOf("worker")) {
    const std::vector<std::uint8_t> input(script.begin(), script.end());
    Bytes bytes(input);
    World world(&bytes);
    world.Run();
    const bool member = name == "member";
    Require(world.led() != member, "seed " + name + ": who leads isn't who should");
    Require(world.most_owned() >= (member ? 2U : 4U), "seed " + name + ": nothing was owned");
  }
}

}  // namespace parti::fuzz
