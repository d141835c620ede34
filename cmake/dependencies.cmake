# SPDX-License-Identifier: MIT
# Finds everything the build needs, and says in one message what is missing and which Debian package has it.

set(HERON_MISSING "")          # lines of text
set(HERON_MISSING_PACKAGES "") # for the apt line

# heron_need(<variable> <what it is> <Debian package>): notes the thing as missing when the variable is false.
function(heron_need variable what package)
    if(NOT ${variable})
        set(HERON_MISSING "${HERON_MISSING}\n  - ${what} (package ${package})" PARENT_SCOPE)
        set(HERON_MISSING_PACKAGES "${HERON_MISSING_PACKAGES} ${package}" PARENT_SCOPE)
    endif()
endfunction()

find_package(Threads REQUIRED)

# --- Vulkan: headers only. The loader is opened at run time.
find_path(HERON_VULKAN_INCLUDE_DIR vulkan/vulkan_core.h)
heron_need(HERON_VULKAN_INCLUDE_DIR "Vulkan headers, vulkan/vulkan_core.h" libvulkan-dev)

# Debian's volk is two files without a CMake package; the Vulkan SDK has them in a folder Volk.
find_path(HERON_VOLK_INCLUDE_DIR NAMES volk.h PATH_SUFFIXES volk Volk)
find_file(HERON_VOLK_SOURCE NAMES volk.c HINTS ${HERON_VOLK_INCLUDE_DIR} PATH_SUFFIXES include volk Volk include/Volk)
heron_need(HERON_VOLK_INCLUDE_DIR "volk.h" libvulkan-volk-dev)
heron_need(HERON_VOLK_SOURCE "volk.c" libvulkan-volk-dev)

# --- Shader tools: heron_shader.cmake looks for them.
heron_need(HERON_GLSLANG "the shader compiler glslangValidator" glslang-tools)
heron_need(HERON_SPIRV_VAL "the shader validator spirv-val" spirv-tools)

# --- Headers that only the library's own sources see.
find_package(nlohmann_json QUIET)
heron_need(nlohmann_json_FOUND "nlohmann-json" nlohmann-json3-dev)

if(HERON_BUILD_TESTS OR HERON_BUILD_BENCH)
    find_package(GTest QUIET)
    heron_need(GTest_FOUND "GoogleTest" libgtest-dev)
    find_package(Eigen3 QUIET NO_MODULE)
    heron_need(Eigen3_FOUND "Eigen 3" libeigen3-dev)
endif()

if(HERON_BUILD_SAMPLES OR HERON_BUILD_BENCH)
    find_package(CLI11 QUIET)
    heron_need(CLI11_FOUND "CLI11" libcli11-dev)
endif()

if(HERON_BUILD_SAMPLES)
    find_package(fmt QUIET)
    heron_need(fmt_FOUND "fmt" libfmt-dev)
    find_path(HERON_STB_INCLUDE_DIR stb_image_write.h PATH_SUFFIXES stb)
    heron_need(HERON_STB_INCLUDE_DIR "stb_image_write.h" libstb-dev)
    find_package(ZLIB QUIET)
    heron_need(ZLIB_FOUND "zlib" zlib1g-dev)
endif()

if(HERON_MISSING)
    string(STRIP "${HERON_MISSING_PACKAGES}" HERON_MISSING_PACKAGES)
    string(REPLACE " " ";" HERON_MISSING_PACKAGES "${HERON_MISSING_PACKAGES}")
    list(REMOVE_DUPLICATES HERON_MISSING_PACKAGES)
    list(JOIN HERON_MISSING_PACKAGES " " HERON_MISSING_PACKAGES)
    message(FATAL_ERROR "Heron cannot be built, these are missing:${HERON_MISSING}\n"
        "On Debian:  apt install ${HERON_MISSING_PACKAGES}")
endif()

# Where a host keeps headers of libraries, it keeps its C library's, which a cross compiler would take for its own.
if(CMAKE_CROSSCOMPILING)
    get_target_property(heron_json_include nlohmann_json::nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
    foreach(folder IN LISTS HERON_VULKAN_INCLUDE_DIR HERON_VOLK_INCLUDE_DIR heron_json_include)
        if(folder STREQUAL "/usr/include" AND NOT folder IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
            message(FATAL_ERROR "Heron is compiled for ${CMAKE_SYSTEM_NAME}, but headers were found in this machine's "
                "${folder}: put volk.h, volk.c and nlohmann-json into a folder of their own, and name that in "
                "CMAKE_PREFIX_PATH")
        endif()
    endforeach()
endif()

# --- What newer toolchains add. Each is needed twice: the compiler must know the GLSL extension, the headers the structs.
# heron_probe(<feature> <header macro> <file>): sets HERON_HAVE_<feature> to 0 or 1.
function(heron_probe feature header_macro source)
    file(STRINGS ${HERON_VULKAN_INCLUDE_DIR}/vulkan/vulkan_core.h in_headers REGEX "#define ${header_macro} 1")
    set(spv ${CMAKE_CURRENT_BINARY_DIR}/probe_${feature}.spv)
    set(probe ${CMAKE_CURRENT_SOURCE_DIR}/cmake/probes/${source})
    execute_process(COMMAND ${HERON_GLSLANG} --target-env vulkan1.3 -o ${spv} ${probe}
        RESULT_VARIABLE glslang_result OUTPUT_QUIET ERROR_QUIET)
    set(validator_result 1)
    if(glslang_result EQUAL 0)
        execute_process(COMMAND ${HERON_SPIRV_VAL} --target-env vulkan1.3 --scalar-block-layout ${spv}
            RESULT_VARIABLE validator_result OUTPUT_QUIET ERROR_QUIET)
    endif()
    set(without "")
    if(NOT in_headers)
        list(APPEND without "the Vulkan headers lack ${header_macro}")
    endif()
    if(NOT glslang_result EQUAL 0)
        list(APPEND without "${HERON_GLSLANG} does not compile it")
    elseif(NOT validator_result EQUAL 0)
        list(APPEND without "${HERON_SPIRV_VAL} does not know it")
    endif()
    if(without)
        list(JOIN without ", " reason)
        message(STATUS "Heron: without ${header_macro}: ${reason}")
        set(HERON_HAVE_${feature} 0 CACHE INTERNAL "")
    else()
        message(STATUS "Heron: with ${header_macro}")
        set(HERON_HAVE_${feature} 1 CACHE INTERNAL "")
    endif()
endfunction()

execute_process(COMMAND ${HERON_GLSLANG} --version OUTPUT_VARIABLE HERON_GLSLANG_VERSION ERROR_QUIET)
string(REGEX MATCH "[0-9]+:[0-9.]+" HERON_GLSLANG_VERSION "${HERON_GLSLANG_VERSION}")
file(STRINGS ${HERON_VULKAN_INCLUDE_DIR}/vulkan/vulkan_core.h heron_headers REGEX "#define VK_HEADER_VERSION [0-9]+")
string(REGEX MATCH "[0-9]+$" heron_headers "${heron_headers}")
message(STATUS "Heron: glslang ${HERON_GLSLANG_VERSION}, Vulkan headers revision ${heron_headers}")

heron_probe(COOPMAT VK_KHR_cooperative_matrix coopmat.comp)
heron_probe(COOPMAT2 VK_NV_cooperative_matrix2 coopmat2.comp)
heron_probe(BFLOAT16 VK_KHR_shader_bfloat16 bfloat16.comp)
