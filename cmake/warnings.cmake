# SPDX-License-Identifier: MIT
# Compiler settings of this project's targets, and nobody else's.

if(HERON_SANITIZE)
    string(REPLACE ";" "," heron_sanitizers "${HERON_SANITIZE}")
    string(REPLACE "+" "," heron_sanitizers "${heron_sanitizers}")
    if(heron_sanitizers MATCHES "thread" AND heron_sanitizers MATCHES "address|leak|memory")
        message(FATAL_ERROR "HERON_SANITIZE=${HERON_SANITIZE}: thread does not go together with address, leak or "
            "memory; give it a build of its own")
    endif()
    # For the whole project: a program of which only a part is instrumented does not link. Lines are enough for a stack.
    add_compile_options(-fsanitize=${heron_sanitizers} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
    add_link_options(-fsanitize=${heron_sanitizers})
endif()

# heron_target_defaults(<target>): C++20 without extensions, hidden symbols, warnings.
function(heron_target_defaults target)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        C_VISIBILITY_PRESET hidden
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON) # a static heron may end up in somebody's plug-in
    target_compile_features(${target} PRIVATE cxx_std_20)
    if(WIN32) # windows.h defines max and min otherwise
        target_compile_definitions(${target} PRIVATE NOMINMAX WIN32_LEAN_AND_MEAN)
    endif()
    if(MSVC)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:/W4>)
    else()
        target_compile_options(${target} PRIVATE
            $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
            -Wno-missing-field-initializers -ffp-contract=off>)
        # A single unique symbol (a static of some inline function of the standard library) pins a plug-in in memory.
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
        # g++ 12's flow analysis is wrong about the standard library's own strings and vectors when it optimizes.
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict -Wno-array-bounds
            -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized -Wno-alloc-size-larger-than
            -Wno-free-nonheap-object>)
    endif()
    if(HERON_WERROR)
        if(MSVC)
            target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:/WX>)
        else()
            target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
        endif()
    endif()
endfunction()

# heron_leave_time_to_library(<target>): a program whose time is the library's and the drivers': -O3 would only make it
# slower to compile.
function(heron_leave_time_to_library target)
    if(NOT MSVC)
        target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
    endif()
endfunction()
