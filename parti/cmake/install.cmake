# What `cmake --install` installs. In components: `library` (the shared library's file that programs
# load), `development` (what compiling and linking against parti needs), `command`, and `documents`.
# Both kinds of library are built; BUILD_SHARED_LIBS says which one is installed. The other one's
# components, library-static and so on, are installed only when they are asked for by name.
include(CMakePackageConfigHelpers)

set(PARTI_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/parti)
# Not in include/ itself: of parti's two folders one is called `strategies`.
set(PARTI_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR}/parti)
# How a file in the library's folder finds the prefix, wherever that has been moved to.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE PARTI_PC_TO_PREFIX)

# Headers of parti/ that only the library and its command include.
set(PARTI_PRIVATE_HEADERS config_fields.h)
if(NOT PARTI_PROMETHEUS)
  list(APPEND PARTI_PRIVATE_HEADERS prometheus.h)
endif()
file(GLOB PARTI_PUBLIC_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/parti/*.h)
list(TRANSFORM PARTI_PRIVATE_HEADERS PREPEND ${PROJECT_SOURCE_DIR}/parti/ OUTPUT_VARIABLE private)
list(REMOVE_ITEM PARTI_PUBLIC_HEADERS ${private})

write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/partiConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)

# parti_install_kind(TARGET KIND SUFFIX): one kind of library with its package files, in components whose
# names end in SUFFIX.
function(parti_install_kind target kind suffix)
  set(excluded)
  if(suffix)
    set(excluded EXCLUDE_FROM_ALL)
  endif()
  set(development COMPONENT development${suffix} ${excluded})
  set(folder ${PROJECT_BINARY_DIR}/cmake/${kind})

  # absl's own .pc files say what it needs. A static library has to bring along what it was built with.
  set(PARTI_PC_REQUIRES "absl_status absl_statusor")
  set(PARTI_PC_LIBS_PRIVATE)
  if(kind STREQUAL static)
    string(APPEND PARTI_PC_REQUIRES " absl_strings absl_time fmt libnats libzstd libxxhash libcrypto")
    set(PARTI_PC_LIBS_PRIVATE "-pthread")
  endif()
  set(PARTI_KIND ${kind})
  configure_file(${PROJECT_SOURCE_DIR}/parti/cmake/parti.pc.in ${folder}/parti.pc @ONLY)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/parti/cmake/partiConfig.cmake.in
                                ${folder}/partiConfig.cmake INSTALL_DESTINATION ${PARTI_CMAKE_DIR}
                                NO_SET_AND_CHECK_MACRO)

  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${PARTI_INCLUDE_DIR}>)
  install(TARGETS ${target} EXPORT ${target}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library${suffix} ${excluded}
                  NAMELINK_COMPONENT development${suffix}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} ${development})
  install(EXPORT ${target} NAMESPACE parti:: FILE parti-${kind}-targets.cmake DESTINATION ${PARTI_CMAKE_DIR}
          ${development})
  install(FILES ${folder}/partiConfig.cmake ${PROJECT_BINARY_DIR}/cmake/partiConfigVersion.cmake
          DESTINATION ${PARTI_CMAKE_DIR} ${development})
  install(FILES ${folder}/parti.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${development})
  install(FILES ${PARTI_PUBLIC_HEADERS} DESTINATION ${PARTI_INCLUDE_DIR}/parti ${development})
  install(FILES ${PROJECT_SOURCE_DIR}/strategies/strategies.h
          DESTINATION ${PARTI_INCLUDE_DIR}/strategies ${development})
endfunction()

if(BUILD_SHARED_LIBS)
  parti_install_kind(parti_shared shared "")
  parti_install_kind(parti static -static)
else()
  parti_install_kind(parti static "")
  parti_install_kind(parti_shared shared -shared)
endif()

if(TARGET parti-cli)
  install(TARGETS parti-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
file(GLOB licence ${PROJECT_SOURCE_DIR}/LICENSE* ${PROJECT_SOURCE_DIR}/COPYING*)
if(licence)
  install(FILES ${licence} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)
endif()
