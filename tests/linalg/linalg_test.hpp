// SPDX-License-Identifier: MIT
// What tests of linalg operations share: matrices in guarded device memory, running a graph, the devices that
// kernels for GPUs are tried on, refusals, equal bits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <heron/error.hpp>
#include <heron/linalg.hpp>
#include <heron/plan.hpp>
#include <limits>
#include <string>
#include <vector>

#include "support/device_fixture.hpp"
#include "support/reference.hpp"
#include "support/worst_ratios.hpp"

namespace heron::test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = 0x1p-24;  // unit roundoff of f32
// For a matrix E and x of standard normal numbers |E x|^2 is |E|_F^2 on average, and |E x| above kProbe |E|_F
// once in 5e8 (for E of rank 1; less often for others): bounds on |E|_F can be checked without E.
constexpr double kProbe = 6.0;
constexpr double kEps32 = 0x1p-23;

// Symmetric positive definite: Q diag(values) Q^T with values from 1 down to 1 / condition, evenly spaced in
// the logarithm.
inline Matrix spd_matrix(std::uint64_t n, double condition, std::uint64_t seed) {
    std::vector<double> roots(n);
    for (std::uint64_t i = 0; i < n; ++i)
        roots[i] =
            n == 1 ? 1.0 : std::pow(condition, -0.5 * static_cast<double>(i) / static_cast<double>(n - 1));
    const Matrix half = with_singular_values(roots, n, n, seed);
    return half * half.transpose();
}

// M M^T / max |M| of a kind of matrix, semidefinite and as large as that, and a thousandth of its largest
// eigenvalue (of zeros, 1), with which it is definite.
struct DampedGram {
    Matrix gram;  // rounded to f32
    double damping = 1.0;
    double condition = 1.0;  // of the sum, at most

    DampedGram(MatrixKind kind, std::uint64_t n) {
        const Matrix m = make_matrix(kind, n, n, n);
        const double largest = m.cwiseAbs().maxCoeff();
        gram = m * m.transpose() / (largest == 0 ? 1.0 : largest);
        gram = rounded(0.5 * (gram + gram.transpose()), DType::f32);
        const double norm = spectral_norm(gram);
        if (norm == 0) return;
        damping = static_cast<float>(1e-3 * norm);
        condition = norm / damping + 1;
    }
    Matrix damped() const { return gram + damping * Matrix::Identity(gram.rows(), gram.cols()); }
};

// NaN in the half that must not be read.
inline Matrix only_triangle(Matrix matrix, Triangle triangle) {
    for (Eigen::Index i = 0; i < matrix.rows(); ++i)
        for (Eigen::Index j = 0; j < matrix.cols(); ++j)
            if (triangle == Triangle::lower ? j > i : j < i) matrix(i, j) = kNan;
    return matrix;
}

// A matrix, or a batch of one shape, in device memory.
struct Placed {
    std::vector<Matrix> items;  // as placed, rounded to the dtype
    DType dtype = DType::f32;
    std::uint64_t rows = 0, cols = 0, stride = 0;
    GuardedBuffer* buffer = nullptr;
    Tensor tensor;

    // What is there now. Fails the test where the gaps between rows have changed.
    std::vector<Matrix> read() const {
        if (rows * cols == 0) return items;
        const auto bytes = buffer->read<std::byte>();
        EXPECT_TRUE(gaps_intact(bytes, dtype, items.size(), rows, cols, stride)) << "wrote between rows";
        return decode(bytes, dtype, items.size(), rows, cols, stride);
    }
};

// Statuses, indices, counts (u32) or numbers (f32).
struct Words {
    GuardedBuffer* buffer = nullptr;
    Tensor tensor;

    std::vector<std::uint32_t> words() const { return buffer->read<std::uint32_t>(); }
    std::vector<float> floats() const { return buffer->floats(); }
    std::vector<std::string> statuses() const {
        std::vector<std::string> names;
        for (std::uint32_t word : words()) names.emplace_back(to_string(static_cast<MatrixStatus>(word)));
        return names;
    }
};

// A call that must throw invalid_argument, and a part of what it says.
struct Refusal {
    const char* needle;
    std::function<void()> call;
};

