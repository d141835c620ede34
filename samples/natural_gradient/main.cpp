// SPDX-License-Identifier: MIT
// Kronecker factors without an optimizer: a linear layer with badly scaled inputs learns by natural-gradient
// steps of a graph of its own. The README quotes the graph.
#include <cmath>
#include <cstdio>
#include <heron/heron.hpp>
#include <random>
#include <span>
#include <vector>

namespace {

constexpr std::size_t kSamples = 512, kInputs = 24, kOutputs = 8;

std::vector<float> normal_numbers(std::mt19937& random, std::size_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

template <typename T>
void write(heron::Buffer& buffer, const std::vector<T>& values) {
    buffer.write(std::as_bytes(std::span(values)));
}

// dL/dy of the mean of |W x - y|^2 / 2, one row a sample (times their number); returns the loss.
double pass(std::span<const float> x, std::span<const float> w, std::span<const float> truth,
            std::vector<float>& gradients) {
    double loss = 0;
    for (std::size_t i = 0; i < kSamples; ++i)
        for (std::size_t o = 0; o < kOutputs; ++o) {
            float error = 0;
            for (std::size_t k = 0; k < kInputs; ++k)
                error += (w[o * kInputs + k] - truth[o * kInputs + k]) * x[i * kInputs + k];
            gradients[i * kOutputs + o] = error;
            loss += static_cast<double>(error) * static_cast<double>(error) / 2 / kSamples;
        }
    return loss;
}

}  // namespace

int main() try {
    const heron::Device device = heron::Device::create();
    const auto create = [&](std::size_t floats) { return device.create_buffer(floats * sizeof(float)); };
    heron::Buffer inputs = create(kSamples * kInputs), gradients = create(kSamples * kOutputs),
                  sampled = create(kSamples * kOutputs), direction = create(kOutputs * kInputs);

    using enum heron::DType;
    heron::Graph graph(device);
    const heron::Tensor x = graph.external("x", inputs.view(f32, {kSamples, kInputs})),
                        s = graph.external("dL/dy", gradients.view(f32, {kSamples, kOutputs})),
                        fisher = graph.external("sampled dL/dy", sampled.view(f32, {kSamples, kOutputs})),
                        d = graph.external("direction", direction.view(f32, {kOutputs, kInputs})),
                        g = graph.temporary(f32, {kOutputs, kInputs}),
                        a = graph.temporary(f32, {kInputs, kInputs}),
                        b = graph.temporary(f32, {kOutputs, kOutputs});
    heron::gemm(graph, s, x, {}, g, {.transpose_a = heron::Transpose::yes, .alpha = 1.0f / kSamples});
    heron::accumulate_factor(graph, x, a, {.decay = 0});
    heron::accumulate_factor(graph, fisher, b, {.decay = 0});
    const auto factors = heron::make_kronecker_factors(graph, "layer", kOutputs, kInputs);
    heron::update_factor(graph, factors, heron::FactorSide::inputs, a, {.decay = 0.1});
    heron::update_factor(graph, factors, heron::FactorSide::outputs, b, {.decay = 0.1});
    const auto inverse = heron::make_kronecker_inverse(graph, "layer", factors);
    heron::renew_inverse(graph, factors, inverse, {.value = 1e-8f});
    heron::apply_inverse(graph, inverse, g, d);
    heron::Plan plan = graph.compile({.name = "natural gradient"});
    plan.allocate();
    plan.initialize();

    std::mt19937 random(1);
    std::vector<float> samples = normal_numbers(random, kSamples * kInputs),
                       truth = normal_numbers(random, kOutputs * kInputs), w(truth.size()),
                       errors(kSamples * kOutputs), step(w.size());
    for (std::size_t i = 0; i < samples.size(); ++i)  // from 1 down to 1/100
        samples[i] *= std::pow(0.01f, static_cast<float>(i % kInputs) / (kInputs - 1));
    write(inputs, samples);
    for (int t = 1; t <= 8; ++t) {
        std::printf("step %d  loss %.3e\n", t, pass(samples, w, truth, errors));
        write(gradients, errors);
        write(sampled,
              normal_numbers(random, errors.size()));  // the Fisher matrix is that of the model's own y
        plan.run();
        direction.read(std::as_writable_bytes(std::span(step)));
        for (std::size_t i = 0; i < w.size(); ++i) w[i] -= step[i];
    }
} catch (const heron::Error& error) {
    std::fprintf(stderr, "%s: %s\n", heron::to_string(error.code()), error.what());
    return 1;
}
