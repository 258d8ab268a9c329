# The observer of event logs, shared by `parti demo` and the tests. Nothing of core is in it.
include_guard(GLOBAL)
set(PARTI_OBSERVER_SOURCES event_line.cc history.cc history_report.cc history_text.cc log_tail.cc
    observer.cc observer_judge.cc)
list(TRANSFORM PARTI_OBSERVER_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/parti/cli/)
add_library(parti_observer STATIC ${PARTI_OBSERVER_SOURCES})
target_link_libraries(parti_observer PUBLIC parti_options absl::status absl::statusor
                      PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
# Always optimised: logs may have millions of lines.
target_compile_options(parti_observer PRIVATE -O2)
