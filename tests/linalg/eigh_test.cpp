// SPDX-License-Identifier: MIT
// eigh() on every device: LAPACK-style residual ratios in float64, eigenvalues against Eigen.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

constexpr std::uint32_t kOk = static_cast<std::uint32_t>(MatrixStatus::ok);

// A symmetric matrix of a kind: eigenvalues are the kind's singular values, where it has any, with changing
// signs.
Matrix symmetric_matrix(MatrixKind kind, std::uint64_t n, std::uint64_t seed) {
    const Matrix x = make_matrix(kind, n, n, seed);
    if (kind == MatrixKind::clustered || kind == MatrixKind::geometric) {
        const Matrix square = x * x.transpose();
        const SymmetricEigen eigen = symmetric_eigen(square);
        Vector values = eigen.values.cwiseMax(0.0).cwiseSqrt();
        for (Eigen::Index i = 1; i < values.size(); i += 2) values[i] = -values[i];
        return eigen.vectors * values.asDiagonal() * eigen.vectors.transpose();
    }
    if (kind == MatrixKind::rank_one || kind == MatrixKind::half_rank) return x * x.transpose();
    return (x + x.transpose()) / 2;
}

struct Case {
    std::vector<Matrix> items;
    DType dtype = DType::f32;
    std::uint64_t gap = 0;
    EighOptions options;
    std::vector<Matrix> basis;
};

class EighTest : public LinalgTest {
protected:
    struct Added {
        Case c;
        std::uint64_t n;
        Placed values, vectors;
        Words status;
    };

    void add(Graph& graph, const Case& c) {
        const auto n = static_cast<std::uint64_t>(c.items[0].cols());
        const std::uint64_t items = c.items.size();
        const Placed a = place(graph, c.items, c.dtype, c.gap);
        const Added added{c, n, blank(graph, 1, items, n), blank(graph, items, n, n, c.gap),
                          words(graph, items)};
        EighOptions options = c.options;
        options.status = added.status.tensor;
        if (!c.basis.empty()) options.basis = place(graph, c.basis).tensor;
        eigh(graph, a.tensor, added.values.tensor, added.vectors.tensor, options);
        added_.push_back(added);
    }

    Matrix vectors(const Added& added, std::size_t item) const {
        const Matrix v = added.vectors.read()[item];
        return added.c.options.vectors_as_rows ? Matrix(v.transpose()) : v;
    }
    Vector values(const Added& added, std::size_t item) const {
        return added.values.read()[0].row(static_cast<Eigen::Index>(item));
    }

    // LAPACK's ratios, which may be 1, 2 and, for values, 5.
    void check(const Added& added, std::size_t item) {
        Matrix a = rounded(added.c.items[item], added.c.dtype);
        a = ((a + a.transpose()) / 2).eval();
        const Matrix v = vectors(added, item);
        const Vector d = values(added, item);
        const double allowed = static_cast<double>(added.n) * kEps32, norm = a.stableNorm();
        const Vector expected = symmetric_eigen(a / (norm == 0 ? 1 : norm)).values * norm;
        const std::string where =
            std::to_string(added.n) + "x" + std::to_string(added.n) + " " + to_string(added.c.dtype);
        ratio("residual", a, (a - v * d.asDiagonal() * v.transpose()).stableNorm(), allowed * norm, where);
        ratio("orthogonality", a, (v.transpose() * v - Matrix::Identity(a.rows(), a.cols())).norm(),
              2 * allowed, where);
        ratio("values", a, (d - expected).cwiseAbs().maxCoeff(), 5 * allowed * expected.cwiseAbs().maxCoeff(),
              where);
        for (Eigen::Index i = 1; i < d.size(); ++i) EXPECT_LE(d[i - 1], d[i]) << where;
    }

    void check_all() {
        for (const Added& added : added_)
            for (std::size_t item = 0; item < added.c.items.size(); ++item) {
                EXPECT_EQ(added.status.words()[item], kOk) << added.n;
                check(added, item);
            }
    }

    std::vector<Added> added_;
};

TEST_P(EighTest, MatchesFloat64ForEverySizeInOneWorkgroup) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 64u, 87u, 88u})
        add(graph, {{symmetric_matrix(MatrixKind::random, n, n)}});
    run(graph);
    check_all();
}

TEST_P(EighTest, MatchesFloat64ForEveryKindOfMatrix) {
    Graph graph(device());
    for (std::uint64_t n : {6u, 33u, 62u, 100u})
        for (MatrixKind kind : finite_matrix_kinds()) add(graph, {{symmetric_matrix(kind, n, n)}});
    run(graph);
    check_all();
}

