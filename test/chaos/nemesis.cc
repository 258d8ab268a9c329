#include "test/chaos/nemesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <thread>
#include <utility>

#include "parti/cli/worker_group.h"

namespace parti::chaos {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::chrono::seconds kLeaveTimeout(30);
constexpr std::int64_t kSupervisorMs = 500;
constexpr std::array<const char*, 4> kBuckets = {"stableid", "election", "heartbeat", "assignment"};

}  // namespace

Nemesis::Nemesis(Crew* crew, Servers* servers, Network* network, NatsClient* client,
                 const NemesisOptions& options)
    : crew_(*crew),
      servers_(*servers),
      network_(network),
      client_(*client),
      options_(options),
      random_(options.seed),
      server_busy_(servers->size(), false) {
  AddWorkerKinds();
  AddCrowdKinds();
  AddNetworkKinds();
  AddServerKinds();
  AddDataKinds();
  if (options.only.empty()) return;
  std::erase_if(kinds_, [&](const Kind& kind) {
    return std::find(options.only.begin(), options.only.end(), kind.name) == options.only.end();
  });
}

std::int64_t Nemesis::DrawMs(std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(Draw(static_cast<std::uint64_t>(most - least + 1)));
}

std::vector<Place> Nemesis::Idle() const {
  std::vector<Place> places;
  for (Place place = 0; place < crew_.size(); ++place) {
    if (crew_.Runs(place) && !crew_.busy(place)) places.push_back(place);
  }
  return places;
}

std::optional<Place> Nemesis::Victim() {
  const std::optional<Place> leader = crew_.Leader();
  std::vector<Place> places = Idle();
  std::erase_if(places, [&](Place place) { return place == leader; });
  if (places.empty()) return std::nullopt;
  return places[Draw(places.size())];
}

std::optional<Place> Nemesis::VictimWhoLeads() {
  const std::optional<Place> leader = crew_.Leader();
  if (!leader.has_value() || crew_.busy(*leader) || !crew_.Runs(*leader)) return std::nullopt;
  return leader;
}

// One at a time as a rule: with two of three gone there is no quorum, and little to see.
std::optional<std::size_t> Nemesis::VictimServer() {
  const bool any = std::find(server_busy_.begin(), server_busy_.end(), true) != server_busy_.end();
  if (any && Draw(8) != 0) return std::nullopt;
  const std::size_t server = Draw(servers_.size());
  if (server_busy_[server]) return std::nullopt;
  return server;
}

void Nemesis::Did(const std::string& kind, const std::string& what) {
  deeds_.push_back({.kind = kind, .what = what, .began = striking_since_});
}

void Nemesis::Until(std::int64_t ms, std::function<void()> undo, std::function<void()> meanwhile) {
  active_.push_back({.ends = cli::BootNanos() + ms * kMillisecond,
                     .undo = std::move(undo),
                     .meanwhile = std::move(meanwhile)});
}

void Nemesis::Check(const absl::Status& status, const std::string& what) {
  if (!status.ok() && failure_.empty()) failure_ = what + ": " + std::string(status.message());
}

void Nemesis::Strike() {
  striking_since_ = cli::BootNanos();
  when_calm_ = nullptr;
  int all = 0;
  for (const Kind& kind : kinds_) all += kind.weight;
  if (all == 0) return;
  auto at = static_cast<int>(Draw(static_cast<std::uint64_t>(all)));
  for (const Kind& kind : kinds_) {
    at -= kind.weight;
    if (at >= 0) continue;
    kind.strike();
    return;
  }
}

bool Nemesis::StrikeTheCalm() {
  striking_since_ = cli::BootNanos();
  return std::exchange(when_calm_, nullptr)();
}

void Nemesis::Tick() {
  if (network_ != nullptr) network_->Tick();
  RestartTheCrashed();
  const std::int64_t now = cli::BootNanos();
  for (std::size_t i = 0; i < active_.size();) {
    if (active_[i].ends > now) {
      if (active_[i].meanwhile) active_[i].meanwhile();
      ++i;
      continue;
    }
    const std::function<void()> undo = std::move(active_[i].undo);
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
    undo();
  }
}

// As a supervisor does. (nats-server 2.9.10 crashes now and then when a stream is deleted while a
// message of it is asked for.)
void Nemesis::RestartTheCrashed() {
  for (std::size_t server = 0; server < servers_.size(); ++server) {
    if (server_busy_[server] || servers_.Running(server)) continue;
    server_busy_[server] = true;
    striking_since_ = cli::BootNanos();
    Did("(server crash)", servers_.name(server) + " ended by itself; its log says why");
    Until(kSupervisorMs, [this, server] {
      Check(servers_.Restart(server), "a server doesn't start again");
      server_busy_[server] = false;
    });
  }
}

