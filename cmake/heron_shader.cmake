# SPDX-License-Identifier: MIT
# heron_shader(): from a GLSL compute shader to a constexpr array of SPIR-V words.
#
#   heron_shader(<variant> <source> [DEFINES A=1 ...] [REQUIRES COOPMAT ...] [TARGET <target>])
#
#   variant    name of the array, heron::spirv::<variant>, in the generated header heron/spirv/<variant>.hpp
#   source     relative to the calling folder
#   DEFINES    macros; only where a type or an extension changes (style: specialization constants otherwise)
#   REQUIRES   toolchain features, as probed in dependencies.cmake: the variant is left out where HERON_HAVE_<feature> is 0
#              (in an installed Heron: as they were when Heron was built)
#   TARGET     whose sources include the header; default heron, which only Heron's own kernels are for. Must exist already.
#
# Includes are searched in Heron's shaders/ and in the calling folder. Edited includes rebuild their shaders.
#
# Of the project's own build, and of projects that use Heron: find_package(heron) and add_subdirectory(heron) define it.
# Whoever includes this file says where Heron's shaders are and where headers are written: HERON_SHADER_ROOT and
# HERON_GENERATED_DIR, in the cache, because functions are known in parent folders and variables are not.

# Programs, not CMake's FindVulkan components: those report success without the program.
find_program(HERON_GLSLANG NAMES glslangValidator glslang)
find_program(HERON_SPIRV_VAL NAMES spirv-val)
find_program(HERON_SPIRV_OPT NAMES spirv-opt) # optional, as are the next two
# Of the validator's version: an older one does not know what its shaders use.
if(HERON_SPIRV_VAL)
    cmake_path(GET HERON_SPIRV_VAL PARENT_PATH heron_spirv_tools)
    find_program(HERON_SPIRV_DIS NAMES spirv-dis PATHS ${heron_spirv_tools} NO_DEFAULT_PATH)
    find_program(HERON_SPIRV_AS NAMES spirv-as PATHS ${heron_spirv_tools} NO_DEFAULT_PATH)
endif()

function(heron_shader variant source)
    cmake_parse_arguments(PARSE_ARGV 2 ARG "" "TARGET" "DEFINES;REQUIRES")
    if(ARG_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "heron_shader(${variant}): unknown arguments ${ARG_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT ARG_TARGET)
        set(ARG_TARGET heron)
    endif()
    if(NOT TARGET ${ARG_TARGET})
        message(FATAL_ERROR "heron_shader(${variant}): there is no target ${ARG_TARGET}; name yours with TARGET")
    endif()
    if(NOT HERON_GLSLANG OR NOT HERON_SPIRV_VAL)
        message(FATAL_ERROR "heron_shader(${variant}): needs glslangValidator and spirv-val "
            "(Debian: apt install glslang-tools spirv-tools)")
    endif()
    foreach(feature IN LISTS ARG_REQUIRES)
        if(NOT DEFINED HERON_HAVE_${feature})
            message(FATAL_ERROR "heron_shader(${variant}): nothing probes for ${feature}")
        endif()
        if(NOT HERON_HAVE_${feature})
            return()
        endif()
    endforeach()

    if(ARG_TARGET STREQUAL heron)
        set_property(GLOBAL APPEND PROPERTY HERON_SHADERS ${variant}) # for the checks that look at every one
    endif()

    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    set(embed ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/embed_spirv.cmake)
    set(spv ${HERON_GENERATED_DIR}/spv/${variant}.spv)
    set(header ${HERON_GENERATED_DIR}/heron/spirv/${variant}.hpp)
    list(TRANSFORM ARG_DEFINES PREPEND -D)
    set(optimize "")
    if(HERON_SPIRV_OPT)
        set(optimize COMMAND ${HERON_SPIRV_OPT} --target-env=vulkan1.3 --scalar-block-layout -O ${spv} -o ${spv})
    endif()
    set(align "")
    set(align_references ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/align_references.cmake)
    if(HERON_SPIRV_DIS AND HERON_SPIRV_AS)
        set(align COMMAND ${CMAKE_COMMAND} -DSPV=${spv} -DSPIRV_DIS=${HERON_SPIRV_DIS} -DSPIRV_AS=${HERON_SPIRV_AS}
            -P ${align_references})
    endif()
    file(MAKE_DIRECTORY ${HERON_GENERATED_DIR}/spv ${HERON_GENERATED_DIR}/heron/spirv)

    # The depfile names its target as -o does, which therefore has to be the first output.
    add_custom_command(OUTPUT ${spv} ${header}
        COMMAND ${HERON_GLSLANG} --quiet --target-env vulkan1.3 -I${HERON_SHADER_ROOT} -I${CMAKE_CURRENT_SOURCE_DIR}
                ${ARG_DEFINES} --depfile ${spv}.d -o ${spv} ${path}
        ${optimize}
        ${align}
        COMMAND ${HERON_SPIRV_VAL} --target-env vulkan1.3 --scalar-block-layout ${spv}
        COMMAND ${CMAKE_COMMAND} -DVARIANT=${variant} -DSPV=${spv} -DHEADER=${header} -P ${embed}
        MAIN_DEPENDENCY ${path}
        DEPENDS ${embed} ${align_references}
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
            # The array, and what the headers of jobs include.
            target_include_directories(${ARG_TARGET} PRIVATE ${HERON_GENERATED_DIR} ${HERON_SHADER_ROOT})
        endif()
    endif()
    target_sources(${collector} PRIVATE ${spv} ${header})
endfunction()
