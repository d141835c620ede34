// SPDX-License-Identifier: MIT
// svd(), polar_by_svd() and truncated_svd() on every device: residual ratios in float64, singular values
// against Eigen.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

constexpr std::uint32_t kOk = static_cast<std::uint32_t>(MatrixStatus::ok);
constexpr std::uint32_t kRankDeficient = static_cast<std::uint32_t>(MatrixStatus::rank_deficient);

struct Case {
    std::vector<Matrix> items;
    DType dtype = DType::f32;
    std::uint64_t gap = 0;
    SvdOptions options;
};

Vector scaled_singular_values(const Matrix& a) {
    const double norm = a.stableNorm();
    return singular_values(a / (norm == 0 ? 1 : norm)) * norm;
}

// Errors in units of the longer extent times eps.
struct Ratios {
    double residual = 0, left = 0, right = 0;
};

class SvdTest : public LinalgTest {
protected:
    struct Added {
        Case c;
        std::uint64_t m, n, k;
        Placed u, s, v;
        Words status;
    };

    void add(Graph& graph, const Case& c) {
        const auto m = static_cast<std::uint64_t>(c.items[0].rows());
        const auto n = static_cast<std::uint64_t>(c.items[0].cols());
        const std::uint64_t k = std::min(m, n), items = c.items.size();
        const Placed a = place(graph, c.items, c.dtype, c.gap);
        const Added added{c,
                          m,
                          n,
                          k,
                          blank(graph, items, m, k, c.gap),
                          blank(graph, 1, items, k),
                          blank(graph, items, n, k, c.gap),
                          words(graph, items)};
        SvdOptions options = c.options;
        options.status = added.status.tensor;
        svd(graph, a.tensor, added.u.tensor, added.s.tensor, added.v.tensor, options);
        added_.push_back(added);
    }

    // U S V^T, the orthonormality of the columns within the numerical rank, zero columns beyond it on the
    // left.
    Ratios check(const Added& added, std::size_t item) {
        const Matrix a = rounded(added.c.items[item], added.c.dtype);
        const Matrix u = added.u.read()[item], v = added.v.read()[item];
        const Vector s = added.s.read()[0].row(static_cast<Eigen::Index>(item));
        const double norm = a.stableNorm();
        const auto length = static_cast<double>(std::max(added.m, added.n));
        Eigen::Index rank = 0;
        while (rank < s.size() && s[rank] > length * kEps32 * s[0]) ++rank;
        const bool tall = added.m >= added.n;
        const Matrix& left = tall ? u : v;
        const Matrix& right = tall ? v : u;
        const double allowed = length * kEps32;
        const Matrix inner = left.leftCols(rank);
        const Vector expected = scaled_singular_values(a);
        const std::string where =
            std::to_string(added.m) + "x" + std::to_string(added.n) + " " + to_string(added.c.dtype);
        const double residual = (a - u * s.asDiagonal() * v.transpose()).stableNorm();
        const double orthogonality = (inner.transpose() * inner - Matrix::Identity(rank, rank)).norm();
        ratio("residual", a, residual, 2 * allowed * norm, where);
        ratio("orthogonality of the longer vectors", a, orthogonality, 5 * allowed, where);
        const double other =
            (right.transpose() * right - Matrix::Identity(right.cols(), right.cols())).norm();
        ratio("orthogonality of the shorter vectors", a, other, 5 * allowed, where);
        ratio("values", a, (s - expected).cwiseAbs().maxCoeff(), 5 * allowed * expected[0], where);
        for (Eigen::Index i = 1; i < s.size(); ++i) EXPECT_GE(s[i - 1], s[i]) << where;
        EXPECT_EQ(left.rightCols(left.cols() - rank).cwiseAbs().sum(), 0.0) << where;
        EXPECT_EQ(added.status.words()[item], rank < s.size() ? kRankDeficient : kOk) << where;
        return {norm == 0 ? 0 : residual / (allowed * norm), orthogonality / allowed, other / allowed};
    }