void Nemesis::EndAll() {
  for (Active& active : std::exchange(active_, {})) active.undo();
}

std::vector<std::string> Nemesis::kinds() const {
  std::vector<std::string> names;
  for (const Kind& kind : kinds_) names.push_back(kind.name);
  return names;
}

void Nemesis::AddWorkerKinds() {
  const auto kill = [this](const std::string& kind, std::optional<Place> place) {
    if (!place.has_value()) return false;
    crew_.SetBusy(*place, true);
    crew_.Kill(*place);
    Did(kind, crew_.name(*place));
    // At once, within the lease, or after it.
    const std::int64_t away = Draw(3) == 0 ? 0 : DrawMs(100, 3000);
    Until(away, [this, place = *place] {
      Check(crew_.Start(place), "a killed worker doesn't start again");
      crew_.SetBusy(place, false);
    });
    return true;
  };
  const auto pause = [this](const std::string& kind, std::optional<Place> place) {
    if (!place.has_value()) return false;
    crew_.SetBusy(*place, true);
    crew_.Pause(*place);
    const std::int64_t ms = DrawMs(50, 3500);
    Did(kind, fmt::format("{} for {} ms", crew_.name(*place), ms));
    Until(ms, [this, place = *place] {
      crew_.Resume(place);
      crew_.SetBusy(place, false);
    });
    return true;
  };
  kinds_.push_back({"kill-worker", 4, [=, this] { return kill("kill-worker", Victim()); }});
  kinds_.push_back({"kill-leader", 4, [=, this] { return kill("kill-leader", VictimWhoLeads()); }});
  kinds_.push_back({"pause-worker", 4, [=, this] { return pause("pause-worker", Victim()); }});
  kinds_.push_back(
      {"pause-leader", 4, [=, this] { return pause("pause-leader", VictimWhoLeads()); }});
  kinds_.push_back({"restart-worker", 3, [this] {
                      const auto place = Draw(3) == 0 ? VictimWhoLeads() : Victim();
                      if (!place.has_value()) return false;
                      crew_.SetBusy(*place, true);
                      crew_.Terminate(*place);
                      Did("restart-worker", crew_.name(*place));
                      Until(DrawMs(200, 2000), [this, place = *place] {
                        const auto end = std::chrono::steady_clock::now() + kLeaveTimeout;
                        while (crew_.Runs(place) && std::chrono::steady_clock::now() < end) {
                          crew_.group().Poll();
                          std::this_thread::sleep_for(std::chrono::milliseconds(5));
                        }
                        if (crew_.Runs(place)) {
                          Check(absl::DeadlineExceededError("it still runs 30 s after SIGTERM"),
                                crew_.name(place));
                          crew_.Kill(place);
                        }
                        Check(crew_.Start(place), "a worker doesn't start again");
                        crew_.SetBusy(place, false);
                      });
                      return true;
                    }});
  kinds_.push_back({"twin", 2, [this] {
                      const auto place = Victim();
                      if (!place.has_value()) return false;
                      const auto twin = crew_.StartTwin(*place);
                      if (!twin.ok()) return false;
                      // It may wait for an id for as long as it lives.
                      crew_.group().SetAside(*twin, true);
                      crew_.SetBusy(*place, true);
                      Did("twin", "a second process as " + crew_.name(*place));
                      Until(DrawMs(500, 4000), [this, place = *place, twin = *twin] {
                        crew_.group().Terminate(twin);
                        crew_.SetBusy(place, false);
                      });
                      return true;
                    }});
}

void Nemesis::AddCrowdKinds() {
  kinds_.push_back({"kill-all", 1, [this] {
                      const std::vector<Place> places = Idle();
                      if (places.size() < crew_.size()) return false;
                      for (const Place place : places) {
                        crew_.SetBusy(place, true);
                        crew_.Kill(place);
                      }
                      Did("kill-all", fmt::format("{} workers", places.size()));
                      Until(Draw(2) == 0 ? 0 : DrawMs(100, 2000), [this, places] {
                        for (const Place place : places) {
                          Check(crew_.Start(place), "a killed worker doesn't start again");
                          crew_.SetBusy(place, false);
                        }
                      });
                      return true;
                    }});
  // Stopped and let go on again and again, within moments: between any two of its steps.
  kinds_.push_back({"stutter", 2, [this] {
                      const auto place = Draw(2) == 0 ? VictimWhoLeads() : Victim();
                      if (!place.has_value()) return false;
                      crew_.SetBusy(*place, true);
                      const std::int64_t ms = DrawMs(500, 4000);
                      Did("stutter", fmt::format("{} for {} ms", crew_.name(*place), ms));
                      const auto undo = [this, place = *place] {
                        crew_.Resume(place);
                        crew_.SetBusy(place, false);
                      };
                      const auto meanwhile = [this, place = *place] {
                        Draw(3) == 0 ? crew_.Resume(place) : crew_.Pause(place);
                      };
                      Until(ms, undo, meanwhile);
                      return true;
                    }});
}

