# The group of worker processes, its observer, and what `parti demo` shows of it; shared with the tests.
include_guard(GLOBAL)
include(${PROJECT_SOURCE_DIR}/parti/cli/process.cmake)
include(${PROJECT_SOURCE_DIR}/parti/cli/observer.cmake)
set(PARTI_DEMO_SOURCES worker_group.cc demo_story.cc demo_summary.cc demo_view.cc terminal.cc)
list(TRANSFORM PARTI_DEMO_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/parti/cli/)
add_library(parti_demo STATIC ${PARTI_DEMO_SOURCES})
target_link_libraries(parti_demo PUBLIC parti_options parti_process parti_observer absl::status
                      absl::statusor PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
