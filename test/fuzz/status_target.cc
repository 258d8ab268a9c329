// `parti status`, and the orders that people give, over buckets that hold anything. A record of a
// group is somebody else's text on our terminal: it must not command it.
//
// An input is a list of entries: bucket, key, value. What is left over at the end is one more
// value.
#include <nlohmann/json.hpp>
#include <string>

#include "parti/cli/control_orders.h"
#include "parti/cli/group_snapshot.h"
#include "parti/cli/status_model.h"
#include "parti/cli/status_text.h"
#include "test/fuzz/bytes.h"

namespace parti::fuzz {
namespace {

void CheckText(const std::string& text) {
  for (const char c : text) {
    Require(c == '\n' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f'),
            "a byte that commands a terminal");
  }
}

wire::Entry TakeEntry(Bytes* bytes, wire::Bucket bucket, std::uint64_t revision) {
  static constexpr std::string_view kKeys[] = {"worker-0", "worker-1", "worker-2"};
  static constexpr std::string_view kElection[] = {"leader", "control", "report"};
  const std::size_t choice = bytes->Below(4);
  wire::Entry entry{.key = {}, .revision = revision, .deleted = false, .value = {}};
  if (choice == 3) {
    entry.key = bytes->Text(bytes->Below(32));
  } else {
    entry.key = std::string(bucket == wire::Bucket::kElection ? kElection[choice] : kKeys[choice]);
  }
  const std::uint16_t size = bytes->Short();
  entry.deleted = size == 0xffff;
  if (!entry.deleted) entry.value = bytes->Text(size);
  return entry;
}

void CheckOrders(const cli::GroupSnapshot& snapshot, const cli::GroupStatus& status) {
  for (const cli::OrderKind kind :
       {cli::OrderKind::kDrain, cli::OrderKind::kUndrain, cli::OrderKind::kPause,
        cli::OrderKind::kResume, cli::OrderKind::kPin, cli::OrderKind::kUnpin}) {
    for (const bool force : {false, true}) {
      const cli::Order order{
          .kind = kind, .worker = "worker-0", .partition = "p-0", .force = force};
      wire::Control control;
      if (snapshot.control && snapshot.control->get() != nullptr)
        control = *snapshot.control->get();
      const auto changed = cli::ApplyOrder(order, status, &control);
      if (!changed.ok()) continue;
      Require(wire::DecodeControl(wire::Encode(control)).ok(), "an order that no leader can read");
      static_cast<void>(cli::CheckProgress(order, 7, snapshot, status));
    }
  }
}

}  // namespace

void FuzzStatus(Input input) {
  Bytes bytes(input);
  cli::GroupSnapshot snapshot;
  snapshot.now = 1'000'000'000'000;
  std::uint64_t revision = 0;
  while (!bytes.empty()) {
    const auto bucket = static_cast<wire::Bucket>(bytes.Below(wire::kBucketCount));
    const cli::LocalNanos age = cli::LocalNanos{bytes.Short()} * 10'000'000;
    snapshot.Take(bucket, TakeEntry(&bytes, bucket, ++revision), snapshot.now - age);
  }
  const cli::GroupStatus status = cli::JudgeGroup(snapshot, {.list_partitions = true});
  Require(!status.headline.empty(), "no verdict");
  CheckText(cli::StatusText(status, {}));
  CheckText(cli::StatusText(status, {.all_workers = true, .columns = 80, .rows = 24}));
  CheckText(cli::StatusText(status, {.columns = 1, .rows = 1}));
  CheckText(cli::OneLine(status.headline));
  const std::string json = cli::StatusJson(status);
  Require(nlohmann::json::accept(json), "what isn't JSON");
  Require(json.find('\n') == std::string::npos, "more than a line");
  static_cast<void>(cli::StatusSignature(status));
  CheckOrders(snapshot, status);
}

}  // namespace parti::fuzz
