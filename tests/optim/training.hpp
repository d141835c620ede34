// SPDX-License-Identifier: MIT
// A training on one device: parameters in guarded memory, optimizers, a plan; for tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "core/push.h"
#include "heron/heron.hpp"
#include "support/commands.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {

// Unit roundoff of an element type.
inline double unit_of(DType dtype) {
    return dtype == DType::f32 ? 0x1p-24 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
}

inline float largest_of(DType dtype) {
    return dtype == DType::f32   ? std::numeric_limits<float>::max()
           : dtype == DType::f16 ? 65504.0f
                                 : 0x1.fep127f;
}

inline float rounded(double value, DType dtype) {
    const float f = static_cast<float>(value);
    if (dtype == DType::f16) return f16_to_f32(f32_to_f16(f));
    if (dtype == DType::bf16) return bf16_to_f32(f32_to_bf16(f));
    return f;
}

inline std::vector<std::byte> encode(const std::vector<float>& values, DType dtype) {
    std::vector<std::byte> bytes(values.size() * bytes_of(dtype));
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (dtype == DType::f32) {
            std::memcpy(&bytes[4 * i], &values[i], 4);
        } else {
            const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
            std::memcpy(&bytes[2 * i], &half, 2);
        }
    }
    return bytes;
}

inline std::vector<float> decode(const std::vector<std::byte>& bytes, DType dtype) {
    std::vector<float> values(bytes.size() / bytes_of(dtype));
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (dtype == DType::f32) {
            std::memcpy(&values[i], &bytes[4 * i], 4);
        } else {
            std::uint16_t half;
            std::memcpy(&half, &bytes[2 * i], 2);
            values[i] = dtype == DType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
        }
    }
    return values;
}

inline std::vector<double> doubles(const std::vector<float>& values) {
    return {values.begin(), values.end()};
}

// Normal numbers, as `dtype` holds them.
inline std::vector<float> normal_values(std::size_t count, unsigned seed, double scale = 1.0,
                                        DType dtype = DType::f32) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0.0, scale);
    std::vector<float> values(count);
    for (float& value : values) value = rounded(normal(random), dtype);
    return values;
}

struct TestTensor {
    std::string name;
    Shape shape;
    DType weight_dtype = DType::f32;
    DType gradient_dtype = DType::f32;
    MatrixView view{};
    float lr_scale = 1.0f;
    float weight_decay_scale = 1.0f;
    std::uint64_t shift_bytes = 0;  // of both tensors against a multiple of 16 bytes
};

// What a layer of m x n that has this gradient might have seen, for optimizers of whole layers: kCaptures
// rows of inputs and of output gradients, made of the gradient's elements in another order.
inline constexpr std::uint64_t kCaptures = 8;
inline std::vector<float> captured_inputs(const std::vector<float>& gradient, std::uint64_t n) {
    std::vector<float> rows(kCaptures * n);
    for (std::uint64_t i = 0; i < rows.size() && !gradient.empty(); ++i)
        rows[i] = gradient[(i / n * 13 + i % n * 5) % gradient.size()];
    return rows;
}
inline std::vector<float> captured_output_gradients(const std::vector<float>& gradient, std::uint64_t m) {
    std::vector<float> rows(kCaptures * m);
    for (std::uint64_t i = 0; i < rows.size() && !gradient.empty(); ++i)
        rows[i] = gradient[(i / m * 17 + i % m * 3 + 1) % gradient.size()];
    return rows;
}

// The same for the product of a Hessian, which Newton's methods need beside the gradient.
inline std::vector<float> captured_product(const std::vector<float>& gradient) {
    std::vector<float> product(gradient.size());
    for (std::size_t i = 0; i < product.size(); ++i) product[i] = gradient[(i * 7 + 3) % gradient.size()];
    return product;
}

