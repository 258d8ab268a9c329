// What a chaos run comes to: faults by kind, gaps of ownership by the kind of fault that caused
// them, the register's writes, and every violation.
#ifndef PARTI_TEST_CHAOS_REPORT_H_
#define PARTI_TEST_CHAOS_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "parti/cli/observer.h"
#include "test/chaos/nemesis.h"

namespace parti::chaos {

struct ChaosReport {
  std::uint64_t seed = 0;
  double minutes = 0;
  std::string servers;                                    // "1 × nats-server 2.9.10"
  std::map<std::string, std::size_t> faults;              // by kind
  std::map<std::string, std::vector<std::int64_t>> gaps;  // by kind, ns
  std::size_t writes = 0;
  std::size_t refused = 0;    // for an older token than the stored one
  std::size_t overtaken = 0;  // by a write that came in after they had read
  std::size_t processes = 0;
  std::size_t claims = 0;
  std::size_t terms = 0;
  std::vector<std::string> skipped;
  std::vector<std::string> violations;
};

// Puts each gap down to the fault that began last before the gap did; before the first, to "none".
void AddGaps(const std::vector<cli::Gap>& gaps, const std::vector<Deed>& deeds,
             ChaosReport* report);

std::string ReportText(const ChaosReport& report);

}  // namespace parti::chaos

#endif  // PARTI_TEST_CHAOS_REPORT_H_
