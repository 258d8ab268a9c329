# What `parti status` makes of the buckets, and the orders that people give: shared with the tests.
include_guard(GLOBAL)
set(PARTI_STATUS_SOURCES
    group_snapshot.cc status_workers.cc status_partitions.cc status_model.cc status_words.cc
    status_text.cc status_json.cc control_orders.cc)
list(TRANSFORM PARTI_STATUS_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/parti/cli/)
add_library(parti_status STATIC ${PARTI_STATUS_SOURCES})
target_link_libraries(parti_status PUBLIC parti_options parti absl::status absl::statusor
                      PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
