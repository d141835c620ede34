// SPDX-License-Identifier: MIT
// Layers of every kind for the tests of optimizers that take layers: their memory, and the same in float64.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "optim/training.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {

struct LayerCase {
    std::string name;
    Shape weight, inputs, output_gradients;
    bool bias = true;
    LayerSharing sharing = LayerSharing::expand;
    LossReduction loss = LossReduction::mean_over_batch;
    std::optional<ConvPatches> patches{};
    DampingScales damping_scale{};
};

inline std::vector<LayerCase> layers_of_every_kind() {
    const ConvPatches patches{
        .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2};
    return {{"linear", {5, 4}, {9, 4}, {9, 5}},
            {"sum", {3, 6}, {12, 6}, {12, 3}, false, LayerSharing::expand, LossReduction::sum},
            {"expand",
             {4, 3},
             {3, 4, 3},
             {3, 4, 4},
             true,
             LayerSharing::expand,
             LossReduction::mean_over_positions,
             {},
             {.inputs = 3.0f, .outputs = 0.5f}},
            {"reduce",
             {4, 3},
             {7, 2, 2, 3},
             {7, 2, 2, 4},
             true,
             LayerSharing::reduce,
             LossReduction::mean_over_batch},
            {"conv",
             {6, 2, 3, 2},
             {4, 4, 5, 6},
             {4, 6, 3, 4},
             true,
             LayerSharing::expand,
             LossReduction::mean_over_batch,
             patches,
             {.inputs = 0.25f, .outputs = 2.5f}},
            {"conv_reduce",
             {6, 2, 3, 2},
             {40, 4, 5, 6},
             {40, 6, 3, 4},
             false,
             LayerSharing::reduce,
             LossReduction::none,
             patches}};
}

// A layer's memory, and the same in float64.
class TestLayer {
public:
    TestLayer(const Device& device, const LayerCase& of)
        : case_(of),
          weight_(device, normal_values(of.weight.count(), 1, 0.1)),
          gradient_(device, of.weight.count() * 4),
          bias_(device, normal_values(of.weight[0], 2, 0.1)),
          bias_gradient_(device, of.weight[0] * 4),
          inputs_(device, of.inputs.count() * 4),
          outputs_(device, of.output_gradients.count() * 4) {}

    Layer layer() const {
        Layer layer;
        layer.weight.name = case_.name + ".weight";
        layer.weight.weight = weight_.view(DType::f32, case_.weight);
        layer.weight.gradient = gradient_.view(DType::f32, case_.weight);
        layer.weight.damping_scale = case_.damping_scale;
        if (case_.bias) {
            layer.bias.emplace();
            layer.bias->name = case_.name + ".bias";
            layer.bias->weight = bias_.view(DType::f32, {case_.weight[0]});
            layer.bias->gradient = bias_gradient_.view(DType::f32, {case_.weight[0]});
        }
        layer.inputs = inputs_.view(DType::f32, case_.inputs);
        layer.output_gradients = outputs_.view(DType::f32, case_.output_gradients);
        layer.sharing = case_.sharing;
        layer.loss = case_.loss;
        layer.patches = case_.patches;
        return layer;
    }

    void draw(unsigned seed, double loss_scale = 1) {
        const auto fill = [&](GuardedBuffer& buffer, std::vector<double>& kept, double size, double scale) {
            const std::vector<float> values = normal_values(buffer.bytes() / 4, seed++, size);
            kept = doubles(values);
            std::vector<float> scaled(values);
            for (float& value : scaled) value = static_cast<float>(static_cast<double>(value) * scale);
            buffer.write(scaled);
        };
        fill(gradient_, g_, 0.1, loss_scale);
        fill(bias_gradient_, gb_, 0.1, loss_scale);
        fill(inputs_, a_, 1, 1);
        fill(outputs_, s_, 0.1, loss_scale);
    }
    void set_inputs(float value) { inputs_.write(std::vector<float>(case_.inputs.count(), value)); }

