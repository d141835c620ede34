// SPDX-License-Identifier: MIT
// How an optimizer keeps its moments from step to step.
#pragma once

namespace heron {

// bf16 is rounded stochastically: x becomes one of its two neighbours, the nearer the likelier, so that the
// expectation is x, and steps far below half a unit in the last place are not lost (Gupta et al., arXiv
// 1502.02551; Zamirai et al., arXiv 2010.06192). The error is below 2^-7 |x|, its standard deviation at most
// 2^-8 |x|, and a moving average with rate r collects at most 2^-8 |x| sqrt(1 / (2 r)) of it. Draws are from
// Philox 4x32-10 with the step's seed, by step, parameter and element: the same bits in every repetition,
// resumption and division into slices.
enum class MomentFormat {
    f32,   // 4 bytes an element
    bf16,  // 2 bytes an element
};

}  // namespace heron
