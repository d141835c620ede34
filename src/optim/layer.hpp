// SPDX-License-Identifier: MIT
// What the optimizers of whole layers have in common: statistics of the captures, the gradient of [W, b] as
// one matrix, and the way back from a direction to both parameters. All layers of a step share dispatches.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heron/optim/layer.hpp"
#include "linalg/factor_source.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// A layer as `groups` matrices of m x order.
struct LayerShape {
    std::uint64_t groups = 1;
    std::uint64_t m = 0;          // rows of a group
    std::uint64_t n = 0;          // columns without the bias
    std::uint64_t order = 0;      // n, or n + 1 with a bias: the last column
    std::uint64_t samples = 0;    // N
    std::uint64_t positions = 1;  // R; of a convolution L

    // {rows, cols}, or {groups, rows, cols} for more groups than one.
    Shape matrices(std::uint64_t rows, std::uint64_t cols) const;
};
// Of a layer that LayerOptimizer::add_layer() took.
LayerShape layer_shape(const Layer& layer);

// The rows of a or s, for accumulate_factor() and layer_rows().
struct LayerSource {
    Tensor tensor;  // N R x F, or images
    WeightSharing sharing = WeightSharing::expand;
    std::uint64_t positions = 1;  // of a sample
    std::optional<ConvPatches> patches;
    bool bias = false;
    std::uint64_t rows = 0;  // of a group after sharing
    double scale = 1;        // the statistic is scale times the sum over the rows
};

// A layer in a step.
struct LayerItem {
    const Layer* layer;
    const StepBuilder::Item* weight;
    const StepBuilder::Item* bias;  // null without one
    LayerShape shape;
    LayerSource inputs, output_gradients;
};
// Of the optimizer that is being built.
std::vector<LayerItem> layer_items(StepBuilder& step, const LayerOptimizer& optimizer, ConvScaling scaling);

// A statistic that is to be read times unit^2.
struct LayerStatistic {
    Tensor matrix;  // f32, groups x order x order (see LayerShape::matrices)
    Tensor unit;    // one f32; empty: 1
};
struct LayerStatistics {
    LayerStatistic inputs;            // of [a, 1]
    LayerStatistic output_gradients;  // of s
};
// Of this step's captures: temporaries, in the section that is set. With StepOptions::accumulate means over
// the micro-batches: states <weight>.input_statistic and .output_statistic, renewed in every micro-batch.
LayerStatistics layer_statistics(StepBuilder& step, const LayerItem& item);
// One of the two.
LayerStatistic layer_statistic(StepBuilder& step, const LayerItem& item, bool of_gradients);
// One of another form: what `make` adds to the graph; the state is <weight>.<name>. `of_gradients`: of s.
LayerStatistic layer_statistic(StepBuilder& step, const LayerItem& item, const char* name, bool of_gradients,
                               const std::function<Tensor()>& make);
// In Phase::accumulate: the mean of a statistic over the step's micro-batches, state <weight>.<name>; over
// the square of the loss scale where it is of gradients.
Tensor layer_mean(StepBuilder& step, const LayerItem& item, const char* name, const Tensor& statistic,
                  bool of_gradients);

// 1 over the loss scale of the gradients that this step works on (and so of s): one f32.
Tensor layer_unscale(StepBuilder& step);
// In Phase::accumulate: the loss scale itself, of this micro-batch: one f32.
Tensor layer_loss_scale(StepBuilder& step);

// Where kernels find all rows of all samples.
FactorSource factor_source(const LayerSource& source);

// The rows [a, 1] or s after sharing, groups x rows x order f32: a temporary, times unscale where it is
// given. For what statistics alone do not tell; patches are stored. One pass.
Tensor layer_rows(Graph& graph, const LayerSource& source, const LayerShape& shape,
                  const Tensor& unscale = {});

// [G, g_b] over LAYER_UNIT (layer.h): a temporary f32, groups x m x order; scaled and clipped as the step
// says. Products of it with inverses of factors stay in range. One level; 8 bytes an element.
Tensor layer_gradient(StepBuilder& step, const LayerItem& item);

// The first four of an optimizer's hyper(): gpu::LayerHyper.
std::vector<HyperValue> layer_hyper(float lr, const Schedule& schedule, const MomentumStep& momentum);
void check_momentum_step(std::string_view optimizer, const MomentumStep& momentum);
std::string momentum_step_text(const MomentumStep& momentum);
// Takes the step with `direction` (over LAYER_UNIT, as layer_gradient() is) times `factor`, one f32, where it
// is given. States <parameter>.momentum in the format that is asked for, none without momentum. One level; 24
// bytes an element, in bf16 20.
void add_layer_update(StepBuilder& step, const LayerItem& item, const Tensor& direction, const Tensor& factor,
                      const MomentumStep& momentum);

}  // namespace heron
