// The orders that people give a group, as changes of its Control record. Pure functions.
//
//   Order order{.kind = OrderKind::kDrain, .worker = "worker-2"};
//   absl::StatusOr<bool> changed = ApplyOrder(order, group, &control);
//
// Thread safety: none needed.
#ifndef PARTI_CLI_CONTROL_ORDERS_H_
#define PARTI_CLI_CONTROL_ORDERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "internal/wire/records.h"
#include "parti/cli/group_snapshot.h"
#include "parti/cli/status_model.h"

namespace parti::cli {

enum class OrderKind { kDrain, kUndrain, kPause, kResume, kPin, kUnpin };

struct Order {
  OrderKind kind{};
  std::string worker = {};     // kDrain, kUndrain, kPin
  std::string partition = {};  // kPin, kUnpin
  bool force = false;          // record it although it makes no sense
};

// "drain worker-2"; what takes it back: "parti undrain worker-2".
std::string TextOfOrder(const Order& order);
std::string UndoOfOrder(const Order& order);

// Changes `control`; false: it says so already. `status` (with its partition_list) is the group as
// it is now. InvalidArgument: there is no such worker or partition, or the order makes no sense as
// things are; the message says how to record it all the same.
absl::StatusOr<bool> ApplyOrder(const Order& order, const GroupStatus& status,
                                wire::Control* control);

// How far an order has come.
struct Progress {
  bool confirmed = false;
  bool refused = false;   // the leader says that it can't be done
  std::string text = {};  // what is so, or what is missing
};

// `revision`: of the Control record that bears the order.
Progress CheckProgress(const Order& order, std::uint64_t revision, const GroupSnapshot& snapshot,
                       const GroupStatus& status);

}  // namespace parti::cli

#endif  // PARTI_CLI_CONTROL_ORDERS_H_