inline bool takes_product(const Optimizer& optimizer) {
    if (const auto* kron = dynamic_cast<const PsgdKron*>(&optimizer))
        return kron->options().fit == PsgdFit::hessian;
    const auto* low_rank = dynamic_cast<const PsgdLra*>(&optimizer);
    return low_rank != nullptr && low_rank->options().fit == PsgdFit::hessian;
}
inline void add_with_product(Optimizer& optimizer, const Parameter& parameter, const TensorView& product) {
    const PsgdInputs inputs{.product = product, .probe = {}, .draws = {}};
    if (auto* lookahead = dynamic_cast<Lookahead*>(&optimizer)) return lookahead->add(parameter, inputs);
    if (auto* kron = dynamic_cast<PsgdKron*>(&optimizer)) return kron->add(parameter, inputs);
    dynamic_cast<PsgdLra&>(optimizer).add(parameter, inputs);
}

// Memory of one parameter, and of what an optimizer sees beside it: a layer's captures, or a product. Weights
// and gradients begin as normal numbers.
class TrainedTensor {
public:
    TrainedTensor(const Device& device, const TestTensor& tensor, unsigned seed)
        : tensor_(tensor),
          count_(tensor.shape.count()),
          weight_(device, memory_bytes(tensor.weight_dtype)),
          gradient_(device, memory_bytes(tensor.gradient_dtype)) {
        set_weight(normal_values(count_, seed, 1.0, tensor.weight_dtype));
        set_gradient(normal_values(count_, seed + 7777, 1.0, tensor.gradient_dtype));
    }

    const TestTensor& tensor() const { return tensor_; }
    std::size_t count() const { return count_; }
    Parameter parameter() const {
        Parameter p;
        p.name = tensor_.name;
        p.weight = weight_.view(tensor_.weight_dtype, tensor_.shape, tensor_.shift_bytes);
        p.gradient = gradient_.view(tensor_.gradient_dtype, tensor_.shape, tensor_.shift_bytes);
        p.view = tensor_.view;
        p.lr_scale = tensor_.lr_scale;
        p.weight_decay_scale = tensor_.weight_decay_scale;
        return p;
    }
    // Gives the parameter to an optimizer, as a layer or with a product where it takes these.
    void add_to(Optimizer& optimizer) {
        auto* lookahead = dynamic_cast<Lookahead*>(&optimizer);
        if (takes_product(lookahead == nullptr ? optimizer : lookahead->inner())) {
            captures_.emplace_back(optimizer.device(), memory_bytes(DType::f32));
            add_with_product(optimizer, parameter(), captures_.back().view(DType::f32, tensor_.shape));
            return set_captures(gradient_values_);
        }
        auto* layers = dynamic_cast<LayerOptimizer*>(&optimizer);
        const bool around_layers =
            lookahead != nullptr && dynamic_cast<const LayerOptimizer*>(&lookahead->inner()) != nullptr;
        if (layers == nullptr && !around_layers) return optimizer.add(parameter());
        Layer layer;
        layer.weight = parameter();
        for (const std::size_t axis : {1u, 0u}) {
            const Shape shape{kCaptures, tensor_.shape[axis]};
            const std::uint64_t bytes = shape.count() * bytes_of(tensor_.gradient_dtype);
            captures_.emplace_back(optimizer.device(),
                                   std::max<std::uint64_t>(bytes, 4) + tensor_.shift_bytes);
            (axis == 1 ? layer.inputs : layer.output_gradients) =
                captures_.back().view(tensor_.gradient_dtype, shape, tensor_.shift_bytes);
        }
        if (around_layers)
            lookahead->add_layer(layer);
        else
            layers->add_layer(layer);
        set_captures(gradient_values_);
    }
    void set_weight(const std::vector<float>& values) {
        if (count_ > 0) weight_.write_bytes(encode(values, tensor_.weight_dtype), tensor_.shift_bytes);
    }
    void set_gradient(const std::vector<float>& values) {
        gradient_values_ = values;
        set_captures(values);
        if (count_ > 0) gradient_.write_bytes(encode(values, tensor_.gradient_dtype), tensor_.shift_bytes);
    }
    // As if the gradient were this one.
    void set_captures(const std::vector<float>& gradient) {
        if (captures_.empty() || count_ == 0) return;
        if (captures_.size() == 1) return captures_[0].write(captured_product(gradient));
        const std::vector<float> inputs = captured_inputs(gradient, tensor_.shape[1]),
                                 outputs = captured_output_gradients(gradient, tensor_.shape[0]);
        captures_[0].write_bytes(encode(inputs, tensor_.gradient_dtype), tensor_.shift_bytes);
        captures_[1].write_bytes(encode(outputs, tensor_.gradient_dtype), tensor_.shift_bytes);
    }
    const std::vector<float>& gradient_values() const { return gradient_values_; }
    std::vector<std::byte> weight_bytes() const {
        std::vector<std::byte> bytes(count_ * bytes_of(tensor_.weight_dtype));
        if (count_ > 0) weight_.read_bytes(bytes, tensor_.shift_bytes);
        return bytes;
    }
    std::vector<float> weight() const { return decode(weight_bytes(), tensor_.weight_dtype); }
    ::testing::AssertionResult intact() const {
        for (const GuardedBuffer& buffer : captures_)
            if (const ::testing::AssertionResult result = buffer.intact(); !result) return result;
        const ::testing::AssertionResult weight = weight_.intact();
        return weight ? gradient_.intact() : weight;
    }

private:
    std::uint64_t memory_bytes(DType dtype) const {
        return std::max<std::uint64_t>(count_ * bytes_of(dtype), 4) + tensor_.shift_bytes;
    }

