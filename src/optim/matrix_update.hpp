// SPDX-License-Identifier: MIT
// The weight update of Muon and of all optimizers that subtract a matrix: the back half of a recipe.
#pragma once

#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// W <- W - lr wd W - lr f O for one block, f its shape factor. `update` is O: a contiguous temporary of
// block.rows x block.cols, f32, f16 or bf16. The optimizer's hyper struct begins with the members of
// gpu::MuonHyper.
void add_matrix_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                       const Tensor& update, DecayForm decay);

}  // namespace heron
