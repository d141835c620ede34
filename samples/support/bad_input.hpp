// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>

namespace samples {

// The user's mistake: reported without a stack of context, exit code 2.
struct BadInput : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace samples
