// Records to bytes. The JSON is written directly: heartbeats are written all the time, and their
// fields are known. Strings are escaped by the JSON library unless there is nothing to escape.
#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "internal/wire/limits.h"
#include "internal/wire/pack.h"
#include "internal/wire/records.h"

namespace parti::wire {
namespace {

bool NeedsNoEscape(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

// Bytes that aren't UTF-8 become U+FFFD.
std::string Escaped(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                                   nlohmann::json::error_handler_t::replace);
}

void AppendString(std::string_view text, std::string* out) {
  if (NeedsNoEscape(text)) {
    out->push_back('"');
    out->append(text);
    out->push_back('"');
  } else {
    out->append(Escaped(text));
  }
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendString(text, &out);
  return out;
}

void AppendStrings(const std::vector<std::string_view>& texts, std::string* out) {
  out->push_back('[');
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out->push_back(',');
    AppendString(texts[i], out);
  }
  out->push_back(']');
}

std::string_view KindName(HeartbeatKind kind) {
  switch (kind) {
    case HeartbeatKind::kLive:
      return "live";
    case HeartbeatKind::kLeft:
      return "left";
    case HeartbeatKind::kEvicted:
      return "evicted";
  }
  return "?";
}

void AppendLabels(const std::map<std::string, std::string>& labels, std::string* out) {
  out->append(",\"labels\":{");
  bool first = true;
  for (const auto& [name, value] : labels) {
    if (!first) out->push_back(',');
    first = false;
    AppendString(name, out);
    out->push_back(':');
    AppendString(value, out);
  }
  out->push_back('}');
}

void AppendRefusals(const std::vector<Refusal>& refusals, std::string* out) {
  out->append(",\"refused\":[");
  const std::size_t count = std::min(refusals.size(), kMaxRefusals);
  for (std::size_t i = 0; i < count; ++i) {
    const Refusal& refusal = refusals[i];
    if (i > 0) out->push_back(',');
    out->append("{\"id\":");
    AppendString(refusal.partition, out);
    fmt::format_to(std::back_inserter(*out), FMT_COMPILE(",\"epoch\":{},\"version\":{},\"why\":"),
                   refusal.token.epoch, refusal.token.version);
    AppendString(std::string_view(refusal.reason).substr(0, kMaxReasonBytes), out);
    out->push_back('}');
  }
  out->push_back(']');
}

// [[epoch, version, [id, …]], …]: partitions granted by one rebalance share their token.
void AppendOwned(const std::vector<OwnedPartition>& owned, std::string* out) {
  std::vector<const OwnedPartition*> by_token;
  by_token.reserve(owned.size());
  for (const OwnedPartition& partition : owned) by_token.push_back(&partition);
  std::stable_sort(by_token.begin(), by_token.end(),
                   [](const auto* a, const auto* b) { return a->token < b->token; });
  out->push_back('[');
  for (auto group = by_token.begin(); group != by_token.end();) {
    const FencingToken token = (*group)->token;
    std::vector<std::string_view> ids;
    if (group != by_token.begin()) out->push_back(',');
    for (; group != by_token.end() && (*group)->token == token; ++group) {
      ids.push_back((*group)->id);
    }
    fmt::format_to(std::back_inserter(*out), FMT_COMPILE("[{},{},"), token.epoch, token.version);
    AppendStrings(ids, out);
    out->push_back(']');
  }
  out->push_back(']');
}

}  // namespace

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kExclusive:
      return "exclusive";
    case Mode::kFast:
      return "fast";
  }
  return "?";
}

std::string Encode(const Claim& record, int version) {
  std::string out =
      fmt::format(FMT_COMPILE("{{\"v\":{},\"identity\":{},\"incarnation\":{},\"nonce\":\"{:016x}\","
                              "\"lease_ms\":{},\"process\":{{\"boot\":{},\"pidns\":{},\"pid\":{},"
                              "\"start\":{}}}}}"),
                  version, Quoted(record.identity), record.incarnation, record.nonce,
                  record.lease_ms, Quoted(record.process.boot_id), record.process.pid_namespace,
                  record.process.pid, record.process.start_ticks);
  return Pack(std::move(out));
}

std::string Encode(const Leader& record) {
  std::string out = fmt::format(
      FMT_COMPILE("{{\"v\":{},\"epoch\":{},\"nonce\":\"{:016x}\",\"holder\":{},\"renewals\":{},"
                  "\"released\":{},\"mode\":\"{}\",\"streams\":{{\"assignment\":\"{:016x}\","
                  "\"heartbeat\":\"{:016x}\"}},\"beat\":{{\"nonce\":\"{:016x}\","
                  "\"number\":{}}}"),
      kOldestWireVersion, record.epoch, record.nonce, Quoted(record.holder), record.renewals,
      record.released, ModeName(record.mode), record.assignment_stream, record.heartbeat_stream,
      record.holder_nonce, record.holder_beat);
  if (record.wire_version != kOldestWireVersion) {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE(",\"wire\":{}"), record.wire_version);
  }
  out.push_back('}');
  return Pack(std::move(out));
}

