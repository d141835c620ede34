# SPDX-License-Identifier: MIT
# heron_c_program(<name> SOURCES ...): a program in C11 that uses include/heron/heron.h alone. C is C here: what is no
# strict C11 is an error, and so is every warning, since this is the proof that the header is fit for it.
function(heron_c_program name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES")
    add_executable(${name} ${ARG_SOURCES})
    set_target_properties(${name} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    if(MSVC)
        target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:/W4>)
    else()
        target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:-pedantic -Wall -Wextra -Werror>)
    endif()
    target_link_libraries(${name} PRIVATE heron::heron)
endfunction()

# heron_c_program_test(<name> LABELS <label>... TIMEOUT <seconds> [ARGUMENTS ...]): runs such a program as a test.
function(heron_c_program_test name)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "TIMEOUT" "LABELS;ARGUMENTS")
    add_test(NAME ${name} COMMAND ${name} ${ARG_ARGUMENTS})
    # Drivers leak a little and are unloaded at the end, when a leak has no name any more that could be excepted. (Programs
    # in C++ keep them: tests/support/keep_modules.cpp.)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endfunction()
