// SPDX-License-Identifier: MIT
// K-FAC's clip by the Kullback-Leibler divergence, for all layers of an optimizer.
#pragma once

#include <vector>

#include "optim/step_builder.hpp"

namespace heron {

struct LayerDirection {
    Tensor direction, gradient;  // f32 without gaps, both over LAYER_UNIT (layer.h)
};
// min(1, sqrt(limit / |lr^2 sum of D G|)), one f32: for add_layer_update(). `clip_lr`, one f32: 0 stands for
// the optimizer's learning rate. `kept`, three f32: the factor (which is what is returned), the sum, and the
// change of the loss that the model predicts (KfacClip). Two levels; 8 bytes an element.
Tensor layer_clip(StepBuilder& step, const std::vector<LayerDirection>& layers, float limit,
                  const Tensor& clip_lr, const Tensor& kept);

}  // namespace heron
