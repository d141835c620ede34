// SPDX-License-Identifier: MIT
// ldlt() and ldlt_solve() against their definition in float64, on every device.
#include <algorithm>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Eigenvalues of both signs, magnitudes from 1 down to 1 / condition.
Matrix symmetric(std::uint64_t n, double condition, std::uint64_t seed) {
    const Matrix left = with_singular_values(std::vector<double>(n, 1.0), n, n, seed);
    Vector values(static_cast<Eigen::Index>(n));
    for (std::uint64_t i = 0; i < n; ++i)
        values(static_cast<Eigen::Index>(i)) =
            (i % 2 == 0 ? 1.0 : -1.0) *
            (n == 1 ? 1.0 : std::pow(condition, -static_cast<double>(i) / static_cast<double>(n - 1)));
    const Matrix a = left * values.asDiagonal() * left.transpose();
    return (a + a.transpose()) / 2;
}

class LdltTest : public LinalgTest {
protected:
    struct Case {
        std::vector<Matrix> a;
        LdltOptions options;
        DType dtype = DType::f32;
        std::uint64_t gap = 0;
        bool in_place = false;
    };
    struct Added {
        Case x;
        std::vector<Matrix> b;
        Placed l, d, solution;
        Words permutation, status, solve_status;
    };

    void add(Graph& graph, Case x) {
        std::vector<Matrix> stored;
        for (Matrix& a : x.a) {
            a = rounded(a, x.dtype);
            stored.push_back(only_triangle(a, x.options.triangle));
        }
        const std::uint64_t items = x.a.size(), n = static_cast<std::uint64_t>(x.a[0].rows());
        std::vector<Matrix> b;
        for (std::uint64_t item = 0; item < items; ++item)
            b.push_back(rounded(random_matrix(n, 3, 77 + item), DType::f32));
        const Placed a = place(graph, stored, x.dtype, x.gap);
        Added added{x,
                    b,
                    x.in_place ? a : blank(graph, items, n, n, x.gap),
                    blank(graph, items, n, 2),
                    blank(graph, items, n, 3, x.gap),
                    words(graph, items * n),
                    words(graph, items),
                    words(graph, items)};
        LdltOptions options = x.options;
        options.status = added.status.tensor;
        const LdltFactor factor{added.l.tensor, added.d.tensor, added.permutation.tensor};
        ldlt(graph, a.tensor, factor, options);
        ldlt_solve(graph, factor, place(graph, b).tensor, added.solution.tensor,
                   {.status = added.solve_status.tensor});
        added_.push_back(added);
    }

    void check(bool solves = true) {
        for (const Added& added : added_)
            for (std::size_t item = 0; item < added.x.a.size(); ++item) check(added, item, solves);
        added_.clear();
    }

    void check(const Added& added, std::size_t item, bool solves = true) {
        const Matrix &a = added.x.a[item], l = added.l.read()[item], d = added.d.read()[item];
        const Eigen::Index n = a.rows();
        const std::string what = std::to_string(n) + " rows, item " + std::to_string(item);
        EXPECT_TRUE(Matrix(l.triangularView<Eigen::UnitLower>()) == l) << what;
        Matrix middle = Matrix::Zero(n, n), permuted(n, n);
        std::vector<std::uint32_t> permutation = added.permutation.words();
        permutation = {permutation.begin() + static_cast<std::ptrdiff_t>(item) * n,
                       permutation.begin() + static_cast<std::ptrdiff_t>(item + 1) * n};
        std::vector<std::uint32_t> sorted = permutation;
        std::sort(sorted.begin(), sorted.end());
        for (Eigen::Index i = 0; i < n; ++i) {
            ASSERT_EQ(sorted[static_cast<std::size_t>(i)], static_cast<std::uint32_t>(i)) << what;
            middle(i, i) = d(i, 0);
            if (i + 1 < n) middle(i + 1, i) = middle(i, i + 1) = d(i, 1);
            for (Eigen::Index j = 0; j < n; ++j)
                permuted(i, j) =
                    a(permutation[static_cast<std::size_t>(i)], permutation[static_cast<std::size_t>(j)]);
        }
        const double size = std::max(2.0, static_cast<double>(n));
        ratio("residual", a, (permuted - l * middle * l.transpose()).norm(), 10 * size * 0x1p-24 * a.norm(),
              what);
        if (!solves) return;
        EXPECT_EQ(added.status.statuses()[item], "ok") << what;
        EXPECT_EQ(added.solve_status.statuses()[item], "ok") << what;
        const Matrix x = added.solution.read()[item];
        for (Eigen::Index c = 0; c < x.cols(); ++c)
            ratio("solution", a, (a * x.col(c) - added.b[item].col(c)).norm(),
                  10 * size * 0x1p-24 * (a.norm() * x.col(c).norm() + added.b[item].col(c).norm()), what);
    }