    void check_all() {
        for (const Added& added : added_)
            for (std::size_t item = 0; item < added.c.items.size(); ++item) check(added, item);
    }

    void check_polar(const Matrix& a, const Matrix& is, std::uint32_t status) {
        const std::string where = std::to_string(a.rows()) + "x" + std::to_string(a.cols());
        const ThinSvd reference = thin_svd(a);
        const Vector& s = reference.values;
        const double eps = static_cast<double>(std::max(a.rows(), a.cols())) * kEps32;
        Eigen::Index rank = 0;
        while (rank < s.size() && s[rank] > eps * s[0]) ++rank;
        EXPECT_EQ(status, rank < s.size() ? kRankDeficient : kOk) << where;
        const Matrix should = reference.u.leftCols(rank) * reference.v.leftCols(rank).transpose();
        ratio("polar_by_svd", a, (is - should).norm(), rank == 0 ? 0 : 100 * kEps32 * s[0] / s[rank - 1],
              where);
        ratio("polar_by_svd, orthonormality", a, (is * is.transpose() * is - is).norm(), 10 * eps, where);
    }

    // Batches of 2: a matrix whose singular values fall by `decay` each, and one of rank r. The same
    // iteration from the same start in float64 says how much of A that basis leaves out; what remains is
    // svd()'s error.
    void check_truncated(std::uint64_t m, std::uint64_t n, std::uint64_t r, double decay) {
        std::vector<double> sigma(std::min(m, n));
        for (std::uint64_t i = 0; i < sigma.size(); ++i) sigma[i] = std::pow(decay, static_cast<double>(i));
        const Matrix falling = with_singular_values(sigma, m, n, 3);
        std::fill(sigma.begin() + static_cast<std::ptrdiff_t>(r), sigma.end(), 0.0);
        Graph graph(device());
        const Placed a = place(graph, {falling, with_singular_values(sigma, m, n, 4)});
        const Placed u = place(graph, {random_matrix(m, r, 5), random_matrix(m, r, 6)});  // start and result
        const Placed s = blank(graph, 1, 2, r), v = blank(graph, 2, n, r);
        const Words status = words(graph, 2);
        constexpr std::uint32_t kIterations = 3;
        truncated_svd(graph, a.tensor, u.tensor, s.tensor, v.tensor,
                      {.iterations = kIterations, .basis = u.tensor, .status = status.tensor});
        Plan plan = graph.compile({});
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        std::vector<Matrix> bases{orthonormal_basis(u.items[0]), orthonormal_basis(u.items[1])};
        const auto order = static_cast<Eigen::Index>(r);
        const double eps = static_cast<double>(std::max(m, n)) * kEps32;
        for (int step = 0; step < 3; ++step) {
            plan.run();
            for (std::size_t item = 0; item < 2; ++item) {
                const std::string where = std::to_string(m) + "x" + std::to_string(n) + " rank " +
                                          std::to_string(r) + " item " + std::to_string(item);
                EXPECT_EQ(status.words()[item], kOk) << where;
                const Matrix& matrix = a.items[item];
                Matrix& basis = bases[item];
                for (std::uint32_t i = 0; i < kIterations; ++i)
                    basis = orthonormal_basis(matrix * orthonormal_basis(matrix.transpose() * basis));
                const Matrix projected = basis.transpose() * matrix;
                const Vector should = singular_values(projected);
                const Matrix left = u.read()[item], right = v.read()[item];
                const Vector values = s.read()[0].row(static_cast<Eigen::Index>(item));
                const double rest = (matrix - basis * projected).norm();
                ratio("truncated_svd, residual", matrix,
                      (matrix - left * values.asDiagonal() * right.transpose()).norm(),
                      rest + eps * matrix.norm(), where);
                ratio("truncated_svd, values", matrix, (values - should).cwiseAbs().maxCoeff(),
                      eps * should[0], where);
                for (const Matrix* q : {&left, &right})
                    ratio("truncated_svd, orthogonality", matrix,
                          (q->transpose() * *q - Matrix::Identity(order, order)).norm(), eps, where);
            }
        }
    }

