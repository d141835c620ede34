// SPDX-License-Identifier: MIT
// Norms, scaling and normalisation of rows and columns against float64, on every device.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

constexpr NormKind kKinds[] = {NormKind::two, NormKind::squared, NormKind::one, NormKind::infinity};

double norm(const Vector& x, NormKind kind) {
    if (x.size() == 0) return 0;
    switch (kind) {
        case NormKind::two:
            return x.stableNorm();
        case NormKind::squared:
            return x.squaredNorm();
        case NormKind::one:
            return x.lpNorm<1>();
        default:
            return x.lpNorm<Eigen::Infinity>();
    }
}

// As the header states it; maxima are exact.
double allowed(std::uint64_t length, NormKind kind) {
    if (kind == NormKind::infinity) return 0;
    return 32 * kUnit * std::max(1.0, std::ceil(std::log2(std::max<double>(1, length)) / 9));
}

class NormsTest : public LinalgTest {
protected:
    struct Pending {
        Placed x;
        Placed rows[4], cols[4];
    };

    // All norms of all lines.
    void add(Graph& graph, const std::vector<Matrix>& items, DType dtype = DType::f32,
             std::uint64_t gap = 0) {
        Pending p;
        p.x = place(graph, items, dtype, gap);
        for (NormKind kind : kKinds) {
            const auto k = static_cast<std::size_t>(kind);
            p.rows[k] = blank(graph, 1, items.size(), p.x.rows);
            p.cols[k] = blank(graph, 1, items.size(), p.x.cols);
            row_norms(graph, p.x.tensor, p.rows[k].tensor, kind);
            column_norms(graph, p.x.tensor, p.cols[k].tensor, kind);
        }
        pending_.push_back(std::move(p));
    }

    void check() {
        for (const Pending& p : pending_)
            for (NormKind kind : kKinds) {
                const auto k = static_cast<std::size_t>(kind);
                const Matrix rows = p.rows[k].read()[0], cols = p.cols[k].read()[0];
                for (std::size_t item = 0; item < p.x.items.size(); ++item) {
                    const auto i = static_cast<Eigen::Index>(item);
                    const Matrix& x = p.x.items[item];
                    const auto compare = [&](double is, const Vector& line, const char* what,
                                             Eigen::Index at) {
                        const double should = norm(line, kind);
                        const double bound = allowed(static_cast<std::uint64_t>(line.size()), kind) * should;
                        // Squares below the smallest normal number may be flushed.
                        const double flushed =
                            kind == NormKind::squared ? static_cast<double>(line.size()) * 0x1p-126 : 0;
                        ratio("row or column norm", static_cast<std::uint64_t>(line.size()),
                              std::abs(is - should), bound + flushed,
                              "norm " + std::to_string(k) + " of " + what + " " + std::to_string(at) +
                                  " of " + std::to_string(x.rows()) + "x" + std::to_string(x.cols()) + " " +
                                  to_string(p.x.dtype));
                    };
                    for (Eigen::Index r = 0; r < x.rows(); ++r) compare(rows(i, r), x.row(r), "row", r);
                    for (Eigen::Index c = 0; c < x.cols(); ++c) compare(cols(i, c), x.col(c), "column", c);
                }
            }
        pending_.clear();
    }

    std::vector<Pending> pending_;
};

TEST_P(NormsTest, MatchFloat64ForEverySize) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 16u, 17u, 31u, 33u, 63u, 65u, 127u, 129u, 257u}) {
        add(graph, {random_matrix(1, n, n)});
        add(graph, {random_matrix(n, 1, n)});
        add(graph, {random_matrix(n, 33, n)});
    }
    add(graph, {random_matrix(3, 5000, 1)});
    add(graph, {random_matrix(5000, 3, 2)});
    add(graph, {random_matrix(1, 70001, 3)});
    add(graph, {random_matrix(17, 19, 4), random_matrix(17, 19, 5), random_matrix(17, 19, 6)}, DType::f32, 3);
    add(graph, {Matrix::Zero(4, 9)});
    run(graph);
    check();
}

// Equal elements are the worst case of a sum: every rounding goes the same way.
TEST_P(NormsTest, ErrorsStayWithinTheBoundForEqualElements) {
    Graph graph(device());
    add(graph, {Matrix::Constant(2, 4096, 0.1)});
    add(graph, {Matrix::Constant(4099, 2, 0.1)});
    add(graph, {Matrix::Constant(600, 9, 1.0 / 3)});
    run(graph);
    check();
}

