// SPDX-License-Identifier: MIT
// A block of a gradient as a matrix that linear algebra can square.
#pragma once

#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

struct ScaledGradient {
    Tensor matrix;  // block.rows x block.cols, a temporary f32: G / unit, |.|_F in [1, 2), or zero
    Tensor unit;    // one f32, a power of two
};

// The gradient as the step sees it: scaled, clipped. Two passes over it, two levels.
ScaledGradient scaled_gradient(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block);

}  // namespace heron