    std::vector<Added> added_;
};

TEST_P(SvdTest, MatchesFloat64ForEveryShapeOfASinglePair) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 65u, 88u})
        add(graph, {{random_matrix(n, n, n)}});
    for (auto [m, n] : {std::pair{1u, 7u}, {7u, 1u}, {300u, 5u}, {5u, 300u}, {65u, 31u}, {31u, 129u}})
        add(graph, {{random_matrix(m, n, m)}});
    run(graph);
    check_all();
}

TEST_P(SvdTest, MatchesFloat64ForEveryKindOfMatrix) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds()) {
        add(graph, {{make_matrix(kind, 6, 6, 1)}});
        add(graph, {{make_matrix(kind, 40, 33, 2)}});
        add(graph, {{make_matrix(kind, 17, 50, 3)}});
    }
    run(graph);
    check_all();
}

// A budget of sweeps chooses Jacobi's method.
TEST_P(SvdTest, MatchesFloat64InBlocks) {
    Graph graph(device());
    for (const Matrix& a : {random_matrix(128, 128, 1), make_matrix(MatrixKind::geometric, 129, 97, 2),
                            make_matrix(MatrixKind::half_rank, 100, 150, 3)}) {
        Case c{{a}};
        c.options.max_sweeps = 20;
        add(graph, c);
    }
    run(graph);
    check_all();
}

TEST_P(SvdTest, MatchesFloat64ByThePolarFactor) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds()) add(graph, {{make_matrix(kind, 100, 95, 1)}});
    for (auto [m, n] :
         {std::pair{128u, 128u}, {97u, 129u}, {97u, 400u}, {257u, 90u}, {255u, 255u}, {256u, 256u}})
        add(graph, {{random_matrix(m, n, m)}});
    add(graph, {{random_matrix(91, 99, 1), Matrix(Matrix::Zero(91, 99)),
                 make_matrix(MatrixKind::half_rank, 91, 99, 3)}});
    run(graph);
    check_all();
}

// By QR first: errors are those of k columns, however long they are, and of the orthonormality of Q. 70000: a
// driver ends loops after 65,535 rounds.
TEST_P(SvdTest, TallMatricesMatchFloat64) {
    Graph graph(device());
    Matrix nan = random_matrix(1200, 7, 5);
    nan(1100, 2) = kNan;
    for (auto [m, n] : {std::pair{70000u, 3u}, {3u, 70000u}, {5000u, 40u}, {1100u, 100u}})
        add(graph, {{random_matrix(m, n, m)}});
    add(graph, {{make_matrix(MatrixKind::half_rank, 1200, 7, 1), Matrix::Zero(1200, 7),
                 make_matrix(MatrixKind::geometric, 1200, 7, 2)}});
    add(graph,
        {{random_matrix(1100, 9, 3), make_matrix(MatrixKind::rank_one, 1100, 9, 4)}, DType::bf16, 1, {}});
    Case blocked{{1e34 * make_matrix(MatrixKind::half_rank, 90, 1030, 5)}};
    blocked.options.max_sweeps = 20;
    add(graph, blocked);
    const Added bad = (add(graph, {{random_matrix(1200, 7, 4), nan}}), added_.back());
    added_.pop_back();
    run(graph);
    check_all();
    for (const Added& added : added_)
        for (std::size_t item = 0; item < added.c.items.size(); ++item) {
            const Ratios is = check(added, item);
            const auto length = static_cast<double>(std::max(added.m, added.n)),
                       k = static_cast<double>(added.k);
            EXPECT_LE(is.right * length, 5 * k) << added.m << "x" << added.n;
            if (added.status.words()[item] != kOk) continue;  // beyond the rank, U is zero and S is not
            EXPECT_LE(is.residual * length, 4 * k) << added.m << "x" << added.n;
            EXPECT_LE(is.left * length, 7 * k + std::sqrt(length)) << added.m << "x" << added.n;
        }
    EXPECT_EQ(bad.status.statuses(), (std::vector<std::string>{"ok", "nonfinite"}));
    check(bad, 0);
    EXPECT_EQ(bad.u.read()[1], Matrix(Matrix::Zero(1200, 7)));
    EXPECT_EQ(bad.s.read()[0].row(1).norm(), 0.0);
    EXPECT_EQ(bad.v.read()[1], Matrix(Matrix::Identity(7, 7)));
}