TEST_P(NormsTest, Take16BitElements) {
    Graph graph(device());
    for (DType dtype : {DType::f16, DType::bf16}) {
        add(graph, {random_matrix(33, 35, 1)}, dtype);
        add(graph, {random_matrix(33, 35, 2), random_matrix(33, 35, 3)}, dtype, 1);
    }
    run(graph);
    check();
}

TEST_P(NormsTest, EuclideanNormNeitherOverflowsNorUnderflows) {
    Graph graph(device());
    std::vector<Placed> xs, norms;
    for (double scale : {1e-36, 1e-19, 1e18, 1e36, 3e37}) {
        xs.push_back(place(graph, {Matrix::Constant(3, 90, scale)}));
        norms.push_back(blank(graph, 1, 1, 3));
        row_norms(graph, xs.back().tensor, norms.back().tensor);
    }
    run(graph);
    for (std::size_t k = 0; k < xs.size(); ++k)
        for (Eigen::Index r = 0; r < 3; ++r) {
            const double should = xs[k].items[0].row(r).stableNorm();
            EXPECT_LE(std::abs(norms[k].read()[0](0, r) - should), 32 * kUnit * should);
        }
}

// Norms above 2^126, of which the reciprocal is subnormal, and small ones.
TEST_P(NormsTest, RowsOfAnySizeAreNormalised) {
    Graph graph(device());
    std::vector<Placed> results;
    for (double scale : {1e-36, 1.0, 1e36, 3e37}) {
        const Placed x = place(graph, {Matrix::Constant(3, 90, scale)});
        results.push_back(blank(graph, 1, 3, 90));
        normalize_rows(graph, x.tensor, results.back().tensor, {.eps = 0.0f});
    }
    run(graph);
    for (const Placed& result : results)
        EXPECT_LE((result.read()[0] - Matrix::Constant(3, 90, 1 / std::sqrt(90.0))).cwiseAbs().maxCoeff(),
                  36 * kUnit / std::sqrt(90.0));
}

TEST_P(NormsTest, NonfiniteElementsReachTheirLinesOnly) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (NormKind kind : kKinds) {
            Graph graph(device());
            Matrix x = random_matrix(20, 30, 1);
            x(3, 4) = kNan;
            x(5, 6) = -kInfinity;
            x(3, 7) = kInfinity;
            const Placed placed = place(graph, {x}, dtype);
            const Placed rows = blank(graph, 1, 1, 20), cols = blank(graph, 1, 1, 30);
            row_norms(graph, placed.tensor, rows.tensor, kind);
            column_norms(graph, placed.tensor, cols.tensor, kind);
            run(graph);
            const Matrix r = rows.read()[0], c = cols.read()[0];
            for (Eigen::Index i = 0; i < 20; ++i) {
                EXPECT_EQ(std::isnan(r(0, i)), i == 3);
                EXPECT_EQ(r(0, i) == kInfinity, i == 5);
            }
            for (Eigen::Index i = 0; i < 30; ++i) {
                EXPECT_EQ(std::isnan(c(0, i)), i == 4);
                EXPECT_EQ(c(0, i) == kInfinity, i == 6 || i == 7);
            }
        }
}

// The sum's roundings, and those of powers, whose exponents of two are at most 20 p here.
TEST_P(NormsTest, NormsOfAnyExponentMatchFloat64) {
    constexpr double kFlushed = 0x1p-126;
    for (const float exponent :
         {0.5f, 1.5f, 3.0f, 40.0f, 1.0f, 2.0f, std::numeric_limits<float>::infinity()}) {
        const double p = static_cast<double>(exponent);
        const auto should = [&](const Vector& line) {
            const double largest = line.cwiseAbs().maxCoeff();
            if (std::isinf(p) || largest == 0) return largest;
            return largest * std::pow((line.cwiseAbs() / largest).array().pow(p).sum(), 1 / p);
        };
        Graph graph(device());
        std::vector<Placed> xs, rows, cols;
        Matrix zeros = random_matrix(9, 21, 4);
        zeros.row(3).setZero();
        zeros.col(5).setZero();
        const std::vector<std::pair<std::vector<Matrix>, DType>> cases{
            {{random_matrix(1, 1, 1)}, DType::f32},
            {{random_matrix(33, 35, 2), random_matrix(33, 35, 3)}, DType::f32},
            {{zeros}, DType::f32},
            {{Matrix(1e30 * random_matrix(5, 70, 5))}, DType::f32},   // cubes overflow
            {{Matrix(1e-30 * random_matrix(5, 70, 6))}, DType::f32},  // cubes underflow
            {{random_matrix(2, 5000, 7)}, DType::f32},                // partial results
            {{random_matrix(3000, 3, 8)}, DType::bf16}};
        for (const auto& [items, dtype] : cases) {
            xs.push_back(place(graph, items, dtype, dtype == DType::f32 ? 3 : 0));
            rows.push_back(blank(graph, 1, items.size(), xs.back().rows));
            cols.push_back(blank(graph, 1, items.size(), xs.back().cols));
            row_power_norms(graph, xs.back().tensor, rows.back().tensor, exponent);
            column_power_norms(graph, xs.back().tensor, cols.back().tensor, exponent);
        }
        run(graph);
        for (std::size_t k = 0; k < xs.size(); ++k) {
            const Matrix rows_are = rows[k].read()[0], cols_are = cols[k].read()[0];
            for (std::size_t item = 0; item < xs[k].items.size(); ++item) {
                const auto i = static_cast<Eigen::Index>(item);
                const Matrix& x = xs[k].items[item];
                const auto compare = [&](double is, const Vector& line, const char* what) {
                    const double norm = should(line);
                    const auto length = static_cast<std::uint64_t>(line.size());
                    ratio("norm of any exponent", length, std::abs(is - norm),
                          (1 + 1 / p) * (0x1p-17 + allowed(length, NormKind::one)) * norm + kFlushed,
                          std::string(what) + ", p = " + std::to_string(p));
                };
                for (Eigen::Index r = 0; r < x.rows(); ++r) compare(rows_are(i, r), x.row(r), "row");
                for (Eigen::Index c = 0; c < x.cols(); ++c) compare(cols_are(i, c), x.col(c), "column");
            }
        }
    }
}

