// SPDX-License-Identifier: MIT
// What Conda, Trion and DCT-AdamW share: matrices of one shape as a batch, and the kernels around the
// products with a basis (shaders/optim/subspace.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "optim/matrix_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// Neighbouring blocks of one shape: `items` matrices, contiguous, from element `first` of the parameter.
struct MatrixBatch {
    std::uint64_t first;
    std::uint64_t items;
    std::uint64_t rows;
    std::uint64_t cols;
    double shape_factor;

    std::uint64_t count() const { return items * rows * cols; }
    // All of them as one block, for what goes by elements.
    MatrixBlock stacked() const { return {first, items * rows, cols, shape_factor}; }
    Shape shape() const { return Shape{items, rows, cols}; }
    bool tall() const { return rows >= cols; }  // or square: the basis is on the right
    std::uint64_t short_side() const { return tall() ? cols : rows; }
    std::uint64_t long_side() const { return tall() ? rows : cols; }
};
std::vector<MatrixBatch> matrix_batches(std::span<const MatrixBlock> blocks);

// Elements of a contiguous tensor, from `first`, under another shape.
Tensor part_of(const Tensor& whole, std::uint64_t first, const Shape& shape);

// `sum` <- `sum` + G; a state with the parameter's elements, f32. G is the batch's gradient as the step sees
// it.
void add_gradient_sum(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch,
                      const Tensor& sum);
// A copy of G in f32.
Tensor add_gradient_copy(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch);
// `moment` <- its moving average with G, of the rate 1 - beta1 of gpu::AdamWHyper; a state with the
// parameter's elements, f32 or bf16.
struct AveragedGradient {
    Tensor gradient;  // a copy of G in f32
    Tensor average;   // f32: of a moment in bf16 what it was before it was rounded
};
AveragedGradient add_gradient_average(StepBuilder& step, const StepBuilder::Item& item,
                                      const MatrixBatch& batch, const Tensor& moment);

// direction = Adam's, without the learning rate, of `gradient` (both contiguous, f32, in the basis, for
// elements [first, ...) of v, a state of the item; they may be one). The optimizer's hyper struct is
// gpu::AdamWHyper.
struct SubspaceMoments {
    Tensor m;            // like v, of its dtype; or the first moment itself, like `gradient`
    bool update = true;  // m is a state
    Tensor v;            // f32 or bf16
    std::uint64_t first = 0;
    // Where it is set: u32, one for each slot of each matrix, the step since which it holds its vector;
    // moments of slots that came in this step begin at 0.
    Tensor since;
    bool slots_are_columns = false;
};
void add_subspace_adam(StepBuilder& step, const StepBuilder::Item& item, const Tensor& gradient,
                       const SubspaceMoments& moments, const Tensor& direction);

}  // namespace heron
