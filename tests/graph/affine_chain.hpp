// SPDX-License-Identifier: MIT
// A kernel whose operations do not commute, its float64 model, and a small program of them on tensors of
// awkward sizes.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "affine.h"
#include "heron/graph.hpp"
#include "heron/plan.hpp"
#include "heron/spirv/test_affine.hpp"
#include "heron/spirv/test_alternate.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {

using gpu::AffineJob;
using gpu::AlternateJob;

inline const KernelInfo kAffine = make_kernel<AffineJob>("test_affine", spirv::test_affine);
inline const KernelInfo kAlternate = make_kernel<AlternateJob>("test_alternate", spirv::test_alternate);
inline constexpr std::uint32_t kThreads = 64;

inline std::uint64_t groups_for(std::uint64_t count) { return (count + kThreads - 1) / kThreads; }

// y <- a x + b + y / 2. With Access::write, y may be a temporary that holds nothing yet; so does it
// afterwards.
inline void add_affine(Graph& graph, const Tensor& x, const Tensor& y, float a, float b, double flops = 0,
                       Access access = Access::read_write) {
    AffineJob job{};
    job.a = a;
    job.b = b;
    job.count = static_cast<std::uint32_t>(y.shape.count());
    Operation operation = make_operation(
        kAffine, job, {{offsetof(AffineJob, x), x, Access::read}, {offsetof(AffineJob, y), y, access}},
        groups_for(job.count));
    operation.constants = {{gpu::SPEC_THREADS, kThreads}};
    operation.flops = flops;
    graph.add(std::move(operation));
}

inline void add_alternate(Graph& graph) {
    Operation operation =
        make_operation(kAlternate, AlternateJob{},
                       {{offsetof(AlternateJob, control), graph.control(), Access::read_write},
                        {offsetof(AlternateJob, table), graph.section_table(), Access::read},
                        {offsetof(AlternateJob, arguments), graph.section_arguments(), Access::write}},
                       1);
    operation.constants = {{gpu::SPEC_THREADS, kThreads}};
    operation.guarded = false;
    graph.add(std::move(operation));
}

inline std::vector<float> random_values(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    return values;
}

// The kernel's arithmetic in float64.
inline std::vector<double> affine(const std::vector<double>& x, std::vector<double> y, double a, double b) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = a * x[i] + b + 0.5 * y[i];
    return y;
}

inline void expect_close(const std::vector<float>& actual, const std::vector<double>& expected,
                         int operations) {
    ASSERT_EQ(actual.size(), expected.size());
    // Each operation rounds three times, on values below 8.
    const double allowed = 3 * 8 * 0x1p-24 * operations;
    for (std::size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], allowed) << "element " << i;
}

// A chain through a state and temporaries of several tensors.
struct Chain {
    static constexpr std::size_t kTensors = 5;
    static constexpr std::size_t kCounts[kTensors] = {1, 63, 64, 65, 1000};

    explicit Chain(const Device& device) : graph(device) {
        for (std::size_t i = 0; i < kTensors; ++i) {
            values.push_back(random_values(kCounts[i], static_cast<unsigned>(i)));
            inputs.push_back(test::upload(device, values.back()));
            outputs.push_back(test::upload(device, std::vector<float>(kCounts[i], 0.0f)));
        }
        for (std::size_t i = 0; i < kTensors; ++i) {
            const std::string name = "t" + std::to_string(i);
            const Shape shape{kCounts[i]};
            const Tensor x = graph.external(name + ".x", inputs[i].view(DType::f32, shape));
            const Tensor y = graph.external(name + ".y", outputs[i].view(DType::f32, shape));
            const Tensor s = graph.state(name + ".s", DType::f32, shape);
            graph.set_stage("accumulate");
            add_affine(graph, x, s, 0.25f, 0.5f);
            graph.set_stage("apply");
            add_affine(graph, s, y, -1.0f, 0.125f);
            add_affine(graph, x, y, 0.5f, 0.0f);
        }
    }

    std::vector<std::vector<double>> expected(int steps) const {
        std::vector<std::vector<double>> result;
        for (std::size_t i = 0; i < kTensors; ++i) {
            const std::vector<double> x(values[i].begin(), values[i].end());
            std::vector<double> s(x.size(), 0.0), y(x.size(), 0.0);
            for (int step = 0; step < steps; ++step) {
                s = affine(x, s, 0.25, 0.5);
                y = affine(s, y, -1.0, 0.125);
                y = affine(x, y, 0.5, 0.0);
            }
            result.push_back(y);
        }
        return result;
    }
    std::vector<std::vector<float>> actual() const {
        std::vector<std::vector<float>> result;
        for (const Buffer& output : outputs) result.push_back(test::download(output));
        return result;
    }
    void clear() {
        for (std::size_t i = 0; i < kTensors; ++i) {
            const std::vector<float> zeros(kCounts[i], 0.0f);
            outputs[i].write(std::as_bytes(std::span(zeros)));
        }
    }

    Graph graph;
    std::vector<std::vector<float>> values;
    std::vector<Buffer> inputs, outputs;
};

}  // namespace heron::test
