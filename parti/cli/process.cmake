# Child processes and a private nats-server, shared by `parti demo` and the tests.
include_guard(GLOBAL)
set(PARTI_PROCESS_SOURCES process.cc temp_folder.cc nats_server.cc)
list(TRANSFORM PARTI_PROCESS_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/parti/cli/)
add_library(parti_process STATIC ${PARTI_PROCESS_SOURCES})
target_link_libraries(parti_process PUBLIC parti_options absl::status absl::statusor fmt::fmt
                      Threads::Threads)