// Singular values on both sides of what counts as rank beside those of norm one: the least that the iteration
// has to bring to one, with the largest rounding errors that it may make.
// By way of qr(), which no rounding helps to tell such columns apart.
TEST_P(SvdTest, TallMatricesMayHaveParallelColumns) {
    Matrix several = random_matrix(1100, 64, 1), outer = random_matrix(1100, 1, 2) * random_matrix(1, 64, 3);
    for (const Eigen::Index same : {1, 7, 63}) several.col(same) = several.col(0);
    Graph graph(device());
    add(graph,
        {{Matrix::Ones(1100, 64), several, outer.unaryExpr([](double x) { return x < 0 ? -1.0 : 1.0; })}});
    add(graph, {{Matrix::Ones(64, 1100)}});
    run(graph);
    check_all();
}

TEST_P(SvdTest, SingularValuesAtTheEdgeOfTheRankKeepTheirVectors) {
    const std::uint64_t n = 96;
    const double least = static_cast<double>(n) * kEps32;
    Graph graph(device());
    for (const std::vector<double>& parts : {std::vector<double>{1.0, 1.5 * least},
                                             {1.0, 1.5 * least, 0.0},
                                             {1.0, 1.5 * least, 0.5 * least, 0.1 * least},
                                             {1.0, 1e-3, 1e-5 + least}}) {
        std::vector<double> sigma(n);
        for (std::uint64_t i = 0; i < n; ++i) sigma[i] = parts[i * parts.size() / n];
        add(graph, {{with_singular_values(sigma, n, n, parts.size())}});
    }
    run(graph);
    check_all();
}

TEST_P(SvdTest, TakesBatchesStridesAndEveryType) {
    Graph graph(device());
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        const std::uint64_t gap = dtype == DType::f32 ? 3 : 1;
        add(graph,
            {{random_matrix(13, 9, 1), make_matrix(MatrixKind::hilbert, 13, 9, 2), Matrix::Zero(13, 9)},
             dtype,
             gap,
             {}});
        add(graph, {{random_matrix(9, 13, 4), random_matrix(9, 13, 5)}, dtype, gap, {}});
    }
    add(graph, {{random_matrix(70, 100, 6), random_matrix(70, 100, 7)}, DType::f32, 1, {}});
    run(graph);
    check_all();
}

TEST_P(SvdTest, NormsFromTheSmallestToTheLargestWork) {
    Graph graph(device());
    for (double scale : {1e-30, 1e-18, 1e18, 1e37}) {
        add(graph, {{random_matrix(10, 14, 1) * scale}});
        add(graph, {{random_matrix(14, 10, 2) * scale}});
    }
    run(graph);
    check_all();
}

