// SPDX-License-Identifier: MIT
// When a pivot of a factorisation is taken for zero.
#pragma once

#include <cmath>
#include <cstdint>

namespace heron {

// A pivot that is not above this times what it is measured by consists of the rounding errors of n terms.
inline float pivot_tolerance(std::uint64_t n) {
    return static_cast<float>(2.0 * std::sqrt(static_cast<double>(n)) * 0x1p-24);
}

}  // namespace heron
