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