bool Nemesis::CutPlaces(const std::string& kind, std::vector<Place> places, Crew::Way way) {
  if (places.empty()) return false;
  const std::int64_t ms = DrawMs(100, 4000);
  std::string names;
  for (const Place place : places) {
    crew_.SetBusy(place, true);
    crew_.Cut(place, way);
    names += crew_.name(place) + " ";
  }
  Did(kind, fmt::format("{}for {} ms", names, ms));
  Until(ms, [this, places = std::move(places)] {
    for (const Place place : places) {
      crew_.Heal(place);
      crew_.SetBusy(place, false);
    }
  });
  return true;
}

void Nemesis::AddNetworkKinds() {
  const auto one = [](std::optional<Place> place) {
    return place.has_value() ? std::vector<Place>{*place} : std::vector<Place>{};
  };
  kinds_.push_back({"cut-worker", 3, [=, this] {
                      return CutPlaces("cut-worker", one(Victim()), Crew::Way::kBoth);
                    }});
  kinds_.push_back({"cut-leader", 3, [=, this] {
                      return CutPlaces("cut-leader", one(VictimWhoLeads()), Crew::Way::kBoth);
                    }});
  kinds_.push_back({"cut-subset", 2, [this] {
                      std::vector<Place> places;
                      for (const Place place : Idle()) {
                        if (Draw(2) == 0) places.push_back(place);
                      }
                      return CutPlaces("cut-subset", places, Crew::Way::kBoth);
                    }});
  kinds_.push_back({"deaf", 2, [=, this] {
                      const auto place = Draw(2) == 0 ? VictimWhoLeads() : Victim();
                      return CutPlaces("deaf", one(place), Crew::Way::kDeaf);
                    }});
  kinds_.push_back({"mute", 2, [=, this] {
                      const auto place = Draw(2) == 0 ? VictimWhoLeads() : Victim();
                      return CutPlaces("mute", one(place), Crew::Way::kMute);
                    }});
  const auto slow = [this](const std::string& kind, bool lossy) {
    const auto place = Draw(2) == 0 ? VictimWhoLeads() : Victim();
    if (!place.has_value()) return false;
    crew_.SetBusy(*place, true);
    lossy ? crew_.Lossy(*place) : crew_.Slow(*place);
    const std::int64_t ms = DrawMs(500, 5000);
    Did(kind, fmt::format("{} for {} ms", crew_.name(*place), ms));
    Until(ms, [this, place = *place] {
      crew_.Mend(place);
      crew_.SetBusy(place, false);
    });
    return true;
  };
  kinds_.push_back({"slow-link", 2, [=] { return slow("slow-link", false); }});
  if (network_ == nullptr) {
    skipped_.push_back("lossy links: without namespaces there are none");
    return;
  }
  kinds_.push_back({"lossy-link", 2, [=] { return slow("lossy-link", true); }});
  if (!network_->has_netem()) {
    skipped_.push_back(
        "tc netem: the kernel hasn't got it; slow links are of 96 kbit/s (tbf), lossy ones go dark "
        "for moments");
  }
}

bool Nemesis::StopServer(const std::string& kind, bool kill) {
  const auto server = VictimServer();
  if (!server.has_value()) return false;
  server_busy_[*server] = true;
  kill ? servers_.Kill(*server) : servers_.Stop(*server);
  const std::int64_t ms = DrawMs(0, servers_.size() > 1 ? 6000 : 3000);
  Did(kind, fmt::format("{} for {} ms", servers_.name(*server), ms));
  Until(ms, [this, server = *server] {
    Check(servers_.Restart(server), "a server doesn't start again");
    server_busy_[server] = false;
  });
  return true;
}

