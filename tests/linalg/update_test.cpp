// SPDX-License-Identifier: MIT
// Rank-one changes of inverses and Cholesky factors against float64, on every device.
#include <algorithm>
#include <cmath>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Symmetric positive definite with a condition number of about 100.
Matrix positive_definite(std::uint64_t n, std::uint64_t seed) {
    const Matrix x = random_matrix(n, n, seed);
    const double size = static_cast<double>(n);
    return x * x.transpose() / size + 0.05 * Matrix::Identity(x.rows(), x.cols());
}

// Of what is stored: f32.
Matrix square_of(const Matrix& l) {
    const Matrix lower = l.triangularView<Eigen::Lower>();
    return lower * lower.transpose();
}

Matrix with_row(Matrix a, Eigen::Index row, const Vector& column) {
    a.row(row) = column.transpose();
    a.col(row) = column;
    return a;
}

constexpr std::uint64_t kSizes[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 257};

class UpdateTest : public LinalgTest {
protected:
    // What is above the diagonal may be anything, and stays.
    static Matrix with_garbage_above(const Matrix& l) {
        Matrix all = l;
        all.triangularView<Eigen::StrictlyUpper>().setConstant(7.25);
        return all;
    }
    static void expect_lower_only(const Matrix& l) {
        for (Eigen::Index r = 0; r < l.rows(); ++r)
            for (Eigen::Index c = r + 1; c < l.cols(); ++c)
                ASSERT_EQ(l(r, c), 7.25) << "written above the diagonal";
    }
    // |L L^T - A| against what the header allows.
    void check_factor(const std::string& kind, const Matrix& l, const Matrix& a, double scale) {
        ratio("residual, " + kind, a, (square_of(l) - a).norm(),
              8 * static_cast<double>(a.rows()) * kUnit * scale, std::to_string(a.rows()));
    }
};

TEST_P(UpdateTest, ShermanMorrisonMatchesFloat64) {
    for (bool smallest : {false, true}) {
        Graph graph(smallest ? smallest_gpu() : device());
        struct Pending {
            Placed p, u;
            Words status;
            double gamma, beta;
        };
        std::vector<Pending> pending;
        for (std::uint64_t n : kSizes)
            for (const auto& [gamma, beta] : {std::pair{1.0f, 1.0f}, {0.95f, 0.05f}, {1.0f, -0.001f}}) {
                const Matrix p1 = positive_definite(n, n), p2 = positive_definite(n, n + 1);
                Pending x{place(graph, {p1, p2}, DType::f32, n % 3),
                          place(graph, {random_matrix(2, n, n + 2)}), words(graph, 2), gamma, beta};
                sherman_morrison(graph, x.p.tensor, x.u.tensor, x.status.tensor,
                                 {.gamma = gamma, .beta = beta});
                pending.push_back(std::move(x));
            }
        run(graph);
        for (const Pending& x : pending) {
            EXPECT_EQ(x.status.words(), (std::vector<std::uint32_t>{0, 0}));
            for (std::size_t item = 0; item < 2; ++item) {
                const Matrix p = x.p.items[item];
                const Vector u = x.u.items[0].row(static_cast<Eigen::Index>(item));
                const Vector y = p * u;
                const Matrix change = (x.beta / (x.gamma + x.beta * u.dot(y))) * y * y.transpose();
                const Matrix expected = (p - change) / x.gamma;
                const Matrix is = x.p.read()[item];
                const double allowed =
                    (static_cast<double>(p.rows()) + 10) * kUnit * (p.norm() + change.norm()) / x.gamma;
                ratio("inverse, sherman_morrison", p, (is - expected).norm(), allowed,
                      std::to_string(p.rows()));
                ASSERT_TRUE(is == is.transpose()) << "not symmetric bit for bit";
            }
        }
    }
}

