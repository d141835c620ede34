// SPDX-License-Identifier: MIT
// Factorisations and inverses of a thousand rows and more, on lavapipe: what takes too long for every test
// run. Random vectors tell as much as whole products, which would take longer than the factorisations do: any
// wrong element of L shows in A x - L (L^T x).
#include <cmath>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Bounds are those of the operations' headers.
class FactorizationSlowTest : public LinalgTest {
protected:
    void SetUp() override {
        LinalgTest::SetUp();
        if (device().info().name.find("llvmpipe") == std::string::npos)
            GTEST_SKIP() << "lavapipe alone: it ends loops after a number of rounds";
    }
    // X X^T + I of n x 64 normal numbers: its condition number is about n.
    static Matrix definite(std::uint64_t n) {
        const Matrix x = random_matrix(n, 64, n) / 8.0;
        Matrix a = x * x.transpose();
        a.diagonal().array() += 1.0;
        return rounded(a, DType::f32);
    }
    static Matrix probe(std::uint64_t n) { return random_matrix(n, 1, 7); }
    // A probe of E, against |E|_F <= times n u |A|_F.
    void expect_small(const std::string& kind, const Matrix& a, const Matrix& error, double times) {
        const auto n = static_cast<double>(a.rows());
        ratio(kind, a, error.norm(), times * n * kUnit * a.norm() * kProbe, std::to_string(a.rows()));
    }
};

TEST_P(FactorizationSlowTest, CholeskyFactorsSolutionsAndInverses) {
    for (std::uint64_t n : {1000u, 4096u}) {
        const Matrix a = definite(n), x = probe(n), b = rounded(random_matrix(n, 4, 3), DType::f32);
        Graph graph(device());
        const Placed pa = place(graph, {a}), pb = place(graph, {b}), l = blank(graph, 1, n, n),
                     solution = blank(graph, 1, n, 4), inverse = blank(graph, 1, n, n);
        const Words status = words(graph, 1);
        cholesky(graph, pa.tensor, l.tensor, {.status = status.tensor});
        spd_solve(graph, pa.tensor, pb.tensor, solution.tensor);
        triangular_inverse(graph, l.tensor, inverse.tensor);
        run_patiently(graph);
        EXPECT_EQ(status.statuses()[0], "ok");
        const Matrix factor = l.read()[0], y = solution.read()[0], inverted = inverse.read()[0];
        const auto lower = factor.triangularView<Eigen::Lower>();
        expect_small("cholesky", a, a * x - lower * Matrix(factor.transpose() * x), 1);
        ratio("spd_solve", a, (a * y - b).norm(),
              static_cast<double>(n) * kUnit * (3 * a.norm() * y.norm() + b.norm()), std::to_string(n));
        const Matrix rest = lower * Matrix(inverted * x) - x;
        ratio("triangular_inverse", factor, rest.norm(),
              static_cast<double>(n) * kUnit * inverted.norm() * factor.norm() * kProbe, std::to_string(n));
    }
}

// A matrix of rank 4, which has no factor without jitter: as much of it as there is of A, so that it shows
// where it is missing.
TEST_P(FactorizationSlowTest, CholeskyFactorsWithJitter) {
    const std::uint64_t n = 2048;
    const Matrix half = random_matrix(n, 4, 1) / 2.0, x = probe(n);
    const Matrix a = rounded(half * half.transpose(), DType::f32);
    Graph graph(device());
    const Placed pa = place(graph, {a}), l = blank(graph, 1, n, n);
    const Words status = words(graph, 1), jitter = words(graph, 1, DType::f32);
    cholesky(
        graph, pa.tensor, l.tensor,
        {.jitter = {.retries = 1, .relative = 1.0f}, .status = status.tensor, .jitter_used = jitter.tensor});
    run_patiently(graph);
    EXPECT_EQ(status.statuses()[0], "jittered");
    Matrix jittered = a;
    jittered.diagonal().array() += static_cast<double>(jitter.floats()[0]);
    const Matrix factor = l.read()[0];
    expect_small("cholesky with jitter", jittered,
                 jittered * x - factor.triangularView<Eigen::Lower>() * Matrix(factor.transpose() * x), 1);
}