    std::vector<Added> added_;
};

TEST_P(LdltTest, AllSizesMatchFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 33u, 63u, 64u, 65u, 127u, 129u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper})
            add(graph, {{symmetric(n, 1e3, n)}, {.triangle = triangle}});
    for (std::uint64_t n : {255u, 256u, 257u, 400u}) add(graph, {{symmetric(n, 1e3, n)}, {}});
    run(graph);
    check();
}

// Matrices that need pivots: zeros on the diagonal, saddle points, both definite kinds, extreme scales.
TEST_P(LdltTest, EveryKindOfSymmetricMatrix) {
    Graph graph(device());
    Matrix swap(2, 2);
    swap << 0, 1, 1, 0;
    add(graph, {{swap}});
    for (std::uint64_t n : {6u, 40u}) {
        Matrix hollow = symmetric(n, 10, n);
        hollow.diagonal().setZero();
        add(graph, {{hollow}});
        Matrix saddle = Matrix::Zero(hollow.rows(), hollow.cols());  // [0 B^T; B 0]
        const Matrix corner = random_matrix(n / 2, n / 2, n);
        saddle.bottomLeftCorner(corner.rows(), corner.cols()) = corner;
        saddle.topRightCorner(corner.rows(), corner.cols()) = corner.transpose();
        add(graph, {{saddle}});
        add(graph, {{spd_matrix(n, 1e4, n)}});
        add(graph, {{-spd_matrix(n, 1e4, n)}});
        add(graph, {{Matrix::Identity(hollow.rows(), hollow.cols())}});
        add(graph, {{make_matrix(MatrixKind::diagonal, n, n, 1)}});
        add(graph, {{symmetric(n, 1e2, n) * 1e18}});
        add(graph, {{symmetric(n, 1e2, n) * 1e-18}});
        add(graph, {{symmetric(n, 1e6, n)}});
    }
    run(graph);
    check();
}

// A pivot of one row and then blocks of two, of which every other panel's last one reaches into the next; the
// last panel has nothing left to do.
TEST_P(LdltTest, BlocksOfTwoAcrossPanels) {
    const Eigen::Index n = 181;
    Matrix a = symmetric(181, 10, 1) * 1e-3;
    a(0, 0) = 1;
    for (Eigen::Index i = 1; i + 1 < n; i += 2) a(i, i + 1) = a(i + 1, i) = 1;
    Graph graph(device());
    add(graph, {{a, symmetric(181, 10, 2), a}});
    run(graph);
    const Matrix d = added_[0].d.read()[2];
    for (Eigen::Index last : {59, 119, 179}) EXPECT_NE(d(last, 1), 0) << "no block across columns " << last;
    check();
}

TEST_P(LdltTest, TakesBatchesStridesInPlaceAnd16BitInput) {
    Graph graph(device());
    for (std::uint64_t n : {35u, 130u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper}) {
            const std::vector<Matrix> three{symmetric(n, 10, 1), symmetric(n, 1e2, 2), symmetric(n, 1e3, 3)};
            add(graph, {three, {.triangle = triangle}});
            add(graph, {three, {.triangle = triangle}, DType::f32, 3});
            add(graph, {three, {.triangle = triangle}, DType::f32, 1, true});
            add(graph, {three, {.triangle = triangle}, DType::f16});
            add(graph, {three, {.triangle = triangle}, DType::bf16, 1});
        }
    run(graph);
    check();
}

TEST_P(LdltTest, GpuVariantsMatchFloat64) {
    for (Device* on : {&gpu(), &smallest_gpu()}) {
        Graph graph(*on);
        for (std::uint64_t n : {1u, 20u, 70u, 130u}) add(graph, {{symmetric(n, 1e3, n)}});
        run(graph);
        check();
    }
}