// Of inverses, of factors, and of what is added.
TEST_P(UpdateTest, TakesEveryKindOfMatrix) {
    Graph graph(device());
    struct Kind {
        Placed p, u, l, v;
        std::string what;
    };
    std::vector<Kind> kinds;
    for (MatrixKind kind : finite_matrix_kinds())
        for (const bool vectors : {false, true}) {
            // Squares of vectors that are huge do not fit the range.
            if (vectors && kind == MatrixKind::huge) continue;
            const std::uint64_t n = 67;
            const Matrix a = vectors ? positive_definite(n, n) : DampedGram(kind, n).damped();
            Matrix p = rounded(inverse(a), DType::f32);
            p = rounded(0.5 * (p + p.transpose()), DType::f32);
            Matrix u = vectors ? Matrix(make_matrix(kind, n, n, 2).row(5)) : random_matrix(1, n, 2);
            // As large as the matrix: an update that did nothing would be seen.
            if (!vectors) u /= std::sqrt((u * p * u.transpose())(0, 0));
            Kind k{place(graph, {p}), place(graph, {u}),
                   place(graph, {with_garbage_above(cholesky_factor(a))}), place(graph, {u}),
                   std::string(to_string(kind)) + (vectors ? " vector" : "")};
            sherman_morrison(graph, k.p.tensor, k.u.tensor);
            cholesky_update(graph, k.l.tensor, k.v.tensor);
            kinds.push_back(std::move(k));
        }
    run(graph);
    for (const Kind& k : kinds) {
        const Matrix& p = k.p.items[0];
        const Vector u = k.u.items[0].row(0), y = p * u;
        const Matrix change = y * y.transpose() / (1 + u.dot(y));
        const double n = static_cast<double>(p.rows());
        ratio("inverse, sherman_morrison", p, (k.p.read()[0] - (p - change)).norm(),
              (n + 10) * kUnit * (p.norm() + change.norm()), k.what);
        const Matrix before = square_of(k.l.items[0]), is = k.l.read()[0];
        expect_lower_only(is);
        check_factor("cholesky_update", is, before + u * u.transpose(), before.norm() + u.squaredNorm());
    }
}

TEST_P(UpdateTest, ShermanMorrisonSkipsWhatCannotBe) {
    Graph graph(device());
    std::vector<Matrix> p(5, positive_definite(20, 1));
    p[1](3, 3) = kNan;
    p[2] = -p[2];  // q is negative
    p[4] *= 1e30;  // squares of y overflow
    Matrix u = random_matrix(5, 20, 2);
    u(3, 4) = kInfinity;
    u.row(4) *= 1e3;
    const Placed placed = place(graph, p), vectors = place(graph, {u});
    const Words status = words(graph, 5);
    sherman_morrison(graph, placed.tensor, vectors.tensor, status.tensor);
    run(graph);
    const std::vector<Matrix> is = placed.read();
    EXPECT_EQ(status.words(), (std::vector<std::uint32_t>{0, 1, 2, 1, 0}));
    EXPECT_FALSE(is[0] == placed.items[0]);
    EXPECT_TRUE(is[2] == placed.items[2] && is[3] == placed.items[3]);
    EXPECT_TRUE(std::isnan(is[1](3, 3)));
    EXPECT_EQ(is[1](5, 6), placed.items[1](5, 6));
    EXPECT_TRUE(is[4].allFinite());
}

TEST_P(UpdateTest, CholeskyFactorsAreUpdatedAndDowndated) {
    for (bool smallest : {false, true}) {
        Graph graph(smallest ? smallest_gpu() : device());
        struct Pending {
            Placed l, v;
            Words status;
            bool down;
            double left;  // 1 - |L^-1 v|^2, smallest of the batch
        };
        std::vector<Pending> pending;
        for (std::uint64_t n : kSizes)
            for (bool down : {false, true}) {
                const std::vector<Matrix> l{cholesky_factor(positive_definite(n, n)),
                                            cholesky_factor(positive_definite(n, n + 1))};
                Matrix v = random_matrix(2, n, n + 2);
                double left = 1;
                if (down)
                    for (Eigen::Index item = 0; item < 2; ++item) {
                        // |L^-1 v|^2 = 0.9
                        Vector x = v.row(item);
                        x *= std::sqrt(0.9) / x.norm();
                        v.row(item) = (l[static_cast<std::size_t>(item)] * x).transpose();
                        left = 0.1;
                    }
                Pending x{
                    place(graph, {with_garbage_above(l[0]), with_garbage_above(l[1])}, DType::f32, n % 3),
                    place(graph, {v}), words(graph, 2), down, left};
                if (down)
                    cholesky_downdate(graph, x.l.tensor, x.v.tensor, x.status.tensor);
                else
                    cholesky_update(graph, x.l.tensor, x.v.tensor, x.status.tensor);
                pending.push_back(std::move(x));
            }
        run(graph);
        for (const Pending& x : pending) {
            EXPECT_EQ(x.status.words(), (std::vector<std::uint32_t>{0, 0})) << x.l.rows << " down " << x.down;
            for (std::size_t item = 0; item < 2; ++item) {
                const Matrix before = square_of(x.l.items[item]);
                const Vector v = x.v.items[0].row(static_cast<Eigen::Index>(item));
                const Matrix after = before + (x.down ? -1.0 : 1.0) * v * v.transpose();
                const Matrix is = x.l.read()[item];
                expect_lower_only(is);
                check_factor(x.down ? "cholesky_downdate" : "cholesky_update", is, after,
                             (before.norm() + v.squaredNorm()) / x.left);
            }
        }
    }
}

