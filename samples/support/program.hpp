// SPDX-License-Identifier: MIT
// What the samples' programs do alike: tables for --help, choices by name, exit codes.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "support/optimizers.hpp"

namespace samples {

// The Vulkan devices found, one or two lines each; never throws.
std::string device_table();
// One line each: name, summary, default learning rate.
std::string optimizer_table();

// Throws BadInput naming `option` and the names that there are.
const NamedOptimizer& require_optimizer(std::string_view option, std::string_view name);
// From entries NAME=VALUE of --lr. Throws BadInput: no such form, no such optimizer, no number of at least 0.
std::map<std::string, float> parse_learning_rates(std::span<const std::string> entries);
// Throws BadInput where --out cannot be created.
void create_output_folder(const std::filesystem::path& folder);

// "3:05", minutes and seconds.
std::string clock_text(double seconds);

// Runs a program's main part and turns what it throws into a line on standard error and an exit code: 2 for
// bad input (BadInput, a device choice that fits none, what Heron refuses), 1 for failures.
int run_program(const char* name, const std::function<int()>& program);
inline constexpr int kExitBadInput = 2;

}  // namespace samples
