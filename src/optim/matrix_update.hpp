// SPDX-License-Identifier: MIT
// The weight update of Muon and of all optimizers that subtract a matrix: the back half of a recipe
// (shaders/optim/muon_update.comp).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "optim/hyper.hpp"
#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// A number for each row or column, by which the direction's elements are multiplied, or (`divides`) divided:
// by scale x + eps.
struct LineFactors {
    Tensor factors;  // f32, one a line
    bool columns = false;
    std::uint64_t cols = 0;  // elements from row to row
    bool divides = false;
    double scale = 1;
    double eps = 0;
};

// The flags of shaders/optim/muon_decay.glsl.
std::uint32_t decay_flags(DecayForm decay);

// gpu::MuonHyper, with which the hyper struct of these optimizers begins. The momentum is multiplied by the
// factor of its schedule.
std::vector<HyperValue> matrix_hyper(float lr, const Schedule& schedule, double momentum, MomentumRule rule,
                                     float weight_decay, const Schedule& momentum_schedule = {});
// Throws (invalid_argument), in the name of `optimizer`, for a momentum outside of [0, 1) at any step.
void check_momentum(std::string_view optimizer, double momentum, const Schedule& momentum_schedule = {});

// Adds the operand of a direction for a job that holds an address of 16 bytes' alignment, and returns the
// index of the direction's first element from there: a part of a state may begin anywhere.
std::uint32_t add_direction(std::vector<Operand>& operands, std::uint32_t field, const Tensor& direction);

// W <- W - lr wd W - lr f D, f the block's shape factor, on the block's elements. `direction` (D) has as many
// elements, contiguous, of any floating-point dtype. The hyper struct begins with
// the members of gpu::MuonHyper (matrix_hyper()) or has lr and weight_decay where that has them. `flags`: of
// gpu::MuonUpdateJob, MUON_SIGN. With `rate`, one f32, weights decay by that in place of lr, and D has it in
// it: W <- W - rate wd W - f D; without lines.
void add_matrix_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                       const Tensor& direction, DecayForm decay, const LineFactors& lines = {},
                       std::uint32_t flags = 0, const Tensor& rate = {});

}  // namespace heron