TEST_P(SvdTest, BadMatricesAreReportedAndDoNotTouchTheOthers) {
    for (std::uint64_t n : {20u, 96u}) {
        added_.clear();
        const Matrix good = random_matrix(n + 4, n, 4);
        Graph graph(device());
        add(graph, {{good, make_matrix(MatrixKind::one_nan, n + 4, n, 1), good,
                     make_matrix(MatrixKind::one_inf, n + 4, n, 2)}});
        add(graph, {{good}});
        run(graph);
        EXPECT_EQ(added_[0].status.words(),
                  (std::vector<std::uint32_t>{0, static_cast<std::uint32_t>(MatrixStatus::nonfinite), 0,
                                              static_cast<std::uint32_t>(MatrixStatus::nonfinite)}));
        const auto same = [&](const GuardedBuffer& batch, const GuardedBuffer& one) {
            const std::vector<float> x = batch.floats(), y = one.floats();
            for (std::size_t item : {0u, 2u})
                EXPECT_TRUE(
                    std::equal(y.begin(), y.end(), x.begin() + static_cast<std::ptrdiff_t>(item * y.size())));
            for (std::size_t i = y.size(); i < 2 * y.size(); ++i) EXPECT_TRUE(std::isfinite(x[i]));
        };
        same(*added_[0].u.buffer, *added_[1].u.buffer);
        same(*added_[0].s.buffer, *added_[1].s.buffer);
        same(*added_[0].v.buffer, *added_[1].v.buffer);
        const std::vector<float> s = added_[0].s.buffer->floats(), u = added_[0].u.buffer->floats();
        for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(s[n + i] + s[3 * n + i], 0.0f);
        for (std::size_t i = 0; i < n * (n + 4); ++i) EXPECT_EQ(u[n * (n + 4) + i], 0.0f);
    }
}

TEST_P(SvdTest, SaysWhenTheSweepsRanOut) {
    Graph graph(device());
    Case c{{random_matrix(100, 100, 1)}};
    c.options.max_sweeps = 2;
    add(graph, c);
    run(graph);
    EXPECT_EQ(added_[0].status.words()[0], static_cast<std::uint32_t>(MatrixStatus::not_converged));
}

TEST_P(SvdTest, SmallestLimitsOfVulkanSufficeAndVariantsForGpusRunAnywhere) {
    for (Device* on : {&gpu(), &smallest_gpu(), &device({.max_shared_memory = 16384})}) {
        added_.clear();
        Graph graph(*on);
        for (auto [m, n] : {std::pair{1u, 1u}, {50u, 33u}, {56u, 57u}, {64u, 64u}, {70u, 90u}})
            add(graph, {{random_matrix(m, n, m)}});
        run(graph);
        check_all();
    }
}

TEST_P(SvdTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        added_.clear();
        add(graph, {{random_matrix(40, 30, 1), random_matrix(40, 30, 2)}});
        add(graph, {{random_matrix(70, 100, 3)}});
        std::vector<GuardedBuffer*> results;
        for (const Added& added : added_)
            for (const Placed* result : {&added.u, &added.s, &added.v}) results.push_back(result->buffer);
        return results;
    });
}

// Perturbations of A by u |A| turn the factor by as much over the smallest singular value: what the header
// allows. Orthonormal, within the rank, as both factors are together: Q Q^T Q = Q.
TEST_P(SvdTest, PolarFactorIsTheClosestOrthonormalMatrix) {
    struct Run {
        Placed a, result;
        Words status;
    };
    std::vector<Run> runs;
    Graph graph(device());
    for (const Matrix& a :
         {random_matrix(20, 31, 1), random_matrix(31, 20, 2), make_matrix(MatrixKind::half_rank, 24, 24, 3),
          make_matrix(MatrixKind::rank_one, 9, 30, 4), Matrix(Matrix::Zero(6, 4)), random_matrix(90, 70, 5),
          random_matrix(256, 200, 6), make_matrix(MatrixKind::half_rank, 130, 170, 7),
          make_matrix(MatrixKind::clustered, 100, 150, 8)}) {
        const Placed placed = place(graph, {a});
        Run one{placed, blank(graph, 1, placed.rows, placed.cols), words(graph, 1)};
        polar_by_svd(graph, one.a.tensor, one.result.tensor, {.status = one.status.tensor});
        runs.push_back(std::move(one));
    }
    run(graph);
    for (const Run& one : runs) check_polar(one.a.items[0], one.result.read()[0], one.status.words()[0]);
}