    std::uint64_t groups() const { return case_.patches ? case_.patches->groups : 1; }
    Eigen::Index m() const { return static_cast<Eigen::Index>(case_.weight[0] / groups()); }
    Eigen::Index n() const { return static_cast<Eigen::Index>(case_.weight.count() / case_.weight[0]); }
    std::uint64_t samples() const { return case_.inputs[0]; }
    std::uint64_t positions() const {
        const Shape& s = case_.output_gradients;
        return case_.patches ? s[2] * s[3] : s.count() / (s[0] * s[s.rank() - 1]);
    }

    // [G, g_b] of a group, and the rows of [a, 1] and s, one below the other.
    Matrix gradient(std::uint64_t group) const {
        Matrix g(m(), n() + case_.bias);
        for (Eigen::Index i = 0; i < m(); ++i) {
            const Eigen::Index row = static_cast<Eigen::Index>(group) * m() + i;
            for (Eigen::Index j = 0; j < n(); ++j) g(i, j) = g_[static_cast<std::size_t>(row * n() + j)];
            if (case_.bias) g(i, n()) = gb_[static_cast<std::size_t>(row)];
        }
        return g;
    }
    Matrix inputs(std::uint64_t group) const {
        return with_bias(
            shared(case_.patches ? patch_rows(group) : matrix_of(a_, rows(), case_.weight[1]), true));
    }
    // As the backward pass brought them, and with everything that every position needs.
    Matrix output_gradients(std::uint64_t group) const {
        Matrix s(static_cast<Eigen::Index>(rows()), m());
        const std::uint64_t l = positions(), channels = case_.weight[0];
        for (Eigen::Index r = 0; r < s.rows(); ++r)
            for (Eigen::Index i = 0; i < m(); ++i) {
                const std::uint64_t row = static_cast<std::uint64_t>(r);
                const std::uint64_t channel =
                    group * static_cast<std::uint64_t>(m()) + static_cast<std::uint64_t>(i);
                s(r, i) = case_.patches ? s_[(row / l * channels + channel) * l + row % l]
                                        : s_[row * channels + channel];
            }
        return shared(s, false);
    }
    // Of the sum of s s^T.
    double scale() const {
        const double n = static_cast<double>(samples()), r = static_cast<double>(positions());
        switch (case_.loss) {
            case LossReduction::none:
                return 1 / (n * (case_.sharing == LayerSharing::reduce ? 1 : r));
            case LossReduction::sum:
                return 1;
            case LossReduction::mean_over_batch:
                return n;
            case LossReduction::mean_over_positions:
                return n * r;
        }
        return 0;
    }
    bool reduces() const { return case_.sharing == LayerSharing::reduce; }
    double inputs_damping() const { return static_cast<double>(case_.damping_scale.inputs); }
    double outputs_damping() const { return static_cast<double>(case_.damping_scale.outputs); }

    // Weights of a group, next to the biases.
    Matrix parameters(std::uint64_t group) const {
        const std::vector<float> w = weight_.floats(), b = bias_.floats();
        Matrix result(m(), n() + case_.bias);
        for (Eigen::Index i = 0; i < m(); ++i) {
            const Eigen::Index row = static_cast<Eigen::Index>(group) * m() + i;
            for (Eigen::Index j = 0; j < n(); ++j) result(i, j) = w[static_cast<std::size_t>(row * n() + j)];
            if (case_.bias) result(i, n()) = b[static_cast<std::size_t>(row)];
        }
        return result;
    }
    ::testing::AssertionResult intact() const {
        for (const GuardedBuffer* buffer :
             {&weight_, &gradient_, &bias_, &bias_gradient_, &inputs_, &outputs_})
            if (const auto result = buffer->intact(); !result) return result;
        return ::testing::AssertionSuccess();
    }

private:
    std::uint64_t rows() const { return samples() * positions(); }