TEST_P(LdltTest, SingularAndNonfiniteMatricesAreNamedAndStayAlone) {
    for (const Eigen::Index n : {24, 150}) {  // one workgroup, panels
        const Matrix good = symmetric(static_cast<std::uint64_t>(n), 10, 1);
        Matrix nan = good, infinite = good, half = make_matrix(MatrixKind::half_rank, 24, 24, 2);
        nan(20, 3) = nan(3, 20) = std::numeric_limits<double>::quiet_NaN();
        infinite(5, 5) = -std::numeric_limits<double>::infinity();
        if (n == 24) {
            half = Matrix(half * half.transpose());
        } else {
            half = Matrix::Zero(n, n);
            half.topLeftCorner(n / 2, n / 2) = good.topLeftCorner(n / 2, n / 2);
        }
        Graph graph(device());
        add(graph, {{good, nan, Matrix::Zero(n, n), infinite, half, good}});
        run(graph);
        const std::vector<std::string> expected{"ok", "nonfinite", "singular", "nonfinite", "singular", "ok"};
        EXPECT_EQ(added_[0].status.statuses(), expected);
        const std::vector<Matrix> x = added_[0].solution.read(), l = added_[0].l.read();
        for (std::size_t item : {1u, 3u}) {
            EXPECT_TRUE((l[item].array() == 0).all());
            EXPECT_EQ(added_[0].solve_status.statuses()[item], "singular");
        }
        for (std::size_t item : {1u, 2u, 3u, 4u}) EXPECT_TRUE((x[item].array() == 0).all()) << item;
        for (std::size_t item : {0u, 5u}) check(added_[0], item);
        for (std::size_t item : {2u, 4u}) check(added_[0], item, false);
        EXPECT_EQ(l[0], l[5]);
        added_.clear();
    }
}

TEST_P(LdltTest, PivotsBeyondTheRangeAreNamed) {
    for (const Eigen::Index n : {2, 150}) {  // one workgroup, panels
        Matrix a = Matrix::Identity(n, n);
        a.topLeftCorner(2, 2) << 3e38, 3e38, 3e38, -3e38;
        Graph graph(device());
        add(graph, {{a, Matrix::Identity(n, n)}});
        run(graph);
        EXPECT_EQ(added_[0].status.statuses(), (std::vector<std::string>{"nonfinite", "ok"})) << n;
        EXPECT_EQ(added_[0].solve_status.statuses(), (std::vector<std::string>{"nonfinite", "ok"})) << n;
        check(added_[0], 1);
        added_.clear();
    }
}

TEST_P(LdltTest, SameBitsEveryTime) {
    expect_same_bits(1e4, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        added_.clear();
        for (std::uint64_t n : {60u, 130u}) add(graph, {{symmetric(n, 1e3, 1), symmetric(n, 1e3, 2)}});
        return {added_[0].l.buffer, added_[0].solution.buffer, added_[1].l.buffer, added_[1].solution.buffer};
    });
}

TEST_P(LdltTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor a = tensor({4, 4}), b = tensor({4, 3}), x = tensor({4, 3});
    const LdltFactor f{tensor({4, 4}), tensor({4, 2}), tensor({4}, DType::u32)};
    const LdltFactor big{tensor({4097, 4097}), tensor({4097, 2}), tensor({4097}, DType::u32)};
    expect_refusals(
        graph, {
                   {"A is empty", [&] { ldlt(graph, {}, f); }},
                   {"one of Triangle", [&] { ldlt(graph, a, f, {.triangle = static_cast<Triangle>(2)}); }},
                   {"must be square", [&] { ldlt(graph, b, f); }},
                   {"L is empty",
                    [&] {
                        ldlt(graph, a, {{}, f.d, f.permutation});
                    }},
                   {"D is empty",
                    [&] {
                        ldlt(graph, a, {f.l, {}, f.permutation});
                    }},
                   {"the permutation is empty",
                    [&] {
                        ldlt(graph, a, {f.l, f.d, {}});
                    }},
                   {"4 u32",
                    [&] {
                        ldlt(graph, a, {f.l, f.d, tensor({5}, DType::u32)});
                    }},
                   {"2 columns",
                    [&] {
                        ldlt(graph, a, {f.l, tensor({4, 3}), f.permutation});
                    }},
                   {"at most 4096 rows", [&] { ldlt(graph, big.l, big); }},
                   {"shapes must agree",
                    [&] {
                        ldlt(graph, tensor({5, 5}), f);
                    }},
                   {"1 u32", [&] { ldlt(graph, a, f, {.status = tensor({2}, DType::u32)}); }},
                   {"B is empty", [&] { ldlt_solve(graph, f, {}, x); }},
                   {"shapes must agree",
                    [&] {
                        ldlt_solve(graph, f, b, tensor({4, 2}));
                    }},
                   {"must have 4 rows",
                    [&] {
                        ldlt_solve(graph, f, tensor({5, 3}), tensor({5, 3}));
                    }},
                   {"must be f32",
                    [&] {
                        ldlt_solve(graph, f, b, tensor({4, 3}, DType::f16));
                    }},
                   {"overlaps the factor", [&] { ldlt_solve(graph, f, a, f.l); }},
               });
}

HERON_DEVICE_TESTS(LdltTest);

}  // namespace
}  // namespace heron::test
