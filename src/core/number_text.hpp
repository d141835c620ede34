// SPDX-License-Identifier: MIT
// Numbers in messages and checkpoints.
#pragma once

#include <charconv>
#include <string>

namespace heron {

// The shortest text that reads back as the same float or double.
template <class Number>
std::string number_text(Number value) {
    char text[64];
    const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
    return std::string(text, end.ptr);
}

}  // namespace heron
