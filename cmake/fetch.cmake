# libkeyturn-fetch.so.0: a second shared object, so that the first needs no libcurl. It takes the few files of the
# core that hold octets, and calls nothing of libkeyturn.so.
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.87) # CURLOPT_QUICK_EXIT

file(GLOB FETCH_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/Sources/KeyturnFetch/*.swift)
foreach(part Base/Buffer Base/Bytes Base/CString Base/Counting Base/Fault Base/IPAddress Base/Memory Base/Room Base/Status
    Base/TextWriter CAPI/Errors)
  list(APPEND FETCH_SOURCES ${CMAKE_SOURCE_DIR}/Sources/Keyturn/${part}.swift)
endforeach()

set(FETCH_FLAGS ${SWIFT_FLAGS} -module-name KeyturnFetch
  -I ${CMAKE_SOURCE_DIR}/Sources/CKeyturnFetch/include
  -Xcc -fmodule-map-file=${CMAKE_SOURCE_DIR}/Sources/CCurl/module.modulemap)
foreach(flag ${CURL_CFLAGS})
  list(APPEND FETCH_FLAGS -Xcc ${flag})
endforeach()

set(FETCH_OBJECT ${CMAKE_BINARY_DIR}/keyturn-fetch.o)
add_custom_command(OUTPUT ${FETCH_OBJECT}
  COMMAND ${SWIFTC} ${FETCH_FLAGS} -c ${FETCH_SOURCES} -o ${FETCH_OBJECT}
  DEPENDS ${FETCH_SOURCES} ${CORE_HEADERS}
  COMMENT "Compiling keyturn-fetch" VERBATIM)
set_source_files_properties(${FETCH_OBJECT} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)

add_library(keyturn-fetch SHARED ${FETCH_OBJECT}
  Sources/CKeyturnFetch/ckeyturnfetch.c Sources/CKeyturn/ckeyturn.c)
target_include_directories(keyturn-fetch PRIVATE Sources/CKeyturnFetch/include Sources/CKeyturn/include)
target_link_libraries(keyturn-fetch PRIVATE PkgConfig::CURL m)
link_with_care(keyturn-fetch ${CMAKE_SOURCE_DIR}/Sources/KeyturnFetch/keyturn_fetch.map)
set_target_properties(keyturn-fetch PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
