# The C interface, from C: each suite is a program against the shipped object.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_package(Threads REQUIRED)

add_library(abi-common INTERFACE)
target_compile_definitions(abi-common INTERFACE _GNU_SOURCE)
target_compile_features(abi-common INTERFACE c_std_11)
target_compile_options(abi-common INTERFACE -Wall -Wextra -Werror)
target_include_directories(abi-common INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(abi-common INTERFACE PkgConfig::CMOCKA PkgConfig::CRYPTO Threads::Threads ${CMAKE_DL_LIBS})

# A program of test_NAME.c, linked against the shared object unless it is UNLINKED; ARGUMENTS are its own.
function(add_suite name)
  cmake_parse_arguments(SUITE UNLINKED "" "SOURCES;ARGUMENTS" ${ARGN})
  add_executable(abi-${name} test_${name}.c minting.c ${SUITE_SOURCES})
  target_link_libraries(abi-${name} PRIVATE abi-common)
  if(SUITE_UNLINKED)
    add_dependencies(abi-${name} keyturn)
  else()
    target_sources(abi-${name} PRIVATE support.c)
    target_link_libraries(abi-${name} PRIVATE keyturn)
  endif()
  add_test(NAME abi.${name} COMMAND abi-${name} ${SUITE_ARGUMENTS})
  set_tests_properties(abi.${name} PROPERTIES LABELS abi TIMEOUT 300)
endfunction()

foreach(suite conventions verify claims result challenge lifecycle revocation durable bytes tables tokens)
  add_suite(${suite})
endforeach()
foreach(suite refresh crossing options acceptance watch update store sums many)
  add_suite(${suite} SOURCES fetching.c)
endforeach()
foreach(suite clock drive feed files waiting)
  add_suite(${suite} SOURCES fetching.c staging.c)
endforeach()
foreach(suite notify trouble)
  add_suite(${suite} SOURCES fetching.c staging.c namespace.c)
endforeach()

# Its metrics as promtool reads them.
add_test(NAME abi.watch.metrics COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_metrics $<TARGET_FILE:abi-watch>)
set_tests_properties(abi.watch.metrics PROPERTIES LABELS abi TIMEOUT 300)

# What publishes a revocation late must be caught.
if(KEYTURN_EMBEDDED)
  compile_core(keyturn-late-core DEFINE KEYTURN_MUTANT_REVOKE_LATE)
  add_keyturn_library(keyturn-late keyturn-late-core ${CMAKE_SOURCE_DIR}/Sources/Keyturn/keyturn.map)
  add_executable(abi-revocation-late test_revocation.c minting.c support.c)
  target_link_libraries(abi-revocation-late PRIVATE abi-common keyturn-late)
  add_test(NAME abi.revocation.mutant COMMAND abi-revocation-late race)
  set_tests_properties(abi.revocation.mutant PROPERTIES LABELS abi TIMEOUT 300
    PASS_REGULAR_EXPRESSION "accepted that had started after jwks_cache_revoke returned")
endif()

# What forgets to merge, or answers before it has written, must be caught.
if(KEYTURN_EMBEDDED)
  compile_core(keyturn-careless-core DEFINE KEYTURN_MUTANT_REVOKE_CARELESS)
  add_keyturn_library(keyturn-careless keyturn-careless-core ${CMAKE_SOURCE_DIR}/Sources/Keyturn/keyturn.map)
  add_executable(abi-durable-careless test_durable.c minting.c support.c)
  target_link_libraries(abi-durable-careless PRIVATE abi-common keyturn-careless)
  add_test(NAME abi.durable.mutant_siblings COMMAND abi-durable-careless siblings)
  add_test(NAME abi.durable.mutant_kills COMMAND abi-durable-careless kills)
  set_tests_properties(abi.durable.mutant_siblings abi.durable.mutant_kills PROPERTIES LABELS abi TIMEOUT 300)
  set_tests_properties(abi.durable.mutant_siblings PROPERTIES PASS_REGULAR_EXPRESSION "of 400 revocations")
  set_tests_properties(abi.durable.mutant_kills PROPERTIES
    PASS_REGULAR_EXPRESSION "before the kill is (accepted|refused)")
endif()

# Nor may the cache keep a token alive that is revoked.
if(KEYTURN_EMBEDDED)
  add_executable(abi-revocation-unrevoked test_revocation.c minting.c support.c)
  target_link_libraries(abi-revocation-unrevoked PRIVATE abi-common keyturn-unrevoked)
  add_test(NAME abi.revocation.mutant_tokens COMMAND abi-revocation-unrevoked race)
  set_tests_properties(abi.revocation.mutant_tokens PROPERTIES LABELS abi TIMEOUT 300
    PASS_REGULAR_EXPRESSION "accepted that had started after jwks_cache_revoke returned")
endif()

# What does not look again at a token that is known must be caught.
if(KEYTURN_EMBEDDED)
  foreach(mutant untimed unrevoked rekeyed)
    string(TOUPPER ${mutant} symbol)
    compile_core(keyturn-${mutant}-core DEFINE KEYTURN_MUTANT_TOKEN_${symbol})
    add_keyturn_library(keyturn-${mutant} keyturn-${mutant}-core ${CMAKE_SOURCE_DIR}/Sources/Keyturn/keyturn.map)
    add_executable(abi-tokens-${mutant} test_tokens.c minting.c support.c)
    target_link_libraries(abi-tokens-${mutant} PRIVATE abi-common keyturn-${mutant})
    add_test(NAME abi.tokens.mutant_${mutant} COMMAND abi-tokens-${mutant} looks)
    set_tests_properties(abi.tokens.mutant_${mutant} PROPERTIES LABELS abi TIMEOUT 300)
  endforeach()
  set_tests_properties(abi.tokens.mutant_untimed PROPERTIES
    PASS_REGULAR_EXPRESSION "FAILED  . times_are_looked_at_each_time")
  set_tests_properties(abi.tokens.mutant_unrevoked PROPERTIES
    PASS_REGULAR_EXPRESSION "FAILED  . what_is_revoked_is_no_longer_known")
  set_tests_properties(abi.tokens.mutant_rekeyed PROPERTIES
    PASS_REGULAR_EXPRESSION "FAILED  . a_key_that_leaves_takes_its_tokens_along")
endif()

# What takes its own counts for somebody else's must be caught.
if(KEYTURN_EMBEDDED)
  compile_core(keyturn-twice-core DEFINE KEYTURN_MUTANT_SUM_TWICE)
  add_keyturn_library(keyturn-twice keyturn-twice-core ${CMAKE_SOURCE_DIR}/Sources/Keyturn/keyturn.map)
  add_executable(abi-sums-twice test_sums.c minting.c support.c fetching.c)
  target_link_libraries(abi-sums-twice PRIVATE abi-common keyturn-twice)
  add_test(NAME abi.sums.mutant COMMAND abi-sums-twice)
  set_tests_properties(abi.sums.mutant PROPERTIES LABELS abi TIMEOUT 300
    PASS_REGULAR_EXPRESSION "FAILED.*what_each_has_counted_is_told_by_all")
endif()

add_suite(loading UNLINKED ARGUMENTS $<TARGET_FILE:keyturn>)
add_suite(memory SOURCES interpose.c)
add_suite(soak SOURCES fetching.c interpose.c)

# Those that do not replace malloc again under valgrind, each read and write watched: with a tenth of the rounds. In
# a forked child the memory of the parent's other threads looks lost: there leaks are for abi.memory and abi.asan.
if(KEYTURN_EMBEDDED)
  function(add_memcheck name)
    cmake_parse_arguments(CHECK FORKING "" ARGUMENTS ${ARGN})
    set(leaks --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite)
    if(CHECK_FORKING)
      set(leaks --leak-check=no)
    endif()
    add_test(NAME abi.${name}.memcheck COMMAND valgrind --quiet --error-exitcode=99
      --suppressions=${CMAKE_CURRENT_SOURCE_DIR}/memcheck.supp ${leaks}
      $<TARGET_FILE:abi-${name}> ${CHECK_ARGUMENTS})
    set_tests_properties(abi.${name}.memcheck PROPERTIES
      LABELS memcheck TIMEOUT 600 ENVIRONMENT KEYTURN_TEST_SHARE=10)
  endfunction()
  foreach(suite conventions verify claims result challenge acceptance crossing options clock update files)
    add_memcheck(${suite})
  endforeach()
  foreach(suite lifecycle drive notify)
    add_memcheck(${suite} FORKING)
  endforeach()
  add_memcheck(loading FORKING ARGUMENTS $<TARGET_FILE:keyturn>)

  add_executable(abi-leak leak.c)
  target_link_libraries(abi-leak PRIVATE keyturn)
  add_memcheck(leak)
  set_tests_properties(abi.leak.memcheck PROPERTIES PASS_REGULAR_EXPRESSION "definitely lost.*jwks_cache_new")

  # All but those that replace malloc, against the core as ordinary Swift with AddressSanitizer.
  add_test(NAME abi.asan COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_sanitized address ${CMAKE_BINARY_DIR}/asan)
  set_tests_properties(abi.asan PROPERTIES LABELS asan TIMEOUT 900)
endif()
