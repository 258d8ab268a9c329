// Inputs to begin with, from the encoders and from what real servers answered.
#include "internal/wire/records.h"
#include "parti/config.h"
#include "test/fuzz/targets.h"
#include "test/support/wire_records.h"

namespace parti::fuzz {
namespace {

using Seeds = std::map<std::string, std::string>;

Seeds RecordSeeds(const std::string& plain) { return {{"plain", plain}, {"packed", "z" + plain}}; }

Seeds HeartbeatSeeds() {
  wire::Heartbeat beat = wire::FullHeartbeat();
  Seeds seeds = RecordSeeds(wire::Encode(beat));
  beat.kind = wire::HeartbeatKind::kLeft;
  seeds["left"] = wire::Encode(beat);
  seeds["evicted"] = wire::Encode(wire::Tombstone());
  return seeds;
}

Seeds DocSeeds() {
  Seeds seeds = RecordSeeds(wire::Encode(wire::SomeDoc()));
  wire::Doc doc = wire::LargeDoc(0);
  seeds["empty"] = wire::Encode(doc);
  doc.unknown = true;
  seeds["unknown"] = wire::Encode(doc);
  return seeds;
}

// A doc of thousands of partitions, as the encoder packs it.
Seeds UnpackSeeds() {
  return {{"plain", wire::Encode(wire::SomeDoc())}, {"packed", wire::Encode(wire::LargeDoc(9000))}};
}

Seeds JetstreamSeeds() {
  return {
      {"ack", R"({"stream":"KV_parti-election","seq":12})"},
      {"conflict",
       R"({"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"S","seq":0})"},
      {"message",
       R"({"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"$KV.parti-heartbeat.worker-0","seq":9,"hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg==","data":"e30=","time":"2025-01-01T00:00:00.5Z"}})"},
      {"stream",
       R"({"config":{"name":"KV_parti-election","max_msgs_per_subject":1},"created":"2025-01-01T00:00:00.123456789Z","state":{"messages":1,"bytes":2,"first_seq":1,"last_seq":3}})"},
      {"consumer",
       R"({"stream_name":"S","name":"c","created":"2025-01-01T00:00:00Z","num_pending":4})"},
      {"reply", "$JS.ACK.KV_parti-election.c.1.12.3.1735689600000000000.0"},
      {"reply-domain", "$JS.ACK.hub.ACC.KV_parti-election.c.1.12.3.1735689600000000000.0"}};
}

Seeds ConnectionSeeds() {
  return {
      {"urls", "nats://user:secret@host-a:4222, tls://[::1]:4223,host-b"},
      {"seed", "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"},
      {"credentials",
       "-----BEGIN NATS USER JWT-----\neyJ0eXAi.eyJqdGki.c2ln\n------END NATS USER JWT------\n\n"
       "-----BEGIN USER NKEY "
       "SEED-----\nSUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"
       "------END USER NKEY SEED------\n"},
      {"greeting",
       "INFO {\"server_id\":\"N\",\"version\":\"2.9.10\",\"jetstream\":true,\"port\":4222}\r\n"},
      {"greeting-of-a-cluster",
       R"(INFO {"server_id":"N","server_name":"n0","version":"2.10.27-beta.1","proto":1,"headers":true,)"
       R"("auth_required":true,"tls_required":true,"tls_verify":true,"max_payload":1048576,)"
       R"("jetstream":false,"nonce":"abc","cluster":"c","connect_urls":["10.0.0.1:4222","[::1]:4222"]})"
       "\r\n"},
      {"greeting-without-a-version", "INFO {\"version\":\"\"}\r\n"},
      {"not-a-greeting", "HTTP/1.1 400 Bad Request\r\n\r\n"},
      {"urls-without-schemes",
       "host,:4222,host:,[::1],[fe80::1%25eth0]:4222,user@host,a:b@c:d@e:1"},
      {"urls-of-all-schemes", "nats://h:1,tls://h:2,ws://h:3,wss://h:4/path?q#f,nats://,NATS://H"},
      {"account-seed", "SAAMJZ7Q6ZNKOUTTCAYDFSQCIBIZ57UGSC5OOLFRVS5F3M7WCYTH3XQR4Q\n"},
      {"jwt-alone", "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n"}};
}

Seeds EventLineSeeds() {
  return {
      {"started", R"({"t":100,"event":"started","worker":"worker-0","incarnation":3})"},
      {"acquired",
       R"({"t":100,"event":"acquired","worker":"worker-0","incarnation":3,"partition":"p-1","epoch":2,"version":4})"},
      {"released", R"({"t":100,"event":"released","partition":"p-1"})"},
      {"lease", R"({"t":100,"event":"lease","until":9223372036854775807})"},
      {"leader", R"({"t":100,"event":"leader","gained":true,"epoch":2})"},
      {"state", R"({"t":100,"event":"state","state":"Stable"})"}};
}

