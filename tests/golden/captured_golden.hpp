// SPDX-License-Identifier: MIT
// Golden files of optimizers that take one layer: w.0, b.0; per step its captures a.t, s.t (of micro-batches
// a.t.k, s.t.k), the gradients g.t, gb.t, and w.t, b.t after the step. Steps run on from w.0; the update of
// weight and bias is compared at each one, and where the training ends (training_deviation.hpp).
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "golden/training_deviation.hpp"
#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {

// How the direction d of a step, the file's pg.t and pgb.t, is found in the plan:
//
//   m <- kept m + taken (d + decay W),  or W <- W - lr (d + decay W)
struct CapturedDirection {
    std::string average;  // m, a state of each parameter; empty: there is none
    double kept = 0;
    double taken = 1;
    bool first_whole = false;  // the first m is d + decay W
    double decay = 0;
    double lr = 0;
};

struct CapturedGolden {
    std::function<std::unique_ptr<LayerOptimizer>(const Device&)> make;
    LayerSharing sharing = LayerSharing::expand;
    LossReduction loss = LossReduction::mean_over_batch;
    std::array<std::string, 2> captures = {"a", "s"};  // a vector is one sample
    double loss_terms = 1;                             // what the backward pass brings is s.t over this
    int micro_batches = 1;                             // above 1: the gradients are the means of theirs
    double bound = 1e-5;                               // of updates, relative, and states
    // Before step t: may change the plan.
    std::function<void(Plan&, int t)> prepare;
    // A state of the file (its name there), as the plan has it.
    std::function<std::vector<double>(const Plan&, const std::string& state)> state;
    // The step whose captures are there in step t; t itself, unless set. Called once for each, in order.
    std::function<int(int t)> captured_in;
    // Of a file that has directions.
    std::optional<CapturedDirection> direction;
};

class CapturedGoldenTest : public DeviceTest {
protected:
    // What a convolution's file says of it, or nothing.
    static std::optional<ConvPatches> patches_of(const GoldenCase& golden) {
        if (golden.is_null("conv") || !golden.has("conv.k")) return {};
        const auto number = [&](const char* key) {
            return static_cast<std::uint32_t>(golden.number(std::string("conv.") + key));
        };
        number("h");
        number("w");
        const std::uint32_t k = number("k"), stride = number("stride"), pad = number("pad");
        return ConvPatches{.kernel = {k, k}, .stride = {stride, stride}, .padding = {pad, pad}};
    }
    // What s.t was multiplied with on its way to g.t: 1, or 1 / N where the loss is a mean over N samples.
    static double delivered(const GoldenCase& golden, const std::optional<ConvPatches>& patches,
                            double samples) {
        double product = 0, square = 0;
        // A step whose gradient is zero does not tell.
        for (int t = 1; square == 0 && golden.has_tensor(at("g", t)); ++t) {
            const GoldenTensor a = golden.tensor(at("a", t)), s = golden.tensor(at("s", t)),
                               g = golden.tensor(at("g", t));
            const std::vector<double> sums =
                patches ? filter_gradient(a, s, g.shape, *patches) : row_products(a, s, g.shape);
            for (std::size_t i = 0; i < sums.size(); ++i) {
                product += sums[i] * g.values.at(i);
                square += sums[i] * sums[i];
            }
        }
        return product / square < 0.5 * (1 + 1 / samples) && samples > 1 ? 1 / samples : 1.0;
    }
    // Names of the file's own sizes: what its tensors say, too.
    static void skip_sizes(const GoldenCase& golden) {
        for (const char* key : {"m", "n", "batch", "seqlen"}) golden.is_null(key);
    }
    static std::vector<float> read_floats(const Plan& plan, const std::string& name) {
        std::vector<float> values(plan.state_view(name).shape.count());
        plan.read_state(name, std::as_writable_bytes(std::span(values)));
        return values;
    }

