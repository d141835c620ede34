// SPDX-License-Identifier: MIT
// Exponents as power() of shaders/core/math.glsl takes them.
#pragma once

#include <cmath>

namespace heron {

// high + low; high has at most 12 bits, so that its product with the exponent of a float is exact.
struct SplitExponent {
    float high, low;
};

inline SplitExponent split_exponent(double exponent) {
    int binary = 0;
    const double fraction = std::frexp(exponent, &binary);
    const double high = std::ldexp(std::round(std::ldexp(fraction, 12)), binary - 12);
    return {static_cast<float>(high), static_cast<float>(exponent - high)};
}

}  // namespace heron
