// SPDX-License-Identifier: MIT
#include "population.hpp"

#include <cmath>
#include <span>
#include <string>

#include "heron/spirv/evolution_threshold.hpp"
#include "shaders/threshold.h"
#include "support/kernel_operation.hpp"
#include "support/layers.hpp"
#include "support/random.hpp"

namespace samples {

namespace gpu = heron::gpu;
using heron::Access;
using heron::DType;
using heron::Graph;
using heron::Shape;
using heron::Tensor;

namespace {

constexpr auto kThreshold =
    heron::make_kernel<gpu::ThresholdJob>("threshold", heron::spirv::evolution_threshold);

// values, members x rows x cols, each with its own bias.
void add_threshold(Graph& graph, const Tensor& values, const Tensor& bias, bool binary) {
    const std::uint64_t count = values.shape.count();
    add_operation(graph, kThreshold,
                  gpu::ThresholdJob{.count = static_cast<std::uint32_t>(count),
                                    .cols = static_cast<std::uint32_t>(values.cols()),
                                    .member = static_cast<std::uint32_t>(values.rows() * values.cols()),
                                    .binary = binary},
                  {{SAMPLES_FIELD(ThresholdJob, values), values, Access::read_write},
                   {SAMPLES_FIELD(ThresholdJob, bias), bias, Access::read}},
                  divide_up(count, kThreads));
}

// The four parameters, or their gradients, in a graph.
struct Tensors {
    Tensor w1, b1, w2, b2;
};
Tensors tensors(Graph& graph, const BinaryNetwork& network, bool gradients) {
    const std::vector<heron::Parameter> all = network.parameters();
    const auto one = [&](std::size_t i) {
        return gradients ? graph.external(all[i].name + ".gradient", all[i].gradient)
                         : graph.external(all[i].name, all[i].weight);
    };
    return {one(0), one(1), one(2), one(3)};
}

}  // namespace

BinaryNetwork::BinaryNetwork(const heron::Device& device, std::uint32_t input_count,
                             std::uint32_t hidden_count, std::uint32_t class_count, std::uint32_t seed)
    : inputs(input_count), hidden(hidden_count), classes(class_count) {
    std::vector<float> values(std::uint64_t{hidden} * (inputs + 1) + std::uint64_t{classes} * (hidden + 1),
                              0.0f);
    UniformNumbers random(seed);
    const auto fill = [&](std::uint64_t first, std::uint64_t count, std::uint32_t fan_in) {
        for (float& value : std::span(values).subspan(first, count))
            value = static_cast<float>(random.within(std::sqrt(3.0 / fan_in)));
    };
    fill(0, std::uint64_t{hidden} * inputs, inputs);
    fill(std::uint64_t{hidden} * (inputs + 1), std::uint64_t{classes} * hidden, hidden);
    weights = device.create_buffer(4 * values.size(), heron::MemoryKind::device, "weights");
    gradients = device.create_buffer(4 * values.size(), heron::MemoryKind::device, "gradients");
    weights.write(std::as_bytes(std::span(values)));
}

std::vector<heron::Parameter> BinaryNetwork::parameters() const {
    std::vector<heron::Parameter> result;
    std::uint64_t offset = 0;
    const auto add = [&](const char* name, const Shape& shape, heron::Role role) {
        result.push_back({.name = name,
                          .weight = weights.view(DType::f32, shape, offset),
                          .gradient = gradients.view(DType::f32, shape, offset),
                          .role = role});
        offset += 4 * shape.count();
    };
    add("hidden.weight", {hidden, inputs}, heron::Role::hidden_matrix);
    add("hidden.bias", {hidden}, heron::Role::vector);
    add("head.weight", {classes, hidden}, heron::Role::head);
    add("head.bias", {classes}, heron::Role::vector);
    return result;
}

Batch::Batch(const heron::Device& device, const BinaryNetwork& network, std::uint32_t rows,
             std::uint32_t members) {
    const auto create = [&](std::uint64_t elements, const char* name,
                            heron::MemoryKind kind = heron::MemoryKind::device) {
        return device.create_buffer(4 * elements, kind, name);
    };
    images = create(std::uint64_t{rows} * network.inputs, "images");
    labels = create(std::uint64_t{rows} * members, "labels");
    scores = create(members, "scores", heron::MemoryKind::readback);
    logits = create(std::uint64_t{rows} * network.classes, "logits");
    epoch = create(1, "epoch");
    const std::uint32_t zero = 0;
    epoch.write(std::as_bytes(std::span(&zero, 1)));
}

heron::Plan evolution_plan(const heron::Device& device, const BinaryNetwork& network, const Batch& batch,
                           const EvolutionSettings& s) {
    Graph graph(device);
    const std::uint64_t members = s.members, rows = s.batch, hidden = network.hidden,
                        classes = network.classes;
    const Tensors w = tensors(graph, network, false), gradient = tensors(graph, network, true);
    const heron::Population population{.members = s.members,
                                       .seed = s.seed,
                                       .epoch = graph.external("epoch", batch.epoch.view(DType::u32, {1}))};
    const auto temporary = [&](const Shape& shape) { return graph.temporary(DType::f32, shape); };

    graph.set_stage("noise");
    const Tensor z1 = heron::full_noise(graph, population, 2, hidden, false);
    const Tensor z2 = heron::full_noise(graph, population, 3, classes, false);

    graph.set_stage("forward");
    const auto layer = [&](const Tensor& x, const Tensor& weight, std::uint32_t tensor, const Tensor& bias,
                           const Tensor& z, bool binary) {
        const Tensor y = temporary({members, rows, weight.rows()});
        const Tensor biases = temporary({members, weight.rows()});
        const heron::DrawnNoise noise{population, tensor, s.rank};
        heron::perturbed_linear(graph, x, weight, noise, s.sigma, y, false);
        heron::perturbed_copies(graph, bias, z, s.sigma, biases, false);
        add_threshold(graph, y, biases, binary);
        return y;
    };
    const Tensor x = graph.external("images", batch.images.view(DType::f32, {rows, network.inputs}));
    const Tensor h = layer(x, w.w1, 0, w.b1, z1, true);
    const Tensor logits = layer(h, w.w2, 1, w.b2, z2, false);
    const Tensor row_result = temporary({members * rows, 2});
    // The gradient by the logits is what ordinary training would go on from; nothing here reads it.
    softmax_loss(graph, {.logits = logits.reshape({members * rows, classes}),
                         .labels = graph.external("labels", batch.labels.view(DType::u32, {members * rows})),
                         .row_result = row_result,
                         .gradient = temporary({members * rows, classes})});
    // Minus the mean loss: rows are (loss, right).
    const Tensor scores = graph.external("scores", batch.scores.view(DType::f32, {members}));
    const Tensor losses = temporary({members * rows, 1});
    Tensor first = row_result;
    first.shape = Shape{members * rows, 1};
    first.row_stride = 2;
    heron::convert(graph, first, losses, -1.0f / static_cast<float>(rows), false);
    heron::sum(graph, losses.reshape({members, rows, 1}), scores, false);

    graph.set_stage("gradients");
    const heron::LowRankNoise noise1 =
        heron::low_rank_noise(graph, population, 0, hidden, network.inputs, s.rank, false);
    const heron::LowRankNoise noise2 =
        heron::low_rank_noise(graph, population, 1, classes, hidden, s.rank, false);
    const Tensor fitness = temporary({members});
    heron::shape_fitness(graph, scores, fitness, {.guarded = false});
    const heron::EvolutionGradientOptions plain{.guarded = false};
    heron::evolution_gradient(graph, fitness, noise1, s.sigma, gradient.w1, plain);
    heron::evolution_gradient(graph, fitness, z1, s.sigma, gradient.b1, plain);
    heron::evolution_gradient(graph, fitness, noise2, s.sigma, gradient.w2, plain);
    heron::evolution_gradient(graph, fitness, z2, s.sigma, gradient.b2, plain);
    heron::advance_counter(graph, population.epoch, false);
    return graph.compile({.name = "evolution"});
}

heron::Plan evaluation_plan(const heron::Device& device, const BinaryNetwork& network, const Batch& batch,
                            std::uint32_t row_count) {
    Graph graph(device);
    const std::uint64_t rows = row_count;
    const Tensors w = tensors(graph, network, false);
    const auto layer = [&](const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y,
                           bool binary) {
        heron::gemm(graph, x, weight, {}, y, {.transpose_b = heron::Transpose::yes, .guarded = false});
        add_threshold(graph, y, bias, binary);
    };
    const Tensor h = graph.temporary(DType::f32, {rows, network.hidden});
    layer(graph.external("images", batch.images.view(DType::f32, {rows, network.inputs})), w.w1, w.b1, h,
          true);
    layer(h, w.w2, w.b2, graph.external("logits", batch.logits.view(DType::f32, {rows, network.classes})),
          false);
    return graph.compile({.name = "evaluation"});
}

}  // namespace samples