    void run_captured(const GoldenCase& golden, GoldenResult& result, const CapturedGolden& setup,
                      const std::optional<ConvPatches>& patches, const std::string& label = "") {
        const GoldenTensor w = golden.tensor("w.0");
        const auto captured = [&](std::size_t which, int t, int micro) {
            const std::string step = at(setup.captures[which], t);
            GoldenTensor tensor = golden.tensor(setup.micro_batches > 1 ? at(step, micro) : step);
            if (tensor.shape.rank() == 1) tensor.shape = Shape{1, tensor.shape[0]};
            return tensor;
        };
        const GoldenTensor a = captured(0, 1, 1), s = captured(1, 1, 1);
        const bool has_bias = golden.has_tensor("b.0");
        std::vector<Part> parts{make_part("w", "g", w)};
        if (has_bias) parts.push_back(make_part("b", "gb", golden.tensor("b.0")));
        GuardedBuffer &inputs = guarded(a.floats()), &outputs = guarded(s.floats());
        Layer layer;
        layer.weight = parts[0].parameter();
        if (has_bias) layer.bias = parts[1].parameter();
        layer.inputs = inputs.view(DType::f32, a.shape);
        layer.output_gradients = outputs.view(DType::f32, s.shape);
        layer.sharing = setup.sharing;
        layer.loss = setup.loss;
        layer.patches = patches;
        const std::unique_ptr<LayerOptimizer> optimizer = setup.make(device());
        optimizer->add_layer(layer);
        StepOptions step;
        step.accumulate = setup.micro_batches > 1;
        Plan plan = compile(device(), {optimizer.get()}, step);
        plan.allocate();
        plan.initialize();
        EXPECT_EQ(plan.hazards(), std::vector<std::string>{});

        for (int t = 1; golden.has_tensor(at("g", t)); ++t) {
            std::vector<std::vector<float>> before;
            for (Part& part : parts) {
                part.gradient->write(golden.tensor(at(part.gradient_name, t)).floats());
                before.push_back(part.weight->floats());
            }
            const int source = setup.captured_in ? setup.captured_in(t) : t;
            if (source != t)
                for (const std::string& unused : setup.captures) golden.ignore(at(unused, t));
            for (int micro = 1; micro <= setup.micro_batches; ++micro) {
                inputs.write(captured(0, source, micro).floats());
                std::vector<double> sent = captured(1, source, micro).values;
                for (double& value : sent) value /= setup.loss_terms;
                outputs.write(std::vector<float>(sent.begin(), sent.end()));
                // Every one brings the whole gradient, of which the step takes the mean.
                if (step.accumulate) plan.wait(plan.submit_accumulate());
            }
            if (setup.prepare) setup.prepare(plan, t);
            plan.run();
            for (std::size_t i = 0; i < parts.size(); ++i) {
                compare_update(golden, result, setup, label, t, parts[i], before[i]);
                compare_direction(golden, result, setup, label, t, parts[i], before[i], plan);
            }
            compare_states(golden, result, setup, label, t, plan);
        }
        TrainingDeviation deviation;
        for (const Part& part : parts)
            deviation.add(golden.tensor(at(part.name, 0)).values, part.last, part.weight->floats());
        deviation.compare(golden, result, label);
    }

private:
    // The sum of s a^T over all rows, m x n.
    static std::vector<double> row_products(const GoldenTensor& a, const GoldenTensor& s, const Shape& w) {
        const std::size_t m = w[0], n = w[1], rows = a.values.size() / n;
        std::vector<double> sums(m * n, 0.0);
        for (std::size_t row = 0; row < rows; ++row)
            for (std::size_t i = 0; i < m * n; ++i)
                sums[i] += s.values[row * m + i / n] * a.values[row * n + i % n];
        return sums;
    }
    // The same over all positions of images: the gradient of filters, M x C x kernel x kernel.
    static std::vector<double> filter_gradient(const GoldenTensor& a, const GoldenTensor& s, const Shape& w,
                                               const ConvPatches& patches) {
        const std::size_t channels = a.shape[1], height = a.shape[2], width = a.shape[3];
        std::vector<double> sums(w.count(), 0.0);
        for (std::size_t i = 0; i < s.values.size(); ++i) {
            const std::size_t x = i % s.shape[3], y = i / s.shape[3] % s.shape[2],
                              out = i / (s.shape[2] * s.shape[3]) % s.shape[1],
                              sample = i / (s.shape[1] * s.shape[2] * s.shape[3]);
            for (std::size_t k = 0; k < channels * w[2] * w[3]; ++k) {
                const std::size_t col = x * patches.stride[1] + k % w[3],
                                  row = y * patches.stride[0] + k / w[3] % w[2], in = k / (w[2] * w[3]);
                const std::size_t px = patches.padding[1], py = patches.padding[0];
                if (col < px || row < py || col - px >= width || row - py >= height) continue;
                sums[out * channels * w[2] * w[3] + k] +=
                    s.values[i] * a.values[((sample * channels + in) * height + row - py) * width + col - px];
            }
        }
        return sums;
    }

