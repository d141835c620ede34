// SPDX-License-Identifier: MIT
// What a bug report needs of the machine beyond heron::Capabilities: toolchain, loader, memory, subgroups,
// cooperative matrices.
#pragma once

#include <string>

#include "heron/heron.hpp"

std::string version_text(std::uint32_t version);  // "1.3.239"
void print_line(const std::string& name, const std::string& value);

// Of the program: what it was built with, and the loader that it finds.
void print_toolchain();
// Of a device, as its driver tells.
void print_hardware(const heron::Device& device);
