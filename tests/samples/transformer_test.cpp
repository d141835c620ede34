// SPDX-License-Identifier: MIT
// The transformer of compare_optimizers against a plain float64 forward pass: its loss, and its gradients by
// finite differences of that.
#include "compare_optimizers/transformer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "support/device_fixture.hpp"

namespace heron::test {
namespace {

using Values = std::vector<double>;
using Weights = std::map<std::string, Values>;

constexpr samples::TransformerShape kShape{
    .vocabulary = 7, .context = 5, .width = 6, .heads = 2, .blocks = 2};
constexpr std::uint32_t kSequences = 3;
constexpr std::uint32_t kRows = kSequences * kShape.context;

// y = x W^T; x has rows of `inputs`.
Values linear(const Values& x, const Values& weight, std::size_t inputs) {
    const std::size_t outputs = weight.size() / inputs;
    const std::size_t rows = x.size() / inputs;
    Values y(rows * outputs, 0.0);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t o = 0; o < outputs; ++o)
            for (std::size_t i = 0; i < inputs; ++i)
                y[r * outputs + o] += x[r * inputs + i] * weight[o * inputs + i];
    return y;
}

Values rms_norm(const Values& x, const Values& gain) {
    const std::size_t cols = gain.size();
    Values y(x.size());
    for (std::size_t r = 0; r < x.size() / cols; ++r) {
        double squares = 0;
        for (std::size_t c = 0; c < cols; ++c) squares += x[r * cols + c] * x[r * cols + c];
        const double rms = std::sqrt(squares / static_cast<double>(cols) + 1e-6);
        for (std::size_t c = 0; c < cols; ++c) y[r * cols + c] = gain[c] * x[r * cols + c] / rms;
    }
    return y;
}

void add(Values& x, const Values& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

Values attention(const Values& qkv) {
    constexpr std::size_t width = kShape.width, head_width = width / kShape.heads;
    Values result(kRows * width, 0.0);
    const auto element = [&](std::size_t row, std::size_t part, std::size_t head, std::size_t c) {
        return qkv[row * 3 * width + part * width + head * head_width + c];
    };
    for (std::size_t sequence = 0; sequence < kSequences; ++sequence)
        for (std::size_t head = 0; head < kShape.heads; ++head)
            for (std::size_t t = 0; t < kShape.context; ++t) {
                const std::size_t first = sequence * kShape.context;
                Values weights;
                for (std::size_t s = 0; s <= t; ++s) {
                    double score = 0;
                    for (std::size_t c = 0; c < head_width; ++c)
                        score += element(first + t, 0, head, c) * element(first + s, 1, head, c);
                    weights.push_back(std::exp(score / std::sqrt(double(head_width))));
                }
                const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
                for (std::size_t s = 0; s <= t; ++s)
                    for (std::size_t c = 0; c < head_width; ++c)
                        result[(first + t) * width + head * head_width + c] +=
                            weights[s] / sum * element(first + s, 2, head, c);
            }
    return result;
}

// Mean loss of the rows.
double loss(const Weights& w, const std::vector<std::uint32_t>& characters,
            const std::vector<std::uint32_t>& targets) {
    constexpr std::size_t width = kShape.width;
    Values x(kRows * width);
    for (std::size_t row = 0; row < kRows; ++row)
        for (std::size_t c = 0; c < width; ++c)
            x[row * width + c] = w.at("embed.weight")[characters[row] * width + c] +
                                 w.at("position.weight")[row % kShape.context * width + c];
    for (std::uint32_t block = 0; block < kShape.blocks; ++block) {
        const std::string prefix = "blocks." + std::to_string(block) + ".";
        const auto of = [&](const char* name) -> const Values& { return w.at(prefix + name); };
        const Values qkv = linear(rms_norm(x, of("norm1.gain")), of("qkv.weight"), width);
        add(x, linear(attention(qkv), of("out.weight"), width));
        Values h = linear(rms_norm(x, of("norm2.gain")), of("up.weight"), width);
        for (double& value : h) value = value > 0 ? value * value : 0;
        add(x, linear(h, of("down.weight"), 4 * width));
    }
    const Values logits = linear(rms_norm(x, w.at("norm.gain")), w.at("head.weight"), width);
    double sum = 0;
    for (std::size_t row = 0; row < kRows; ++row) {
        double total = 0;
        for (std::size_t v = 0; v < kShape.vocabulary; ++v)
            total += std::exp(logits[row * kShape.vocabulary + v]);
        sum += std::log(total) - logits[row * kShape.vocabulary + targets[row]];
    }
    return sum / kRows;
}

// d loss / d w[i], by a central difference of fourth order. Steps are short because the squared ReLU has a
// jump in its second derivative; rounding is 1e-16 / 1e-5 of the loss, far below f32's.
double slope(Weights& w, Values& values, std::size_t i, const std::vector<std::uint32_t>& characters,
             const std::vector<std::uint32_t>& targets) {
    constexpr double kStep = 1e-5;
    const double before = values[i];
    const auto at = [&](double steps) {
        values[i] = before + steps * kStep;
        return loss(w, characters, targets);
    };
    const double result = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * kStep);
    values[i] = before;
    return result;
}

double norm(const Values& values) {
    return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::vector<std::uint8_t> random_text(std::size_t length) {
    std::mt19937 random(5);
    std::vector<std::uint8_t> text(length);
    for (std::uint8_t& character : text) character = static_cast<std::uint8_t>(random() % kShape.vocabulary);
    return text;
}

class Transformer : public DeviceTest {
protected:
    Transformer() = default;

    // Weights and gains that no symmetry helps: the usual first gains of 1 would hide their place.
    void randomize(samples::Transformer& network) {
        std::mt19937 random(7);
        std::uniform_real_distribution<float> uniform(-0.8f, 0.8f);
        std::vector<float> values(network.weights.bytes() / sizeof(float));
        for (float& value : values) value = uniform(random);
        network.weights.write(std::as_bytes(std::span(values)));
    }

    static Values values_of(const Buffer& buffer, const TensorView& view) {
        std::vector<float> values(view.shape.count());
        buffer.read(std::as_writable_bytes(std::span(values)), view.address - buffer.address());
        return Values(values.begin(), values.end());
    }

    static std::vector<std::uint32_t> characters_of(const samples::TextPasses& passes) {
        const auto one_hot = download<float>(passes.one_hot);
        std::vector<std::uint32_t> characters;
        for (std::uint32_t row = 0; row < passes.rows; ++row)
            for (std::uint32_t v = 0; v < kShape.vocabulary; ++v)
                if (one_hot[row * kShape.vocabulary + v] == 1.0f) characters.push_back(v);
        return characters;
    }
};

HERON_DEVICE_TESTS(Transformer);

TEST_P(Transformer, GradientsMatchFiniteDifferencesInFloat64) {
    const std::vector<std::uint8_t> text = random_text(40);
    samples::Transformer network(device(), kShape);
    randomize(network);
    const samples::DeviceText device_text(device(), text, "text");
    const samples::TextPasses passes(device(), kShape, kSequences, true);
    Plan plan = samples::transformer_training_plan(device(), network, device_text, passes, 11, {});
    plan.allocate();
    plan.run();
    EXPECT_TRUE(plan.hazards().empty());

    const auto characters = characters_of(passes);
    const auto targets = download<std::uint32_t>(passes.targets);
    ASSERT_EQ(characters.size(), kRows);
    Weights weights;
    for (const Parameter& parameter : network.parameters())
        weights[parameter.name] = values_of(network.weights, parameter.weight);
    const double expected_loss = loss(weights, characters, targets);
    // The mean of f32 logarithms of sums of f32 exponentials; three units in the last place each, and the
    // logits' own error, of the order of 1e-6.
    EXPECT_NEAR(passes.result(0).loss_sum / kRows, expected_loss, 1e-5 * expected_loss);

    for (const Parameter& parameter : network.parameters()) {
        const Values gradient = values_of(network.gradients, parameter.gradient);
        Values& values = weights[parameter.name];
        Values expected(values.size()), error(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            expected[i] = slope(weights, values, i, characters, targets);
            error[i] = gradient[i] - expected[i];
        }
        ASSERT_GT(norm(expected), 1e-4) << parameter.name;
        // Some thirty operations lie one behind the other, each a rounding of its own.
        EXPECT_LE(norm(error) / norm(expected), 32 * 0x1p-24) << parameter.name;
    }
}

// What is kept for optimizers of layers belongs to the gradients: dW = dy^T x over all rows.
TEST_P(Transformer, CapturesMakeTheGradients) {
    const std::vector<std::uint8_t> text = random_text(40);
    samples::Transformer network(device(), kShape);
    randomize(network);
    const samples::DeviceText device_text(device(), text, "text");
    const samples::TextPasses passes(device(), kShape, kSequences, true);
    Plan plan = samples::transformer_training_plan(device(), network, device_text, passes, 11, {});
    plan.allocate();
    plan.run();
    const std::vector<Layer> layers = network.captured_layers(passes);
    ASSERT_EQ(layers.size(), 4u * kShape.blocks + 1);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const Parameter& weight = layers[l].weight;
        const auto x = download<float>(passes.captures[l].inputs);
        const auto dy = download<float>(passes.captures[l].output_gradients);
        const std::size_t rows = weight.weight.shape[0], cols = weight.weight.shape[1];
        const Values gradient = values_of(network.gradients, weight.gradient);
        Values error(rows * cols), sizes(rows * cols);
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < cols; ++j) {
                double sum = 0;
                for (std::size_t r = 0; r < kRows; ++r) {
                    const double term = double{dy[r * rows + i]} * x[r * cols + j];
                    sum += term;
                    sizes[i * cols + j] += std::abs(term);
                }
                error[i * cols + j] = gradient[i * cols + j] - sum;
            }
        // A sum of kRows rounded products in f32.
        EXPECT_LE(norm(error), (kRows + 1) * 0x1p-24 * norm(sizes)) << weight.name;
    }
    EXPECT_TRUE(network.captured_layers(samples::TextPasses(device(), kShape, kSequences)).empty());
}

