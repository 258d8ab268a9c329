# `cpack -G DEB`: Debian packages for what `cmake --install` installs. With BUILD_SHARED_LIBS there are
# three: libparti0.1 (the library that programs load), libparti-dev, and parti (the command). `./run package`
# makes them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME parti)
set(CPACK_PACKAGE_VENDOR Parti)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "exclusive partitions for workers, through NATS KV")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(PARTI_PACKAGE_MAINTAINER "Parti maintainers <parti@example.org>" CACHE STRING
    "Who answers for the Debian packages")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${PARTI_PACKAGE_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# A program may run with any library of the same name that is at least as new.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

# What every Debian package has to have in its folder of documents.
string(TIMESTAMP PARTI_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${PROJECT_SOURCE_DIR}/parti/cmake/changelog.in ${PROJECT_BINARY_DIR}/cmake/changelog @ONLY)
find_program(GZIP gzip REQUIRED)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/cmake/changelog.Debian.gz
                   COMMAND ${GZIP} -9nc ${PROJECT_BINARY_DIR}/cmake/changelog
                           > ${PROJECT_BINARY_DIR}/cmake/changelog.Debian.gz
                   DEPENDS ${PROJECT_BINARY_DIR}/cmake/changelog VERBATIM)
add_custom_target(parti_changelog ALL DEPENDS ${PROJECT_BINARY_DIR}/cmake/changelog.Debian.gz)

set(CPACK_COMPONENTS_ALL)
# parti_package(GROUP NAME SECTION COMPONENT…): one package, from these components.
macro(parti_package group name section)
  install(FILES ${PROJECT_SOURCE_DIR}/parti/cmake/copyright
          ${PROJECT_BINARY_DIR}/cmake/changelog.Debian.gz
          DESTINATION share/doc/${name} COMPONENT ${group}-debian EXCLUDE_FROM_ALL)
  foreach(component ${ARGN} ${group}-debian)
    list(APPEND CPACK_COMPONENTS_ALL ${component})
    string(TOUPPER ${component} COMPONENT_NAME)
    set(CPACK_COMPONENT_${COMPONENT_NAME}_GROUP ${group})
  endforeach()
  string(TOUPPER ${group} GROUP_NAME)
  set(CPACK_DEBIAN_${GROUP_NAME}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${GROUP_NAME}_PACKAGE_SECTION ${section})
endmacro()

if(BUILD_SHARED_LIBS)
  set(runtime libparti${PARTI_SOVERSION})
  parti_package(runtime ${runtime} libs library)
  set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
      "Worker processes share out partitions among themselves, so that at no
moment two of them own one. This is the shared library that programs
are linked with.")
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS nats-server)
  file(WRITE ${PROJECT_BINARY_DIR}/cmake/triggers "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/cmake/triggers)
  set(CPACK_DEBIAN_BUILD_PACKAGE_DEPENDS "${runtime} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), libabsl-dev")
else()
  set(CPACK_DEBIAN_BUILD_PACKAGE_DEPENDS
      "libabsl-dev, libfmt-dev, libnats-dev, libssl-dev, libxxhash-dev, libzstd-dev, pkg-config")
endif()

parti_package(build libparti-dev libdevel development documents)
set(CPACK_DEBIAN_BUILD_PACKAGE_SUGGESTS "libnats-dev, pkg-config")
set(CPACK_DEBIAN_BUILD_DESCRIPTION
    "Worker processes share out partitions among themselves, so that at no
moment two of them own one. Headers, CMake and pkg-config files,
documents and examples.")

if(TARGET parti-cli)
  parti_package(command parti net command)
  set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS nats-server)
  set(CPACK_DEBIAN_COMMAND_DESCRIPTION
      "Worker processes share out partitions among themselves, so that at no
moment two of them own one. The command runs workers, shows what a
group does, and has a demo that starts a server of its own, for which
it needs the package nats-server.")
endif()

include(CPack)
foreach(group runtime build command)
  cpack_add_component_group(${group})
endforeach()