TEST_P(NormsTest, NonfiniteElementsReachNormsOfAnyExponent) {
    Graph graph(device());
    Matrix x = random_matrix(8, 30, 1);
    x(3, 4) = kNan;
    x(5, 6) = -kInfinity;
    const Placed placed = place(graph, {x}), rows = blank(graph, 1, 1, 8);
    row_power_norms(graph, placed.tensor, rows.tensor, 3.0f);
    run(graph);
    const Matrix r = rows.read()[0];
    for (Eigen::Index i = 0; i < 8; ++i) {
        EXPECT_EQ(std::isnan(r(0, i)), i == 3);
        EXPECT_EQ(r(0, i) == kInfinity, i == 5);
    }
}

TEST_P(NormsTest, LinesAreScaled) {
    Graph graph(device());
    const Placed x = place(graph, {random_matrix(7, 9, 1), random_matrix(7, 9, 2)}, DType::f32, 2);
    const Placed row_factors = place(graph, {random_matrix(2, 7, 3)});
    const Placed col_factors = place(graph, {random_matrix(1, 9, 4)});  // one set for both
    const Placed by_rows = blank(graph, 2, 7, 9);
    const Placed by_cols = blank(graph, 2, 7, 9, 1, DType::bf16);
    scale_rows(graph, x.tensor, row_factors.tensor, by_rows.tensor);
    scale_columns(graph, x.tensor, col_factors.tensor, by_cols.tensor);
    run(graph);
    const std::vector<Matrix> rows_are = by_rows.read(), cols_are = by_cols.read();
    for (Eigen::Index item = 0; item < 2; ++item)
        for (Eigen::Index r = 0; r < 7; ++r)
            for (Eigen::Index c = 0; c < 9; ++c) {
                const double value = x.items[item](r, c);
                const double rows = value * row_factors.items[0](item, r);
                const double cols = value * col_factors.items[0](0, c);
                EXPECT_LE(std::abs(rows_are[item](r, c) - rows), kUnit * std::abs(rows));
                EXPECT_LE(std::abs(cols_are[item](r, c) - cols),
                          (unit_roundoff(DType::bf16) + 2 * kUnit) * std::abs(cols));
            }
}

