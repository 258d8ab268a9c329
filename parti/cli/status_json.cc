// The schema is a promise to scripts: docs/operations.md describes it, and a change that isn't an
// addition takes a new number.
#include <nlohmann/json.hpp>

#include "parti/cli/status_text.h"

namespace parti::cli {
namespace {

using nlohmann::json;

constexpr int kSchema = 1;

template <typename T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json LeaderJson(const std::optional<LeaderStatus>& leader) {
  if (!leader) return nullptr;
  return {{"worker", leader->worker},
          {"epoch", leader->epoch},
          {"alive", leader->alive},
          {"resigned", leader->released},
          {"renewed_ms_ago", leader->renewed_ms}};
}

json CalculatorJson(const std::optional<ReportStatus>& report) {
  if (!report) return nullptr;
  return {{"state", report->state},     {"version", report->version},
          {"cause", report->cause},     {"epoch", report->epoch},
          {"current", report->current}, {"reported_ms_ago", report->age_ms}};
}

json ControlJson(const std::optional<ControlStatus>& control) {
  if (!control) return nullptr;
  json pins = json::object();
  for (const wire::Pin& pin : control->orders.pins) pins[pin.partition] = pin.worker;
  return {{"paused", control->orders.paused},
          {"drained", control->orders.drained},
          {"pins", std::move(pins)},
          {"confirmed", control->confirmed},
          {"problems", control->problems}};
}

json PartitionsJson(const PartitionCounts& counts) {
  return {{"total", OrNull(counts.total)},
          {"owned", counts.owned},
          {"granted", counts.granted},
          {"releasing", counts.releasing},
          {"waiting", counts.waiting},
          {"contested", counts.contested},
          {"unowned", counts.total ? json(counts.unowned) : json(nullptr)},
          {"unowned_sample", counts.unowned_sample}};
}

json WorkerJson(const WorkerStatus& worker) {
  return {{"id", worker.id},
          {"identity", worker.identity},
          {"life", LifeName(worker.life)},
          {"state", worker.state},
          {"leader", worker.leader},
          {"drained", worker.drained},
          {"heard_ms_ago", OrNull(worker.silent_ms)},
          {"lease_ms", worker.lease_ms},
          {"capacity", worker.capacity},
          {"labels", worker.labels},
          {"incarnation", worker.incarnation},
          {"epoch_seen", worker.epoch_seen},
          {"behind", worker.behind},
          {"assignment",
           {{"revision", worker.doc_revision},
            {"applied", worker.applied_revision},
            {"epoch", worker.doc_epoch},
            {"version", worker.doc_version}}},
          {"owned", worker.owned},
          {"granted", worker.granted},
          {"releasing", worker.releasing},
          {"refused", worker.refused}};
}

json PartitionJson(const PartitionStatus& partition) {
  json one = {{"id", partition.id}, {"state", PartitionStateName(partition.state)}};
  if (!partition.owner.empty()) {
    one["owner"] = partition.owner;
    one["token"] = {partition.token.epoch, partition.token.version};
  }
  if (!partition.from.empty()) one["from"] = partition.from;
  return one;
}

const char* VerdictWord(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHealthy:
      return "healthy";
    case Verdict::kUnhealthy:
      return "unhealthy";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "unknown";
}

json ToJson(const GroupStatus& status) {
  json workers = json::array();
  for (const WorkerStatus& worker : status.workers) workers.push_back(WorkerJson(worker));
  json findings = json::array();
  for (const Finding& finding : status.findings) {
    findings.push_back({{"severity", SeverityName(finding.severity)},
                        {"code", finding.code},
                        {"text", finding.text},
                        {"advice", finding.advice}});
  }
  json object = {
      {"schema", kSchema},
      {"verdict", VerdictWord(status.verdict)},
      {"exit_status", static_cast<int>(status.verdict)},
      {"summary", status.headline},
      {"advice", status.advice},
      {"prefix", status.prefix},
      {"server", status.server},
      {"time", status.time.empty() ? json(nullptr) : json(status.time)},
      {"mode", status.leader ? json(wire::ModeName(status.leader->mode)) : json(nullptr)},
      {"leader", LeaderJson(status.leader)},
      {"calculator", CalculatorJson(status.report)},
      {"control", ControlJson(status.control)},
      {"moving", status.moving},
      {"quiet_ms", status.quiet_ms},
      {"ages_by", "server clock"},
      {"partitions", PartitionsJson(status.partitions)},
      {"given_back", status.refusals},
      {"workers", std::move(workers)},
      {"findings", std::move(findings)}};
  if (status.listed) {
    json list = json::array();
    for (const PartitionStatus& one : status.partition_list) list.push_back(PartitionJson(one));
    object["partition_list"] = std::move(list);
  }
  return object;
}

// Keys and reasons come from outside and may be any bytes.
std::string Dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string StatusJson(const GroupStatus& status) { return Dump(ToJson(status)); }

std::string StatusSignature(const GroupStatus& status) {
  json object = ToJson(status);
  for (const char* const name : {"summary", "advice", "time", "quiet_ms"}) object.erase(name);
  for (json& finding : object["findings"]) {
    finding.erase("text");
    finding.erase("advice");
  }
  for (json& worker : object["workers"]) worker.erase("heard_ms_ago");
  if (object["leader"].is_object()) object["leader"].erase("renewed_ms_ago");
  if (object["calculator"].is_object()) object["calculator"].erase("reported_ms_ago");
  return Dump(object);
}

}  // namespace parti::cli