// Every setting there is, as it stands.
std::string AllSettings(const Config& config) {
  std::string text;
  for (const std::string& name : Config::FieldNames()) {
    text += name + "=" + config.Get(name).value() + "\n";
  }
  return text;
}

Seeds SettingsSeeds() {
  return {
      {"plain",
       "heartbeat_ttl=1500ms\nheartbeat_interval=500ms\nelection_ttl=2s\nmode=fast\nreplicas=3\n"
       "storage=memory\nlabels=zone=a,rack=b\\,c\ncapacity=7\nprefix=orders\n"},
      {"wrong",
       "heartbeat_tll=1s\nreplicas=99\nmode=quick\nlabels=a\nprefix=a.b\nmax_workers=-1\n"},
      {"all", AllSettings(Config())},
      {"all-fast", AllSettings(Config::Preset("fast").value())},
      {"durations",
       "heartbeat_ttl=1h\nelection_ttl=0.5s\nstop_timeout=90m\npoll_interval=1d\n"
       "debounce=0\nheartbeat_interval=1.5\nheartbeat_max_age=99999999999s\n"},
      {"labels",
       "labels=\nlabels=a=\nlabels==b\nlabels=a=b,a=c\nlabels=a=\\,\\\\,b=c\\\nlabels=,\n"}};
}

Seeds YamlSeeds() {
  return {{"plain",
           "# a worker\npreset: fast\nheartbeat_ttl: 4s\nlabels: {zone: a, rack: b}\n"
           "server: nats://127.0.0.1:4222\npartitions: 24\nprefix: \"orders\"\n"},
          {"wrong", "heartbeat_ttl: [1, 2]\npartitions: 0\n? {a: b}\n: &x 1\nprefix: *x\n"}};
}

std::string StatusEntry(int bucket, int key, const std::string& value) {
  std::string entry{static_cast<char>(bucket), 0, 1, static_cast<char>(key)};
  entry += static_cast<char>(value.size() >> 8U);
  entry += static_cast<char>(value.size() & 0xffU);
  return entry + value;
}

wire::Heartbeat Left() {
  wire::Heartbeat beat = wire::SomeHeartbeat();
  beat.kind = wire::HeartbeatKind::kLeft;
  return beat;
}

// Two workers who own what they were told to, a leader whose report is its own, orders that are
// carried out.
std::string WellGroup(wire::Mode mode) {
  wire::Leader leader = wire::SomeLeader();
  leader.mode = mode;
  wire::Report report = wire::SomeReport();
  report.epoch = leader.epoch;
  report.nonce = leader.nonce;
  report.partitions = 4;
  report.unassigned = 0;
  report.sample = {};
  report.problems = {};
  report.control_revision = 2;
  report.control_settled = true;
  std::string group = StatusEntry(1, 0, wire::Encode(leader)) +
                      StatusEntry(1, 1, wire::Encode(wire::Control{})) +
                      StatusEntry(1, 2, wire::Encode(report));
  for (int worker = 0; worker < 2; ++worker) {
    wire::Claim claim = wire::SomeClaim();
    claim.nonce = static_cast<std::uint64_t>(0xff + worker);
    wire::Doc doc = wire::SomeDoc();
    doc.epoch = leader.epoch;
    doc.nonce = leader.nonce;
    doc.life_nonce = claim.nonce;
    doc.owned = {{"p-" + std::to_string(2 * worker), {3, 9}},
                 {"p-" + std::to_string(2 * worker + 1), {3, 9}}};
    doc.releasing = {};
    wire::Heartbeat beat = wire::SomeHeartbeat();
    beat.nonce = claim.nonce;
    // Of the entry before it in this list.
    beat.applied_revision = static_cast<std::uint64_t>(5 + 3 * worker);
    beat.applied_nonce = leader.nonce;
    group += StatusEntry(0, worker, wire::Encode(claim)) +
             StatusEntry(3, worker, wire::Encode(doc)) + StatusEntry(2, worker, wire::Encode(beat));
  }
  return group;
}

Seeds StatusSeeds() {
  wire::Leader leader = wire::SomeLeader();
  const std::string election = StatusEntry(1, 0, wire::Encode(leader)) +
                               StatusEntry(1, 1, wire::Encode(wire::SomeControl())) +
                               StatusEntry(1, 2, wire::Encode(wire::SomeReport()));
  const std::string worker = StatusEntry(0, 0, wire::Encode(wire::SomeClaim())) +
                             StatusEntry(2, 0, wire::Encode(wire::FullHeartbeat())) +
                             StatusEntry(3, 0, wire::Encode(wire::SomeDoc()));
  wire::Heartbeat strange = wire::FullHeartbeat();
  strange.state = "\x1b[2J";
  strange.labels = {{"a\nb", "\x1b]0;title\x07"}};
  return {{"group", election + worker},
          {"evicted", election + StatusEntry(2, 1, wire::Encode(wire::Tombstone()))},
          {"escapes", worker + StatusEntry(2, 1, wire::Encode(strange))},
          {"well", WellGroup(wire::Mode::kExclusive)},
          {"well-and-fast", WellGroup(wire::Mode::kFast)},
          {"left", WellGroup(wire::Mode::kExclusive) + StatusEntry(2, 1, wire::Encode(Left()))},
          {"no-leader", worker},
          {"garbage", StatusEntry(1, 0, "{") + StatusEntry(2, 0, "\x28\xb5\x2f\xfd") +
                          StatusEntry(0, 3, "") + election + worker}};
}

