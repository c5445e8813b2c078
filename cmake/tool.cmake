# The command-line tool `keyturn`: ordinary Swift, built by SwiftPM, with Swift's runtime and the core inside. It finds
# libkeyturn-fetch.so.0 beside itself, in ../lib of where it is installed, or where the system looks.
option(KEYTURN_TOOL "Build the command-line tool too, which takes a Swift package" OFF)
if(NOT KEYTURN_TOOL)
  return()
endif()

set(TOOL_SCRATCH ${CMAKE_BINARY_DIR}/tool)
set(TOOL ${TOOL_SCRATCH}/release/keyturn)
set(TOOL_PAGES ${CMAKE_BINARY_DIR}/tool-pages)
file(RELATIVE_PATH libraries_from_tool ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set(build_tool ${SWIFT_BIN}/swift build --package-path ${CMAKE_SOURCE_DIR} --scratch-path ${TOOL_SCRATCH}
  --configuration release --static-swift-stdlib -Xlinker "-rpath=$ORIGIN/${libraries_from_tool}" --product)
# Its manual and its completions are what it says of itself.
add_custom_target(keyturn-tool ALL
  COMMAND ${build_tool} keyturn
  COMMAND ${build_tool} generate-manual
  COMMAND ${CMAKE_COMMAND} -E make_directory ${TOOL_PAGES}
  COMMAND ${TOOL_SCRATCH}/release/generate-manual ${TOOL} --multi-page --output-directory ${TOOL_PAGES}
  COMMAND ${TOOL} --generate-completion-script bash > ${TOOL_PAGES}/keyturn
  COMMAND ${TOOL} --generate-completion-script zsh > ${TOOL_PAGES}/_keyturn
  COMMAND ${TOOL} --generate-completion-script fish > ${TOOL_PAGES}/keyturn.fish
  COMMENT "Building the tool keyturn" VERBATIM USES_TERMINAL)
install(PROGRAMS ${TOOL} DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${TOOL_PAGES}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(FILES ${TOOL_PAGES}/keyturn DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${TOOL_PAGES}/_keyturn DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${TOOL_PAGES}/keyturn.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
configure_file(Sources/KeyturnCLI/systemd/keyturn-agent.service.in keyturn-agent.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/keyturn-agent.service DESTINATION lib/systemd/system)