TEST_P(UpdateTest, LargeFactorsAreUpdated) {
    Graph graph(device());
    const Placed l = place(graph, {with_garbage_above(cholesky_factor(positive_definite(1030, 3)))});
    const Placed v = place(graph, {random_matrix(1, 1030, 4)}, DType::bf16);
    cholesky_update(graph, l.tensor, v.tensor);
    run(graph);
    const Matrix before = square_of(l.items[0]);
    const Vector x = v.items[0].row(0);
    check_factor("cholesky_update", l.read()[0], before + x * x.transpose(), before.norm() + x.squaredNorm());
}

TEST_P(UpdateTest, RowsOfFactorsAreReplaced) {
    for (bool smallest : {false, true}) {
        Graph graph(smallest ? smallest_gpu() : device());
        struct Pending {
            Placed l, columns;
            std::vector<std::uint32_t> rows;
            Words status;
        };
        std::vector<Pending> pending;
        for (std::uint64_t n : kSizes) {
            const auto last = static_cast<std::uint32_t>(n - 1);
            const std::vector<std::uint32_t> rows{0, last / 2, last};
            std::vector<Matrix> l;
            Matrix columns(3, static_cast<Eigen::Index>(n));
            for (std::uint32_t item = 0; item < 3; ++item) {
                const Matrix wide = positive_definite(n + 1, n + item);
                // One more row than the factor has, which takes the place of another one.
                const auto size = static_cast<Eigen::Index>(n);
                l.push_back(with_garbage_above(cholesky_factor(wide.topLeftCorner(size, size))));
                columns.row(item) = wide.row(size).head(size);
                columns(item, rows[item]) = wide(size, size);
            }
            Pending x{place(graph, l, DType::f32, n % 3), place(graph, {columns}), rows, words(graph, 3)};
            const Words row = words(graph, {3}, rows);
            cholesky_replace_row(graph, x.l.tensor, row.tensor, x.columns.tensor, x.status.tensor);
            pending.push_back(std::move(x));
        }
        run(graph);
        for (const Pending& x : pending) {
            EXPECT_EQ(x.status.words(), (std::vector<std::uint32_t>{0, 0, 0}));
            for (std::size_t item = 0; item < 3; ++item) {
                const Matrix before = square_of(x.l.items[item]);
                const Vector column = x.columns.items[0].row(static_cast<Eigen::Index>(item));
                const Matrix after = with_row(before, x.rows[item], column);
                const Matrix is = x.l.read()[item];
                expect_lower_only(is);
                check_factor("cholesky_replace_row", is, after, before.norm() + column.norm());
            }
        }
    }
}