// Full rank, none, half, hardly (the least singular value is above what counts as rank, and below what is
// certain), and a matrix that is not finite.
TEST_P(SvdTest, PolarFactorsOfABatchMindTheirOwnRank) {
    for (auto [m, n] : {std::pair{40u, 33u}, {33u, 40u}, {16u, 16u}}) {
        const std::uint64_t k = std::min(m, n);
        std::vector<double> sigma(k, 1.0);
        sigma[k - 1] = 4 * std::max(m, n) * kEps32;
        const std::vector<Matrix> batch{random_matrix(m, n, 1),
                                        Matrix::Zero(m, n),
                                        make_matrix(MatrixKind::half_rank, m, n, 2),
                                        rounded(with_singular_values(sigma, m, n, 3), DType::f32),
                                        make_matrix(MatrixKind::one_nan, m, n, 4),
                                        random_matrix(m, n, 5)};
        Graph graph(device());
        const Placed a = place(graph, batch), result = blank(graph, batch.size(), m, n, 1);
        const Words status = words(graph, batch.size());
        polar_by_svd(graph, a.tensor, result.tensor, {.status = status.tensor});
        run(graph);
        EXPECT_EQ(status.statuses(), (std::vector<std::string>{"ok", "rank_deficient", "rank_deficient", "ok",
                                                               "nonfinite", "ok"}));
        const std::vector<Matrix> is = result.read();
        EXPECT_EQ(is[1], batch[1]);
        EXPECT_EQ(is[4], batch[1]);
        for (std::size_t i : {0u, 2u, 3u, 5u}) check_polar(a.items[i], is[i], i == 2 ? kRankDeficient : kOk);
    }
}

TEST_P(SvdTest, TruncatedSvdFindsTheLargestSingularValues) {
    check_truncated(60, 45, 6, 0.4);
    check_truncated(200, 150, 10, 0.7);
    check_truncated(90, 170, 8, 0.5);
}

TEST_P(SvdTest, TruncatedSvdTakesMatricesWiderThanSvdDoes) {
    constexpr std::uint64_t kOrder = 4100;
    const auto n = static_cast<Eigen::Index>(kOrder);
    Graph graph(device());
    const Placed a = place(graph, {3 * Matrix::Ones(n, n)}),
                 start = place(graph, {random_matrix(kOrder, 1, 1)}), u = blank(graph, 1, kOrder, 1),
                 s = blank(graph, 1, 1, 1), v = blank(graph, 1, kOrder, 1);
    truncated_svd(graph, a.tensor, u.tensor, s.tensor, v.tensor, {.iterations = 1, .basis = start.tensor});
    run(graph);
    EXPECT_NEAR(s.read()[0](0, 0), 3.0 * kOrder, 1e-5 * 3.0 * kOrder);
}

// What counts as rank is at most 2^-10 of the largest singular value, however long the matrix is.
TEST_P(SvdTest, TheRankOfLongMatricesIsSeen) {
    constexpr std::uint64_t kLong = 1 << 21;
    Matrix a = Matrix::Ones(kLong, 2);
    for (Eigen::Index i = 0; i < a.rows(); ++i) a(i, 1) = i % 2 == 0 ? 0.125 : -0.125;
    Graph graph(device());
    const Placed x = place(graph, {a}), u = blank(graph, 1, kLong, 2), s = blank(graph, 1, 1, 2),
                 v = blank(graph, 1, 2, 2);
    const Words status = words(graph, 1);
    svd(graph, x.tensor, u.tensor, s.tensor, v.tensor, {.status = status.tensor});
    run(graph);
    EXPECT_EQ(status.statuses(), (std::vector<std::string>{"ok"}));
    const Matrix us = u.read()[0], ss = s.read()[0], vs = v.read()[0];
    const double length = std::sqrt(static_cast<double>(kLong));
    // 1e-3: what rounds more could not be told from what counts as rank. (The header's 4 m u would be a
    // half.)
    EXPECT_NEAR(ss(0, 0), length, 1e-3 * length);
    EXPECT_NEAR(ss(0, 1), 0.125 * length, 1e-3 * length);
    EXPECT_LE((us * ss.row(0).asDiagonal() * vs.transpose() - a).norm(), 1e-3 * a.norm());
}

