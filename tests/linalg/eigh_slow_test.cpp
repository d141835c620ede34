// SPDX-License-Identifier: MIT
// eigh() of large matrices, checked without another eigensolver: residual and orthonormality say all.
#include <cstdint>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

using MatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class EighSlowTest : public LinalgTest {
protected:
    // The ratios of heron/linalg/eigh.hpp. Products in float64 would take most of the test's time; in f32,
    // Eigen's sums in blocks are off by less than the bars.
    void check(std::uint64_t n) {
        const auto order = static_cast<Eigen::Index>(n);
        Random random(n);
        MatrixF a(order, order);
        for (Eigen::Index i = 0; i < order; ++i)
            for (Eigen::Index j = 0; j <= i; ++j) a(i, j) = a(j, i) = static_cast<float>(random.normal());
        GuardedBuffer& in = guarded(std::vector<float>(a.data(), a.data() + a.size()));
        GuardedBuffer& values = guarded(std::vector<float>(n, 77.0f));
        GuardedBuffer& vectors = guarded(std::vector<float>(n * n, 77.0f));
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(1, 77));
        Graph graph(device());
        eigh(graph, graph.external("a", in.view(DType::f32, {n, n})),
             graph.external("values", values.view(DType::f32, {n})),
             graph.external("vectors", vectors.view(DType::f32, {n, n})),
             {.status = graph.external("status", status.view(DType::u32, {1}))});
        run(graph);
        EXPECT_EQ(status.read<std::uint32_t>()[0], 0u);
        const std::vector<float> d = values.floats(), x = vectors.floats();
        const Eigen::Map<const MatrixF> v(x.data(), order, order);
        const Eigen::Map<const Eigen::VectorXf> diagonal(d.data(), order);
        MatrixF rest = v.transpose() * v;
        rest.diagonal().array() -= 1.0f;
        const double bar = static_cast<double>(n) * kEps32;
        ratio("orthogonality", rest.cast<double>().norm(), bar, std::to_string(n));
        rest = a - MatrixF(v * diagonal.asDiagonal()) * v.transpose();
        ratio("residual", rest.cast<double>().norm(), bar * a.cast<double>().norm(), std::to_string(n));
        for (std::size_t i = 1; i < n; ++i) EXPECT_LE(d[i - 1], d[i]);
    }
};

TEST_P(EighSlowTest, OrdersOfThousandsAreSolved) {
    for (std::uint64_t n : {1000u, 1024u, 2048u}) check(n);
}

HERON_DEVICE_TESTS(EighSlowTest);

}  // namespace
}  // namespace heron::test