// A budget of sweeps chooses Jacobi's method.
// Of one workgroup's matrices the eigenvalues at the lower end have digits of their own: what their vectors
// are off by, some n u, matters squared. (LAPACK's are off by n u of the largest.)
TEST_P(EighTest, SmallEigenvaluesOfSmallMatricesHaveTheirDigits) {
    for (const std::uint64_t n : {2u, 8u, 17u, 31u, 50u}) {
        const Matrix q = symmetric_eigen(symmetric_matrix(MatrixKind::random, n, n)).vectors;
        Vector spectrum(static_cast<Eigen::Index>(n));
        for (Eigen::Index i = 0; i < spectrum.size(); ++i)
            spectrum[i] = std::pow(1e-5, static_cast<double>(i) / static_cast<double>(n - 1));
        Matrix a = q * spectrum.asDiagonal() * q.transpose();
        a = rounded((a + a.transpose()) / 2, DType::f32);
        const Vector expected = symmetric_eigen(a).values;
        Graph graph(device());
        add(graph, {{a}});
        run(graph);
        const Vector found = values(added_.back(), 0);
        const double off = 4 * static_cast<double>(n) * kUnit;
        for (Eigen::Index i = 0; i < expected.size(); ++i)
            EXPECT_LE(std::abs(found[i] - expected[i]), 4 * kUnit * expected[i] + off * off) << n << " " << i;
    }
}

TEST_P(EighTest, MatchesFloat64InBlocks) {
    Graph graph(device());
    for (std::uint64_t n : {127u, 128u, 129u}) {
        Case c{{symmetric_matrix(MatrixKind::random, n, n)}};
        c.options.max_sweeps = 14;
        add(graph, c);
    }
    run(graph);
    check_all();
}

// One part, two, four and eight; 65, 129 and 257 leave the parts unfilled.
TEST_P(EighTest, MatchesFloat64ByDivideAndConquer) {
    Graph graph(device());
    for (std::uint64_t n : {65u, 127u, 128u, 129u, 255u, 256u, 257u})
        add(graph, {{symmetric_matrix(MatrixKind::random, n, n)}});
    add(graph,
        {{symmetric_matrix(MatrixKind::random, 130, 1), symmetric_matrix(MatrixKind::clustered, 130, 2),
          symmetric_matrix(MatrixKind::rank_one, 130, 3)}});
    run(graph);
    check_all();
}

// All sums are of one sign, where plain sums of hundreds of products would lose the most. 60: one workgroup.
TEST_P(EighTest, EigenvectorsOfAllOnesAreOrthogonal) {
    Graph graph(device());
    for (Eigen::Index n : {60, 257, 512}) add(graph, {{Matrix::Ones(n, n)}});
    run(graph);
    check_all();
}

// Tridiagonal matrices that try the joining of parts: halves that do not know of each other, poles that all
// meet (the second difference matrix has the same parts twice), glued copies with couplings at every scale
// (Wilkinson's W+).
TEST_P(EighTest, PartsWithTheSameEigenvaluesAreJoined) {
    Graph graph(device());
    const Eigen::Index n = 128;
    Matrix difference = Matrix::Zero(n, n), wilkinson = difference, decoupled = difference;
    for (Eigen::Index i = 0; i < n; ++i) {
        difference(i, i) = 2;
        decoupled(i, i) = static_cast<double>(i % 3);
        wilkinson(i, i) = std::abs(static_cast<double>(i % 32) - 15.5);
        if (i + 1 == n) continue;
        difference(i, i + 1) = difference(i + 1, i) = -1;
        decoupled(i, i + 1) = decoupled(i + 1, i) = i % 32 == 31 ? 0 : 1;
        wilkinson(i, i + 1) = wilkinson(i + 1, i) =
            i % 32 == 31 ? std::pow(10.0, -static_cast<double>(i) / 20) : 1;
    }
    add(graph, {{difference, decoupled, wilkinson, Matrix(-difference)}});
    run(graph);
    check_all();
}

TEST_P(EighTest, TakesBatchesStridesRowsAndEveryType) {
    Graph graph(device());
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        Case c{{symmetric_matrix(MatrixKind::random, 13, 1), symmetric_matrix(MatrixKind::random, 13, 2),
                symmetric_matrix(MatrixKind::hilbert, 13, 3)},
               dtype,
               dtype == DType::f32 ? 3u : 1u,
               {},
               {}};
        add(graph, c);
        c.options.vectors_as_rows = true;
        add(graph, c);
        if (dtype != DType::f16) continue;
        c.items = {random_matrix(100, 100, 4), random_matrix(100, 100, 5)};  // symmetrised
        c.gap = 2;
        add(graph, c);
    }
    run(graph);
    check_all();
}

