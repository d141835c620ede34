// SPDX-License-Identifier: MIT
// dct() against the matrix of the transform in float64, on every device.
#include <bit>
#include <cmath>
#include <numbers>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

Matrix dct_matrix(std::uint64_t n) {
    const auto size = static_cast<Eigen::Index>(n);
    Matrix c(size, size);
    for (Eigen::Index k = 0; k < size; ++k)
        for (Eigen::Index i = 0; i < size; ++i)
            c(k, i) = std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n)) *
                      std::cos(std::numbers::pi * static_cast<double>((2 * i + 1) * k) /
                               (2 * static_cast<double>(n)));
    return c;
}

class DctTest : public LinalgTest {
protected:
    struct Pending {
        Placed x, out;
        DctOptions options;
    };

    void add(Graph& graph, const std::vector<Matrix>& items, const DctOptions& options,
             DType dtype = DType::f32, std::uint64_t gap = 0, bool in_place = false) {
        Pending p{place(graph, items, dtype, gap), {}, options};
        p.out = in_place ? p.x : blank(graph, items.size(), p.x.rows, p.x.cols, gap == 0 ? 0 : gap + 1);
        dct(graph, p.x.tensor, p.out.tensor, options);
        pending_.push_back(std::move(p));
    }

    // Each line for itself.
    void check() {
        for (const Pending& p : pending_) {
            const bool rows = p.options.axis == DctAxis::rows;
            const std::uint64_t n = rows ? p.x.cols : p.x.rows;
            Matrix c = dct_matrix(n);
            if (p.options.inverse) c.transposeInPlace();
            const double size = static_cast<double>(n);
            const double odd = static_cast<double>(n >> std::countr_zero(n));
            const bool fast = n == 1 || (n % 2 == 0 && odd <= 15);
            const double allowed = kUnit * (fast ? 4 * std::log2(2 * size) + 2 * std::pow(odd, 1.5)
                                                 : 3 * std::sqrt(size + 2) * std::sqrt(size));
            const std::vector<Matrix> results = p.out.read();
            for (std::size_t item = 0; item < results.size(); ++item) {
                Matrix is = results[item], x = p.x.items[item];
                if (rows) {
                    is.transposeInPlace();
                    x.transposeInPlace();
                }
                const Matrix should = c * x;
                for (Eigen::Index line = 0; line < x.cols(); ++line) {
                    const double error = (is.col(line) - should.col(line)).norm();
                    const double bound = allowed * x.col(line).norm();
                    ratio(p.options.inverse ? "inverse" : "transform", n, error, bound,
                          "length " + std::to_string(n) + " line " + std::to_string(line) +
                              (rows ? " (row)" : " (column)"));
                }
            }
        }
        pending_.clear();
    }

    std::vector<Pending> pending_;
};

constexpr DctOptions kAll[] = {
    {DctAxis::rows, false}, {DctAxis::rows, true}, {DctAxis::columns, false}, {DctAxis::columns, true}};

Matrix lines(std::uint64_t n, std::uint64_t count, DctAxis axis, std::uint64_t seed) {
    return axis == DctAxis::rows ? random_matrix(count, n, seed) : random_matrix(n, count, seed);
}

TEST_P(DctTest, MatchesFloat64ForEveryLength) {
    Graph graph(device());
    for (const DctOptions& options : kAll) {
        for (std::uint64_t n : {1u,  2u,  3u,  4u,  5u,  7u,   8u,   15u,  16u,  17u,  31u,
                                32u, 33u, 63u, 64u, 65u, 127u, 128u, 129u, 256u, 257u, 512u})
            add(graph, {lines(n, 9, options.axis, n)}, options);
        for (std::uint64_t n : {6u, 10u, 22u, 30u, 34u, 48u, 112u, 208u, 768u, 1920u})
            add(graph, {lines(n, 5, options.axis, n)}, options);
        for (std::uint64_t n : {1024u, 2048u, 3072u, 4096u})
            add(graph, {lines(n, 2, options.axis, n)}, options);
        add(graph, {lines(64, 70, options.axis, 1)}, options);
        add(graph, {lines(8, 1, options.axis, 2)}, options);
    }
    run(graph);
    check();
}

// 40 by an FFT, 37 by products.
TEST_P(DctTest, MatchesFloat64ForEveryKindOfMatrix) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds())
        for (const DctOptions& options : kAll) add(graph, {make_matrix(kind, 40, 37, 1)}, options);
    run(graph);
    check();
}