// The largest factors that there may be, whose loops are the longest: drivers end loops after a number of
// rounds. A vector tells as much as the whole matrix: any wrong element shows in L (L^T x).
TEST_P(UpdateTest, RowsOfTheLargestFactorsAreReplaced) {
    if (!device().capabilities().cpu || device().info().name.find("llvmpipe") == std::string::npos)
        GTEST_SKIP() << "lavapipe alone counts the rounds of loops";
    constexpr std::uint64_t n = 4096;
    // Rows of L: a unit, and as much again spread over what is left of it.
    Matrix l = random_matrix(n, n, 1) / std::sqrt(static_cast<double>(n));
    l.triangularView<Eigen::StrictlyUpper>().setZero();
    l.diagonal().setOnes();
    l = rounded(l, DType::f32);
    const Vector x = random_matrix(1, n, 2).row(0);
    Matrix columns(2, static_cast<Eigen::Index>(n));
    const std::vector<std::uint32_t> rows{0, n - 1};  // rotations alone, and a solution alone
    for (Eigen::Index item = 0; item < 2; ++item) {
        columns.row(item) = 0.5 * random_matrix(1, n, 3 + static_cast<std::uint64_t>(item)) /
                            std::sqrt(static_cast<double>(n));
        columns(item, rows[static_cast<std::size_t>(item)]) = 4;
    }
    columns = rounded(columns, DType::f32);
    const auto times = [&](const Matrix& factor, const Vector& vector) {
        const Vector inner = factor.triangularView<Eigen::Lower>().transpose() * vector;
        return Vector(factor.triangularView<Eigen::Lower>() * inner);
    };
    for (std::size_t item = 0; item < rows.size(); ++item) {
        Graph graph(device());
        const Placed factor = place(graph, {l});
        const Placed column = place(graph, {Matrix(columns.row(static_cast<Eigen::Index>(item)))});
        const Words row = words(graph, {1}, {rows[item]}), status = words(graph, 1);
        cholesky_replace_row(graph, factor.tensor, row.tensor, column.tensor, status.tensor);
        run(graph);
        EXPECT_EQ(status.words()[0], 0u);
        const auto r = static_cast<Eigen::Index>(rows[item]);
        const Vector inserted = column.items[0].row(0);
        Vector rest = x;
        rest[r] = 0;
        Vector expected = times(l, rest) + x[r] * inserted;
        expected[r] = inserted.dot(x);
        // What the header allows; A x is a probe of |A|_F, too.
        ratio("large cholesky_replace_row", n, (times(factor.read()[0], x) - expected).norm(),
              kProbe * 8 * static_cast<double>(n) * kUnit * (times(l, x).norm() + inserted.norm()),
              "row " + std::to_string(r));
    }
}

// A window of 32 gradients that turns 400 times; specification: 1e-6.
TEST_P(UpdateTest, ReplacedRowsDriftSlowly) {
    constexpr std::uint64_t kRows = 32, kWidth = 48;
    Matrix window = random_matrix(kRows, kWidth, 1) / std::sqrt(static_cast<double>(kWidth));
    const auto gram = [&] {
        return Matrix(window * window.transpose() + 0.01 * Matrix::Identity(kRows, kRows));
    };
    Graph graph(device());
    const Placed l = place(graph, {cholesky_factor(gram())});
    const Placed column = place(graph, {Matrix::Zero(1, kRows)});
    const Words row = words(graph, {1}, {0}), status = words(graph, 1);
    cholesky_replace_row(graph, l.tensor, row.tensor, column.tensor, status.tensor);
    Plan plan = graph.compile({});
    plan.allocate();
    for (std::uint32_t turn = 0; turn < 400; ++turn) {
        const std::uint32_t slot = turn % kRows;
        window.row(slot) = random_matrix(1, kWidth, 100 + turn) / std::sqrt(static_cast<double>(kWidth));
        column.buffer->write(encode({Matrix(gram().row(slot))}, DType::f32, kRows));
        row.buffer->write(std::vector<std::uint32_t>{slot});
        plan.run();
        ASSERT_EQ(status.words()[0], 0u);
    }
    const double drift = (square_of(l.read()[0]) - gram()).norm() / gram().norm();
    ratio("drift after 400 replaced rows", gram(), drift, 5e-6, "window");
}

TEST_P(UpdateTest, FailuresLeaveTheFactorAndTheOthersAlone) {
    constexpr std::uint64_t n = 21;
    const Matrix good = cholesky_factor(positive_definite(n, 1));
    std::vector<Matrix> l(6, good);
    l[1](10, 4) = kNan;
    l[2](17, 17) = 0;
    Matrix v = 0.01 * random_matrix(6, n, 2);
    v(3, 20) = kInfinity;
    v.row(4) *= 1e6;  // far too large for a downdate
    v.row(5) *= 1e24;
    for (int which = 0; which < 3; ++which) {
        Graph graph(device());
        const Placed factors = place(graph, l), vectors = place(graph, {v});
        const Words status = words(graph, 6), row = words(graph, {6}, {3, 20, 19, 2, 5, 99});
        if (which == 0) cholesky_update(graph, factors.tensor, vectors.tensor, status.tensor);
        if (which == 1) cholesky_downdate(graph, factors.tensor, vectors.tensor, status.tensor);
        if (which == 2) {
            // The first one's column is a good one, the fifth one's diagonal element is too small.
            Matrix columns = v;
            columns.row(0) = positive_definite(n, 1).row(3);
            columns(4, 5) = -1;
            columns(3, 2) = 1;
            const Placed all = place(graph, {columns});
            cholesky_replace_row(graph, factors.tensor, row.tensor, all.tensor, status.tensor);
        }
        run(graph);
        const std::vector<std::uint32_t> expected[] = {
            {0, 1, 3, 1, 0, 1}, {0, 1, 3, 1, 2, 1}, {0, 1, 3, 1, 2, 0}};
        EXPECT_EQ(status.words(), expected[which]) << which;
        const std::vector<Matrix> is = factors.read();
        EXPECT_TRUE(is[0].allFinite());
        for (std::size_t item = 1; item < 6; ++item) {
            if (expected[which][item] == 0 && which != 2) continue;
            for (Eigen::Index r = 0; r < is[item].rows(); ++r)
                for (Eigen::Index c = 0; c < is[item].cols(); ++c)
                    if (item != 1 || r != 10 || c != 4)
                        ASSERT_EQ(is[item](r, c), factors.items[item](r, c))
                            << "case " << which << " item " << item;
        }
    }
}