TEST_P(EighTest, NormsFromTheSmallestToTheLargestWork) {
    Graph graph(device());
    for (double scale : {1e-30, 1e-18, 1e18, 1e37})
        add(graph, {{symmetric_matrix(MatrixKind::random, 10, 10) * scale}});
    add(graph, {{symmetric_matrix(MatrixKind::random, 100, 1) * 1e18}});
    run(graph);
    check_all();
}

// Elements up to the largest f32, whose sums and whose norm are beyond it; a matrix that is not finite leaves
// the others alone there, too. 10 and 60: one workgroup, 130: divide and conquer.
TEST_P(EighTest, ElementsUpToTheLargestFloatWork) {
    for (std::uint64_t n : {10u, 60u, 130u}) {
        added_.clear();
        const auto order = static_cast<Eigen::Index>(n);
        const Matrix identity = Matrix::Identity(order, order);
        Matrix mixed = symmetric_matrix(MatrixKind::random, n, n);
        mixed *= 3e38 / mixed.cwiseAbs().maxCoeff() / static_cast<double>(n);
        mixed.diagonal().array() += 2e38;  // eigenvalues below the largest float
        Matrix nan = 3e38 * identity;
        nan(3, 4) = kNan;
        Graph graph(device());
        add(graph, {{1.8e38 * identity, nan, mixed, 3e38 * identity}});
        run(graph);
        EXPECT_EQ(added_[0].status.statuses(), (std::vector<std::string>{"ok", "nonfinite", "ok", "ok"}));
        for (std::size_t item : {0u, 2u, 3u}) check(added_[0], item);
        EXPECT_EQ(vectors(added_[0], 1), identity);
        // The largest eigenvalue of these is infinite, the vectors are those of smaller matrices.
        added_.clear();
        Graph full(device());
        add(full, {{Matrix::Constant(order, order, 3e38)}});
        run(full);
        EXPECT_EQ(added_[0].status.words()[0], kOk);
        EXPECT_EQ(values(added_[0], 0)[order - 1], kInfinity);
        const Vector last = vectors(added_[0], 0).col(order - 1).cwiseAbs();
        const double flat = 1 / std::sqrt(static_cast<double>(n));
        EXPECT_LE((last.array() - flat).abs().maxCoeff(), 4 * static_cast<double>(n) * kUnit);
    }
}

TEST_P(EighTest, DiagonalMatricesAreExact) {
    Graph graph(device());
    for (std::uint64_t n : {5u, 100u}) {
        add(graph, {{symmetric_matrix(MatrixKind::diagonal, n, 1)}});
        add(graph, {{Matrix::Zero(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(n))}});
    }
    run(graph);
    for (const Added& added : added_) {
        Vector expected = added.c.items[0].diagonal();
        std::sort(expected.begin(), expected.end());
        EXPECT_EQ(values(added, 0), expected);
        const Matrix v = vectors(added, 0);
        EXPECT_EQ(Matrix(v * values(added, 0).asDiagonal() * v.transpose()), added.c.items[0]);
        EXPECT_EQ(Matrix(v.transpose() * v), Matrix(Matrix::Identity(v.rows(), v.cols())));
    }
}

TEST_P(EighTest, BadMatricesAreReportedAndDoNotTouchTheOthers) {
    for (std::uint64_t n : {20u, 96u}) {
        added_.clear();
        const Matrix good = symmetric_matrix(MatrixKind::random, n, 4);
        Graph graph(device());
        add(graph, {{good, make_matrix(MatrixKind::one_nan, n, n, 1), good,
                     make_matrix(MatrixKind::one_inf, n, n, 2)}});
        add(graph, {{good}});
        Case warm{{make_matrix(MatrixKind::one_nan, n, n, 3)}};
        warm.options.max_sweeps = 12;
        warm.basis = {symmetric_eigen(good).vectors};
        add(graph, warm);
        run(graph);
        EXPECT_EQ(added_[0].status.words(),
                  (std::vector<std::uint32_t>{0, static_cast<std::uint32_t>(MatrixStatus::nonfinite), 0,
                                              static_cast<std::uint32_t>(MatrixStatus::nonfinite)}));
        for (std::size_t item : {0u, 2u}) {
            EXPECT_EQ(vectors(added_[0], item), vectors(added_[1], 0));
            EXPECT_EQ(values(added_[0], item), values(added_[1], 0));
        }
        for (std::size_t item : {1u, 3u}) {
            EXPECT_EQ(vectors(added_[0], item), Matrix(Matrix::Identity(good.rows(), good.cols())));
            EXPECT_EQ(values(added_[0], item).norm(), 0.0);
        }
        EXPECT_EQ(vectors(added_[2], 0), Matrix(Matrix::Identity(good.rows(), good.cols())));
        EXPECT_EQ(values(added_[2], 0).norm(), 0.0);
    }
}

