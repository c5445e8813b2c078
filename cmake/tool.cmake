# The command-line tool `keyturn`: ordinary Swift, built by SwiftPM, with Swift's runtime and the core inside. It finds
# libkeyturn-fetch.so.0 beside itself, in ../lib of where it is installed, or where the system looks.
option(KEYTURN_TOOL "Build the command-line tool too, which takes a Swift package" OFF)
if(NOT KEYTURN_TOOL)
  return()
endif()

set(TOOL_SCRATCH ${CMAKE_BINARY_DIR}/tool)
file(RELATIVE_PATH libraries_from_tool ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
add_custom_target(keyturn-tool ALL
  COMMAND ${SWIFT_BIN}/swift build --package-path ${CMAKE_SOURCE_DIR} --scratch-path ${TOOL_SCRATCH}
    --configuration release --product keyturn --static-swift-stdlib
    -Xlinker "-rpath=$ORIGIN/${libraries_from_tool}"
  COMMENT "Building the tool keyturn" VERBATIM USES_TERMINAL)
install(PROGRAMS ${TOOL_SCRATCH}/release/keyturn DESTINATION ${CMAKE_INSTALL_BINDIR})
configure_file(Sources/KeyturnCLI/systemd/keyturn-agent.service.in keyturn-agent.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/keyturn-agent.service DESTINATION lib/systemd/system)
