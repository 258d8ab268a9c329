// Fuzz targets: each takes any bytes, and ends the program if something happened that must not.
//
//   for (const Target& target : Targets()) target.run({bytes, size});
//
// Two programs are made of them: `fuzz`, which libFuzzer drives (clang only, PARTI_FUZZ), and
// `fuzz_replay`, which runs the kept corpus through them in every build.
//
// Thread safety: none; a target keeps no state from one input to the next.
#ifndef PARTI_TEST_FUZZ_TARGETS_H_
#define PARTI_TEST_FUZZ_TARGETS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace parti::fuzz {

using Input = std::span<const std::uint8_t>;

struct Target {
  std::string_view name;   // of its corpus folder, too
  std::string_view about;  // one line
  void (*run)(Input input);
};

std::span<const Target> Targets();
const Target* FindTarget(std::string_view name);  // null: there is none

// Inputs to begin with, file name → bytes, made by the encoders themselves.
std::map<std::string, std::string> SeedsOf(std::string_view target);

// The scripts for the worker's core lead where they are meant to: to a worker that leads, and to
// one that owns what another leader gave it. Else mutating them would find nothing.
void CheckWorkerSeeds();

// Ends the program, with `what`, unless `holds`.
void Require(bool holds, std::string_view what);

inline std::string_view TextOf(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// The targets, by the files that define them.
void FuzzClaim(Input input);  // record_targets.cc
void FuzzLeader(Input input);
void FuzzHeartbeat(Input input);
void FuzzDoc(Input input);
void FuzzControl(Input input);
void FuzzReport(Input input);
void FuzzUnpack(Input input);
void FuzzJetstream(Input input);  // text_targets.cc
void FuzzConnection(Input input);
void FuzzEventLine(Input input);
void FuzzSettings(Input input);  // settings_targets.cc
void FuzzYaml(Input input);
void FuzzStatus(Input input);  // status_target.cc
void FuzzWorker(Input input);  // worker_target.cc

}  // namespace parti::fuzz

#endif  // PARTI_TEST_FUZZ_TARGETS_H_
