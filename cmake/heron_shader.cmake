# SPDX-License-Identifier: MIT
# heron_shader(): from a GLSL compute shader to a constexpr array of SPIR-V words.
#
#   heron_shader(<variant> <source> [DEFINES A=1 ...] [REQUIRES COOPMAT ...] [TARGET <target>])
#
#   variant    name of the array, heron::spirv::<variant>, in the generated header heron/spirv/<variant>.hpp
#   source     relative to the calling folder
#   DEFINES    macros; only where a type or an extension changes (style: specialization constants otherwise)
#   REQUIRES   toolchain features, as probed in dependencies.cmake: the variant is left out where HERON_HAVE_<feature> is 0
#   TARGET     whose sources include the header; default heron. Must exist already.
#
# Includes are searched in Heron's shaders/ and in the calling folder. Edited includes rebuild their shaders.

# In the cache, so that heron_shader() also works for a parent project that added Heron as a subdirectory.
set(HERON_SHADER_ROOT ${CMAKE_CURRENT_SOURCE_DIR}/shaders CACHE INTERNAL "")
set(HERON_GENERATED_DIR ${CMAKE_CURRENT_BINARY_DIR}/generated CACHE INTERNAL "")
set(HERON_EMBED_SCRIPT ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_spirv.cmake CACHE INTERNAL "")

function(heron_shader variant source)
    cmake_parse_arguments(PARSE_ARGV 2 ARG "" "TARGET" "DEFINES;REQUIRES")
    if(ARG_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "heron_shader(${variant}): unknown arguments ${ARG_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT ARG_TARGET)
        set(ARG_TARGET heron)
    endif()
    foreach(feature IN LISTS ARG_REQUIRES)
        if(NOT DEFINED HERON_HAVE_${feature})
            message(FATAL_ERROR "heron_shader(${variant}): nothing probes for ${feature}")
        endif()
        if(NOT HERON_HAVE_${feature})
            return()
        endif()
    endforeach()

    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    set(spv ${HERON_GENERATED_DIR}/spv/${variant}.spv)
    set(header ${HERON_GENERATED_DIR}/heron/spirv/${variant}.hpp)
    list(TRANSFORM ARG_DEFINES PREPEND -D)
    set(optimize "")
    if(HERON_SPIRV_OPT)
        set(optimize COMMAND ${HERON_SPIRV_OPT} --target-env=vulkan1.3 --scalar-block-layout -O ${spv} -o ${spv})
    endif()
    file(MAKE_DIRECTORY ${HERON_GENERATED_DIR}/spv ${HERON_GENERATED_DIR}/heron/spirv)

    # The depfile names its target as -o does, which therefore has to be the first output.
    add_custom_command(OUTPUT ${spv} ${header}
        COMMAND ${HERON_GLSLANG} --quiet --target-env vulkan1.3 -I${HERON_SHADER_ROOT} -I${CMAKE_CURRENT_SOURCE_DIR}
                ${ARG_DEFINES} --depfile ${spv}.d -o ${spv} ${path}
        ${optimize}
        COMMAND ${HERON_SPIRV_VAL} --target-env vulkan1.3 --scalar-block-layout ${spv}
        COMMAND ${CMAKE_COMMAND} -DVARIANT=${variant} -DSPV=${spv} -DHEADER=${header} -P ${HERON_EMBED_SCRIPT}
        MAIN_DEPENDENCY ${path}
        DEPENDS ${HERON_EMBED_SCRIPT}
        DEPFILE ${spv}.d
        COMMENT "Shader ${variant}"
        VERBATIM)

    # A custom command's output is known only in the folder that declares it, so each folder gets a target for it.
    string(MD5 folder ${CMAKE_CURRENT_SOURCE_DIR})
    string(SUBSTRING ${folder} 0 8 folder)
    set(collector ${ARG_TARGET}_shaders_${folder})
    if(NOT TARGET ${collector})
        add_library(${collector} INTERFACE)
        add_dependencies(${ARG_TARGET} ${collector})
        if(ARG_TARGET STREQUAL heron AND BUILD_SHARED_LIBS AND TARGET heron_internal)
            add_dependencies(heron_internal ${collector})
        endif()
        if(NOT ARG_TARGET STREQUAL heron)
            target_include_directories(${ARG_TARGET} PRIVATE ${HERON_GENERATED_DIR})
        endif()
    endif()
    target_sources(${collector} PRIVATE ${spv} ${header})
endfunction()