    TestTensor tensor_;
    std::size_t count_;
    GuardedBuffer weight_;
    GuardedBuffer gradient_;
    std::deque<GuardedBuffer>
        captures_;  // inputs and output gradients, or a product, where an optimizer takes them
    std::vector<float> gradient_values_;
};

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(const Device&)>;

// Optimizers, each with its tensors, in one plan.
class Training {
public:
    struct Group {
        MakeOptimizer make;
        std::vector<TestTensor> tensors;
    };

    Training(Device& device, const std::vector<Group>& groups, const StepOptions& options = {},
             unsigned seed = 1) {
        std::vector<const Optimizer*> pointers;
        for (const Group& group : groups) {
            optimizers_.push_back(group.make(device));
            for (const TestTensor& tensor : group.tensors) {
                tensors_.emplace_back(device, tensor, seed++);
                tensors_.back().add_to(*optimizers_.back());
            }
            pointers.push_back(optimizers_.back().get());
        }
        plan_ = compile(device, pointers, options);
        plan_.allocate();
        plan_.initialize();
        hazards_ = plan_.hazards();
    }
    Training(Device& device, const MakeOptimizer& make, std::vector<TestTensor> tensors,
             const StepOptions& options = {}, unsigned seed = 1)
        : Training(device, std::vector<Group>{{make, std::move(tensors)}}, options, seed) {}
    ~Training() {
        for (const TrainedTensor& tensor : tensors_) EXPECT_TRUE(tensor.intact()) << tensor.tensor().name;
        EXPECT_EQ(hazards_, std::vector<std::string>{});
    }
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;

    Plan& plan() { return plan_; }
    const std::string& optimizer_name(std::size_t index = 0) const { return optimizers_[index]->name(); }
    std::size_t size() const { return tensors_.size(); }
    TrainedTensor& tensor(std::size_t index = 0) { return tensors_[index]; }
    const TrainedTensor& tensor(std::size_t index = 0) const { return tensors_[index]; }
    // New gradients for every tensor, the same for the same step and seed.
    void draw_gradients(unsigned step, double scale = 1.0) {
        for (std::size_t i = 0; i < tensors_.size(); ++i)
            tensors_[i].set_gradient(normal_values(tensors_[i].count(),
                                                   1000 * step + static_cast<unsigned>(i), scale,
                                                   tensors_[i].tensor().gradient_dtype));
    }
    void steps(unsigned first, unsigned count) {
        for (unsigned step = first; step < first + count; ++step) {
            draw_gradients(step);
            plan_.run();
        }
    }

