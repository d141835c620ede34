// SPDX-License-Identifier: MIT
// Builds the graphs of the passes from heron::gemm and kernels of its own (shaders/).
#include "network.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>

#include "heron/spirv/samples_gather.hpp"
#include "heron/spirv/samples_sample_rows.hpp"
#include "kernel_operation.hpp"
#include "layers.hpp"
#include "random.hpp"
#include "shaders/jobs.h"

namespace samples {

namespace gpu = heron::gpu;
using heron::Access;
using heron::DType;
using heron::Graph;
using heron::Shape;
using heron::Tensor;

namespace {

constexpr auto kSampleRows =
    heron::make_kernel<gpu::SampleRowsJob>("sample_rows", heron::spirv::samples_sample_rows);
constexpr auto kGather = heron::make_kernel<gpu::GatherJob>("gather", heron::spirv::samples_gather);

// A tensor over a whole buffer of 4-byte elements.
Tensor external(Graph& graph, const std::string& name, const heron::Buffer& buffer, DType dtype,
                const Shape& shape) {
    return graph.external(name, buffer.view(dtype, shape));
}

Tensor words(Graph& graph, const std::string& name, const heron::Buffer& buffer) {
    return external(graph, name, buffer, DType::u32, Shape{buffer.bytes() / 4});
}

// From dZ, images, to dW, db and, where it is asked for, dX.
void convolution_backward(Graph& graph, const Layer& layer, const Tensor& weight, const Tensor& x,
                          const Tensor& dz, const Tensor& dx) {
    const Convolution& c = *layer.convolution;
    const std::uint64_t batch = x.rows(), filters = c.filters, positions = c.positions(), patch = c.patch();
    const Tensor by_image = dz.reshape(Shape{batch, filters, positions});
    const Tensor patches = graph.temporary(DType::f32, Shape{batch, positions, patch});
    conv_patches(graph, c, x, patches);
    // Of every image, then their sums.
    const Tensor weights = graph.temporary(DType::f32, Shape{batch, filters, patch});
    heron::gemm(graph, by_image, patches, {}, weights, {.guarded = false});
    column_sums(graph, weights.reshape(Shape{batch, filters * patch}),
                graph.external(layer.name + ".weight.gradient", layer.view(layer.weight_gradient)));
    const Tensor biases = graph.temporary(DType::f32, Shape{batch, filters});
    heron::sum(graph, dz.reshape(Shape{batch * filters, 1, positions}),
               biases.reshape(Shape{batch * filters}), false);
    column_sums(graph, biases,
                graph.external(layer.name + ".bias.gradient", layer.view(layer.bias_gradient)));
    if (!dx) return;
    const Tensor patch_gradients = graph.temporary(DType::f32, patches.shape);
    heron::gemm(graph, by_image, weight.reshape(Shape{filters, patch}), {}, patch_gradients,
                {.transpose_a = heron::Transpose::yes, .guarded = false});
    conv_patches_backward(graph, c, patch_gradients, dx);
}

}  // namespace

Network::Network(const heron::Device& device, std::uint32_t inputs, const std::vector<std::uint32_t>& hidden,
                 std::uint32_t classes, const ConvolutionSizes& convolutions) {
    const auto add = [&](Layer layer) {
        const auto create = [&](std::uint64_t elements, const char* what) {
            return device.create_buffer(4 * elements, heron::MemoryKind::device, layer.name + what);
        };
        const std::uint64_t weights = std::uint64_t{layer.rows()} * layer.cols();
        layer.weight = create(weights, ".weight");
        layer.bias = create(layer.rows(), ".bias");
        layer.weight_gradient = create(weights, ".weight.gradient");
        layer.bias_gradient = create(layer.rows(), ".bias.gradient");
        inputs = layer.outputs;
        layers.push_back(std::move(layer));
    };
    Convolution next{.channels = 1, .height = convolutions.height, .width = convolutions.width};
    for (std::size_t l = 0; l < convolutions.filters.size(); ++l) {
        next.filters = convolutions.filters[l];
        Layer layer;
        layer.name = "conv" + std::to_string(l + 1);
        layer.inputs = inputs;
        layer.outputs = next.filters * next.positions();
        layer.convolution = next;
        add(std::move(layer));
        next = {.channels = next.filters, .height = next.out_height(), .width = next.out_width()};
    }
    for (std::size_t l = 0; l <= hidden.size(); ++l) {
        Layer layer;
        layer.name = l == hidden.size() ? "head" : "fc" + std::to_string(l + 1);
        layer.inputs = inputs;
        layer.outputs = l == hidden.size() ? classes : hidden[l];
        add(std::move(layer));
    }
}

void Network::initialize(std::uint32_t seed) {
    UniformNumbers random(seed);
    for (Layer& layer : layers) {
        const double gain = &layer == &layers.back() ? 1.0 : 2.0;
        const double bound =
            std::sqrt(3.0 * gain / layer.cols());  // a uniform variable's variance is bound^2 / 3
        std::vector<float> weight(std::size_t{layer.rows()} * layer.cols());
        for (float& w : weight) w = static_cast<float>(random.within(bound));
        layer.weight.write(std::as_bytes(std::span(weight)));
        const std::vector<float> bias(layer.rows(), 0.0f);
        layer.bias.write(std::as_bytes(std::span(bias)));
    }
}

std::vector<heron::Parameter> Network::parameters() const {
    std::vector<heron::Parameter> result;
    for (const Layer& layer : layers) {
        result.push_back({.name = layer.name + ".weight",
                          .weight = layer.view(layer.weight),
                          .gradient = layer.view(layer.weight_gradient),
                          .role = &layer == &layers.back() ? heron::Role::head : heron::Role::hidden_matrix});
        result.push_back({.name = layer.name + ".bias",
                          .weight = layer.view(layer.bias),
                          .gradient = layer.view(layer.bias_gradient)});
    }
    return result;
}

std::vector<heron::Layer> Network::captured_layers(const Activations& passes) const {
    const std::vector<heron::Parameter> all = parameters();
    std::vector<heron::Layer> result;
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const Layer& layer = layers[l];
        heron::Layer captured;
        captured.weight = all[2 * l];
        captured.bias = all[2 * l + 1];
        captured.loss = heron::LossReduction::mean_over_batch;
        Shape inputs{passes.batch, layer.inputs}, outputs{passes.batch, layer.outputs};
        if (const std::optional<Convolution>& c = layer.convolution) {
            captured.patches = heron::ConvPatches{.kernel = {c->kernel, c->kernel},
                                                  .stride = {c->stride, c->stride},
                                                  .padding = {c->padding, c->padding}};
            inputs = Shape{passes.batch, c->channels, c->height, c->width};
            outputs = Shape{passes.batch, c->filters, c->out_height(), c->out_width()};
        }
        captured.inputs = passes.activations[l].view(DType::f32, inputs);
        // After relu_backward(): of what the layer itself puts out.
        captured.output_gradients = passes.gradients[l].view(DType::f32, outputs);
        result.push_back(std::move(captured));
    }
    return result;
}

