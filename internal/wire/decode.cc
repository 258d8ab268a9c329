// Bytes to records. Nothing is taken on trust; see json_reader.h and pack.h for the bounds.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "internal/wire/json_reader.h"
#include "internal/wire/limits.h"
#include "internal/wire/pack.h"
#include "internal/wire/records.h"

namespace parti::wire {
namespace {

using nlohmann::json;

// Unpacks, parses and checks the version.
absl::StatusOr<json> Open(std::string_view what, std::string_view bytes, std::size_t max_values,
                          int newest) {
  std::string scratch;
  absl::StatusOr<std::string_view> text = Unpack(bytes, &scratch);
  if (!text.ok()) return text.status();
  absl::StatusOr<json> object = ParseObject(what, *text, max_values);
  if (!object.ok()) return object;
  FieldReader fields(what, *object);
  std::uint64_t version = 0;
  fields.Unsigned("v", &version, 1);
  if (!fields.ok()) return fields.status();
  if (version > static_cast<std::uint64_t>(newest)) {
    return absl::UnimplementedError(fmt::format(
        "{} of wire version {}, this build reads versions up to {}: upgrade this worker", what,
        version, newest));
  }
  return object;
}

void ReadMode(FieldReader* fields, Mode* mode) {
  std::string name;
  fields->Text("mode", &name, 0, kMaxNameBytes);
  if (!fields->ok()) return;
  for (Mode candidate : {Mode::kExclusive, Mode::kFast}) {
    if (name == ModeName(candidate)) {
      *mode = candidate;
      return;
    }
  }
  fields->Fail("mode", "is neither exclusive nor fast");
}

// Missing: the oldest.
void ReadVersion(FieldReader* fields, const char* name, int* version) {
  std::int64_t number = kOldestWireVersion;
  fields->Integer(name, &number, 1, kMaxWireVersion, Presence::kOptional);
  *version = static_cast<int>(number);
}

void ReadKind(FieldReader* fields, HeartbeatKind* kind) {
  std::string name;
  fields->Text("kind", &name, 0, kMaxNameBytes);
  if (!fields->ok()) return;
  if (name == "live") {
    *kind = HeartbeatKind::kLive;
  } else if (name == "left") {
    *kind = HeartbeatKind::kLeft;
  } else if (name == "evicted") {
    *kind = HeartbeatKind::kEvicted;
  } else {
    fields->Fail("kind", "is none of live, left and evicted");
  }
}

void ReadLabels(FieldReader* fields, std::map<std::string, std::string>* labels) {
  const json* object = fields->Object("labels", Presence::kOptional);
  if (object == nullptr) return;
  if (object->size() > kMaxLabels) {
    return fields->Fail("labels",
                        fmt::format("are {}, at most {} may be", object->size(), kMaxLabels));
  }
  for (const auto& [name, value] : object->items()) {
    if (name.size() > kMaxNameBytes || !value.is_string() ||
        value.get_ref<const std::string&>().size() > kMaxTextBytes) {
      return fields->Fail("labels", "hold something else than short strings");
    }
    labels->emplace(name, value.get_ref<const std::string&>());
  }
}

void ReadRefusals(FieldReader* fields, std::vector<Refusal>* refusals) {
  const json* array = fields->Array("refused", Presence::kOptional);
  if (array == nullptr) return;
  if (array->size() > kMaxRefusals) {
    return fields->Fail("refused", fmt::format("has {} entries, at most {} are allowed",
                                               array->size(), kMaxRefusals));
  }
  for (const json& entry : *array) {
    if (!entry.is_object()) return fields->Fail("refused", "holds something else than objects");
    Refusal refusal;
    FieldReader inner("heartbeat.refused", entry);
    inner.Text("id", &refusal.partition, 1, kMaxPartitionIdBytes);
    inner.Unsigned("epoch", &refusal.token.epoch);
    inner.Unsigned("version", &refusal.token.version);
    inner.Text("why", &refusal.reason, 0, kMaxTextBytes);
    if (!inner.ok()) return fields->Fail("refused", std::string(inner.status().message()));
    refusals->push_back(std::move(refusal));
  }
}

absl::Status CheckPartitionId(std::string_view where, const json& value) {
  if (!value.is_string()) return Malformed(where, "a partition id isn't a string");
  const std::size_t size = value.get_ref<const std::string&>().size();
  if (size < 1 || size > kMaxPartitionIdBytes) {
    return Malformed(where, fmt::format("a partition id has {} bytes, must have 1 to {}", size,
                                        kMaxPartitionIdBytes));
  }
  return absl::OkStatus();
}

// One [epoch, version, [id, …]], appended to `owned`.
absl::Status ReadGroup(const json& group, std::vector<OwnedPartition>* owned) {
  constexpr std::string_view kWhere = "doc.owned";
  if (!group.is_array() || group.size() != 3 || !group[0].is_number_unsigned() ||
      !group[1].is_number_unsigned() || !group[2].is_array()) {
    return Malformed(kWhere, "an entry isn't [epoch, version, [partition ids]]");
  }
  const FencingToken token{group[0].get<std::uint64_t>(), group[1].get<std::uint64_t>()};
  if (token.epoch > kMaxExactInteger || token.version > kMaxExactInteger) {
    return Malformed(kWhere, fmt::format("token ({}, {}) exceeds {}", token.epoch, token.version,
                                         kMaxExactInteger));
  }
  if (group[2].empty()) return Malformed(kWhere, "an entry without partitions");
  for (const json& id : group[2]) {
    if (absl::Status status = CheckPartitionId(kWhere, id); !status.ok()) return status;
    owned->push_back({id.get_ref<const std::string&>(), token});
  }
  return absl::OkStatus();
}

// Groups come in rising order of tokens, ids in rising order within a group.
absl::Status ReadOwned(const json& groups, std::vector<OwnedPartition>* owned) {
  for (const json& group : groups) {
    if (absl::Status status = ReadGroup(group, owned); !status.ok()) return status;
  }
  const auto by_token = [](const OwnedPartition& a, const OwnedPartition& b) {
    return std::tie(a.token, a.id) < std::tie(b.token, b.id);
  };
  if (!std::is_sorted(owned->begin(), owned->end(), by_token)) {
    return Malformed("doc.owned", "partitions aren't sorted by token, then id");
  }
  std::sort(owned->begin(), owned->end());
  const auto twice = std::adjacent_find(
      owned->begin(), owned->end(),
      [](const OwnedPartition& a, const OwnedPartition& b) { return a.id == b.id; });
  if (twice != owned->end()) {
    return Malformed("doc.owned", fmt::format("partition {} is there twice", twice->id));
  }
  return absl::OkStatus();
}

absl::Status ReadReleasing(const json& ids, const std::vector<OwnedPartition>& owned,
                           std::vector<std::string>* releasing) {
  constexpr std::string_view kWhere = "doc.releasing";
  auto held = owned.begin();
  for (const json& id : ids) {
    if (absl::Status status = CheckPartitionId(kWhere, id); !status.ok()) return status;
    const auto& text = id.get_ref<const std::string&>();
    if (!releasing->empty() && releasing->back() >= text) {
      return Malformed(kWhere, "partition ids aren't sorted and distinct");
    }
    while (held != owned.end() && held->id < text) ++held;
    if (held != owned.end() && held->id == text) {
      return Malformed(kWhere, fmt::format("partition {} is owned as well", text));
    }
    releasing->push_back(text);
  }
  return absl::OkStatus();
}

// Distinct strings in rising order, each of 1 to `max_bytes` bytes.
absl::Status ReadSorted(std::string_view where, const json& array, std::size_t max_count,
                        std::size_t max_bytes, std::vector<std::string>* out) {
  if (array.size() > max_count) {
    return Malformed(
        where, fmt::format("has {} entries, at most {} are allowed", array.size(), max_count));
  }
  for (const json& entry : array) {
    if (!entry.is_string()) return Malformed(where, "holds something else than strings");
    const auto& text = entry.get_ref<const std::string&>();
    if (text.empty() || text.size() > max_bytes) {
      return Malformed(
          where, fmt::format("an entry has {} bytes, must have 1 to {}", text.size(), max_bytes));
    }
    if (!out->empty() && out->back() >= text) {
      return Malformed(where, fmt::format("entries aren't sorted and distinct: {}", text));
    }
    out->push_back(text);
  }
  return absl::OkStatus();
}

// [[partition, worker], …]
absl::Status ReadPins(const json& array, std::vector<Pin>* pins) {
  constexpr std::string_view kWhere = "control.pins";
  if (array.size() > kMaxPins) {
    return Malformed(kWhere,
                     fmt::format("has {} entries, at most {} are allowed", array.size(), kMaxPins));
  }
  for (const json& entry : array) {
    if (!entry.is_array() || entry.size() != 2 || !entry[1].is_string()) {
      return Malformed(kWhere, "an entry isn't [partition id, worker id]");
    }
    if (absl::Status status = CheckPartitionId(kWhere, entry[0]); !status.ok()) return status;
    const auto& partition = entry[0].get_ref<const std::string&>();
    const auto& worker = entry[1].get_ref<const std::string&>();
    if (worker.empty() || worker.size() > kMaxNameBytes) {
      return Malformed(kWhere, fmt::format("a worker id has {} bytes, must have 1 to {}",
                                           worker.size(), kMaxNameBytes));
    }
    if (!pins->empty() && pins->back().partition >= partition) {
      return Malformed(kWhere, fmt::format("partitions aren't sorted and distinct: {}", partition));
    }
    pins->push_back({partition, worker});
  }
  return absl::OkStatus();
}

// At most kReportSample texts in any order.
absl::Status ReadProblems(const json& array, std::vector<std::string>* problems) {
  constexpr std::string_view kWhere = "report.problems";
  if (array.size() > kReportSample) {
    return Malformed(
        kWhere, fmt::format("has {} entries, at most {} are allowed", array.size(), kReportSample));
  }
  for (const json& entry : array) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().size() > kMaxTextBytes) {
      return Malformed(kWhere, "holds something else than short strings");
    }
    problems->push_back(entry.get_ref<const std::string&>());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Claim> DecodeClaim(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("claim", bytes, kMaxSmallRecordValues, newest);
  if (!object.ok()) return object.status();
  Claim claim;
  FieldReader fields("claim", *object);
  fields.Text("identity", &claim.identity, 0, kMaxNameBytes);
  fields.Unsigned("incarnation", &claim.incarnation);
  fields.Hex("nonce", &claim.nonce);
  fields.Integer("lease_ms", &claim.lease_ms, 1, kMaxLeaseMs);
  const json* process = fields.Object("process");
  if (process == nullptr) return fields.status();
  FieldReader inner("claim.process", *process);
  inner.Text("boot", &claim.process.boot_id, 0, kMaxNameBytes);
  inner.Unsigned("pidns", &claim.process.pid_namespace);
  inner.Integer("pid", &claim.process.pid, 0, INT32_MAX);
  inner.Unsigned("start", &claim.process.start_ticks);
  if (!inner.ok()) return inner.status();
  return claim;
}

absl::StatusOr<Leader> DecodeLeader(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("leader", bytes, kMaxSmallRecordValues, newest);
  if (!object.ok()) return object.status();
  Leader leader;
  FieldReader fields("leader", *object);
  fields.Unsigned("epoch", &leader.epoch, 1);
  fields.Hex("nonce", &leader.nonce);
  fields.Text("holder", &leader.holder, 1, kMaxNameBytes);
  fields.Unsigned("renewals", &leader.renewals);
  fields.Boolean("released", &leader.released);
  ReadMode(&fields, &leader.mode);
  ReadVersion(&fields, "wire", &leader.wire_version);
  const json* streams = fields.Object("streams");
  if (streams == nullptr) return fields.status();
  FieldReader inner("leader.streams", *streams);
  inner.Hex("assignment", &leader.assignment_stream);
  inner.Hex("heartbeat", &leader.heartbeat_stream);
  if (!inner.ok()) return inner.status();
  const json* beat = fields.Object("beat");
  if (beat == nullptr) return fields.status();
  FieldReader beat_fields("leader.beat", *beat);
  beat_fields.Hex("nonce", &leader.holder_nonce);
  beat_fields.Unsigned("number", &leader.holder_beat);
  if (!beat_fields.ok()) return beat_fields.status();
  return leader;
}

absl::StatusOr<Heartbeat> DecodeHeartbeat(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("heartbeat", bytes, kMaxSmallRecordValues, newest);
  if (!object.ok()) return object.status();
  Heartbeat heartbeat;
  FieldReader fields("heartbeat", *object);
  ReadKind(&fields, &heartbeat.kind);
  // A tombstone may stand for a life of which nothing was readable.
  const bool evicted = heartbeat.kind == HeartbeatKind::kEvicted;
  const std::uint64_t first = evicted ? 0 : 1;
  fields.Unsigned("life", &heartbeat.incarnation, first);
  fields.Hex("nonce", &heartbeat.nonce);
  fields.Unsigned("number", &heartbeat.number, first);
  fields.Integer("lease_ms", &heartbeat.lease_ms, 1, kMaxLeaseMs);
  fields.Unsigned("applied", &heartbeat.applied_revision);
  fields.Hex("applied_nonce", &heartbeat.applied_nonce);
  fields.Unsigned("epoch", &heartbeat.highest_epoch);
  fields.Integer("capacity", &heartbeat.capacity, 0, kMaxCapacity);
  fields.Text("state", &heartbeat.state, 0, kMaxNameBytes);
  ReadLabels(&fields, &heartbeat.labels);
  ReadRefusals(&fields, &heartbeat.refused);
  ReadVersion(&fields, "speaks", &heartbeat.speaks);
  if (evicted) {
    fields.Unsigned("replaced", &heartbeat.replaced_revision);
    fields.Unsigned("evicted_by", &heartbeat.evicting_epoch);
  }
  if (!fields.ok()) return fields.status();
  return heartbeat;
}

absl::StatusOr<Doc> DecodeDoc(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("doc", bytes, kMaxDocValues, newest);
  if (!object.ok()) return object.status();
  Doc doc;
  FieldReader fields("doc", *object);
  fields.Unsigned("epoch", &doc.epoch, 1);
  fields.Hex("nonce", &doc.nonce);
  fields.Unsigned("version", &doc.version);
  const json* life = fields.Object("life");
  const json* owned = fields.Array("owned");
  const json* releasing = fields.Array("releasing");
  fields.Boolean("unknown", &doc.unknown, Presence::kOptional);
  if (!fields.ok()) return fields.status();
  FieldReader inner("doc.life", *life);
  inner.Unsigned("incarnation", &doc.life_incarnation);
  inner.Hex("nonce", &doc.life_nonce);
  inner.Integer("lease_ms", &doc.life_lease_ms, 1, kMaxLeaseMs);
  if (!inner.ok()) return inner.status();
  if (absl::Status status = ReadOwned(*owned, &doc.owned); !status.ok()) return status;
  absl::Status status = ReadReleasing(*releasing, doc.owned, &doc.releasing);
  if (!status.ok()) return status;
  return doc;
}

absl::StatusOr<Control> DecodeControl(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("control", bytes, kMaxDocValues, newest);
  if (!object.ok()) return object.status();
  Control control;
  FieldReader fields("control", *object);
  fields.Boolean("paused", &control.paused);
  const json* drained = fields.Array("drained");
  const json* pins = fields.Array("pins");
  if (!fields.ok()) return fields.status();
  absl::Status status =
      ReadSorted("control.drained", *drained, kMaxDrained, kMaxNameBytes, &control.drained);
  if (!status.ok()) return status;
  if (status = ReadPins(*pins, &control.pins); !status.ok()) return status;
  return control;
}

absl::StatusOr<Report> DecodeReport(std::string_view bytes, int newest) {
  const absl::StatusOr<json> object = Open("report", bytes, kMaxSmallRecordValues, newest);
  if (!object.ok()) return object.status();
  Report report;
  FieldReader fields("report", *object);
  fields.Unsigned("epoch", &report.epoch, 1);
  fields.Hex("nonce", &report.nonce);
  fields.Text("leader", &report.leader, 1, kMaxNameBytes);
  fields.Text("state", &report.state, 1, kMaxNameBytes);
  fields.Unsigned("version", &report.version);
  fields.Text("cause", &report.cause, 0, kMaxTextBytes);
  fields.Boolean("listed", &report.listed);
  fields.Unsigned("partitions", &report.partitions);
  fields.Unsigned("unassigned", &report.unassigned);
  fields.Unsigned("control", &report.control_revision);
  fields.Boolean("settled", &report.control_settled);
  const json* sample = fields.Array("sample");
  const json* problems = fields.Array("problems");
  if (!fields.ok()) return fields.status();
  if (report.unassigned > report.partitions) {
    return Malformed("report", fmt::format("\"unassigned\" is {} of {} partitions",
                                           report.unassigned, report.partitions));
  }
  absl::Status status =
      ReadSorted("report.sample", *sample, kReportSample, kMaxPartitionIdBytes, &report.sample);
  if (!status.ok()) return status;
  if (status = ReadProblems(*problems, &report.problems); !status.ok()) return status;
  return report;
}

std::int64_t LeaseOfUnreadable(std::string_view bytes) {
  const absl::StatusOr<json> object = Open("record", bytes, kMaxDocValues, kMaxWireVersion);
  if (!object.ok()) return 0;
  std::int64_t lease_ms = 0;
  FieldReader fields("record", *object);
  fields.Integer("lease_ms", &lease_ms, 1, kMaxLeaseMs, Presence::kOptional);
  const auto life = object->find("life");
  if (life != object->end() && life->is_object()) {
    FieldReader("record.life", *life)
        .Integer("lease_ms", &lease_ms, 1, kMaxLeaseMs, Presence::kOptional);
  }
  return lease_ms;
}

}  // namespace parti::wire