TEST_P(Transformer, TrainsOnWindowsOfTheTextThatDependOnTheSeed) {
    const std::vector<std::uint8_t> text = random_text(40);
    samples::Transformer network(device(), kShape);
    network.initialize(1);
    const samples::DeviceText device_text(device(), text, "text");
    const auto batches = [&](std::uint32_t seed) {
        const samples::TextPasses passes(device(), kShape, kSequences);
        Plan plan = samples::transformer_training_plan(device(), network, device_text, passes, seed, {});
        plan.allocate();
        std::vector<std::vector<std::uint32_t>> result;
        for (int batch = 0; batch < 2; ++batch) {
            plan.run();
            const auto characters = characters_of(passes);
            const auto targets = download<std::uint32_t>(passes.targets);
            for (std::uint32_t row = 0; row < kRows; ++row)
                if ((row + 1) % kShape.context != 0) EXPECT_EQ(characters[row + 1], targets[row]);
            for (std::uint32_t sequence = 0; sequence < kSequences; ++sequence) {
                std::vector<std::uint8_t> window;
                for (std::uint32_t t = 0; t < kShape.context; ++t)
                    window.push_back(static_cast<std::uint8_t>(characters[sequence * kShape.context + t]));
                window.push_back(static_cast<std::uint8_t>(targets[(sequence + 1) * kShape.context - 1]));
                EXPECT_NE(std::search(text.begin(), text.end(), window.begin(), window.end()), text.end());
            }
            result.push_back(characters);
        }
        return result;
    };
    const auto first = batches(1);
    EXPECT_EQ(batches(1), first);
    EXPECT_NE(batches(2)[0], first[0]);
    EXPECT_NE(first[1], first[0]);
}

