// SPDX-License-Identifier: MIT
// qr() by both methods against its definition in float64, on every device.

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Singular values from 1 down to 1 / condition.
Matrix conditioned(std::uint64_t rows, std::uint64_t cols, double condition, std::uint64_t seed) {
    std::vector<double> values(cols);
    for (std::uint64_t i = 0; i < cols; ++i)
        values[i] =
            cols == 1 ? 1.0 : std::pow(condition, -static_cast<double>(i) / static_cast<double>(cols - 1));
    return with_singular_values(values, rows, cols, seed);
}

class QrTest : public LinalgTest {
protected:
    struct Case {
        std::vector<Matrix> a;
        QrOptions options;
        DType dtype = DType::f32;
        std::uint64_t gap = 0;
        bool in_place = false;
    };
    struct Added {
        Case x;
        Placed q, r;
        Words status;
    };

    void add(Graph& graph, Case x) {
        for (Matrix& a : x.a) a = rounded(a, x.dtype);
        const std::uint64_t items = x.a.size(), rows = static_cast<std::uint64_t>(x.a[0].rows()),
                            cols = static_cast<std::uint64_t>(x.a[0].cols());
        const Placed a = place(graph, x.a, x.dtype, x.gap);
        const Placed q = x.in_place ? a : blank(graph, items, rows, cols, x.gap);
        const Placed r = blank(graph, items, cols, cols, x.gap);
        const Words status = words(graph, items);
        QrOptions options = x.options;
        options.status = status.tensor;
        qr(graph, a.tensor, q.tensor, r.tensor, options);
        added_.push_back({x, q, r, status});
    }

    // `equal_errors`: roundings of a sum do not average out, as of equal numbers; then they add up over its m
    // terms, in each of the n columns.
    void check(bool full_rank = true, bool orthonormal = true, bool equal_errors = false) {
        for (const Added& added : added_) {
            const std::vector<Matrix> qs = added.q.read(), rs = added.r.read();
            for (std::size_t item = 0; item < qs.size(); ++item) {
                const Matrix &a = added.x.a[item], &q = qs[item], &r = rs[item];
                const double n = std::max(2.0, static_cast<double>(a.cols()));
                const std::string what =
                    std::string(added.x.options.method == QrMethod::householder ? "householder "
                                : added.x.options.method == QrMethod::cholesky  ? "cholesky "
                                                                                : "") +
                    std::to_string(a.rows()) + "x" + std::to_string(a.cols()) + ", item " +
                    std::to_string(item);
                if (full_rank) {
                    EXPECT_EQ(added.status.statuses()[item], "ok") << what;
                }
                const double sums = equal_errors ? n * static_cast<double>(a.rows()) : 0.0;
                ratio("residual", a, (a - q * r).norm(), (4 * n + sums) * 0x1p-24 * a.norm(), what);
                if (orthonormal)
                    ratio("orthogonality", a,
                          (q.transpose() * q - Matrix::Identity(a.cols(), a.cols())).norm(),
                          (4 * n + 2 * std::sqrt(static_cast<double>(a.rows())) + sums) * 0x1p-24, what);
                EXPECT_EQ(Matrix(r.triangularView<Eigen::Upper>()), r) << what;
                if (added.x.options.positive_diagonal) {
                    EXPECT_TRUE((r.diagonal().array() >= 0).all()) << what;
                }
            }
        }
        added_.clear();
    }

    std::vector<Added> added_;
};

TEST_P(QrTest, SmallMatricesOfAllSizesAreOneDispatch) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 32u})
        for (std::uint64_t rows : {n, n + 1, 3 * n, n + 100})
            for (bool positive : {true, false})
                add(graph, {{random_matrix(rows, n, rows)}, {.positive_diagonal = positive}});
    EXPECT_EQ(run(graph).dispatch_count(), 1u);
    check();
}

TEST_P(QrTest, HouseholderPanelsMatchFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {33u, 63u, 64u, 65u, 127u, 129u, 255u, 256u, 257u})
        for (std::uint64_t rows : {n, n + 37})
            add(graph, {{conditioned(rows, n, 1e3, n)},
                        {.method = QrMethod::householder, .positive_diagonal = rows != n}});
    run(graph);
    check();
}

// A driver ends loops after a number of iterations: tall matrices must not come near it.
TEST_P(QrTest, TallMatricesMatchFloat64) {
    Graph graph(device());
    for (std::uint64_t rows : {600u, 4096u})
        for (std::uint64_t cols : {32u, 35u}) {
            Matrix a = random_matrix(rows, cols, rows);
            add(graph, {{a}, {.method = QrMethod::householder}});
        }
    add(graph, {{random_matrix(20000, 5, 1)}});
    run(graph);
    check();
}

