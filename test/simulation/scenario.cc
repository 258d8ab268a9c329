#include "test/simulation/scenario.h"

#include <fmt/format.h>

#include <algorithm>

#include "test/simulation/random.h"

namespace parti::simulation {

using core::kMillisecond;
using core::kSecond;

std::string_view StrikeName(Strike strike) {
  switch (strike) {
    case Strike::kCrash:
      return "crash";
    case Strike::kReboot:
      return "reboot";
    case Strike::kPause:
      return "pause";
    case Strike::kLeave:
      return "leave";
    case Strike::kJoin:
      return "join";
    case Strike::kTwin:
      return "twin";
    case Strike::kCut:
      return "cut";
    case Strike::kOutage:
      return "outage";
    case Strike::kFreezeServer:
      return "freeze-server";
    case Strike::kStallWatches:
      return "stall-watches";
    case Strike::kBreakWatches:
      return "break-watches";
    case Strike::kDeleteKey:
      return "delete-key";
    case Strike::kGarbage:
      return "garbage";
    case Strike::kWipeOne:
      return "wipe-one";
    case Strike::kWipeAll:
      return "wipe-all";
    case Strike::kRollBack:
      return "roll-back";
    case Strike::kChangePartitions:
      return "change-partitions";
    case Strike::kAskRebalance:
      return "ask-rebalance";
    case Strike::kControl:
      return "control";
    case Strike::kCount:
      break;
  }
  return "?";
}

namespace {

class Drawing {
 public:
  explicit Drawing(std::uint64_t seed) : random_(seed ^ 0x5ce9a7105ce9a710ULL) { s_.seed = seed; }

  Scenario Draw() {
    if (random_.Chance(0.15)) return Contended();
    DrawGroup();
    DrawSettings();
    const double wildness = DrawProfile();
    if (wildness > 0) {
      DrawNetwork(wildness);
      DrawStrikes(wildness);
      DrawApplication(wildness);
      DrawControl();
      DrawTightDocs();
    }
    // (All workers of one build may go.)
    s_.two_builds = random_.Chance(0.25) && !s_.tight_docs;
    s_.upgraded_at = random_.Between(0, s_.chaos);
    return s_;
  }

 private:
  void DrawGroup() {
    DrawSize();
    s_.strategy = random_.Chance(0.5) ? "round-robin" : "consistent-hash";
    s_.settings.mode = random_.Chance(0.85) ? wire::Mode::kExclusive : wire::Mode::kFast;
    s_.processes_per_host = random_.Chance(0.3) ? 3 : 1;
    s_.clocks_drift = random_.Chance(0.8);
    s_.capacities_differ = random_.Chance(0.2);
    s_.start_spread = random_.Chance(0.5) ? 0 : random_.Between(0, 5 * kSecond);
    s_.listing_delay = random_.Between(0, 300 * kMillisecond);
    s_.identity_is_exclusive = random_.Chance(0.15);
    s_.settings_differ = random_.Chance(0.2);
    // Sometimes barely enough ids for all, sometimes too few.
    const double ids = random_.Unit();
    // (In fast mode a lease doesn't tell who is a member.)
    s_.few_ids = ids < 0.1 && s_.workers >= 3 && s_.settings.mode == wire::Mode::kExclusive;
    s_.settings.max_workers = s_.few_ids ? s_.workers - 1 : ids < 0.3 ? s_.workers_max + 2 : 1000;
  }

  void DrawSize() {
    const double dice = random_.Unit();
    const bool huge = dice < 0.0005;
    const bool large = dice < 0.015;
    s_.workers = huge ? random_.Int(21, 50) : large ? random_.Int(8, 20) : random_.Int(2, 6);
    s_.workers_max = s_.workers + random_.Int(1, 3);
    s_.partitions = huge    ? random_.Int(200, 500)
                    : large ? random_.Int(20, 200)
                            : random_.Int(1, 20);
  }