TEST_P(NormsTest, LinesAreNormalized) {
    for (NormRule rule : {NormRule::clamped, NormRule::added})
        for (NormKind kind : kKinds)
            for (DType dtype : {DType::f32, DType::f16}) {
                Graph graph(device());
                Matrix x = random_matrix(13, 21, 1);
                x.row(4).setZero();
                x.col(5).setZero();
                x.row(6) *= 0.01;  // below eps in the end
                const NormalizeOptions options{.kind = kind, .rule = rule, .eps = 0.25f, .scale = -2.0f};
                const Placed in = place(graph, {x, 2 * x}, dtype, 1);
                const Placed rows = blank(graph, 2, 13, 21, 3, dtype), cols = place(graph, {x, 2 * x});
                normalize_rows(graph, in.tensor, rows.tensor, options);
                normalize_columns(graph, cols.tensor, cols.tensor, options);
                run(graph);
                const std::vector<Matrix> rows_are = rows.read(), cols_are = cols.read();
                const auto divisor = [&](double n) {
                    return rule == NormRule::added ? n + 0.25 : std::max(n, 0.25);
                };
                const double roundings = allowed(21, kind) + 4 * kUnit;
                for (std::size_t item = 0; item < 2; ++item)
                    for (Eigen::Index r = 0; r < 13; ++r)
                        for (Eigen::Index c = 0; c < 21; ++c) {
                            double should =
                                -2 * in.items[item](r, c) / divisor(norm(in.items[item].row(r), kind));
                            ratio("normalized rows or columns", x, std::abs(rows_are[item](r, c) - should),
                                  (roundings + (dtype == DType::f16 ? unit_roundoff(dtype) : 0)) *
                                          std::abs(should) +
                                      (dtype == DType::f16 ? 0x1p-25 : 0),
                                  "row");
                            const Matrix& y = cols.items[item];
                            should = -2 * y(r, c) / divisor(norm(y.col(c), kind));
                            ratio("normalized rows or columns", x, std::abs(cols_are[item](r, c) - should),
                                  roundings * std::abs(should), "column");
                        }
            }
}

TEST_P(NormsTest, ZeroLinesStayZeroWithoutEps) {
    Graph graph(device());
    const Placed x = place(graph, {Matrix::Zero(3, 5)});
    normalize_rows(graph, x.tensor, x.tensor, {.eps = 0.0f});
    normalize_columns(graph, x.tensor, x.tensor, {.rule = NormRule::added, .eps = 0.0f});
    run(graph);
    EXPECT_TRUE(x.read()[0] == Matrix::Zero(3, 5));
}

TEST_P(NormsTest, GpuVariantMatchesFloat64) {
    Graph graph(smallest_gpu());
    for (std::uint64_t n : {1u, 7u, 33u, 129u})
        add(graph, {random_matrix(n, 33, n), random_matrix(n, 33, n + 1)});
    add(graph, {random_matrix(2, 70001, 3)});
    add(graph, {random_matrix(2500, 3, 3)});
    run(graph);
    check();
}

TEST_P(NormsTest, BitsAreTheSameTwiceAndSplit) {
    expect_same_bits(5e4, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed x = place(graph, {random_matrix(300, 333, 1)});
        const Placed rows = blank(graph, 1, 1, 300), cols = blank(graph, 1, 1, 333);
        row_norms(graph, x.tensor, rows.tensor);
        column_norms(graph, x.tensor, cols.tensor);
        return {rows.buffer, cols.buffer};
    });
}

TEST_P(NormsTest, RefuseWhatDoesNotFit) {
    Graph graph(device());
    const Tensor x = graph.temporary(DType::f32, {3, 4, 5}), rows = graph.temporary(DType::f32, {3, 4}),
                 words = graph.temporary(DType::u32, {3, 4});
    Tensor lines = graph.temporary(DType::f32, {3, 1, 5});  // matrices of one row, with gaps between them
    lines.row_stride = 5;
    lines.shape = Shape{3, 1, 4};
    expect_refusals(
        graph,
        {{"x is empty", [&] { row_norms(graph, {}, rows); }},
         {"`result` is empty", [&] { row_norms(graph, x, {}); }},
         {"12 f32, one for each row", [&] { row_norms(graph, x, graph.temporary(DType::f32, {4})); }},
         {"15 f32, one for each column", [&] { column_norms(graph, x, rows); }},
         {"f32, f16 or bf16", [&] { row_norms(graph, x, words); }},
         {"overlaps x",
          [&] {
              row_norms(graph, rows.reshape({12, 1}), rows);
          }},
         {"not one of", [&] { row_norms(graph, x, rows, static_cast<NormKind>(4)); }},
         {"12 f32, one for each row", [&] { row_norms(graph, x, lines); }},
         {"exponent is 0", [&] { row_power_norms(graph, x, rows, 0.0f); }},
         {"at least 2^-126", [&] { row_power_norms(graph, x, rows, 1e-39f); }},
         {"15 f32, one for each column", [&] { column_power_norms(graph, x, rows, 3.0f); }},
         {"shapes must agree", [&] { scale_rows(graph, x, rows, rows); }},
         {"one for each column", [&] { scale_columns(graph, x, rows, x); }},
         {"rule is not one of", [&] { normalize_rows(graph, x, x, {.rule = static_cast<NormRule>(2)}); }},
         {"eps must be at least 0", [&] { normalize_rows(graph, x, x, {.eps = -1.0f}); }}});
}

HERON_DEVICE_TESTS(NormsTest);

}  // namespace
}  // namespace heron::test
