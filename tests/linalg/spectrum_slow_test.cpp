// SPDX-License-Identifier: MIT
// eigh() and svd() of large matrices, checked without another solver: residual and orthonormality say all.
#include <cmath>
#include <cstdint>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Products in float64 would take most of the test's time; in f32, Eigen's sums in blocks are off by less than
// the bars.
using MatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class SpectrumSlowTest : public LinalgTest {
protected:
    MatrixF random_f32(std::uint64_t rows, std::uint64_t cols) {
        Random random(rows);
        MatrixF a(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
        for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i] = static_cast<float>(random.normal());
        return a;
    }
    Tensor input(Graph& graph, const MatrixF& a) {
        return graph.external("a", guarded(std::vector<float>(a.data(), a.data() + a.size()))
                                       .view(DType::f32, {static_cast<std::uint64_t>(a.rows()),
                                                          static_cast<std::uint64_t>(a.cols())}));
    }
    GuardedBuffer& output(std::uint64_t count) { return guarded(std::vector<float>(count, 77.0f)); }
    static MatrixF matrix(const GuardedBuffer& buffer, std::uint64_t rows, std::uint64_t cols) {
        const std::vector<float> x = buffer.floats();
        return Eigen::Map<const MatrixF>(x.data(), static_cast<Eigen::Index>(rows),
                                         static_cast<Eigen::Index>(cols));
    }

    // The ratios of heron/linalg/eigh.hpp and svd.hpp.
    void check(const MatrixF& a, const MatrixF& u, const MatrixF& d, const MatrixF& v, double times) {
        const auto order = static_cast<std::uint64_t>(a.rows());
        const double allowed = times * static_cast<double>(order) * kEps32;
        const auto orthonormal = [&](const MatrixF& x) {
            MatrixF rest = x.transpose() * x;
            rest.diagonal().array() -= 1.0f;
            ratio("orthogonality", order, rest.cast<double>().norm(), allowed, std::to_string(order));
        };
        orthonormal(v);
        if (&u != &v) orthonormal(u);
        const MatrixF rest = a - MatrixF(u * d.row(0).asDiagonal()) * v.transpose();
        ratio("residual", order, rest.cast<double>().norm(), allowed * a.cast<double>().norm(),
              std::to_string(order));
    }
};

TEST_P(SpectrumSlowTest, EigensystemsOfThousands) {
    for (std::uint64_t n : {1000u, 1024u, 2048u}) {
        MatrixF a = random_f32(n, n);
        a = MatrixF(a + MatrixF(a.transpose()));
        GuardedBuffer &values = output(n), &vectors = output(n * n);
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(1, 77));
        Graph graph(device());
        eigh(graph, input(graph, a), graph.external("values", values.view(DType::f32, {n})),
             graph.external("vectors", vectors.view(DType::f32, {n, n})),
             {.status = graph.external("status", status.view(DType::u32, {1}))});
        run_patiently(graph);
        EXPECT_EQ(status.read<std::uint32_t>()[0], 0u);
        const MatrixF v = matrix(vectors, n, n), d = matrix(values, 1, n);
        check(a, v, d, v, 1);
        for (Eigen::Index i = 1; i < d.cols(); ++i) EXPECT_LE(d(0, i - 1), d(0, i));
    }
}

TEST_P(SpectrumSlowTest, SingularVectorsOfThousands) {
    for (std::uint64_t n : {1000u, 2048u}) {
        // The singular values of random numbers alone lie between 2 sqrt(n) and less than the edge of the
        // rank.
        MatrixF a = random_f32(n, n);
        a.diagonal().array() += 2.0f * std::sqrt(static_cast<float>(n));
        GuardedBuffer &left = output(n * n), &values = output(n), &right = output(n * n);
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(1, 77));
        Graph graph(device());
        svd(graph, input(graph, a), graph.external("left", left.view(DType::f32, {n, n})),
            graph.external("values", values.view(DType::f32, {n})),
            graph.external("right", right.view(DType::f32, {n, n})),
            {.status = graph.external("status", status.view(DType::u32, {1}))});
        run_patiently(graph);
        EXPECT_EQ(status.read<std::uint32_t>()[0], 0u);
        const MatrixF d = matrix(values, 1, n);
        check(a, matrix(left, n, n), d, matrix(right, n, n), 2);
        for (Eigen::Index i = 1; i < d.cols(); ++i) EXPECT_GE(d(0, i - 1), d(0, i));
    }
}

HERON_DEVICE_TESTS(SpectrumSlowTest);

}  // namespace
}  // namespace heron::test