// Nor do its roundings pass for rank.
TEST_P(SvdTest, LongMatricesMayHaveEqualColumns) {
    constexpr std::uint64_t kLong = 1 << 21;
    Graph graph(device());
    const Placed x = place(graph, {Matrix::Ones(kLong, 2)}), s = blank(graph, 1, 1, 2);
    const Words status = words(graph, 1);
    svd(graph, x.tensor, {}, s.tensor, {}, {.status = status.tensor});
    run(graph);
    EXPECT_EQ(status.statuses(), (std::vector<std::string>{"rank_deficient"}));
    const double norm = std::sqrt(2.0 * static_cast<double>(kLong));
    EXPECT_NEAR(s.read()[0](0, 0), norm, 1e-3 * norm);
}

TEST_P(SvdTest, TruncatedSvdHasTheSameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e4, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed a = place(graph, {random_matrix(70, 50, 1), random_matrix(70, 50, 2)});
        const Placed start = place(graph, {random_matrix(70, 6, 3), random_matrix(70, 6, 4)});
        const Placed u = blank(graph, 2, 70, 6), s = blank(graph, 1, 2, 6), v = blank(graph, 2, 50, 6);
        truncated_svd(graph, a.tensor, u.tensor, s.tensor, v.tensor, {.basis = start.tensor});
        return {u.buffer, s.buffer, v.buffer};
    });
}

TEST_P(SvdTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    Graph enormous(device());  // which is not compiled: no device has the memory
    const Tensor a = graph.temporary(DType::f32, {2, 6, 4}), u = graph.temporary(DType::f32, {2, 6, 4});
    const Tensor s = graph.temporary(DType::f32, {2, 4}), v = graph.temporary(DType::f32, {2, 4, 4});
    const Tensor u2 = graph.temporary(DType::f32, {2, 6, 2}), v2 = graph.temporary(DType::f32, {2, 4, 2});
    const Tensor s2 = graph.temporary(DType::f32, {2, 2});
    expect_refusals(
        graph, {
                   {"svd: A is empty", [&] { svd(graph, {}, u, s, v); }},
                   {"U is 2x4x4 f32", [&] { svd(graph, a, v, s, v); }},
                   {"V is 2x6x4 f32", [&] { svd(graph, a, u, s, u); }},
                   {"S is 2x2 f32", [&] { svd(graph, a, u, s2, v); }},
                   {"overlaps A", [&] { svd(graph, a, a, s, v); }},
                   {"max_sweeps is 65", [&] { svd(graph, a, u, s, v, {.max_sweeps = 65}); }},
                   {"2 u32", [&] { svd(graph, a, u, s, v, {.status = s}); }},
                   {"at most 4096",
                    [&] {
                        polar_by_svd(graph, graph.temporary(DType::f32, {4097, 4097}), u);
                    }},
                   {"padded matrices, 8x8",
                    [&] {
                        constexpr std::uint64_t kMany = (std::uint64_t{1} << 26) + 1;
                        svd(enormous, enormous.temporary(DType::f32, {kMany, 2, 2}), {},
                            enormous.temporary(DType::f32, {kMany, 2}), {});
                    }},
                   {"polar_by_svd: result is", [&] { polar_by_svd(graph, a, v); }},
                   {"basis is empty", [&] { truncated_svd(graph, a, u2, s2, v2, {}); }},
                   {"the rank may be at most",
                    [&] {
                        truncated_svd(graph, a, graph.temporary(DType::f32, {2, 6, 5}), s, v, {.basis = u2});
                    }},
                   {"basis is 2x4x2 f32", [&] { truncated_svd(graph, a, u2, s2, v2, {.basis = v2}); }},
                   {"iterations is 65",
                    [&] { truncated_svd(graph, a, u2, s2, v2, {.iterations = 65, .basis = u2}); }},
               });
    svd(graph, graph.temporary(DType::f32, {0, 4}), graph.temporary(DType::f32, {0, 0}),
        graph.temporary(DType::f32, {0}), graph.temporary(DType::f32, {4, 0}));
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(SvdTest);

}  // namespace
}  // namespace heron::test
