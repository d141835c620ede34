// SPDX-License-Identifier: MIT
// What the coefficient sets and their generator share. The sets themselves are public: heron/linalg.hpp.
#pragma once

#include <cstdint>

#include "heron/linalg.hpp"

namespace heron {

// More steps than any use has; keeps a mistyped count from becoming a plan of a million dispatches.
inline constexpr std::uint32_t kMaxNewtonSchulzSteps = 1000;

// The polynomial p(x / s).
NewtonSchulzCoefficients divide_argument(const NewtonSchulzCoefficients& p, double s);

}  // namespace heron