void Nemesis::AddServerKinds() {
  kinds_.push_back({"kill-server", 3, [this] { return StopServer("kill-server", true); }});
  kinds_.push_back({"restart-server", 1, [this] { return StopServer("restart-server", false); }});
  kinds_.push_back({"pause-server", 2, [this] {
                      const auto server = VictimServer();
                      if (!server.has_value()) return false;
                      server_busy_[*server] = true;
                      servers_.Pause(*server);
                      const std::int64_t ms = DrawMs(100, 3000);
                      Did("pause-server", fmt::format("{} for {} ms", servers_.name(*server), ms));
                      Until(ms, [this, server = *server] {
                        servers_.Resume(server);
                        server_busy_[server] = false;
                      });
                      return true;
                    }});
  if (servers_.size() == 1) return;
  kinds_.push_back({"step-down", 4, [this] {
                      const std::uint64_t which = Draw(kBuckets.size() + 1);
                      const std::string bucket =
                          options_.prefix + "-" +
                          (which < kBuckets.size() ? kBuckets[which] : "register");
                      if (!client_.StepDown(bucket).ok()) return false;
                      Did("step-down", "of " + bucket);
                      return true;
                    }});
  if (network_ == nullptr) {
    skipped_.push_back("cuts between servers: without namespaces there are none");
    return;
  }
  kinds_.push_back({"cut-server", 3, [this] {
                      const auto server = VictimServer();
                      if (!server.has_value()) return false;
                      server_busy_[*server] = true;
                      const bool one_way = Draw(3) == 0;
                      for (std::size_t other = 0; other < servers_.size(); ++other) {
                        if (other == *server) continue;
                        network_->Block(servers_.host(*server), servers_.host(other));
                        if (!one_way) network_->Block(servers_.host(other), servers_.host(*server));
                      }
                      const std::int64_t ms = DrawMs(500, 6000);
                      Did("cut-server",
                          fmt::format("{} from the others{} for {} ms", servers_.name(*server),
                                      one_way ? ", one way," : "", ms));
                      Until(ms, [this, server = *server] {
                        for (std::size_t other = 0; other < servers_.size(); ++other) {
                          network_->Unblock(servers_.host(server), servers_.host(other));
                          network_->Unblock(servers_.host(other), servers_.host(server));
                        }
                        server_busy_[server] = false;
                      });
                      return true;
                    }});
}

void Nemesis::Forget(std::uint64_t bucket) {
  if (bucket == 0 || bucket == 2) ids_forgotten_ = true;
  if (bucket == 3) versions_forgotten_ = true;
}

std::string Nemesis::DrawKey(std::string* bucket) {
  static constexpr const char* kElectionKeys[] = {"leader", "control", "report"};
  const std::uint64_t which = Draw(kBuckets.size());
  *bucket = options_.prefix + "-" + kBuckets[which];
  Forget(which);
  if (which == 1) return kElectionKeys[Draw(10) < 7 ? 0 : 1 + Draw(2)];
  return fmt::format("worker-{}", Draw(crew_.size()));
}

// All four buckets, in any order, within milliseconds. What is left knows epochs and versions from
// the memory of the workers alone. So each must have come to know them before, and nothing else may
// happen until one of them leads again. (Who doesn't know the last epoch may gain it once more,
// under another nonce. It grants nothing for a lease, and goes on above the others' epoch when it
// hears of it from their heartbeats.)
bool Nemesis::Wipe(const std::string& kind, const std::function<absl::Status(std::string)>& wipe) {
  std::array<std::uint64_t, kBuckets.size()> order{0, 1, 2, 3};
  std::shuffle(order.begin(), order.end(), random_);
  std::string names;
  for (const std::uint64_t bucket : order) {
    if (!wipe(options_.prefix + "-" + kBuckets[bucket]).ok()) continue;
    Forget(bucket);
    names += std::string(names.empty() ? "" : ", ") + kBuckets[bucket];
  }
  if (names.empty()) return false;
  Did(kind, names);
  return true;
}

// One at a time, or all with a rest after: never the leader record and the documents and then
// whoever led, for what is left then knows no epoch.
void Nemesis::AddDataKinds() {
  kinds_.push_back({"delete-key", 2, [this] {
                      std::string bucket;
                      const std::string key = DrawKey(&bucket);
                      if (!client_.DeleteKey(bucket, key).ok()) return false;
                      Did("delete-key", key + " of " + bucket);
                      return true;
                    }});
  kinds_.push_back({"purge-key", 2, [this] {
                      std::string bucket;
                      const std::string key = DrawKey(&bucket);
                      if (!client_.PurgeKey(bucket, key).ok()) return false;
                      Did("purge-key", key + " of " + bucket);
                      return true;
                    }});
  kinds_.push_back({"delete-bucket", 1, [this] {
                      if (!active_.empty()) return false;
                      const std::uint64_t which = Draw(kBuckets.size());
                      const std::string bucket = options_.prefix + "-" + kBuckets[which];
                      if (!client_.DeleteBucket(bucket).ok()) return false;
                      Forget(which);
                      Did("delete-bucket", bucket);
                      return true;
                    }});
  kinds_.push_back({"wipe-buckets", 1, [this] {
                      when_calm_ = [this] {
                        return Wipe("wipe-buckets", [this](const std::string& bucket) {
                          return client_.DeleteBucket(bucket);
                        });
                      };
                      return true;
                    }});
  kinds_.push_back({"purge-buckets", 1, [this] {
                      when_calm_ = [this] {
                        return Wipe("purge-buckets", [this](const std::string& bucket) {
                          return client_.PurgeBucket(bucket);
                        });
                      };
                      return true;
                    }});
}

}  // namespace parti::chaos