TEST_P(EighTest, SaysWhenTheSweepsRanOut) {
    Graph graph(device());
    for (std::uint64_t n : {40u, 100u}) {
        Case c{{symmetric_matrix(MatrixKind::random, n, n)}};
        c.options.max_sweeps = 2;
        add(graph, c);
    }
    run(graph);
    for (const Added& added : added_) {
        EXPECT_EQ(added.status.words()[0], static_cast<std::uint32_t>(MatrixStatus::not_converged));
        const Matrix v = vectors(added, 0);  // orthonormal all the same
        EXPECT_LE((v.transpose() * v - Matrix::Identity(v.rows(), v.cols())).norm(),
                  static_cast<double>(added.n) * kEps32);
    }
}

// From the basis of a matrix that is 5 % off, fewer sweeps are enough; without it they are not.
TEST_P(EighTest, StartsFromABasis) {
    Graph graph(device());
    for (std::uint64_t n : {48u, 128u}) {
        const Matrix before = symmetric_matrix(MatrixKind::random, n, 1);
        const Matrix now = before + 0.001 * symmetric_matrix(MatrixKind::random, n, 2);
        const Matrix basis = symmetric_eigen(before).vectors;
        Case c{{now}};
        c.options.max_sweeps = 4;
        add(graph, c);
        c.basis = {basis};
        add(graph, c);
    }
    run(graph);
    for (std::size_t i = 0; i < added_.size(); i += 2) {
        EXPECT_EQ(added_[i].status.words()[0], static_cast<std::uint32_t>(MatrixStatus::not_converged));
        EXPECT_EQ(added_[i + 1].status.words()[0], kOk);
        check(added_[i + 1], 0);
    }
}

// The direct method makes nothing of a basis.
TEST_P(EighTest, ABasisIsForJacobisMethodAlone) {
    const Matrix a = symmetric_matrix(MatrixKind::random, 130, 1);
    Graph graph(device());
    add(graph, {{a}});
    Case c{{a}};
    c.basis = {symmetric_eigen(a).vectors};
    add(graph, c);
    run(graph);
    EXPECT_EQ(vectors(added_[1], 0), vectors(added_[0], 0));
    EXPECT_EQ(values(added_[1], 0), values(added_[0], 0));
}

TEST_P(EighTest, ABasisThatIsNoneIsNotUsed) {
    const Matrix a = symmetric_matrix(MatrixKind::random, 30, 1);
    Graph graph(device());
    add(graph, {{a}});
    Case c{{a, a, a}};
    c.basis = {Matrix::Zero(30, 30), random_matrix(30, 30, 2), make_matrix(MatrixKind::one_nan, 30, 30, 3)};
    add(graph, c);
    run(graph);
    for (std::size_t item = 0; item < 3; ++item) {
        EXPECT_EQ(vectors(added_[1], item), vectors(added_[0], 0)) << item;
        EXPECT_EQ(values(added_[1], item), values(added_[0], 0)) << item;
    }
}

TEST_P(EighTest, TheBasisMayBeWhereTheVectorsGo) {
    const std::uint64_t n = 24;
    const Matrix a = symmetric_matrix(MatrixKind::random, n, 6);
    GuardedBuffer& v = guarded(std::vector<float>(n * n, 0.0f));
    GuardedBuffer& values = guarded(std::vector<float>(n, 0.0f));
    Graph graph(device());
    const Tensor vectors = graph.external("v", v.view(DType::f32, {n, n}));
    eigh(graph, graph.external("a", guarded(encode({a}, DType::f32, n)).view(DType::f32, {n, n})),
         graph.external("values", values.view(DType::f32, {n})), vectors, {.basis = vectors});
    Plan plan = graph.compile({});
    plan.allocate();
    for (int step = 0; step < 3; ++step) {
        plan.run();
        const Matrix x = decode(v.read<std::byte>(), DType::f32, 1, n, n, n)[0];
        const std::vector<float> d = values.floats();
        const Vector diagonal = Eigen::Map<const Eigen::VectorXf>(d.data(), n).cast<double>();
        EXPECT_LE((a - x * diagonal.asDiagonal() * x.transpose()).norm() / (n * a.norm() * kEps32), 1.0)
            << step;
    }
}