    std::vector<std::byte> state_bytes(const std::string& name) const {
        std::vector<std::byte> bytes(plan_.state_view(name).span_bytes());
        plan_.read_state(name, bytes);
        return bytes;
    }
    std::vector<float> state(const std::string& name) const { return decode(state_bytes(name), DType::f32); }
    void set_state(const std::string& name, const std::vector<float>& values) {
        plan_.write_state(name, std::as_bytes(std::span(values)));
    }
    // The f32 states of a parameter, by their names after the parameter's.
    std::map<std::string, std::vector<double>> states_of(std::size_t index) const {
        std::map<std::string, std::vector<double>> states;
        const std::string prefix = tensors_[index].tensor().name + ".";
        for (const Plan::StateEntry& entry : plan_.states())
            if (entry.name.starts_with(prefix) && entry.dtype == DType::f32)
                states[entry.name.substr(prefix.size())] = doubles(state(entry.name));
        return states;
    }
    gpu::StepControl control() const {
        gpu::StepControl control;
        plan_.read_state("heron.control", std::as_writable_bytes(std::span(&control, 1)));
        return control;
    }
    void set_control(const gpu::StepControl& control) {
        plan_.write_state("heron.control", std::as_bytes(std::span(&control, 1)));
    }

    // Every bit that a step may change, but the control block.
    std::map<std::string, std::vector<std::byte>> bits() const {
        std::map<std::string, std::vector<std::byte>> all;
        for (const TrainedTensor& tensor : tensors_) all[tensor.tensor().name] = tensor.weight_bytes();
        for (const Plan::StateEntry& entry : plan_.states())
            if (entry.name != "heron.control") all[entry.name] = state_bytes(entry.name);
        return all;
    }
    // Names of tensors and states with a NaN or an infinity.
    std::vector<std::string> nonfinite() const {
        std::vector<std::string> names;
        const auto look = [&](const std::string& name, const std::vector<float>& values) {
            for (const float value : values)
                if (!std::isfinite(value)) {
                    names.push_back(name);
                    return;
                }
        };
        for (const TrainedTensor& tensor : tensors_) look(tensor.tensor().name, tensor.weight());
        for (const Plan::StateEntry& entry : plan_.states())
            if (entry.dtype == DType::f32) look(entry.name, state(entry.name));
        return names;
    }

private:
    std::vector<std::unique_ptr<Optimizer>> optimizers_;
    std::deque<TrainedTensor> tensors_;
    Plan plan_;
    std::vector<std::string> hazards_;
};

// One step in slices of at most `dispatches`.
inline void run_sliced(Training& training, Commands& commands, std::uint32_t dispatches = 1) {
    bool complete = false;
    for (int slice = 0; slice < 1000 && !complete; ++slice) {
        VkCommandBuffer buffer = commands.begin();
        complete = training.plan().record_slice(buffer, {dispatches, 1e30}).complete;
        commands.end(buffer);
        commands.submit(buffer);
    }
    EXPECT_TRUE(complete);
}

// |actual - expected| against `allowed`, per element; the message names the worst.
inline ::testing::AssertionResult within(const std::vector<float>& actual,
                                         const std::vector<double>& expected,
                                         const std::function<double(std::size_t)>& allowed) {
    if (actual.size() != expected.size())
        return ::testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double error = std::abs(static_cast<double>(actual[i]) - expected[i]);
        const double ratio = error == 0 ? 0 : error / allowed(i);
        if (!(ratio <= worst)) {
            worst = ratio;
            at = i;
        }
    }
    if (worst <= 1.0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "element " << at << " of " << actual.size() << ": " << actual[at] << ", expected "
           << expected[at] << ", " << worst << " times what is allowed";
}

}  // namespace heron::test