TEST_P(Transformer, EvaluatesEveryWholeWindowOnce) {
    // Four windows of 5 characters with a target behind each: the second batch has one.
    const std::vector<std::uint8_t> text = random_text(24);
    samples::Transformer network(device(), kShape);
    randomize(network);
    const samples::DeviceText device_text(device(), text, "text");
    const samples::TextPasses passes(device(), kShape, kSequences);
    Plan plan = samples::transformer_evaluation_plan(device(), network, device_text, passes, {});
    plan.allocate();
    std::vector<std::uint32_t> targets, labelled;
    for (int batch = 0; batch < 2; ++batch) {
        plan.run();
        for (const std::uint32_t target : download<std::uint32_t>(passes.targets))
            if (target < kShape.vocabulary) labelled.push_back(target);
    }
    EXPECT_EQ(labelled, std::vector<std::uint32_t>(text.begin() + 1, text.begin() + 21));

    Weights weights;
    for (const Parameter& parameter : network.parameters())
        weights[parameter.name] = values_of(network.weights, parameter.weight);
    std::vector<std::uint32_t> characters(text.begin(), text.begin() + kRows);
    targets.assign(text.begin() + 1, text.begin() + 1 + kRows);
    const double expected = loss(weights, characters, targets);
    EXPECT_NEAR(passes.result(0).loss_sum / kRows, expected, 1e-5 * expected);
}

}  // namespace
}  // namespace heron::test
