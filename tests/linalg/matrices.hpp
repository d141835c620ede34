// SPDX-License-Identifier: MIT
// Matrices in guarded device memory, for tests of factorisations and solvers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <heron/error.hpp>
#include <heron/linalg.hpp>
#include <heron/plan.hpp>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "support/device_fixture.hpp"
#include "support/reference.hpp"

namespace heron::test {

constexpr double kEps32 = 0x1p-23;

// Symmetric positive definite: Q diag(values) Q^T with values from 1 down to 1 / condition, evenly spaced in
// the logarithm.
inline Matrix spd_matrix(std::uint64_t n, double condition, std::uint64_t seed) {
    Matrix half(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(n));
    std::vector<double> roots(n);
    for (std::uint64_t i = 0; i < n; ++i)
        roots[i] =
            n == 1 ? 1.0 : std::pow(condition, -0.5 * static_cast<double>(i) / static_cast<double>(n - 1));
    half = with_singular_values(roots, n, n, seed);
    return half * half.transpose();
}

// NaN in the half that must not be read.
inline Matrix only_triangle(Matrix matrix, Triangle triangle) {
    for (Eigen::Index i = 0; i < matrix.rows(); ++i)
        for (Eigen::Index j = 0; j < matrix.cols(); ++j)
            if (triangle == Triangle::lower ? j > i : j < i)
                matrix(i, j) = std::numeric_limits<double>::quiet_NaN();
    return matrix;
}

// A tensor in guarded memory: one matrix, or a batch of equal shapes.
struct Placed {
    GuardedBuffer* buffer = nullptr;
    DType dtype = DType::f32;
    std::uint64_t items = 0, rows = 0, cols = 0, stride = 0;
    bool strided = false;
    Tensor tensor;

    std::vector<Matrix> read() const {
        const auto bytes = buffer->read<std::byte>();
        if (rows * cols == 0) return std::vector<Matrix>(items, Matrix(rows, cols));
        EXPECT_TRUE(gaps_intact(bytes, dtype, items, rows, cols, stride)) << "wrote between the rows";
        return decode(bytes, dtype, items, rows, cols, stride);
    }
};

class MatrixTest : public DeviceTest {
protected:
    Placed place(Graph& graph, const std::vector<Matrix>& items, DType dtype = DType::f32,
                 std::uint64_t gap = 0) {
        Placed placed;
        placed.dtype = dtype;
        placed.items = items.size();
        placed.rows = static_cast<std::uint64_t>(items[0].rows());
        placed.cols = static_cast<std::uint64_t>(items[0].cols());
        placed.stride = placed.cols + gap;
        std::vector<Matrix> values;
        for (const Matrix& item : items) values.push_back(rounded(item, dtype));
        std::vector<std::byte> bytes = encode(values, dtype, placed.stride);
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
                 std::uint64_t gap = 0) {
        const Matrix nan = Matrix::Constant(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols),
                                            std::numeric_limits<double>::quiet_NaN());
        return place(graph, std::vector<Matrix>(items, nan), DType::f32, gap);
    }

    // One element for each of `items` matrices: statuses (u32) or numbers (f32).
    struct Words {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<std::uint32_t> words() const { return buffer->read<std::uint32_t>(); }
        std::vector<float> floats() const { return buffer->floats(); }
        std::vector<std::string> statuses() const {
            std::vector<std::string> names;
            for (std::uint32_t word : words()) names.emplace_back(to_string(static_cast<MatrixStatus>(word)));
            return names;
        }
    };
    Words words(Graph& graph, std::uint64_t items, DType dtype = DType::u32) {
        GuardedBuffer& buffer = guarded_on(graph.device(), std::vector<std::uint32_t>(items, 0xdeadbeefu));
        return {&buffer, graph.external(name(), {buffer.address(), dtype, Shape{items}, 0})};
    }

    static Plan run(const Graph& graph, const PlanOptions& options = {}) {
        Plan plan = graph.compile(options);
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        plan.run();
        return plan;
    }

    // Records the worst ratio of each kind, and fails above 1.
    void ratio(const std::string& kind, double error, double bound, const std::string& what) {
        const double value =
            bound == 0 ? (error == 0 ? 0 : std::numeric_limits<double>::infinity()) : error / bound;
        if (!(value <= 1))
            ADD_FAILURE() << GetParam().name << ": " << what << ": " << kind << " is " << value
                          << " of what is allowed (" << error << " of " << bound << ")";
        double& worst = worst_[kind];
        worst = std::max(worst, value);
        RecordProperty(kind, std::to_string(worst));
    }

    struct Refusal {
        const char* needle;
        std::function<void()> call;
    };
    static void expect_refusals(const std::vector<Refusal>& refusals) {
        for (const Refusal& refusal : refusals) {
            try {
                refusal.call();
                ADD_FAILURE() << "not refused: " << refusal.needle;
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
                EXPECT_NE(std::string(error.what()).find(refusal.needle), std::string::npos) << error.what();
            }
        }
    }

private:
    std::string name() { return "tensor" + std::to_string(names_++); }
    std::uint64_t names_ = 0;
    std::map<std::string, double> worst_;
};

}  // namespace heron::test
