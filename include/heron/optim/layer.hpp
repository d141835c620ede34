// SPDX-License-Identifier: MIT
// Optimizers that look at whole layers (K-FAC and its relatives): beside gradients they read what the forward
// pass put into a layer, a, and what the backward pass brought to its outputs, s.
//
//   y = W a + b          a: inputs, s: gradient of the loss with respect to y, G = sum s a^T, g_b = sum s
//
// The application keeps both tensors of its passes ("captures") until the step has run. In a plan they are
// the external tensors <weight>.inputs and <weight>.output_gradients (Plan::rebind).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heron/linalg/factor.hpp"
#include "heron/optim/moments.hpp"
#include "heron/tensor.hpp"
#include "heron/train.hpp"

namespace heron {

// What the loss is of the losses of its N samples (with R positions each), and so what `output_gradients` are
// of the gradients of single losses: statistics are scaled back to these.
enum class LossReduction : std::uint32_t {
    // Unknown: the plain mean of s s^T over the rows, whatever the loss was (kfac-pytorch). Of a mean over N
    // samples that is too small by N^2, and damping rules.
    none,
    sum,                  // sum of s s^T
    mean_over_batch,      // N times that
    mean_over_positions,  // over samples and positions: N R times that
};

// A weight that is used at R positions of every sample (Eschenhagen et al., arXiv 2311.00636).
enum class LayerSharing : std::uint32_t {
    expand,  // all N R rows of a and s: exact for linear networks with a loss at every position
    reduce,  // means of a and sums of s over a sample's positions: exact where they are averaged before the
             // loss; costs R times less
};

// How statistics of convolutions (L positions) are scaled; other layers do not notice.
enum class ConvScaling : std::uint32_t {
    shared,        // as LossReduction and LayerSharing say
    kfac_pytorch,  // a and s over L, means over N L rows
    alecwangcq,    // a over L, sum over rows over N; L / N times the sum of s s^T (of a mean loss, N^2 as
                   // much)
};

struct Layer {
    // m x n; with patches M x C / groups x kernel height x kernel width. Its damping_scale is the layer's.
    Parameter weight;
    std::optional<Parameter> bias;  // m (M)
    // f32, f16 or bf16, contiguous, N samples: N x n and N x m; N x .. x n and N x .. x m (sequences); with
    // patches images N x C x H x W, and N x M x OH x OW.
    TensorView inputs;
    TensorView output_gradients;
    LayerSharing sharing = LayerSharing::expand;
    LossReduction loss = LossReduction::mean_over_batch;
    // Of a convolution. Its groups are matrices of their own, M / groups x C / groups * kernel.
    std::optional<ConvPatches> patches;
};

// What becomes of a direction d for [W, b]: torch.optim.SGD's step with d in place of the gradient.
//
//   d <- d + wd W (coupled)      B <- mu B + (1 - dampening) d (first step: d)
//   W <- W - lr B, or with Nesterov W - lr (d + mu B)
struct MomentumStep {
    double momentum = 0.9;                     // [0, 1)
    double dampening = 0.0;                    // [0, 1]; must be 0 with Nesterov
    bool nesterov = false;                     // needs momentum > 0
    float weight_decay = 0.0f;                 // finite, >= 0
    bool decoupled_decay = false;              // W <- (1 - lr wd) W in place of the first formula
    std::uint32_t decay_from = 0;              // so many steps go by without decay
    MomentFormat moments = MomentFormat::f32;  // of B; f32 or bf16
};

// Takes layers. Everything else (embeddings, norms, scalars, layers without captures) belongs to another
// optimizer of the same plan, an AdamW: add() refuses single parameters.
class HERON_API LayerOptimizer : public Optimizer {
public:
    // Throws (invalid_argument), before anything is changed, where Optimizer::add() would for the weight or
    // the bias, and for captures whose dtype, shape, strides, address or device do not fit, samples or
    // positions that differ, an empty layer, a MatrixView, options that are no enumerators.
    void add_layer(Layer layer);
    std::span<const Layer> layers() const { return layers_; }

protected:
    LayerOptimizer(const Device& device, std::string name);

    // Throws (invalid_argument) when the algorithm cannot take the layer.
    virtual void check_layer(const Layer& layer) const;
    // For options_text(): what a checkpoint's layers have to share.
    std::string layers_text() const;

private:
    void check(const Parameter& parameter) const final;
    std::vector<Layer> layers_;
};

}  // namespace heron
