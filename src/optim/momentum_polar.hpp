// SPDX-License-Identifier: MIT
// Momentum and its polar factor, the front half of Muon and of the optimizers that go on from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "heron/linalg/polar.hpp"
#include "heron/optim/moments.hpp"
#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// A parameter's momentum. What share a scale in block8 are neighbours in the parameter, whatever its blocks:
// its step is one operation, which leaves `direction`.
struct Momentum {
    Tensor state;      // f32 or bf16, shaped like the parameter; of block8 u32
    Tensor direction;  // of block8, else empty: what the momentum rule makes of it, f32

    Momentum() = default;
    // State <parameter>.momentum. The optimizer's hyper struct begins with the members of gpu::MuonHyper.
    // `flags`: MUON_NESTEROV, where it is wanted, MUON_SIGN for the signs of the rule's result; for all that
    // is made of the momentum. `stage` begins the name of its stage.
    Momentum(StepBuilder& step, const StepBuilder::Item& item, MomentFormat format, std::uint32_t flags,
             std::string_view stage);
    explicit operator bool() const { return static_cast<bool>(state); }
};

// Updates the block's part of `momentum` and returns the polar factor of what the momentum rule makes of it:
// block.rows x block.cols, of the dtype of the iteration, or f32.
//
// Without a momentum, the momentum is the gradient, and none is kept (mu has to be 0).
//
// Hyper struct, `flags` and `stage`: see above. `row_squares` as of polar().
Tensor momentum_polar(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                      const MatrixBlock& block, const PolarOptions& options, std::uint32_t flags,
                      std::string_view stage, const Tensor& row_squares = {});

// The momentum rule alone, and whatever wants the norm of its result: updates the block's part of `momentum`
// (f32 or bf16) and returns partial sums of squares, n x 3 with n <= 512, as blue_norm() of core/reduce.glsl
// takes them.
Tensor momentum_norm(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                     const MatrixBlock& block);

// The momentum rule alone, with its result: updates the momentum, and returns what the rule makes of it, f32,
// block.rows x block.cols: a temporary, a part of one, or the own part of a momentum in f32. `norm`,
// optional, one f32: its Frobenius norm, of sums that the same pass leaves (with block8: of a pass of its
// own).
Tensor momentum_direction(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                          const MatrixBlock& block, std::uint32_t flags, std::string_view stage,
                          const Tensor& norm = {});

// Throws (invalid_argument), in the name of `optimizer`, for options that polar() refuses, unguarded ones,
// and the coefficients of CANS without a norm factor of at least 1.01.
void check_orthogonalizer(std::string_view optimizer, const PolarOptions& options);
// For Optimizer::options_text(): " polar.norm_rule=..." and so on.
std::string orthogonalizer_text(const PolarOptions& options);

// microsoft/dion's: Polar Express, norm x 1.02 + eps.
PolarOptions dion_polar_options(double eps = 1e-8);

}  // namespace heron
