// SPDX-License-Identifier: MIT
// What a direction out of a window of gradients owes in float32 (heron/linalg/woodbury.hpp, woodbury_range),
// relative to its size.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "optim/reference_mfac.hpp"
#include "support/golden.hpp"
#include "support/matrix.hpp"

namespace heron::test {

inline double euclidean_norm(const std::vector<double>& x) {
    double sum = 0;
    for (const double value : x) sum += value * value;
    return std::sqrt(sum);
}

// The damping that the solve takes.
inline double raised_damping(const MfacWindow& window) {
    return std::max(window.lambda(), 4 * 0x1p-23 * window.system(0).trace());
}

// How far another damping moves the result; and, where the condition is above 1e4, what follows from the
// residual that woodbury_range() promises.
inline double window_debt(const MfacWindow& window, const std::vector<double>& exact, double damping) {
    const double moved = frobenius_error(window.direction(damping), exact);
    const Matrix system = window.system(damping);
    if (spectral_norm(system) * spectral_norm(inverse(system)) <= 1e4) return moved;
    return moved + window.direction_error(damping) / euclidean_norm(exact);
}

}  // namespace heron::test