TEST_P(EighTest, SmallestLimitsOfVulkanSufficeAndVariantsForGpusRunAnywhere) {
    for (Device* on : {&gpu(), &smallest_gpu(), &device({.max_shared_memory = 16384}),
                       &device({.max_shared_memory = 24576})}) {
        added_.clear();
        Graph graph(*on);
        for (std::uint64_t n : {1u, 2u, 33u, 62u, 63u, 70u})
            add(graph, {{symmetric_matrix(MatrixKind::random, n, n)}});
        add(graph, {{Matrix::Ones(2, 2), -3 * Matrix::Ones(2, 2)}});
        add(graph, {{Matrix::Ones(130, 130)}});  // roundings of equal numbers do not average out
        run(graph);
        check_all();
    }
}

TEST_P(EighTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        added_.clear();
        for (std::uint64_t n : {40u, 110u})
            add(graph,
                {{symmetric_matrix(MatrixKind::random, n, 1), symmetric_matrix(MatrixKind::random, n, 2)}});
        std::vector<GuardedBuffer*> results;
        for (const Added& added : added_) {
            results.push_back(added.values.buffer);
            results.push_back(added.vectors.buffer);
        }
        return results;
    });
}

// Small matrices of all shapes go together through a few dispatches, however many there are.
TEST_P(EighTest, MergesShapesIntoOneDispatchEach) {
    std::uint64_t dispatches[2];
    for (int many = 0; many < 2; ++many) {
        Graph graph(device());
        const std::uint64_t largest = many == 0 ? 20 : 40;
        for (std::uint64_t n = 20; n <= largest; n += 5)
            eigh(graph, graph.external("a" + std::to_string(n), guarded(n * n * 4).view(DType::f32, {n, n})),
                 graph.temporary(DType::f32, {n}), graph.temporary(DType::f32, {n, n}));
        dispatches[many] = graph.compile({}).dispatch_count();
    }
    // The products choose their tiles by shape.
    EXPECT_LE(dispatches[0], 26u);
    EXPECT_LE(dispatches[1], dispatches[0] + 6);
}

TEST_P(EighTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {2, 4, 4}), v = graph.temporary(DType::f32, {2, 4, 4});
    const Tensor d = graph.temporary(DType::f32, {2, 4});
    const auto with = [](auto change) {
        EighOptions options;
        change(options);
        return options;
    };
    expect_refusals(graph,
                    {
                        {"A is empty", [&] { eigh(graph, {}, d, v); }},
                        {"A is 4x5 f32; it must be square",
                         [&] {
                             eigh(graph, graph.temporary(DType::f32, {4, 5}), d, v);
                         }},
                        {"at most 4096",
                         [&] {
                             const Tensor big = graph.temporary(DType::f32, {4097, 4097});
                             eigh(graph, big, graph.temporary(DType::f32, {4097}),
                                  graph.temporary(DType::f32, {4097, 4097}));
                         }},
                        {"vectors is 4x4 f32",
                         [&] {
                             eigh(graph, a, d, graph.temporary(DType::f32, {4, 4}));
                         }},
                        {"it must be f32",
                         [&] {
                             eigh(graph, a, d, graph.temporary(DType::f16, {2, 4, 4}));
                         }},
                        {"values is 2x3 f32",
                         [&] {
                             eigh(graph, a, graph.temporary(DType::f32, {2, 3}), v);
                         }},
                        {"overlaps A", [&] { eigh(graph, a, d, a); }},
                        {"overlaps",
                         [&] {
                             eigh(graph, a, v.batch_item(0).row_range(0, 2).reshape({2, 4}), v);
                         }},
                        {"2 u32", [&] { eigh(graph, a, d, v, with([&](EighOptions& o) { o.status = d; })); }},
                        {"max_sweeps is 65",
                         [&] { eigh(graph, a, d, v, with([&](EighOptions& o) { o.max_sweeps = 65; })); }},
                        {"basis is",
                         [&] {
                             eigh(graph, a, d, v, with([&](EighOptions& o) {
                                      o.basis = graph.temporary(DType::f32, {4, 4});
                                  }));
                         }},
                    });
    eigh(graph, graph.temporary(DType::f32, {0, 4, 4}), graph.temporary(DType::f32, {0, 4}),
         graph.temporary(DType::f32, {0, 4, 4}));
    eigh(graph, graph.temporary(DType::f32, {2, 0, 0}), graph.temporary(DType::f32, {2, 0}),
         graph.temporary(DType::f32, {2, 0, 0}));
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(EighTest);

}  // namespace
}  // namespace heron::test
