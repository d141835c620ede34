# SPDX-License-Identifier: MIT
# An overlay port of the tree it lies in: vcpkg install heron --overlay-ports=<this tree>/cmake/vcpkg
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DHERON_BUILD_TESTS=OFF
        -DHERON_BUILD_SAMPLES=OFF
        -DHERON_BUILD_BENCH=OFF
        "-DHERON_GLSLANG=${CURRENT_HOST_INSTALLED_DIR}/tools/glslang/glslangValidator${VCPKG_HOST_EXECUTABLE_SUFFIX}"
        "-DHERON_SPIRV_VAL=${CURRENT_HOST_INSTALLED_DIR}/tools/spirv-tools/spirv-val${VCPKG_HOST_EXECUTABLE_SUFFIX}"
        "-DHERON_SPIRV_OPT=${CURRENT_HOST_INSTALLED_DIR}/tools/spirv-tools/spirv-opt${VCPKG_HOST_EXECUTABLE_SUFFIX}"
        "-DHERON_SPIRV_DIS=${CURRENT_HOST_INSTALLED_DIR}/tools/spirv-tools/spirv-dis${VCPKG_HOST_EXECUTABLE_SUFFIX}"
        "-DHERON_SPIRV_AS=${CURRENT_HOST_INSTALLED_DIR}/tools/spirv-tools/spirv-as${VCPKG_HOST_EXECUTABLE_SUFFIX}")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME heron CONFIG_PATH lib/cmake/heron)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