  // Few workers and partitions, short elections and long lives: leaders change while the rest
  // stays, writes land late, and something lurks. Where the rules of the protocol matter most.
  Scenario Contended() {
    DrawGroup();
    DrawSettings();
    s_.profile = "contended";
    s_.settings.mode = wire::Mode::kExclusive;
    s_.workers = random_.Int(2, 4);
    s_.workers_max = s_.workers + 2;
    s_.partitions = random_.Int(1, 6);
    s_.settings.max_workers = 1000;
    s_.few_ids = false;
    s_.chaos = random_.Between(15, 30) * kSecond;
    core::Settings& c = s_.settings;
    c.lease = random_.Between(1'500, 6'000) * kMillisecond;
    c.heartbeat_interval = c.lease / 6;
    s_.leases_differ = random_.Chance(0.3);
    s_.lease_max = s_.leases_differ ? c.lease * random_.Int(2, 3) : c.lease;
    c.election_ttl = random_.Between(300, 900) * kMillisecond;
    c.debounce = 20 * kMillisecond;
    c.debounce_cap = 100 * kMillisecond;
    c.cold_start_window = 200 * kMillisecond;
    c.planned_scale_window = 50 * kMillisecond;
    c.rebalance_cooldown = 100 * kMillisecond;
    c.release_timeout = 3 * kSecond;
    c.request_timeout = 150 * kMillisecond;
    DrawNetwork(0.3);
    DrawApplication(0.3);
    s_.network.document_late = Some(0.6, 0.4);
    s_.network.late_mean = random_.Between(300, 3'000) * kMillisecond;
    s_.network.late_max = 10 * kSecond;
    if (random_.Chance(0.5)) {
      s_.network.slow = 0.2;
      s_.network.slow_mean = 400 * kMillisecond;
    }
    s_.strike_mean = 1'000 * kMillisecond;
    s_.aim_at_leader = 0.7;
    s_.mid_step = Some(0.6, 0.7);
    s_.lurk = 0.1 + 0.5 * random_.Unit();
    Weigh(Strike::kPause, 0.9, 1.4);
    Weigh(Strike::kCut, 0.5, 0.5);
    Weigh(Strike::kCrash, 0.5, 0.6);
    Weigh(Strike::kChangePartitions, 0.9, 2);
    Weigh(Strike::kAskRebalance, 0.5, 1);
    Weigh(Strike::kJoin, 0.9, 1.4);
    Weigh(Strike::kLeave, 0.8, 1.2);
    Weigh(Strike::kTwin, s_.identity_is_exclusive ? 0 : 0.3, 0.6);
    if (random_.Chance(0.3)) DrawTampering();
    return s_;
  }

  void DrawSettings() {
    core::Settings& c = s_.settings;
    c.lease = random_.Between(800, 3'500) * kMillisecond;
    c.heartbeat_interval = c.lease / random_.Int(3, 5);
    c.election_ttl = random_.Between(700, 3'000) * kMillisecond;
    constexpr int kDrifts[] = {0, 10'000, 10'000, 50'000, 200'000};
    c.drift_ppm = kDrifts[random_.Index(5)];
    c.debounce = random_.Between(10, 200) * kMillisecond;
    c.debounce_cap = c.debounce + random_.Between(100, 800) * kMillisecond;
    c.cold_start_window = random_.Between(0, 3'000) * kMillisecond;
    c.planned_scale_window = random_.Between(0, 2'000) * kMillisecond;
    c.emergency_grace_period = random_.Chance(0.5) ? 0 : random_.Between(0, 1'000) * kMillisecond;
    c.rebalance_cooldown = random_.Between(0, 3'000) * kMillisecond;
    c.release_timeout = random_.Between(1'000, 5'000) * kMillisecond;
    c.refusal_backoff = random_.Between(500, 4'000) * kMillisecond;
    c.stop_timeout = random_.Between(1'000, 6'000) * kMillisecond;
    c.request_timeout = random_.Between(80, 600) * kMillisecond;
    s_.leases_differ = random_.Chance(0.2);
    s_.lease_max = s_.leases_differ ? c.lease * random_.Int(2, 3) : c.lease;
  }

  double DrawProfile() {
    const double dice = random_.Unit();
    s_.chaos = random_.Between(10, 35) * kSecond;
    if (dice < 0.05) {
      s_.profile = "still";
      return 0;
    }
    if (dice < 0.30) {
      s_.profile = "calm";
      return 0.15;
    }
    if (dice < 0.75) {
      s_.profile = "rough";
      return 0.5;
    }
    s_.profile = "wild";
    return 1;
  }

  double Some(double chance, double most) {
    return random_.Chance(chance) ? random_.Unit() * most : 0;
  }

  void DrawNetwork(double wildness) {
    NetworkFaults& n = s_.network;
    n.latency_min = random_.Between(50, 2'000) * 1'000;
    n.latency_extra = random_.Between(0, 5'000) * 1'000;
    n.slow = Some(0.6, 0.1 * wildness);
    n.slow_mean = random_.Between(5, 400) * kMillisecond;
    n.lose_request = Some(0.5, 0.06 * wildness);
    n.lose_answer = Some(0.6, 0.08 * wildness);
    n.land_late = Some(0.6, 0.06 * wildness);
    n.late_mean = random_.Between(100, 6'000) * kMillisecond;
    n.late_max = 20 * kSecond;
    n.refuse = Some(0.2, 0.03 * wildness);
    n.partial_scan = Some(0.5, 0.3 * wildness);
    n.watch_stall = Some(0.4, 0.01 * wildness);
    n.watch_break = Some(0.4, 0.01 * wildness);
    n.skip_superseded = Some(0.5, 0.3);
  }

  void Weigh(Strike strike, double chance, double most) {
    s_.weights[static_cast<std::size_t>(strike)] = Some(chance, most);
  }

  void DrawStrikes(double wildness) {
    s_.strike_mean =
        static_cast<Nanos>(static_cast<double>(random_.Between(1'000, 4'000)) / (0.3 + wildness)) *
        kMillisecond;
    s_.aim_at_leader = random_.Unit() * 0.8;
    s_.mid_step = Some(0.6, 0.7);
    s_.lurk = Some(0.4, 0.3 * wildness);
    Weigh(Strike::kCrash, 0.7, 1);
    Weigh(Strike::kReboot, 0.2, 0.4);
    Weigh(Strike::kPause, 0.8, 2);
    Weigh(Strike::kLeave, 0.6, 0.7);
    Weigh(Strike::kJoin, 0.7, 0.7);
    Weigh(Strike::kTwin, s_.identity_is_exclusive ? 0 : 0.15, 0.4);
    Weigh(Strike::kCut, 0.6, 1);
    Weigh(Strike::kOutage, 0.3, 0.3);
    Weigh(Strike::kFreezeServer, 0.3, 0.3);
    Weigh(Strike::kStallWatches, 0.4, 0.8);
    Weigh(Strike::kBreakWatches, 0.4, 0.8);
    Weigh(Strike::kChangePartitions, 0.5, 0.6);
    Weigh(Strike::kAskRebalance, 0.3, 0.5);
    DrawTampering();
    s_.modes_differ = !Tampered() && random_.Chance(0.4);
  }

  bool Tampered() const {
    return s_.has(Strike::kDeleteKey) || s_.has(Strike::kGarbage) || s_.has(Strike::kWipeOne) ||
           s_.has(Strike::kWipeAll) || s_.has(Strike::kRollBack);
  }

  // Somebody's hand in the buckets. Where the records of all leases are lost, nobody can know of a
  // lease longer than his own; and who vouches for a new group had better have one.
  void DrawTampering() {
    s_.settings.assume_new_group = random_.Chance(0.1);
    if (s_.settings.assume_new_group) return;
    Weigh(Strike::kDeleteKey, 0.25, 0.5);
    Weigh(Strike::kGarbage, 0.25, 0.5);
    Weigh(Strike::kWipeOne, 0.2, 0.3);
    if (!s_.leases_differ) Weigh(Strike::kRollBack, 0.15, 0.3);
    if (!s_.leases_differ) Weigh(Strike::kWipeAll, 0.12, 0.2);
  }

  void DrawControl() {
    Weigh(Strike::kControl, 0.3, 1);
    s_.control_stays = s_.has(Strike::kControl) && random_.Chance(0.6);
  }

  // Moves take several docs, one after the other. With the fewest workers that may be left, a share
  // still fits.
  void DrawTightDocs() {
    if (s_.capacities_differ || s_.partitions < 6 || !random_.Chance(0.1)) return;
    s_.tight_docs = true;
    s_.control_stays = false;
    const int workers = (s_.workers + 1) / 2;
    const int share = (s_.partitions + 4) * 11 / 10 / workers + 1;
    const std::size_t each = wire::DocBytesPerPartition(fmt::format("p-{}", s_.partitions + 4));
    s_.settings.max_doc_bytes = wire::kDocBaseBytes + static_cast<std::size_t>(share) * each;
  }

  void DrawApplication(double wildness) {
    HookFaults& h = s_.hooks;
    h.typical = random_.Between(0, 20) * kMillisecond;
    h.slow = Some(0.4, 0.2 * wildness);
    h.slow_mean = random_.Between(50, 1'500) * kMillisecond;
    h.stuck = Some(0.3, 0.05 * wildness);
    h.stuck_max = 3 * s_.settings.release_timeout;
    h.fail_acquire = Some(0.25, 0.2 * wildness);
    s_.strategy_faults.slow = Some(0.2, 0.2);
    s_.strategy_faults.slow_mean = 500 * kMillisecond;
    s_.strategy_faults.fail = Some(0.15, 0.2 * wildness);
    s_.listing_fails = Some(0.2, 0.3);
  }

  Scenario s_;
  Random random_;
};

double Seconds(Nanos time) { return static_cast<double>(time) / 1e9; }

}  // namespace

Scenario DrawScenario(std::uint64_t seed) { return Drawing(seed).Draw(); }

// The longest chain that calm times may need: the hooks and holds of before end; a dead leader is
// waited out, who takes over evicts and waits out a lease; ids come free; then the windows, the
// cooldown and two rounds of revoke and grant, with what was refused coming back.
Nanos Scenario::SettleBound() const {
  const core::Settings& c = settings;
  const Nanos lease = longest_lease() + longest_lease() / 5;
  return 4 * lease + 6 * c.election_ttl + c.stop_timeout + 2 * c.release_timeout +
         c.cold_start_window + 3 * c.planned_scale_window + c.emergency_grace_period +
         3 * c.rebalance_cooldown + 2 * c.refusal_backoff + 20 * c.request_timeout +
         5 * c.debounce_cap + 10 * kSecond;
}

Nanos Scenario::QuietTime() const {
  const core::Settings& c = settings;
  return 2 * longest_lease() + c.election_ttl + c.rebalance_cooldown + c.refusal_backoff +
         c.planned_scale_window + c.release_timeout;
}

std::string Describe(const Scenario& s) {
  std::string strikes;
  for (std::size_t i = 0; i < kStrikes; ++i) {
    if (s.weights[i] > 0) {
      strikes += fmt::format(" {}", StrikeName(static_cast<Strike>(i)));
    }
  }
  return fmt::format(
      "seed {}: {}, {} workers (up to {}), {} partitions, {}, mode {}{}, lease {:.2f} s{}, "
      "election "
      "{:.2f} s, drift {} ppm, request timeout {:.2f} s, {:.0f} s of chaos; strikes:{}",
      s.seed, s.profile, s.workers, s.workers_max, s.partitions, s.strategy,
      wire::ModeName(s.settings.mode), s.two_builds ? ", two builds" : "",
      Seconds(s.settings.lease),
      s.leases_differ ? fmt::format(" to {:.2f} s", Seconds(s.lease_max)) : "",
      Seconds(s.settings.election_ttl), s.settings.drift_ppm, Seconds(s.settings.request_timeout),
      Seconds(s.chaos), strikes.empty() ? " none" : strikes);
}

}  // namespace parti::simulation