TEST_P(DctTest, TakesBatchesGaps16BitElementsAndItsOwnInput) {
    Graph graph(device());
    for (const DctOptions& options : kAll)
        for (std::uint64_t n : {16u, 24u}) {
            for (DType dtype : {DType::f32, DType::f16, DType::bf16})
                add(graph,
                    {lines(n, 5, options.axis, 1), lines(n, 5, options.axis, 2),
                     lines(n, 5, options.axis, 3)},
                    options, dtype, 1);
            add(graph, {lines(n, 11, options.axis, 4), lines(n, 11, options.axis, 5)}, options, DType::f32, 2,
                true);
        }
    run(graph);
    check();
}

// Above 4096, without an FFT, the matrix comes in pieces: of 4032 and 97 rows. Items of 16 bits, of which the
// second one begins within a word, and results in place.
TEST_P(DctTest, LongLinesMatchFloat64) {
    const std::uint64_t n = 4129;
    const double size = static_cast<double>(n);
    const auto cosine = [&](std::uint64_t k, std::uint64_t i) {
        const auto turn = static_cast<double>((2 * i + 1) * k % (4 * n));
        return std::sqrt((k == 0 ? 1.0 : 2.0) / size) * std::cos(std::numbers::pi * turn / (2 * size));
    };
    // Elements at both ends of the pieces, and a norm, which is that of x. gemm()'s error, and the 3 u of the
    // matrix' elements.
    const double allowed = kUnit * (3 * std::sqrt(size + 2) * std::sqrt(size) + 3 * std::sqrt(size));
    const auto check_line = [&](const Matrix& x, const Matrix& y, bool inverse) {
        const double bound = allowed * x.norm();
        ratio("long lines, norm", n, std::abs(y.norm() - x.norm()), bound, std::to_string(n));
        for (const std::uint64_t k : {0u, 1u, 2000u, 4031u, 4032u, 4128u}) {
            double expected = 0;
            for (std::uint64_t i = 0; i < n; ++i)
                expected += (inverse ? cosine(i, k) : cosine(k, i)) * x(0, static_cast<Eigen::Index>(i));
            ratio("long lines", n, std::abs(y(0, static_cast<Eigen::Index>(k)) - expected), bound,
                  std::to_string(k));
        }
    };
    for (const DctAxis axis : {DctAxis::rows, DctAxis::columns}) {
        Graph graph(device());
        const bool rows = axis == DctAxis::rows;
        const std::vector<Matrix> batch{lines(n, 3, axis, 1), lines(n, 3, axis, 2)};
        const Placed x = place(graph, batch, DType::bf16), y = blank(graph, 2, x.rows, x.cols, 2);
        const Placed back = place(graph, batch, DType::f32, 3);
        dct(graph, x.tensor, y.tensor, {axis});
        dct(graph, back.tensor, back.tensor, {axis, true});
        const Plan plan = run(graph);
        const char* why = "dct by products with pieces of a matrix above 64 MiB: the length is odd";
        EXPECT_NE(plan.describe().find(why), std::string::npos);
        const std::vector<Matrix> forward = y.read(), inverse = back.read();
        for (std::size_t item = 0; item < batch.size(); ++item)
            for (Eigen::Index i = 0; i < 3; ++i) {
                const auto line = [&](const Matrix& m) {
                    return rows ? Matrix(m.row(i)) : Matrix(m.col(i).transpose());
                };
                check_line(line(x.items[item]), line(forward[item]), false);
                check_line(line(back.items[item]), line(inverse[item]), true);
            }
    }
}

// Of lines beside each other, neither the scale nor a NaN of one reaches the other.
TEST_P(DctTest, LinesAreIndependent) {
    Graph graph(device());
    for (const DctOptions& options : kAll) {
        Matrix x = lines(64, 6, DctAxis::rows, 1);
        x.row(1) *= 1e18;
        x.row(2) *= 1e-18;
        add(graph, {options.axis == DctAxis::rows ? x : Matrix(x.transpose())}, options);
    }
    run(graph);
    check();
    Graph other(device());
    Matrix x = random_matrix(5, 64, 1);
    x(2, 7) = kNan;
    const Placed in = place(other, {x}), out = blank(other, 1, 5, 64);
    dct(other, in.tensor, out.tensor);
    run(other);
    for (Eigen::Index r = 0; r < 5; ++r) EXPECT_EQ(out.read()[0].row(r).allFinite(), r != 2);
}