// Scripts for the world of worker_world.h. Settle is 0, Tick 12; the first three bytes are
// settings.
std::string Script(char flags, std::string_view rest) {
  std::string script{'\x01', flags, '\x05'};
  script.append(rest);
  return script;
}

std::string Repeat(std::string_view what, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += what;
  return all;
}

Seeds WorkerSeeds() {
  const std::string list = {'\x36', '\x0f'};                  // four partitions
  const std::string onward(std::string_view("\x00\x0c", 2));  // settle, tick
  Seeds seeds;
  for (const auto& [name, flags] : {std::pair("new-group", '\x04'), std::pair("old-group", '\x00'),
                                    std::pair("fast", '\x06'), std::pair("small-docs", '\x14')}) {
    seeds[name] = Script(flags, list + Repeat(onward, 40));
  }
  // Somebody else leads, and grants two partitions to this life; later only one.
  const std::string other(std::string_view("\x28\x01\x00\x02\x01\x01\x05\x01", 8));
  const std::string renewal(std::string_view("\x28\x01\x00\x02\x00\x00\x02", 7));
  const std::string grant(std::string_view("\x28\x03\x00\x02\x00\x01\x03\x00", 8));
  const std::string less(std::string_view("\x28\x03\x00\x02\x00\x02\x01\x02", 8));
  const std::string meanwhile = onward + renewal;
  seeds["member"] = Script('\x00', other + Repeat(meanwhile, 20) + grant + Repeat(meanwhile, 4) +
                                       less + Repeat(meanwhile, 6));
  const std::string lie(std::string_view("\x21\x00\x05\x00\x18\x00\x03", 7));
  // The buckets go, one after the other, and come back as other streams.
  std::string wiped = list + Repeat(onward, 20);
  for (const char bucket : {'\x00', '\x01', '\x02', '\x03'}) {
    wiped += std::string{'\x33', bucket, '\x01', '\x00'};
  }
  seeds["wiped"] = Script('\x04', wiped + Repeat(onward, 30));
  // Keys are deleted: its own heartbeat, its doc, the leader record.
  std::string deleted = list + Repeat(onward, 20);
  for (const char bucket : {'\x02', '\x03', '\x01'}) {
    deleted += std::string{'\x32', bucket, '\x00'} + Repeat(onward, 6);
  }
  seeds["deleted"] = Script('\x04', deleted + Repeat(onward, 20));
  // Half its answers are lost, the connection comes and goes, time passes beyond its lease.
  const std::string lost(std::string_view("\x18\x00\x02\x01", 4));
  const std::string away(std::string_view("\x27\x00\x00\x14\x0f\xa0\x27\x00\x01", 9));
  seeds["away"] = Script(
      '\x04', list + Repeat(onward, 12) + Repeat(lost + onward, 12) + away + Repeat(onward, 20));
  // A list that changes, hooks that fail, a strategy that plans nonsense, then it is stopped.
  const std::string fails(std::string_view("\x3a", 1));
  const std::string nonsense(std::string_view("\x3d\x04\x00\x7f\xff\x01\x00", 7));
  const std::string other_list(std::string_view("\x36\xf3", 2));
  const std::string stop(std::string_view("\x3f\xff", 2));
  seeds["application"] =
      Script('\x04', list + Repeat(onward, 12) + Repeat(fails + onward, 4) + other_list +
                         Repeat(nonsense + onward, 6) + Repeat(onward, 12) + stop + onward);
  seeds["lies"] = Script('\x04', list + Repeat(onward, 12) + Repeat(lie, 6) + Repeat(onward, 6));
  return seeds;
}

}  // namespace

Seeds SeedsOf(std::string_view target) {
  if (target == "claim") return RecordSeeds(wire::Encode(wire::SomeClaim()));
  if (target == "leader") return RecordSeeds(wire::Encode(wire::SomeLeader()));
  if (target == "heartbeat") return HeartbeatSeeds();
  if (target == "doc") return DocSeeds();
  if (target == "control") return RecordSeeds(wire::Encode(wire::SomeControl()));
  if (target == "report") return RecordSeeds(wire::Encode(wire::SomeReport()));
  if (target == "unpack") return UnpackSeeds();
  if (target == "jetstream") return JetstreamSeeds();
  if (target == "connection") return ConnectionSeeds();
  if (target == "event-line") return EventLineSeeds();
  if (target == "settings") return SettingsSeeds();
  if (target == "yaml") return YamlSeeds();
  if (target == "status") return StatusSeeds();
  return WorkerSeeds();
}

}  // namespace parti::fuzz
