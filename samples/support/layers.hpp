// SPDX-License-Identifier: MIT
// What the samples' networks have in common beside matrix products, as graph operations. Everything is f32,
// contiguous and row-major.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace samples {

// Sum of losses and number of right predictions of each batch, for the host to read: kHistory x 2, f32.
inline constexpr std::uint32_t kHistory = 4096;  // batches, after which the oldest is overwritten

// values[r, c] += bias[c], then max(., 0) where `relu`.
void add_bias(heron::Graph& graph, const heron::Tensor& bias, const heron::Tensor& values, bool relu);
// gradient <- activation > 0 ? gradient : 0, in place.
void relu_backward(heron::Graph& graph, const heron::Tensor& activation, const heron::Tensor& gradient);
// sums[c] = sum over r of values[r, c].
void column_sums(heron::Graph& graph, const heron::Tensor& values, const heron::Tensor& sums);

struct LossTensors {
    heron::Tensor logits;       // rows x classes
    heron::Tensor labels;       // rows, u32; gpu::NO_LABEL counts nothing
    heron::Tensor row_result;   // rows x 2: loss, and 1 where the prediction is right
    heron::Tensor gradient;     // as the logits, of the mean loss; empty: predictions instead
    heron::Tensor row_index;    // rows, u32, with predictions only: where each goes
    heron::Tensor predictions;  // u32
};
// Softmax cross entropy.
void softmax_loss(heron::Graph& graph, const LossTensors& tensors);
// Adds up a batch's row results into history[cursor mod kHistory], and the cursor moves on by one.
void finish_batch(heron::Graph& graph, const heron::Tensor& row_result, const heron::Tensor& history,
                  const heron::Tensor& cursor);

}  // namespace samples