TEST_P(UpdateTest, BitsAreTheSameTwiceAndSplit) {
    expect_same_bits(1e4, 1, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed p = place(graph, {positive_definite(130, 1)}),
                     u = place(graph, {random_matrix(1, 130, 2)});
        const Placed l = place(graph, {cholesky_factor(positive_definite(130, 3))});
        sherman_morrison(graph, p.tensor, u.tensor);
        cholesky_update(graph, l.tensor, u.tensor);
        return {p.buffer, l.buffer};
    });
}

TEST_P(UpdateTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    // Rows of one element with a gap behind each: matrices of one row are no vector, either.
    Tensor apart = graph.temporary(DType::u32, {2, 1, 2});
    apart.row_stride = 2;
    apart.shape = Shape{2, 1, 1};
    Tensor vectors = graph.temporary(DType::f32, {2, 1, 8});
    vectors.row_stride = 8;
    vectors.shape = Shape{2, 1, 5};
    Graph enormous(device());  // which is not compiled: no device has the memory
    const Tensor many = enormous.temporary(DType::f32, {45'000'000, 8, 8});
    const Tensor p = graph.temporary(DType::f32, {2, 5, 5}), u = graph.temporary(DType::f32, {2, 5}),
                 half = graph.temporary(DType::f16, {2, 5, 5}), tall = graph.temporary(DType::f32, {6, 5}),
                 row = graph.temporary(DType::u32, {2}), big = graph.temporary(DType::f32, {4097, 4097});
    expect_refusals(
        graph,
        {{"P is empty", [&] { sherman_morrison(graph, {}, u); }},
         {"u is empty", [&] { sherman_morrison(graph, p, {}); }},
         {"f32 and square", [&] { sherman_morrison(graph, half, u); }},
         {"f32 and square", [&] { sherman_morrison(graph, tall, u); }},
         {"5 elements for each matrix", [&] { sherman_morrison(graph, p, tall); }},
         {"overlaps u", [&] { sherman_morrison(graph, p, p.batch_item(0).row_range(1, 1)); }},
         {"gamma must be above 0", [&] { sherman_morrison(graph, p, u, {}, {.gamma = 0.0f}); }},
         {"gamma must be above 0",
          [&] { sherman_morrison(graph, p, u, {}, {.beta = std::numeric_limits<float>::infinity()}); }},
         {"2 u32, one for each matrix", [&] { sherman_morrison(graph, p, u, u); }},
         {"L is empty", [&] { cholesky_update(graph, {}, u); }},
         {"v is empty", [&] { cholesky_downdate(graph, p, {}); }},
         {"at most 4096", [&] { cholesky_update(graph, big, u); }},
         {"row is empty", [&] { cholesky_replace_row(graph, p, {}, u); }},
         {"5 elements for each matrix", [&] { cholesky_update(graph, p, vectors); }},
         {"one u32 for each matrix", [&] { cholesky_replace_row(graph, p, apart, u); }},
         {"status (2 u32) overlaps row", [&] { cholesky_replace_row(graph, p, row, u, row); }},
         {"split the batch", [&] { cholesky_update(enormous, many, enormous.temporary(DType::f32, {8})); }},
         {"one u32 for each matrix", [&] { cholesky_replace_row(graph, p, u, u); }},
         {"column is empty", [&] { cholesky_replace_row(graph, p, row, {}); }}});
}

HERON_DEVICE_TESTS(UpdateTest);

}  // namespace
}  // namespace heron::test