    struct Part {
        std::string name, gradient_name;  // in the file
        Shape shape;
        GuardedBuffer* weight;
        GuardedBuffer* gradient;
        std::vector<double> last;     // the file's
        std::vector<double> average;  // CapturedDirection's m, after the last step

        Parameter parameter() const {
            Parameter p;
            p.name = name;
            p.weight = weight->view(DType::f32, shape);
            p.gradient = gradient->view(DType::f32, shape);
            return p;
        }
    };

    static std::string at(const std::string& name, int t) { return name + "." + std::to_string(t); }
    Part make_part(const std::string& name, const std::string& gradient, const GoldenTensor& first) {
        return {name,
                gradient,
                first.shape,
                &guarded(first.floats()),
                &guarded(std::vector<float>(first.values.size())),
                first.values,
                std::vector<double>(first.values.size(), 0.0)};
    }

    static void compare_update(const GoldenCase& golden, GoldenResult& result, const CapturedGolden& setup,
                               const std::string& label, int t, Part& part,
                               const std::vector<float>& before) {
        const std::vector<double> reference = golden.tensor(at(part.name, t)).values;
        const std::vector<float> after = part.weight->floats();
        std::vector<double> update(after.size()), expected(after.size());
        double weight = 0, size = 0;
        for (std::size_t i = 0; i < after.size(); ++i) {
            update[i] = static_cast<double>(after[i]) - before[i];
            expected[i] = reference[i] - part.last[i];
            weight += static_cast<double>(after[i]) * after[i];
            size += expected[i] * expected[i];
        }
        part.last = reference;
        // Beside the algorithm's arithmetic the weight is rounded three times.
        const double rounding = size > 0 ? 3 * 0x1p-24 * std::sqrt(weight / size) : 0;
        result.add(label + "update to " + at(part.name, t), frobenius_error(update, expected),
                   setup.bound + rounding);
    }
    static void compare_direction(const GoldenCase& golden, GoldenResult& result, const CapturedGolden& setup,
                                  const std::string& label, int t, Part& part,
                                  const std::vector<float>& before, const Plan& plan) {
        const std::string name = at("p" + part.gradient_name, t);
        if (!setup.direction) return;
        const CapturedDirection& of = *setup.direction;
        const double taken = of.first_whole && t == 1 ? 1 : of.taken;
        const std::vector<float> after = part.weight->floats();
        const std::vector<float> average =
            of.average.empty() ? std::vector<float>() : read_floats(plan, part.name + "." + of.average);
        std::vector<double> moved(after.size()), direction(after.size());
        double rounded = 0;  // the square of what is rounded, as large as the direction
        for (std::size_t i = 0; i < after.size(); ++i) {
            const double w = before[i], last = part.average[i];
            moved[i] = average.empty() ? (w - after[i]) / of.lr : static_cast<double>(average.at(i));
            direction[i] = (moved[i] - of.kept * last) / taken - of.decay * w;
            const double size = (std::abs(moved[i]) + of.kept * std::abs(last)) / taken +
                                (of.decay + (average.empty() ? 1 / of.lr : 0.0)) * std::abs(w);
            rounded += size * size;
        }
        part.average = moved;
        if (!golden.has_tensor(name)) return;
        const std::vector<double> expected = golden.tensor(name).values;
        double difference = 0, size = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            difference += (direction.at(i) - expected[i]) * (direction[i] - expected[i]);
            size += expected[i] * expected[i];
        }
        // Of a direction of zeros the error itself counts.
        const double unit = size > 0 ? std::sqrt(size) : 1.0;
        result.add(label + name, std::sqrt(difference) / unit,
                   (size > 0 ? setup.bound : 0.0) + 3 * 0x1p-24 * std::sqrt(rounded) / unit);
    }
    static void compare_states(const GoldenCase& golden, GoldenResult& result, const CapturedGolden& setup,
                               const std::string& label, int t, const Plan& plan) {
        const std::string begin = "state.", end = "." + std::to_string(t);
        for (const std::string& name : golden.tensor_names()) {
            if (!name.starts_with(begin) || !name.ends_with(end)) continue;
            const std::string state = name.substr(begin.size(), name.size() - begin.size() - end.size());
            result.add(label + name, maximum_error(setup.state(plan, state), golden.tensor(name).values),
                       setup.bound);
        }
    }
};

}  // namespace heron::test