class LinalgTest : public DeviceTest {
protected:
    // `gap` elements between the rows.
    Placed place(Graph& graph, const std::vector<Matrix>& items, DType dtype = DType::f32,
                 std::uint64_t gap = 0) {
        Placed placed;
        placed.dtype = dtype;
        placed.rows = static_cast<std::uint64_t>(items[0].rows());
        placed.cols = static_cast<std::uint64_t>(items[0].cols());
        placed.stride = placed.cols + gap;
        for (const Matrix& item : items) placed.items.push_back(rounded(item, dtype));
        std::vector<std::byte> bytes = encode(placed.items, dtype, placed.stride);
        if (bytes.empty()) bytes.resize(4);
        placed.buffer = &guarded_on(graph.device(), bytes);
        const Shape shape = items.size() == 1 ? Shape{placed.rows, placed.cols}
                                              : Shape{items.size(), placed.rows, placed.cols};
        placed.tensor =
            graph.external(name(), {placed.buffer->address(), dtype, shape, gap == 0 ? 0 : placed.stride});
        return placed;
    }
    // For a result: NaN at first, which must not matter.
    Placed blank(Graph& graph, std::uint64_t items, std::uint64_t rows, std::uint64_t cols,
                 std::uint64_t gap = 0, DType dtype = DType::f32) {
        const Matrix nan =
            Matrix::Constant(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols), kNan);
        return place(graph, std::vector<Matrix>(items, nan), dtype, gap);
    }
    // One element for each of `items` matrices.
    Words words(Graph& graph, std::uint64_t items, DType dtype = DType::u32) {
        return words(graph, Shape{items}, {}, dtype);
    }
    Words words(Graph& graph, const Shape& shape, std::vector<std::uint32_t> values,
                DType dtype = DType::u32) {
        values.resize(std::max<std::uint64_t>(1, shape.count()), 0xdeadbeefu);
        GuardedBuffer& buffer = guarded_on(graph.device(), values);
        return {&buffer, graph.external(name(), {buffer.address(), dtype, shape})};
    }

    // Compiles and runs, once. With a small max_dispatch_flops, something has to be split.
    static Plan run(const Graph& graph, const PlanOptions& options = {}) {
        Plan plan = graph.compile(options);
        plan.allocate();
        if (!plan.states().empty()) plan.initialize();
        EXPECT_TRUE(plan.hazards().empty());
        if (options.max_dispatch_flops < 1e9) {
            EXPECT_GT(plan.dispatch_count(), graph.compile({}).dispatch_count()) << "nothing was split";
        }
        plan.run();
        return plan;
    }
    // On a machine with other things to do it may take longer than the minute of Plan::run().
    static void run_patiently(const Graph& graph) {
        Plan plan = graph.compile({});
        plan.allocate();
        constexpr std::chrono::nanoseconds kPatience = std::chrono::minutes(10);
        plan.wait(plan.submit(), static_cast<std::uint64_t>(kPatience.count()));
    }

    // What `add(graph)` adds has the same results, the buffers that it returns, in every one of `runs`, built
    // anew, and split into dispatches of `max_dispatch_flops`.
    template <typename Add>
    void expect_same_bits(double max_dispatch_flops, int runs, const Add& add) {
        std::vector<std::vector<std::byte>> first;
        for (const bool split : {false, false, true}) {
            Graph graph(device());
            const std::vector<GuardedBuffer*> results = add(graph);
            ASSERT_FALSE(results.empty());
            PlanOptions options;
            if (split) options.max_dispatch_flops = max_dispatch_flops;
            Plan plan = run(graph, options);
            for (int i = 0; i < runs; ++i) {
                if (i > 0) plan.run();
                std::vector<std::vector<std::byte>> bits;
                for (const GuardedBuffer* result : results) bits.push_back(result->read<std::byte>());
                if (first.empty()) first = bits;
                EXPECT_TRUE(bits == first) << "run " << i << (split ? " of split dispatches" : "");
            }
        }
    }

    // The kernels for GPUs, wherever this is, and those for the smallest GPU that Vulkan allows.
    Device& gpu() { return device({.cpu = true}); }
    Device& smallest_gpu() {
        return device({.cpu = true, .max_shared_memory = 16384, .max_invocations = 128});
    }

    // Every call is refused, and nothing is added to the graph.
    static void expect_refusals(const Graph& graph, const std::vector<Refusal>& refusals) {
        for (const Refusal& refusal : refusals) {
            try {
                refusal.call();
                ADD_FAILURE() << "not refused: " << refusal.needle;
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
                EXPECT_NE(std::string(error.what()).find(refusal.needle), std::string::npos) << error.what();
            }
        }
        EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
    }

    // Records the worst ratio of each kind and size class, and fails above 1. `largest`: extent of the
    // operands, or the operand that has it.
    void ratio(const std::string& kind, const Matrix& largest, double error, double bound,
               const std::string& what) {
        ratio(kind, static_cast<std::uint64_t>(std::max(largest.rows(), largest.cols())), error, bound, what);
    }
    void ratio(const std::string& kind, std::uint64_t largest, double error, double bound,
               const std::string& what) {
        const double value = bound == 0 ? (error == 0 ? 0 : kInfinity) : error / bound;
        if (!(value <= 1))
            ADD_FAILURE() << GetParam().name << ": " << what << ": " << kind << " is " << value
                          << " of what is allowed (" << error << " of " << bound << ")";
        worst_.add(kind, largest, value);
    }

    std::string name() { return "tensor" + std::to_string(names_++); }

    std::uint64_t names_ = 0;  // given so far

private:
    WorstRatios worst_;
};

}  // namespace heron::test