TEST_P(QrTest, CholeskyQrMatchesFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 8u, 17u, 31u, 33u, 64u, 65u, 127u, 129u})
        for (std::uint64_t rows : {n, 2 * n + 5})
            add(graph, {{conditioned(rows, n, n == 1 ? 1 : 1e3, n)}, {.method = QrMethod::cholesky}});
    for (double condition : {1e4, 1e5, 1e6})
        for (std::uint64_t n : {16u, 40u})
            add(graph, {{conditioned(3 * n, n, condition, n)}, {.method = QrMethod::cholesky}});
    add(graph, {{conditioned(100, 30, 1e2, 7)}, {.method = QrMethod::cholesky, .passes = 2}});
    add(graph, {{conditioned(100, 30, 3e3, 7)}, {.method = QrMethod::cholesky, .passes = 3}});
    run(graph);
    check();
}

TEST_P(QrTest, GpuVariantsMatchFloat64) {
    Graph graph(smallest_gpu());
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky}) {
        add(graph, {{conditioned(150, 20, 1e3, 1)}, {.method = method}});
        add(graph, {{conditioned(90, 70, 1e3, 2)}, {.method = method}});
    }
    run(graph);
    check();
}

TEST_P(QrTest, TakesBatchesStridesInPlaceAnd16BitInput) {
    Graph graph(device());
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
        for (std::uint64_t n : {11u, 40u}) {
            const std::vector<Matrix> three{conditioned(70, n, 10, 1), conditioned(70, n, 1e2, 2),
                                            conditioned(70, n, 1e3, 3)};
            add(graph, {three, {.method = method}});
            add(graph, {three, {.method = method}, DType::f32, 3});
            add(graph, {three, {.method = method}, DType::f32, 1, true});
            add(graph, {three, {.method = method}, DType::f16});
            add(graph, {three, {.method = method}, DType::bf16, 1});
        }
    run(graph);
    check();
}

TEST_P(QrTest, EveryScaleAndSpectrum) {
    Graph graph(device());
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
        for (std::uint64_t n : {20u, 40u}) {
            const Matrix a = conditioned(60, n, 1e2, n);
            for (double scale : {1e-30, 1e-18, 1e18, 1e36}) add(graph, {{a * scale}, {.method = method}});
            add(graph, {{make_matrix(MatrixKind::identity, 60, n, 1)}, {.method = method}});
            add(graph, {{make_matrix(MatrixKind::diagonal, 60, n, 1)}, {.method = method}});
            add(graph, {{make_matrix(MatrixKind::clustered, 60, n, 1)}, {.method = method}});
        }
    run(graph);
    check();
}

// With a thousandth of the largest singular value on a diagonal below it; Householder's method without, too.
TEST_P(QrTest, TakesEveryKindOfMatrix) {
    const auto add_kinds = [&](Graph& graph, QrMethod method, bool damped) {
        for (MatrixKind kind : finite_matrix_kinds())
            for (std::uint64_t n : {20u, 40u}) {
                const Matrix a = make_matrix(kind, 60, n, n);
                const double norm = spectral_norm(a);
                Matrix whole = Matrix::Zero(damped ? a.rows() + a.cols() : a.rows(), a.cols());
                whole.topRows(a.rows()) = a;
                if (damped) whole.bottomRows(a.cols()).diagonal().array() += norm == 0 ? 1.0 : 1e-3 * norm;
                add(graph, {{whole}, {.method = method}});
            }
    };
    Graph damped(device());
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky}) add_kinds(damped, method, true);
    run(damped);
    check();
    Graph bare(device());
    add_kinds(bare, QrMethod::householder, false);
    run(bare);
    check(false);
}

// Elements up to the largest f32, whose norm is beyond it. R, whose columns have the norms of A's, is not.
TEST_P(QrTest, NormsBeyondTheLargestFloatWork) {
    Graph graph(device());
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
        for (std::uint64_t n : {10u, 100u}) {
            const auto order = static_cast<Eigen::Index>(n);
            const Matrix noise = random_matrix(n, n, n);
            add(graph, {{3e38 * Matrix::Identity(order, order), 5e37 * Matrix::Identity(order, order),
                         1e38 * Matrix::Identity(order, order) +
                             1e37 / noise.cwiseAbs().maxCoeff() / static_cast<double>(n) * noise},
                        {.method = method}});
        }
    run(graph);
    check();
}

