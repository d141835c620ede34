// SPDX-License-Identifier: MIT
// What Dion2 and NorDion2 share: the largest lines of the momentum, their polar factor, and the update.
#pragma once

#include <cstdint>

#include "heron/linalg/polar.hpp"
#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// The selected lines of a block: rows, or columns.
struct SelectedLines {
    bool columns;
    std::uint64_t count;
    Tensor indices;    // u32, count
    Tensor positions;  // u32, one a line of the block: where it is among the selected ones, if it is
    Tensor factor;     // O, f32: count x cols, or rows x count
};

// max(1, ceil(fraction lines)).
std::uint64_t selected_count(double fraction, std::uint64_t lines);

// M <- M + G on the block's part of `momentum`, takes the `count` lines with the largest l1 norms out of it,
// decays them by the hyper struct's rate, and orthogonalizes what was taken. The optimizer's hyper struct
// begins with the members of gpu::Dion2Hyper. `stage` begins the names of the stages; `row_squares` as of
// polar().
SelectedLines add_selected_lines(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                                 const MatrixBlock& block, bool columns, std::uint64_t count,
                                 const PolarOptions& options, std::string_view stage,
                                 const Tensor& row_squares = {});

// W <- W - lr wd W, W[lines] <- W[lines] - lr f O. `factors` (f32, if any) multiply the lines of O.
void add_line_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                     const SelectedLines& lines, const Tensor& factors = {});

}  // namespace heron