TEST_P(FactorizationSlowTest, OrthogonalFactors) {
    for (std::uint64_t n : {1000u, 4096u}) {
        const Matrix a = rounded(random_matrix(n, n, n), DType::f32), x = probe(n);
        Graph graph(device());
        const Placed pa = place(graph, {a}), q = blank(graph, 1, n, n), r = blank(graph, 1, n, n);
        qr(graph, pa.tensor, q.tensor, r.tensor, {.method = QrMethod::householder});
        run_patiently(graph);
        const Matrix orthogonal = q.read()[0], upper = r.read()[0];
        const Matrix rx = upper.triangularView<Eigen::Upper>() * x;
        expect_small("qr", a, a * x - orthogonal * rx, 4);
        const auto size = static_cast<double>(n);
        ratio("orthogonality", a, (orthogonal.transpose() * Matrix(orthogonal * x) - x).norm(),
              (4 * size + 2 * std::sqrt(size)) * kUnit * kProbe, std::to_string(n));
    }
}

TEST_P(FactorizationSlowTest, IndefiniteFactorsAndSolutions) {
    for (std::uint64_t n : {1000u, 4096u}) {
        Matrix a = random_matrix(n, n, n);
        a = rounded(a + Matrix(a.transpose()), DType::f32);
        const Matrix x = probe(n), b = rounded(random_matrix(n, 4, 3), DType::f32);
        Graph graph(device());
        const Placed pa = place(graph, {a}), pb = place(graph, {b}), l = blank(graph, 1, n, n),
                     d = blank(graph, 1, n, 2), solution = blank(graph, 1, n, 4);
        const Words permutation = words(graph, n), status = words(graph, 1), solved = words(graph, 1);
        const LdltFactor ldl{l.tensor, d.tensor, permutation.tensor};
        ldlt(graph, pa.tensor, ldl, {.status = status.tensor});
        ldlt_solve(graph, ldl, pb.tensor, solution.tensor, {.status = solved.tensor});
        run_patiently(graph);
        EXPECT_EQ(status.statuses()[0], "ok");
        EXPECT_EQ(solved.statuses()[0], "ok");
        const Matrix y = solution.read()[0];
        ratio("ldlt_solve", a, (a * y - b).norm(),
              10 * static_cast<double>(n) * kUnit * (a.norm() * y.norm() + b.norm()), std::to_string(n));
        const Matrix factor = l.read()[0], blocks = d.read()[0];
        const std::vector<std::uint32_t> order = permutation.words();
        const Matrix px = factor.transpose() * x;
        Matrix dx = blocks.col(0).asDiagonal() * px;
        for (Eigen::Index i = 0; i + 1 < dx.rows(); ++i) {  // the element below the diagonal
            dx.row(i + 1) += blocks(i, 1) * px.row(i);
            dx.row(i) += blocks(i, 1) * px.row(i + 1);
        }
        const Matrix is = factor * dx;
        // P A P^T x
        Matrix unpermuted = Matrix::Zero(x.rows(), x.cols());
        for (Eigen::Index i = 0; i < x.rows(); ++i)
            unpermuted.row(order[static_cast<std::size_t>(i)]) = x.row(i);
        const Matrix ax = a * unpermuted;
        Matrix expected = x;
        for (Eigen::Index i = 0; i < x.rows(); ++i)
            expected.row(i) = ax.row(order[static_cast<std::size_t>(i)]);
        expect_small("ldlt", a, expected - is, 10);
    }
}

HERON_DEVICE_TESTS(FactorizationSlowTest);

}  // namespace
}  // namespace heron::test