// Rank-deficient input is named; A = Q R all the same, with orthonormal columns from Householder's method.
TEST_P(QrTest, RankDeficiencyIsNamed) {
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
        for (std::uint64_t n : {12u, 48u}) {
            Matrix zero_column = random_matrix(60, n, 4);
            zero_column.col(3).setZero();
            Matrix repeated = random_matrix(60, n, 5);
            repeated.col(7) = repeated.col(2);
            Graph graph(device());
            add(graph,
                {{make_matrix(MatrixKind::half_rank, 60, n, 3), zero_column, repeated,
                  make_matrix(MatrixKind::rank_one, 60, n, 6), Matrix::Zero(60, n), random_matrix(60, n, 7)},
                 {.method = method}});
            run(graph);
            std::vector<std::string> expected(6, "rank_deficient");
            expected[5] = "ok";
            EXPECT_EQ(added_[0].status.statuses(), expected);
            for (const Matrix& q : added_[0].q.read()) EXPECT_TRUE(q.allFinite());
            check(false, method == QrMethod::householder);
        }
}

// What counts is R's diagonal, not what a column was multiplied by on the way there: of a small one, or of
// one whose vector's head is twice what f32 holds.
TEST_P(QrTest, RanksOfMatricesAtTheEndsOfTheRange) {
    const auto diagonal = [](double first, double second, std::uint64_t n) {
        Matrix a = Matrix::Identity(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(n)) * first;
        a(1, 1) = second;
        return a;
    };
    Matrix heads(2, 1);
    heads << 2.5e38, 1e30;
    Graph graph(device());
    for (const std::uint64_t n : {2u, 40u}) {
        add(graph, {{diagonal(1, 1e-25, n), diagonal(1e-18, 8e-19, n)}, {.method = QrMethod::householder}});
        Matrix large = diagonal(2.5e38, 2.4e38, n);
        large(1, 0) = -1e31;
        add(graph, {{large}, {.method = QrMethod::householder}});
    }
    add(graph, {{heads}, {.method = QrMethod::householder}});
    run(graph);
    for (const std::size_t i : {0u, 2u})
        EXPECT_EQ(added_[i].status.statuses(), (std::vector<std::string>{"rank_deficient", "ok"}));
    for (const std::size_t i : {1u, 3u, 4u})
        EXPECT_EQ(added_[i].status.statuses(), (std::vector<std::string>{"ok"}));
    check(false);
}

// Columns that are multiples of others to the last bit, which no rounding tells apart: A = Q R all the same,
// and the first column, on which the others depend, has length 1.
TEST_P(QrTest, ParallelColumnsAreNoZeros) {
    const Matrix column = rounded(random_matrix(200, 1, 3), DType::bf16),
                 row = rounded(random_matrix(1, 64, 4), DType::bf16);
    Matrix signs = column * row, several = random_matrix(200, 64, 5), zeros = several;
    signs = signs.unaryExpr([](double x) { return x < 0 ? -1.0 : 1.0; });
    for (const Eigen::Index same : {3, 40, 63}) several.col(same) = several.col(0);
    zeros.rightCols(63).setZero();
    for (const bool cpu : {true, false}) {
        Graph graph(device({.cpu = !cpu}));
        for (const std::uint32_t passes : {2u, 3u, 4u})
            add(graph, {{Matrix::Ones(200, 64), column * row, signs, several, zeros,
                         column * row.leftCols(1) * Matrix::Ones(1, 64)},
                        {.method = QrMethod::cholesky, .passes = passes}});
        run(graph);
        for (const Added& added : added_) {
            // Each pass takes a column that depends on others to some 2^-10 of its length: two are too few to
            // name it.
            if (added.x.options.passes > 2) {
                EXPECT_EQ(added.status.statuses(), std::vector<std::string>(6, "rank_deficient"));
            }
            const std::vector<Matrix> q = added.q.read();
            for (std::size_t item = 0; item < q.size(); ++item) {
                const double length = q[item].col(0).norm();
                ratio("length of the first column", added.x.a[item], std::abs(length - 1),
                      (4 * 64 + 2 * std::sqrt(200.0) + 64 * 200) * 0x1p-24, "item " + std::to_string(item));
                EXPECT_TRUE(q[item].allFinite());
            }
        }
        check(false, false, true);
    }
}

// What is left of a column that depends on others shrinks by 2^-24 with each of them, to the end of the
// range.
TEST_P(QrTest, HouseholderIsOrthonormalWhereAllColumnsAreDependent) {
    for (const bool cpu : {true, false}) {
        Graph graph(device({.cpu = !cpu}));
        const auto householder = [&](const Matrix& a) {
            add(graph, {{a}, {.method = QrMethod::householder}});
        };
        for (const auto& [rows, cols] : {std::pair{200, 16}, {64, 24}, {33, 33}, {100, 70}})
            householder(Matrix::Ones(rows, cols));
        householder(Matrix::Ones(40, 1) * random_matrix(1, 24, 3));
        Matrix small = 1e-20 * Matrix::Ones(40, 1) * random_matrix(1, 8, 4);
        small.col(0) = random_matrix(40, 1, 5);
        householder(small);
        run(graph);
        check(false, true, true);
    }
}

