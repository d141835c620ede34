// SPDX-License-Identifier: MIT
// LayerOptimizer: collecting layers, and refusing captures that no step could use.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "optim/checks.hpp"
#include "optim/layer.hpp"
#include "optim/view_checks.hpp"

namespace heron {

namespace {

std::uint64_t positions_along(std::uint64_t extent, const ConvPatches& p, std::size_t axis) {
    const std::uint64_t padded = extent + 2 * std::uint64_t{p.padding[axis]};
    const std::uint64_t reach = std::uint64_t{p.dilation[axis]} * (p.kernel[axis] - 1) + 1;
    return reach > padded ? 0 : (padded - reach) / p.stride[axis] + 1;
}

void expect_shape(const std::string& who, const char* which, const Shape& shape, const Shape& expected) {
    if (!(shape == expected))
        refuse(who + ": its " + which + " have shape " + shape.text() + ", must be " + expected.text());
}

void check_convolution(const std::string& who, const Layer& layer) {
    const Shape &weight = layer.weight.weight.shape, &images = layer.inputs.shape;
    const ConvPatches& p = *layer.patches;
    if (weight.rank() != 4)
        refuse(who + " has shape " + weight.text() +
               "; a layer with patches is a filter M x C / groups x height x width");
    for (const std::size_t axis : {0u, 1u}) {
        if (p.kernel[axis] == 0 || p.stride[axis] == 0 || p.dilation[axis] == 0)
            refuse(who + ": kernel, stride and dilation of its patches must be at least 1");
        if (weight[2 + axis] != p.kernel[axis])
            refuse(who + " has shape " + weight.text() + ", its patches a kernel of " +
                   std::to_string(p.kernel[0]) + " x " + std::to_string(p.kernel[1]));
    }
    if (p.groups == 0 || weight[0] % p.groups != 0)
        refuse(who + ": groups is " + std::to_string(p.groups) + ", must divide its " +
               std::to_string(weight[0]) + " channels");
    if (images.rank() != 4 || images[1] != weight[1] * p.groups)
        refuse(who + ": its inputs have shape " + images.text() + ", must be images N x " +
               std::to_string(weight[1] * p.groups) + " x H x W");
    const std::uint64_t height = positions_along(images[2], p, 0), width = positions_along(images[3], p, 1);
    if (height == 0 || width == 0)
        refuse(who + ": its kernel does not fit its inputs of shape " + images.text());
    expect_shape(who, "output gradients", layer.output_gradients.shape,
                 Shape{images[0], weight[0], height, width});
}

void check_linear(const std::string& who, const Layer& layer) {
    const Shape &weight = layer.weight.weight.shape, &inputs = layer.inputs.shape;
    if (weight.rank() != 2)
        refuse(who + " has shape " + weight.text() + "; a layer without patches is a matrix");
    if (inputs.rank() < 2)
        refuse(who + ": its inputs have shape " + inputs.text() + ", must be N x n or N x .. x n");
    std::vector<std::uint64_t> extents(inputs.begin(), inputs.end());
    extents.back() = weight[1];
    expect_shape(who, "inputs", inputs, Shape(std::span<const std::uint64_t>(extents)));
    extents.back() = weight[0];
    expect_shape(who, "output gradients", layer.output_gradients.shape,
                 Shape(std::span<const std::uint64_t>(extents)));
}

bool overlap(const TensorView& a, const TensorView& b) {
    return a.address < b.address + b.span_bytes() && b.address < a.address + a.span_bytes();
}

}  // namespace

LayerOptimizer::LayerOptimizer(const Device& device, std::string name) : Optimizer(device, std::move(name)) {}

void LayerOptimizer::check_layer(const Layer&) const {}

void LayerOptimizer::check(const Parameter& parameter) const {
    refuse(name() + ": parameter " + in_quotes(parameter.name) +
           " comes without its layer's inputs and output gradients; use add_layer(), or give it to another "
           "optimizer of the plan (AdamW)");
}

void LayerOptimizer::add_layer(Layer layer) {
    check_parameter(layer.weight);
    const std::string who = name() + ": layer " + in_quotes(layer.weight.name);
    check_enum(who, "sharing", layer.sharing, LayerSharing::reduce);
    check_enum(who, "loss", layer.loss, LossReduction::mean_over_positions);
    check_view(device(), who + ": its inputs", layer.inputs);
    check_view(device(), who + ": its output gradients", layer.output_gradients);
    if (layer.patches)
        check_convolution(who, layer);
    else
        check_linear(who, layer);
    if (layer_shape(layer).samples * layer_shape(layer).positions == 0)
        refuse(who + ": its captures have no samples");
    if (layer.bias) {
        check_parameter(*layer.bias);
        if (layer.bias->name == layer.weight.name) refuse(who + ": its bias has the same name");
        expect_shape(who, "biases", layer.bias->weight.shape, Shape{layer.weight.weight.shape[0]});
    }
    for (const Parameter* parameter : {&layer.weight, layer.bias ? &*layer.bias : nullptr}) {
        if (parameter == nullptr) continue;
        const MatrixView& view = parameter->view;
        if (!view.row_splits.empty() || view.heads != 0 || view.batch)
            refuse(who + ": " + name() + " takes whole layers; add a layer for each block of a view");
        if (overlap(parameter->weight, layer.inputs) || overlap(parameter->weight, layer.output_gradients))
            refuse(who + ": its captures overlap " + in_quotes(parameter->name) +
                   "; the step reads one while it writes the other");
    }
    check_layer(layer);
    append(layer.weight);
    if (layer.bias) append(*layer.bias);
    layers_.push_back(std::move(layer));
}

std::string LayerOptimizer::layers_text() const {
    std::string text;
    for (const Layer& layer : layers_) {
        text += " layer=" + in_quotes(layer.weight.name) + ":" +
                (layer.bias ? in_quotes(layer.bias->name) : "no bias") + "," +
                std::to_string(static_cast<int>(layer.sharing)) + "," +
                std::to_string(static_cast<int>(layer.loss));
        if (layer.patches)
            for (const std::array<std::uint32_t, 2>& pair : {layer.patches->kernel, layer.patches->stride,
                                                             layer.patches->padding, layer.patches->dilation})
                text += "," + std::to_string(pair[0]) + "x" + std::to_string(pair[1]);
        if (layer.patches) text += "," + std::to_string(layer.patches->groups);
    }
    return text;
}

}  // namespace heron
