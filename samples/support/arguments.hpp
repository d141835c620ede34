// SPDX-License-Identifier: MIT
// Validators of command lines.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace samples {

// A number from `least`; without CLI11's own text about the range, which would double the length of the help.
inline CLI::Validator at_most(std::uint32_t most, std::uint32_t least = 1) {
    CLI::Validator range = CLI::Range(least, most);
    range.description("");
    return range;
}

}  // namespace samples
