# SPDX-License-Identifier: MIT
"""Conan 2 recipe of the tree it lies in: conan create cmake/conan"""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd, stdcpp_library
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.1"


class HeronConan(ConanFile):
    name = "heron"
    description = "Optimizers for any Vulkan device"
    license = "MIT"
    topics = ("vulkan", "optimizer", "machine-learning")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    def _root(self):
        return os.path.normpath(os.path.join(self.recipe_folder, "..", ".."))

    def set_version(self):
        header = load(self, os.path.join(self._root(), "include", "heron", "version.hpp"))
        self.version = ".".join(re.findall(r"#define HERON_VERSION_[A-Z]+ (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "shaders/*", "src/*"):
            copy(self, pattern, self._root(), self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def requirements(self):
        # It brings the Vulkan headers of its own version, which Heron's headers include. Its sources are compiled into
        # Heron, under other names: nobody links it.
        self.requires("volk/[>=1.3.239 <2]", transitive_headers=True, libs=False)
        self.requires("nlohmann_json/[>=3.11 <4]")

    def build_requirements(self):
        # ConanCenter numbers them as the Vulkan SDK does; versions of 11 and 2021 there are older.
        self.tool_requires("glslang/[>=1.3.239 <2]")
        self.tool_requires("spirv-tools/[>=1.3.239 <2]")

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "SAMPLES", "BENCH"):
            toolchain.cache_variables[f"HERON_BUILD_{part}"] = False
        for dependency in ("vulkan-headers", "volk"):
            include = self.dependencies[dependency].cpp_info.aggregated_components().includedirs[0]
            toolchain.cache_variables[f"HERON_{dependency.split('-')[0].upper()}_INCLUDE_DIR"] = include
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # The installed heronConfig.cmake, which has heron_shader(), instead of a generated one.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "heron")]
        self.cpp_info.libs = ["heron"]
        if not self.options.shared:
            self.cpp_info.defines = ["HERON_STATIC"]
            if self.settings.os in ("Linux", "FreeBSD"):
                self.cpp_info.system_libs = ["dl", "pthread", "m"]
            runtime = stdcpp_library(self)  # None for MSVC
            if runtime:
                self.cpp_info.system_libs.append(runtime)
