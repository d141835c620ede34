# SPDX-License-Identifier: MIT
# Installs the library so that find_package(heron CONFIG) and pkg-config find it, wherever the prefix is moved to.
include(CMakePackageConfigHelpers)

set(heron_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/heron)
set(heron_shader_dir ${CMAKE_INSTALL_DATADIR}/heron/shaders)

install(TARGETS heron EXPORT heron-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/heron DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(EXPORT heron-targets NAMESPACE heron:: DESTINATION ${heron_cmake_dir})

# What kernels of applications need: the frame they include, how to write one, and heron_shader().
install(DIRECTORY shaders/core DESTINATION ${heron_shader_dir})
install(FILES shaders/README.md DESTINATION ${heron_shader_dir})
install(FILES cmake/heron_shader.cmake cmake/align_references.cmake cmake/embed_spirv.cmake
    DESTINATION ${heron_cmake_dir})

# A static heron needs its own libraries and the C++ runtime named by whoever links it without a C++ compiler: of what
# this one links by itself, the runtime and libm, so libstdc++ or libc++, or nothing for MSVC.
set(heron_cxx_runtime "")
if(NOT BUILD_SHARED_LIBS)
    set(heron_cxx_runtime "${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES}")
    list(FILTER heron_cxx_runtime INCLUDE REGEX "c\\+\\+|^m$")
    list(REMOVE_DUPLICATES heron_cxx_runtime)
endif()

configure_package_config_file(cmake/heronConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/heronConfig.cmake
    INSTALL_DESTINATION ${heron_cmake_dir} PATH_VARS heron_shader_dir)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/heronConfigVersion.cmake
    COMPATIBILITY SameMinorVersion) # before 1.0, minor versions may differ in their interface
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/heronConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/heronConfigVersion.cmake
    DESTINATION ${heron_cmake_dir})

set(heron_pc_libs "-lheron")
set(heron_pc_cflags "")
if(NOT BUILD_SHARED_LIBS)
    foreach(library IN LISTS CMAKE_DL_LIBS CMAKE_THREAD_LIBS_INIT heron_cxx_runtime)
        if(NOT library MATCHES "^[-/]") # a name, not a flag or a path
            string(PREPEND library "-l")
        endif()
        string(APPEND heron_pc_libs " ${library}")
    endforeach()
    set(heron_pc_cflags " -DHERON_STATIC")
endif()
file(RELATIVE_PATH heron_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" heron_pc_prefix "${heron_pc_prefix}") # older CMake leaves a slash
configure_file(cmake/heron.pc.in heron.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/heron.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# `cmake --build build --target package_source`: an archive of the sources, which builds offline like this tree.
set(CPACK_SOURCE_GENERATOR TGZ)
set(CPACK_SOURCE_PACKAGE_FILE_NAME heron-${PROJECT_VERSION})
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/source_archive.cmake)
set(CPACK_PACKAGE_VENDOR Heron)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