TEST_P(QrTest, NonfiniteInputGivesZerosAndStaysAlone) {
    for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
        for (std::uint64_t n : {12u, 48u}) {
            const Matrix good = random_matrix(60, n, 1);
            Matrix nan = good, infinite = good, late = good;
            nan(59, 0) = std::numeric_limits<double>::quiet_NaN();
            infinite(3, 5) = std::numeric_limits<double>::infinity();
            late(0, n - 1) = std::numeric_limits<double>::quiet_NaN();
            Graph graph(device());
            add(graph, {{good, nan, infinite, late, good}, {.method = method}});
            run(graph);
            EXPECT_EQ(added_[0].status.statuses(),
                      (std::vector<std::string>{"ok", "nonfinite", "nonfinite", "nonfinite", "ok"}));
            const std::vector<Matrix> q = added_[0].q.read(), r = added_[0].r.read();
            for (std::size_t item : {1u, 2u, 3u}) {
                EXPECT_TRUE((q[item].array() == 0).all());
                EXPECT_TRUE((r[item].array() == 0).all());
            }
            EXPECT_EQ(q[0], q[4]);
            ratio("residual", good, (rounded(good, DType::f32) - q[0] * r[0]).norm(),
                  4 * static_cast<double>(n) * 0x1p-24 * good.norm(), "good");
            added_.clear();
        }
}

TEST_P(QrTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        added_.clear();
        add(graph, {{random_matrix(80, 30, 1), random_matrix(80, 30, 2)}});
        add(graph, {{random_matrix(120, 70, 1)}, {.method = QrMethod::householder}});
        add(graph, {{random_matrix(120, 70, 1)}, {.method = QrMethod::cholesky}});
        std::vector<GuardedBuffer*> results;
        for (const Added& added : added_)
            for (const Placed* placed : {&added.q, &added.r}) results.push_back(placed->buffer);
        return results;
    });
}

TEST_P(QrTest, NothingIsOk) {
    Graph graph(device());
    add(graph, {{Matrix(5, 0), Matrix(5, 0)}});
    run(graph);
    EXPECT_EQ(added_[0].status.statuses(), (std::vector<std::string>{"ok", "ok"}));
}

TEST_P(QrTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor a = tensor({6, 4}), q = tensor({6, 4}), r = tensor({4, 4});
    expect_refusals(
        graph, {
                   {"A is empty", [&] { qr(graph, {}, q, r); }},
                   {"one of QrMethod", [&] { qr(graph, a, q, r, {.method = static_cast<QrMethod>(3)}); }},
                   {"Q is empty", [&] { qr(graph, a, {}, r); }},
                   {"R is empty", [&] { qr(graph, a, q, {}); }},
                   {"at least as many rows",
                    [&] {
                        qr(graph, tensor({4, 6}), q, r);
                    }},
                   {"shapes must agree",
                    [&] {
                        qr(graph, a, tensor({5, 4}), r);
                    }},
                   {"4 rows and columns",
                    [&] {
                        qr(graph, a, q, tensor({6, 4}));
                    }},
                   {"Q is 6x4 f16; its elements must be f32",
                    [&] {
                        qr(graph, a, tensor({6, 4}, DType::f16), r);
                    }},
                   {"R is 4x4 f16; its elements must be f32",
                    [&] {
                        qr(graph, a, q, tensor({4, 4}, DType::f16));
                    }},
                   {"at most 4096 rows",
                    [&] {
                        qr(graph, tensor({4097, 4}), tensor({4097, 4}), r, {.method = QrMethod::householder});
                    }},
                   {device().capabilities().cpu ? "at most 8192 columns" : "at most",
                    [&] {
                        const std::uint64_t many = device().capabilities().cpu ? 8193 : 65536;
                        const Tensor large = tensor({many, many});
                        qr(graph, large, large, tensor({many, many}));
                    }},
                   {"2, 3 or 4", [&] { qr(graph, a, q, r, {.passes = 1}); }},
                   {"overlaps A", [&] { qr(graph, a, q, a.row_range(1, 4)); }},
                   {"1 u32", [&] { qr(graph, a, q, r, {.status = tensor({2}, DType::u32)}); }},
               });
}

HERON_DEVICE_TESTS(QrTest);

}  // namespace
}  // namespace heron::test