TEST_P(DctTest, SmallestGpuMatchesFloat64) {
    Graph graph(smallest_gpu());
    for (const DctOptions& options : kAll)
        for (std::uint64_t n : {2u, 12u, 64u, 2048u, 4096u})
            add(graph, {lines(n, 5, options.axis, n)}, options);
    run(graph);
    check();
}

TEST_P(DctTest, BitsAreTheSameTwiceAndSplit) {
    expect_same_bits(1e5, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed x = place(graph, {random_matrix(300, 128, 1)}), out = blank(graph, 1, 300, 128);
        dct(graph, x.tensor, out.tensor);
        return {out.buffer};
    });
}

// Each vector of a basis is a row or a column of the matrix, to rounding.
TEST_P(DctTest, BasisMatchesFloat64) {
    Graph graph(device());
    struct Case {
        Placed out;
        std::vector<std::uint32_t> indices;
        bool inverse;
    };
    std::vector<Case> cases;
    for (const bool inverse : {false, true})
        for (const std::uint32_t n : {1u, 2u, 5u, 16u, 33u, 1000u, 8192u, 32768u}) {
            const std::vector<std::uint32_t> indices{n - 1, 0, n / 2, n / 3};
            const Placed out = blank(graph, 2, 2, n);
            dct_basis(graph, words(graph, {2, 2}, indices).tensor, out.tensor, inverse);
            cases.push_back({out, indices, inverse});
        }
    run(graph);
    for (const Case& c : cases) {
        const double n = static_cast<double>(c.out.cols);
        const std::vector<Matrix> results = c.out.read();
        for (Eigen::Index item = 0; item < 2; ++item)
            for (Eigen::Index row = 0; row < 2; ++row)
                for (Eigen::Index i = 0; i < results[0].cols(); ++i) {
                    const double index = c.indices[static_cast<std::size_t>(2 * item + row)];
                    const double position = static_cast<double>(i);
                    const double k = c.inverse ? position : index, x = c.inverse ? index : position;
                    const double expected = std::sqrt((k == 0 ? 1 : 2) / n) *
                                            std::cos(std::numbers::pi * (2 * x + 1) * k / (2 * n));
                    // Rounding, and that of the angle in float64.
                    ASSERT_NEAR(results[static_cast<std::size_t>(item)](row, i), expected,
                                3 * kUnit * std::abs(expected) + 1e-15 * n)
                        << n << " " << index << " " << i;
                }
    }
}

TEST_P(DctTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor two = graph.temporary(DType::u32, {2}), wide = graph.temporary(DType::f32, {2, 32769});
    const Tensor x = graph.temporary(DType::f32, {3, 8}), half = graph.temporary(DType::f16, {3, 8}),
                 longer = graph.temporary(DType::f32, {2, 32769}),
                 longest = graph.temporary(DType::f32, {2, 1 << 20});
    Tensor apart = graph.temporary(DType::u32, {3, 1, 2});  // matrices of one row, with gaps between them
    apart.row_stride = 2;
    apart.shape = Shape{3, 1, 1};
    expect_refusals(graph, {{"x is empty", [&] { dct(graph, {}, x); }},
                            {"one u32 for each row", [&] { dct_basis(graph, apart, x); }},
                            {"`out` is empty", [&] { dct(graph, x, {}); }},
                            {"must be f32", [&] { dct(graph, x, half); }},
                            {"of the same shape", [&] { dct(graph, x, x.row_range(0, 2)); }},
                            {"overlaps x", [&] { dct(graph, x.row_range(0, 2), x.row_range(1, 2)); }},
                            {"not one of", [&] { dct(graph, x, x, {static_cast<DctAxis>(2)}); }},
                            {"neither at most 32768", [&] { dct(graph, longer, longer); }},
                            {"neither at most 32768", [&] { dct(graph, longest, longest); }},
                            {"at most 32768", [&] { dct_basis(graph, two, wide); }},
                            {"`indices` is empty", [&] { dct_basis(graph, {}, x); }},
                            {"must be u32", [&] { dct_basis(graph, x, x); }},
                            {"one u32 for each row", [&] { dct_basis(graph, two, x); }}});
    EXPECT_TRUE(dct_takes(device(), 4096) && dct_takes(device(), 768));
    EXPECT_TRUE(dct_takes(device(), 4097) && dct_takes(device(), 11008) && dct_takes(device(), 32768));
    EXPECT_FALSE(dct_takes(device(), 32769));
}

HERON_DEVICE_TESTS(DctTest);

}  // namespace
}  // namespace heron::test