    // Means or sums over the positions of each sample.
    Matrix shared(const Matrix& all, bool mean) const {
        if (!reduces()) return all;
        const auto r = static_cast<Eigen::Index>(positions());
        Matrix result(all.rows() / r, all.cols());
        for (Eigen::Index i = 0; i < result.rows(); ++i)
            result.row(i) = all.middleRows(i * r, r).colwise().sum() / (mean ? static_cast<double>(r) : 1.0);
        return result;
    }
    Matrix with_bias(const Matrix& a) const {
        if (!case_.bias) return a;
        Matrix result(a.rows(), a.cols() + 1);
        for (Eigen::Index r = 0; r < a.rows(); ++r) {
            for (Eigen::Index c = 0; c < a.cols(); ++c) result(r, c) = a(r, c);
            result(r, a.cols()) = 1;
        }
        return result;
    }
    Matrix patch_rows(std::uint64_t group) const {
        const ConvPatches& p = *case_.patches;
        const Shape &in = case_.inputs, &out = case_.output_gradients;
        const std::uint64_t each = in[1] / p.groups;
        Matrix a(static_cast<Eigen::Index>(rows()), n());
        for (std::uint64_t r = 0; r < rows(); ++r)
            for (std::uint64_t c = 0; c < static_cast<std::uint64_t>(n()); ++c) {
                const std::uint64_t image = r / (out[2] * out[3]), oy = r / out[3] % out[2], ox = r % out[3];
                const std::uint64_t channel = c / (p.kernel[0] * p.kernel[1]);
                // Below zero they wrap round, beyond the image.
                const std::uint64_t y =
                    oy * p.stride[0] + c / p.kernel[1] % p.kernel[0] * p.dilation[0] - p.padding[0];
                const std::uint64_t x = ox * p.stride[1] + c % p.kernel[1] * p.dilation[1] - p.padding[1];
                a(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) =
                    y < in[2] && x < in[3]
                        ? a_[((image * in[1] + group * each + channel) * in[2] + y) * in[3] + x]
                        : 0;
            }
        return a;
    }

    LayerCase case_;
    GuardedBuffer weight_, gradient_, bias_, bias_gradient_, inputs_, outputs_;
    std::vector<double> g_, gb_, a_, s_;
};

class LayersTest : public DeviceTest {
protected:
    void TearDown() override {
        for (const TestLayer& layer : layers_) EXPECT_TRUE(layer.intact());
        DeviceTest::TearDown();
    }
    // Of new layers. `TakesLayers`: a LayerOptimizer, or a Lookahead around one.
    template <class TakesLayers>
    Plan plan_of(std::unique_ptr<TakesLayers> optimizer, const std::vector<LayerCase>& cases,
                 const StepOptions& step = {}) {
        layers_.clear();
        for (const LayerCase& of : cases) {
            layers_.emplace_back(device(), of);
            optimizer->add_layer(layers_.back().layer());
        }
        Plan plan = compile(device(), {optimizer.get()}, step);
        plan.allocate();
        plan.initialize();
        EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
        return plan;
    }
    static std::vector<float> floats(const Plan& plan, const std::string& state) {
        std::vector<float> values(plan.state_view(state).span_bytes() / 4);
        plan.read_state(state, std::as_writable_bytes(std::span(values)));
        return values;
    }
    static std::vector<std::uint32_t> words(const Plan& plan, const std::string& state) {
        std::vector<std::uint32_t> values(plan.state_view(state).span_bytes() / 4);
        plan.read_state(state, std::as_writable_bytes(std::span(values)));
        return values;
    }
    // All weights, for comparisons bit by bit.
    std::vector<float> weights() const {
        std::vector<float> all;
        for (const TestLayer& layer : layers_)
            for (std::uint64_t g = 0; g < layer.groups(); ++g) {
                const Matrix w = layer.parameters(g);
                all.insert(all.end(), w.data(), w.data() + w.size());
            }
        return all;
    }

    std::deque<TestLayer> layers_;
};

}  // namespace heron::test