std::uint64_t Network::parameter_count() const {
    std::uint64_t count = 0;
    for (const Layer& layer : layers) count += (std::uint64_t{layer.cols()} + 1) * layer.rows();
    return count;
}

std::uint64_t Network::hash() const {
    std::uint64_t value = 0xcbf29ce484222325ull;
    for (const Layer& layer : layers)
        for (const heron::Buffer* buffer : {&layer.weight, &layer.bias}) {
            std::vector<std::byte> bytes(layer.view(*buffer).span_bytes());
            buffer->read(bytes);
            for (const std::byte b : bytes)
                value = (value ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3ull;
        }
    return value;
}

DeviceImages::DeviceImages(const heron::Device& device, const LabelledImages& source, const std::string& name)
    : count(source.count), pixels(source.pixels_per_image()) {
    std::vector<std::uint8_t> padded = source.pixels;
    padded.resize(divide_up(padded.size(), 4) * 4);
    images = device.create_buffer(padded.size(), heron::MemoryKind::device, name + ".images");
    images.write(std::as_bytes(std::span(padded)));
    const std::vector<std::uint32_t> wide(source.labels.begin(), source.labels.end());
    labels = device.create_buffer(wide.size() * 4, heron::MemoryKind::device, name + ".labels");
    labels.write(std::as_bytes(std::span(wide)));
}

void Activations::create_layers(const heron::Device& device, const Network& network, std::uint32_t rows,
                                bool with_gradients) {
    batch = rows;
    const auto create = [&](std::uint32_t cols, const char* name) {
        return device.create_buffer(4 * std::uint64_t{rows} * cols, heron::MemoryKind::device, name);
    };
    activations.push_back(create(network.layers.front().inputs, "inputs"));
    for (const Layer& layer : network.layers) {
        activations.push_back(create(layer.outputs, "activation"));
        if (with_gradients) gradients.push_back(create(layer.outputs, "activation gradient"));
    }
}

NetworkTensors::NetworkTensors(Graph& graph, const Network& network, const Activations& passes) {
    const auto values = [&](const std::string& name, const heron::Buffer& buffer, std::uint32_t cols) {
        return external(graph, name, buffer, DType::f32, Shape{passes.batch, cols});
    };
    const std::uint32_t inputs = network.layers.front().inputs;
    activations.push_back(values("x0", passes.activations.front(), inputs));
    for (std::size_t l = 0; l < network.layers.size(); ++l) {
        const Layer& layer = network.layers[l];
        const std::string name = "x" + std::to_string(l + 1);
        weights.push_back(graph.external(layer.name + ".weight", layer.view(layer.weight)));
        biases.push_back(graph.external(layer.name + ".bias", layer.view(layer.bias)));
        activations.push_back(values(name, passes.activations[l + 1], layer.outputs));
        if (!passes.gradients.empty())
            gradients.push_back(values(name + ".gradient", passes.gradients[l], layer.outputs));
    }
    if (passes.input_gradient) input_gradient = values("x0.gradient", passes.input_gradient, inputs);
}

void add_forward(Graph& graph, const Network& network, const NetworkTensors& tensors) {
    for (std::size_t l = 0; l < network.layers.size(); ++l) {
        const Tensor& x = tensors.activations[l];
        const Tensor& z = tensors.activations[l + 1];
        const Tensor& weight = tensors.weights[l];
        const bool relu = l + 1 < network.layers.size();
        if (const std::optional<Convolution>& c = network.layers[l].convolution) {
            // One product of the filters with each image's patches.
            const std::uint64_t batch = x.rows();
            const Tensor patches = graph.temporary(DType::f32, Shape{batch, c->positions(), c->patch()});
            conv_patches(graph, *c, x, patches);
            heron::gemm(graph, weight.reshape(Shape{c->filters, c->patch()}), patches, {},
                        z.reshape(Shape{batch, c->filters, c->positions()}),
                        {.transpose_b = heron::Transpose::yes, .guarded = false});
            add_channel_bias(graph, *c, tensors.biases[l], z, relu);
        } else {
            heron::gemm(graph, x, weight, {}, z, {.transpose_b = heron::Transpose::yes, .guarded = false});
            add_bias(graph, tensors.biases[l], z, relu);
        }
    }
}

void add_backward(Graph& graph, const Network& network, const NetworkTensors& tensors) {
    const std::size_t depth = network.layers.size();
    for (std::size_t l = depth; l-- > 0;) {
        const Layer& layer = network.layers[l];
        graph.set_stage(layer.name);
        const Tensor& input = tensors.activations[l];
        const Tensor& gradient = tensors.gradients[l];
        const Tensor& below = l > 0 ? tensors.gradients[l - 1] : tensors.input_gradient;
        if (l + 1 < depth) relu_backward(graph, tensors.activations[l + 1], gradient);
        if (layer.convolution) {
            convolution_backward(graph, layer, tensors.weights[l], input, gradient, below);
            continue;
        }

        // dW = dZ^T X, db = sum of dZ over the batch, dX = dZ W
        heron::gemm(graph, gradient, input, {},
                    graph.external(layer.name + ".weight.gradient", layer.view(layer.weight_gradient)),
                    {.transpose_a = heron::Transpose::yes, .guarded = false});
        column_sums(graph, gradient,
                    graph.external(layer.name + ".bias.gradient", layer.view(layer.bias_gradient)));
        if (below) heron::gemm(graph, gradient, tensors.weights[l], {}, below, {.guarded = false});
    }
}

Passes::Passes(const heron::Device& device, const Network& network, const DeviceImages& images,
               std::uint32_t batch_size, bool evaluate)
    : batches(evaluate ? static_cast<std::uint32_t>(divide_up(images.count, batch_size))
                       : images.count / batch_size) {
    const auto create = [&](std::uint64_t elements, const char* name,
                            heron::MemoryKind kind = heron::MemoryKind::device) {
        return device.create_buffer(4 * elements, kind, name);
    };
    cursor = create(1, "cursor");
    const std::uint32_t zero = 0;
    cursor.write(std::as_bytes(std::span(&zero, 1)));
    history = create(2 * kHistory, "history", heron::MemoryKind::readback);
    if (evaluate) predictions = create(images.count, "predictions", heron::MemoryKind::readback);
    create_layers(device, network, batch_size, !evaluate);
    row_index = create(batch, "row_index");
    row_label = create(batch, "row_label");
    row_result = create(2 * std::uint64_t{batch}, "row_result");
}

heron::Plan forward_plan(const heron::Device& device, const Network& network, const DeviceImages& images,
                         const Passes& passes, const Normalization& normalization, std::uint32_t seed,
                         const heron::PlanOptions& options) {
    Graph graph(device);
    const std::uint32_t batch = passes.batch;
    const Tensor cursor = words(graph, "cursor", passes.cursor);
    const Tensor row_index = words(graph, "row_index", passes.row_index);
    const Tensor row_label = words(graph, "row_label", passes.row_label);

    graph.set_stage("batch");
    const auto bits = static_cast<std::uint32_t>(std::bit_width(images.count - 1));
    add_operation(
        graph, kSampleRows,
        gpu::SampleRowsJob{.batch = batch,
                           .count = images.count,
                           .batches = passes.batches,
                           .half_bits = (std::max(bits, 2u) + 1) / 2,
                           .seed = seed,
                           .shuffle = !passes.evaluate()},
        {{SAMPLES_FIELD(SampleRowsJob, cursor), cursor, Access::read},
         {SAMPLES_FIELD(SampleRowsJob, labels), words(graph, "labels", images.labels), Access::read},
         {SAMPLES_FIELD(SampleRowsJob, row_index), row_index, Access::write},
         {SAMPLES_FIELD(SampleRowsJob, row_label), row_label, Access::write}},
        divide_up(batch, kThreads), kThreads, 4 + 12 * std::uint64_t{batch});

    const NetworkTensors tensors(graph, network, passes);
    const std::uint64_t groups_per_row = divide_up(images.pixels, kThreads);
    const float scale = 1.0f / (255.0f * normalization.deviation);
    add_operation(graph, kGather,
                  gpu::GatherJob{.batch = batch,
                                 .pixels = images.pixels,
                                 .groups_per_row = static_cast<std::uint32_t>(groups_per_row),
                                 .scale = scale,
                                 .shift = -normalization.mean / normalization.deviation},
                  {{SAMPLES_FIELD(GatherJob, images), words(graph, "images", images.images), Access::read},
                   {SAMPLES_FIELD(GatherJob, row_index), row_index, Access::read},
                   {SAMPLES_FIELD(GatherJob, rows), tensors.activations.front(), Access::write}},
                  groups_per_row * batch, kThreads, batch * (4 + std::uint64_t{images.pixels} * (1 + 4)));

    graph.set_stage("layers");
    add_forward(graph, network, tensors);

    graph.set_stage("loss");
    const Tensor row_result = external(graph, "row_result", passes.row_result, DType::f32, Shape{batch, 2});
    LossTensors loss{.logits = tensors.activations.back(),
                     .labels = row_label,
                     .row_result = row_result,
                     .row_index = row_index};
    if (passes.evaluate())
        loss.predictions = words(graph, "predictions", passes.predictions);
    else
        loss.gradient = tensors.gradients.back();
    softmax_loss(graph, loss);
    finish_batch(graph, row_result,
                 external(graph, "history", passes.history, DType::f32, Shape{kHistory, 2}), cursor);
    return graph.compile(options);
}

heron::Plan backward_plan(const heron::Device& device, const Network& network, const Passes& passes,
                          const heron::PlanOptions& options) {
    Graph graph(device);
    add_backward(graph, network, NetworkTensors(graph, network, passes));
    return graph.compile(options);
}

}  // namespace samples
