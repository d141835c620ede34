// SPDX-License-Identifier: MIT
// What heron::compile refuses.
#pragma once

#include <span>

#include "heron/train.hpp"

namespace heron {

// Between them the loss scale and its reciprocal are normal numbers.
inline constexpr float kSmallestLossScale = 0x1p-24f;
inline constexpr float kLargestLossScale = 0x1p120f;

// Throws (invalid_argument) for options out of range, optimizers that do not go together or belong to another
// device, repeated names, parameters that overlap.
void check_step(const Device& device, std::span<const Optimizer* const> optimizers,
                const StepOptions& options);

}  // namespace heron
