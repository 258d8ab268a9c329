#include "test/simulation/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "test/simulation/run.h"

namespace parti::simulation {

using core::kMillisecond;
using core::kSecond;
using wire::Bucket;

// A command line: words, of which some are name=value.
struct Story::Words {
  explicit Words(const std::string& line) {
    std::istringstream in(line);
    for (std::string word; in >> word;) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        plain.push_back(word);
      } else {
        named[word.substr(0, equals)] = word.substr(equals + 1);
      }
    }
  }
  const std::string& at(std::size_t i) const {
    if (i >= plain.size()) throw std::invalid_argument("a word is missing");
    return plain[i];
  }
  std::vector<std::string> plain;
  std::map<std::string, std::string> named;
};

namespace {

// "1500ms", "2s", "0.5s".
Nanos Duration(const std::string& text) {
  std::size_t end = 0;
  const double number = std::stod(text, &end);
  const std::string unit = text.substr(end);
  if (unit == "ms") return static_cast<Nanos>(number * static_cast<double>(kMillisecond));
  if (unit == "s") return static_cast<Nanos>(number * static_cast<double>(kSecond));
  throw std::invalid_argument("a duration is a number with ms or s: " + text);
}

Bucket BucketNamed(const std::string& name) {
  for (int i = 0; i < wire::kBucketCount; ++i) {
    if (wire::BucketName(static_cast<Bucket>(i)) == name) return static_cast<Bucket>(i);
  }
  throw std::invalid_argument("no bucket is called " + name);
}

// "assignment/worker-1" or "assignment".
std::pair<Bucket, std::string> Split(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return {BucketNamed(text), ""};
  return {BucketNamed(text.substr(0, slash)), text.substr(slash + 1)};
}

void Apply(const std::string& name, const std::string& value, core::Settings* settings) {
  if (name == "mode") {
    settings->mode = value == "fast" ? wire::Mode::kFast : wire::Mode::kExclusive;
  } else if (name == "lease") {
    settings->lease = Duration(value);
    settings->heartbeat_interval = settings->lease / 3;
  } else if (name == "election") {
    settings->election_ttl = Duration(value);
  } else if (name == "capacity") {
    settings->capacity = std::stoll(value);
  } else if (name == "release-timeout") {
    settings->release_timeout = Duration(value);
  } else if (name == "request-timeout") {
    settings->request_timeout = Duration(value);
  } else if (name == "new-group") {
    settings->assume_new_group = value == "assumed";
  } else if (name == "max-doc-bytes") {
    settings->max_doc_bytes = std::stoull(value);
  } else if (name == "cooldown") {
    settings->rebalance_cooldown = Duration(value);
  } else if (name == "speaks") {
    settings->newest_wire_version = std::stoi(value);
  } else if (name == "speaks-from") {
    settings->oldest_wire_version = std::stoi(value);
  } else if (name == "wire-limit") {
    settings->wire_version_limit = std::stoi(value);
  } else if (name == "exclusive-identity") {
    settings->identity_is_exclusive = value == "yes";
  } else if (name == "max-workers") {
    settings->max_workers = std::stoi(value);
  } else {
    throw std::invalid_argument("no setting is called " + name);
  }
}

std::string Join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace

Story::Story() {
  core::Settings& settings = scenario_.settings;
  settings.assume_new_group = true;
  settings.cold_start_window = kSecond;
  settings.planned_scale_window = kSecond;
  settings.rebalance_cooldown = kSecond;
  settings.release_timeout = 5 * kSecond;
  settings.refusal_backoff = 2 * kSecond;
  scenario_.partitions = 6;
  scenario_.strategy_faults.typical = kMillisecond;
}

Story::~Story() = default;

World& Story::world() {
  if (!world_) world_ = std::make_unique<World>(scenario_, &history_);
  return *world_;
}

Process& Story::Named(const std::string& name) {
  Process* process = world().Find(name);
  if (process == nullptr) throw std::invalid_argument("nobody is called " + name);
  return *process;
}

std::string Story::NameOf(const std::string& worker) {
  std::string name = "nobody";
  for (const std::unique_ptr<Process>& process : world().processes()) {
    if (world().claims().worker(process->number()) == worker) name = process->name();
  }
  return name;
}

std::string Story::Do(const std::string& line) {
  const Words words(line);
  std::string shown;
  try {
    const std::string& command = words.at(0);
    if (command == "group") {
      Group(words);
    } else if (command == "start") {
      Start(words);
    } else if (command == "run") {
      Run(words);
    } else if (command == "settle") {
      shown = Settle(words);
    } else if (command == "show") {
      shown = Show(words);
    } else if (command == "crash-after" || command == "pause-after") {
      StrikeAfter(words);
    } else if (words.named.contains("fate")) {
      Ambush(words);
    } else if (!ByHand(words) && !OnProcess(words)) {
      return fmt::format("error: no command is called {}\n", command);
    }
  } catch (const std::exception& e) {
    return fmt::format("error: {}\n", e.what());
  }
  if (world_ && !world_->verdict().good()) {
    const Violation& violation = *world_->verdict().violation();
    return Happened() + fmt::format("BROKEN: {}: {}\n", violation.invariant, violation.what);
  }
  return Happened() + shown;
}

void Story::Group(const Words& words) {
  if (world_) throw std::invalid_argument("group comes first");
  for (const auto& [name, value] : words.named) {
    if (name == "partitions") {
      scenario_.partitions = std::stoi(value);
    } else if (name == "strategy") {
      scenario_.strategy = value;
    } else if (name == "strategy-takes") {
      scenario_.strategy_faults.typical = Duration(value);
    } else if (name == "seed") {
      scenario_.seed = std::stoull(value);
    } else {
      Apply(name, value, &scenario_.settings);
    }
  }
}

void Story::Start(const Words& words) {
  World::Birth birth;
  birth.name = words.at(1);
  core::Settings settings = scenario_.settings;
  for (const auto& [name, value] : words.named) {
    if (name == "identity") {
      birth.identity = value;
    } else if (name == "beside") {
      birth.host = Named(value).host();
    } else {
      Apply(name, value, &settings);
    }
  }
  birth.settings = settings;
  world().StartProcess(std::move(birth));
}

void Story::Run(const Words& words) { world().RunFor(Duration(words.at(1))); }

std::string Story::Settle(const Words& words) {
  const Nanos began = world().now();
  const Nanos bound = words.plain.size() > 1 ? Duration(words.at(1)) : 60 * kSecond;
  const bool settled =
      world().RunUntilHolds(bound, 10 * kMillisecond, [this] { return !world().Unsettled(); });
  if (!settled) return fmt::format("not settled: {}\n", world().Unsettled().value_or("?"));
  return fmt::format("settled after {:.1f} s\n", static_cast<double>(world().now() - began) / 1e9);
}

// "a put assignment/worker-1 fate=lose-answer delay=5s times=2"
void Story::Ambush(const Words& words) {
  Network::Ambush ambush;
  if (words.at(0) != "anyone") ambush.process = &Named(words.at(0));
  ambush.put = words.at(1) == "put";
  std::tie(ambush.bucket, ambush.key) = Place(words.at(2));
  const std::string& fate = words.named.at("fate");
  using Fate = Network::Ambush::Fate;
  const std::map<std::string, Fate> fates = {{"lose-request", Fate::kLoseRequest},
                                             {"lose-answer", Fate::kLoseAnswer},
                                             {"land-late", Fate::kLandLate},
                                             {"slow", Fate::kSlow},
                                             {"refuse", Fate::kRefuse}};
  if (!fates.contains(fate)) throw std::invalid_argument("no fate is called " + fate);
  ambush.fate = fates.at(fate);
  if (words.named.contains("delay")) ambush.delay = Duration(words.named.at("delay"));
  if (words.named.contains("times")) ambush.times = std::stoi(words.named.at("times"));
  world().network().Lay(std::move(ambush));
}

// The process is killed, or stands still, at the instant at which somebody's next write there is
// made.
void Story::StrikeAfter(const Words& words) {
  Process* victim = &Named(words.at(1));
  const bool kill = words.at(0) == "crash-after";
  const auto [bucket, key] = Place(words.at(2));
  const auto done = std::make_shared<bool>(false);
  world().network().OnChange(
      [victim, kill, done, bucket = bucket, key = key](Bucket where, const std::string& what) {
        if (*done || where != bucket || (!key.empty() && what != key)) return;
        *done = true;
        kill ? victim->Crash() : victim->Pause();
      });
}

bool Story::OnProcess(const Words& words) {
  const std::string& command = words.at(0);
  const auto process = [&]() -> Process& { return Named(words.at(1)); };
  if (command == "crash") {
    process().Crash();
  } else if (command == "restart") {
    const Process& former = process();
    const auto speaks = words.named.find("speaks");
    world().Restart(former, speaks == words.named.end() ? former.settings().newest_wire_version
                                                        : std::stoi(speaks->second));
  } else if (command == "reboot") {
    world().Reboot(process().host());
  } else if (command == "pause") {
    process().Pause();
  } else if (command == "resume") {
    process().Resume();
  } else if (command == "leave") {
    process().Leave();
  } else if (command == "cut") {
    world().network().Cut(&process());
  } else if (command == "heal") {
    world().network().Heal(&process());
  } else if (command == "stall-watches") {
    world().network().StallWatches(process());
  } else if (command == "hold-hooks") {
    process().hooks().Hold();
  } else if (command == "let-hooks-go") {
    process().hooks().LetGo();
  } else if (command == "fail-acquires") {
    process().hooks().FailAcquires("no space left on device");
  } else if (command == "succeed-acquires") {
    process().hooks().SucceedAcquires();
  } else if (command == "rebalance") {
    process().Deliver(core::RebalanceRequested{});
  } else {
    return false;
  }
  return true;
}

// A name is a process's, or else a worker id.
std::string Story::WorkerId(const std::string& name) {
  const Process* process = world().Find(name);
  return process == nullptr ? name : world().claims().worker(process->number());
}

// "heartbeat/b": the key of b's worker id; "election/leader".
std::pair<Bucket, std::string> Story::Place(const std::string& text) {
  auto [bucket, key] = Split(text);
  if (!key.empty()) key = WorkerId(key);
  return {bucket, key};
}

bool Story::ByHand(const Words& words) {
  const std::string& command = words.at(0);
  Network& network = world().network();
  if (command == "outage") {
    network.Outage(words.at(1) == "begins");
  } else if (command == "delete") {
    const auto [bucket, key] = Place(words.at(1));
    network.Delete(bucket, key);
  } else if (command == "purge") {
    const auto [bucket, key] = Place(words.at(1));
    network.Purge(bucket, key);
  } else if (command == "garbage") {
    const auto [bucket, key] = Place(words.at(1));
    network.Write(bucket, key, "{\"v\":1,\"what\":\"is this");
  } else if (command == "forge") {
    Forge(words);
  } else if (command == "control") {
    network.Write(Bucket::kElection, std::string(wire::kControlKey), Wishes(words));
  } else if (command == "wipe") {
    for (std::size_t i = 1; i < words.plain.size(); ++i) network.Wipe(BucketNamed(words.at(i)));
  } else if (command == "lose-end") {
    const Bucket bucket = BucketNamed(words.at(1));
    const std::uint64_t last = network.stream(bucket).last_sequence();
    const std::uint64_t lost = words.plain.size() > 2 ? std::stoull(words.at(2)) : 1;
    network.LoseEnd(bucket, last - std::min(last, lost));
  } else if (command == "partitions") {
    world().SetPartitions(std::stoi(words.at(1)));
  } else {
    return false;
  }
  return true;
}

// "forge election/leader mode=fast streams.heartbeat=null": the record that stands there (or a copy
// of another, `like=BUCKET/KEY`), with fields changed. What isn't JSON is a string.
void Story::Forge(const Words& words) {
  const auto [bucket, key] = Place(words.at(1));
  const auto like = words.named.find("like");
  const auto [from, model] =
      like == words.named.end() ? std::pair(bucket, key) : Place(like->second);
  const Stream& stream = world().network().stream(from);
  const std::uint64_t revision = stream.Revision(model);
  if (revision == 0) throw std::invalid_argument("no record is called " + model);
  nlohmann::json record = nlohmann::json::parse(stream.At(revision).value);
  for (const auto& [name, text] : words.named) {
    if (name == "like") continue;
    nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = text;
    std::string path = "/" + name;
    std::replace(path.begin(), path.end(), '.', '/');
    record[nlohmann::json::json_pointer(path)] = std::move(value);
  }
  world().network().Write(bucket, key, record.dump());
}

// "control paused drained=b,c pins=p-1:a": the whole record.
std::string Story::Wishes(const Words& words) {
  const auto list = [&](const std::string& name) {
    std::vector<std::string> items;
    const auto named = words.named.find(name);
    if (named == words.named.end()) return items;
    std::istringstream in(named->second);
    for (std::string item; std::getline(in, item, ',');) items.push_back(item);
    std::sort(items.begin(), items.end());
    return items;
  };
  wire::Control control;
  control.paused = std::count(words.plain.begin(), words.plain.end(), "paused") > 0;
  for (const std::string& name : list("drained")) control.drained.push_back(WorkerId(name));
  std::sort(control.drained.begin(), control.drained.end());
  for (const std::string& pin : list("pins")) {
    const std::size_t colon = pin.find(':');
    if (colon == std::string::npos) throw std::invalid_argument("a pin is PARTITION:NAME: " + pin);
    control.pins.push_back({pin.substr(0, colon), WorkerId(pin.substr(colon + 1))});
  }
  std::sort(control.pins.begin(), control.pins.end(),
            [](const wire::Pin& x, const wire::Pin& y) { return x.partition < y.partition; });
  return wire::Encode(control);
}

std::string Story::ShowReport() {
  const Stream& stream = world().network().stream(Bucket::kElection);
  const std::uint64_t revision = stream.Revision(wire::kReportKey);
  if (revision == 0) return "none\n";
  const auto report = wire::DecodeReport(stream.At(revision).value);
  if (!report.ok()) return stream.At(revision).deleted ? "deleted\n" : "unreadable\n";
  std::string shown = fmt::format(
      "{} ({}), epoch {}: {}, version {}; {} of {} partitions unassigned{}{}\n", report->leader,
      NameOf(report->leader), report->epoch, report->state, report->version, report->unassigned,
      report->partitions, report->sample.empty() ? "" : ": ", Join(report->sample));
  if (report->control_revision != 0) {
    const bool newest = report->control_revision == stream.Revision(wire::kControlKey);
    shown += fmt::format("control: {}{}\n", newest ? "read" : "not read yet",
                         report->control_settled ? ", settled" : "");
  }
  for (const std::string& problem : report->problems)
    shown += fmt::format("problem: {}\n", problem);
  return shown;
}

std::string Story::Show(const Words& words) {
  const std::string& what = words.at(1);
  if (what == "owners") return ShowOwners();
  if (what == "docs") return ShowDocs();
  if (what == "leader") return ShowLeader();
  if (what == "heartbeats") return ShowHeartbeats();
  if (what == "report") return ShowReport();
  throw std::invalid_argument("show owners, docs, leader, heartbeats or report, not " + what);
}

std::string Story::ShowOwners() {
  std::string shown;
  for (const std::unique_ptr<Process>& process : world().processes()) {
    if (!process->exists()) continue;
    std::vector<std::string> owned;
    for (const OwnedPartition& one : world().claims().Owned(process->number())) {
      owned.push_back(one.id);
    }
    shown += fmt::format("{} owns {}\n", process->name(), owned.empty() ? "nothing" : Join(owned));
  }
  std::vector<std::string> free;
  for (const Partition& partition : world().partitions()) {
    if (world().claims().OwnersOf(partition.Id()).empty()) free.push_back(partition.Id());
  }
  if (!free.empty()) shown += fmt::format("nobody owns {}\n", Join(free));
  return shown;
}

std::string Story::ShowDocs() {
  std::string shown;
  const Stream& stream = world().network().stream(Bucket::kAssignment);
  for (const auto& [key, revision] : stream.newest()) {
    const Stream::Message& message = stream.At(revision);
    const auto doc = wire::DecodeDoc(message.value, wire::kMaxWireVersion);
    if (!doc.ok()) {
      shown += fmt::format("{}: {}\n", key, message.deleted ? "deleted" : "unreadable");
      continue;
    }
    std::vector<std::string> owned;
    for (const OwnedPartition& one : doc->owned) {
      owned.push_back(fmt::format("{}({},{})", one.id, one.token.epoch, one.token.version));
    }
    shown += fmt::format("{} ({}): epoch {}, version {}, incarnation {}, owned: {}{}{}\n", key,
                         NameOf(key), doc->epoch, doc->version, doc->life_incarnation, Join(owned),
                         doc->releasing.empty() ? "" : ", releasing: ", Join(doc->releasing));
  }
  return shown;
}

std::string Story::ShowLeader() {
  const Stream& stream = world().network().stream(Bucket::kElection);
  const std::uint64_t revision = stream.Revision("leader");
  if (revision == 0) return "none\n";
  const auto leader = wire::DecodeLeader(stream.At(revision).value, wire::kMaxWireVersion);
  if (!leader.ok()) return stream.At(revision).deleted ? "deleted\n" : "unreadable\n";
  const std::string wire =
      leader->wire_version > 1 ? fmt::format(", wire version {}", leader->wire_version) : "";
  return fmt::format("epoch {}: {} ({}){}{}\n", leader->epoch, leader->holder,
                     NameOf(leader->holder), leader->released ? ", released" : "", wire);
}

std::string Story::ShowHeartbeats() {
  std::string shown;
  const Stream& stream = world().network().stream(Bucket::kHeartbeat);
  for (const auto& [key, revision] : stream.newest()) {
    const Stream::Message& message = stream.At(revision);
    const auto beat = wire::DecodeHeartbeat(message.value, wire::kMaxWireVersion);
    if (!beat.ok()) {
      shown += fmt::format("{}: {}\n", key, message.deleted ? "deleted" : "unreadable");
      continue;
    }
    constexpr const char* kKinds[] = {"live", "left", "evicted"};
    shown += fmt::format("{} ({}): {}, incarnation {}\n", key, NameOf(key),
                         kKinds[static_cast<int>(beat->kind)], beat->incarnation);
  }
  return shown;
}

// What commands themselves did is known to who wrote them, and states between two others tell
// little.
std::string Story::Happened() {
  std::string text;
  for (; told_ < history_.lines().size(); ++told_) {
    const History::Line& line = history_.lines()[told_];
    const bool arrow = line.what.find(" -> ") != std::string::npos;
    const bool passing = arrow && !line.what.ends_with("Degraded") &&
                         !line.what.ends_with("Emergency") && !line.what.ends_with("Shutdown");
    const bool told = line.what.starts_with("* ") && line.what != "* crashes";
    const bool strikes = line.what.starts_with("* the network");
    if (passing || (told && !strikes)) continue;
    text +=
        fmt::format("{:6.1f}  {}  {}\n", static_cast<double>(line.time) / 1e9, line.who, line.what);
  }
  return text;
}

std::string Story::Tell(const std::string& text) {
  std::istringstream in(text);
  std::string told;
  Story story;
  std::string line;
  while (std::getline(in, line)) {
    told += line + "\n";
    if (line.empty() || line.starts_with("#")) continue;
    // One command or several, then a line of dashes, then what they print, then an empty line.
    std::string printed = story.Do(line);
    while (std::getline(in, line) && line != "----") {
      told += line + "\n";
      printed += story.Do(line);
    }
    told += "----\n" + printed + "\n";
    while (std::getline(in, line) && !line.empty()) continue;
  }
  return told;
}

}  // namespace parti::simulation
