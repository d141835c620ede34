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
// A convolution with a square kernel; images are batch x channels x height x width.
struct Convolution {
    std::uint32_t channels = 0, height = 0, width = 0;  // of the input
    std::uint32_t filters = 0;
    std::uint32_t kernel = 3, stride = 2, padding = 1;

    std::uint32_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
    std::uint32_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
    std::uint32_t positions() const { return out_height() * out_width(); }
    std::uint32_t patch() const { return channels * kernel * kernel; }  // elements that a filter sees
};
// patches <- what the kernel sees: batch x positions x patch.
void conv_patches(heron::Graph& graph, const Convolution& convolution, const heron::Tensor& images,
                  const heron::Tensor& patches);
// images <- sums of the patches' elements, where they came from.
void conv_patches_backward(heron::Graph& graph, const Convolution& convolution, const heron::Tensor& patches,
                           const heron::Tensor& images);
// values, batch x filters x positions: += bias of the filter, then max(., 0) where `relu`.
void add_channel_bias(heron::Graph& graph, const Convolution& convolution, const heron::Tensor& bias,
                      const heron::Tensor& values, bool relu);

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