std::string Encode(const Heartbeat& record, int version) {
  std::string out = fmt::format(
      FMT_COMPILE("{{\"v\":{},\"kind\":\"{}\",\"life\":{},\"nonce\":\"{:016x}\",\"number\":{},"
                  "\"lease_ms\":{},\"applied\":{},\"applied_nonce\":\"{:016x}\",\"epoch\":{},"
                  "\"capacity\":{},\"state\":"),
      version, KindName(record.kind), record.incarnation, record.nonce, record.number,
      record.lease_ms, record.applied_revision, record.applied_nonce, record.highest_epoch,
      record.capacity);
  AppendString(record.state, &out);
  if (!record.labels.empty()) AppendLabels(record.labels, &out);
  if (!record.refused.empty()) AppendRefusals(record.refused, &out);
  if (record.speaks != kOldestWireVersion) {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE(",\"speaks\":{}"), record.speaks);
  }
  if (record.kind == HeartbeatKind::kEvicted) {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE(",\"replaced\":{},\"evicted_by\":{}"),
                   record.replaced_revision, record.evicting_epoch);
  }
  out.push_back('}');
  return Pack(std::move(out));
}

std::string Encode(const Doc& record, int version) {
  std::string out = fmt::format(
      FMT_COMPILE("{{\"v\":{},\"epoch\":{},\"nonce\":\"{:016x}\",\"version\":{},\"life\":{{"
                  "\"incarnation\":{},\"nonce\":\"{:016x}\",\"lease_ms\":{}}},\"owned\":"),
      version, record.epoch, record.nonce, record.version, record.life_incarnation,
      record.life_nonce, record.life_lease_ms);
  AppendOwned(record.owned, &out);
  out.append(",\"releasing\":");
  AppendStrings({record.releasing.begin(), record.releasing.end()}, &out);
  if (record.unknown) out.append(",\"unknown\":true");
  out.push_back('}');
  return Pack(std::move(out));
}

std::string Encode(const Control& record) {
  std::string out = fmt::format(FMT_COMPILE("{{\"v\":{},\"paused\":{},\"drained\":"),
                                kOldestWireVersion, record.paused);
  AppendStrings({record.drained.begin(), record.drained.end()}, &out);
  out.append(",\"pins\":[");
  for (std::size_t i = 0; i < record.pins.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendStrings({record.pins[i].partition, record.pins[i].worker}, &out);
  }
  out.append("]}");
  return Pack(std::move(out));
}

std::string Encode(const Report& record) {
  std::string out = fmt::format(
      FMT_COMPILE("{{\"v\":{},\"epoch\":{},\"nonce\":\"{:016x}\",\"leader\":{},\"state\":{},"
                  "\"version\":{},\"cause\":{},\"listed\":{},\"partitions\":{},"
                  "\"unassigned\":{},\"sample\":"),
      kOldestWireVersion, record.epoch, record.nonce, Quoted(record.leader), Quoted(record.state),
      record.version, Quoted(std::string_view(record.cause).substr(0, kMaxReasonBytes)),
      record.listed, record.partitions, record.unassigned);
  const auto first = [](const std::vector<std::string>& texts) {
    return texts.begin() +
           static_cast<std::ptrdiff_t>(std::min<std::size_t>(texts.size(), kReportSample));
  };
  AppendStrings({record.sample.begin(), first(record.sample)}, &out);
  fmt::format_to(std::back_inserter(out),
                 FMT_COMPILE(",\"control\":{},\"settled\":{},\"problems\":"),
                 record.control_revision, record.control_settled);
  std::vector<std::string_view> problems(record.problems.begin(), first(record.problems));
  for (std::string_view& problem : problems) problem = problem.substr(0, kMaxReasonBytes);
  AppendStrings(problems, &out);
  out.push_back('}');
  return Pack(std::move(out));
}

std::size_t DocBytesPerPartition(std::string_view partition_id) {
  // The dearest partition has a token of its own: "[,,[]]," and two numbers of 16 digits.
  constexpr std::size_t kOwnToken = 7 + 2 * 16;
  const std::size_t quoted =
      NeedsNoEscape(partition_id) ? partition_id.size() + 2 : Escaped(partition_id).size();
  return kOwnToken + quoted + 1;
}

}  // namespace parti::wire
