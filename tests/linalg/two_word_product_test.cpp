// SPDX-License-Identifier: MIT
// Products of matrices with two f32 words an element against float64, on every device.
#include "linalg/two_word_product.hpp"

#include <array>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Stored as it is on the device: the high words, and below them the low ones.
struct TwoWords {
    Matrix stored;

    explicit TwoWords(const Matrix& value) : stored(2 * value.rows(), value.cols()) {
        const Matrix high = rounded(value, DType::f32);
        stored << high, rounded(value - high, DType::f32);
    }
    static Matrix value(const Matrix& stored) {
        const Eigen::Index rows = stored.rows() / 2;
        return stored.topRows(rows) + stored.bottomRows(rows);
    }
    Matrix value() const { return value(stored); }
};

// Elements of all sizes down to 1e-6, so that sums cancel.
Matrix uneven(std::uint64_t rows, std::uint64_t cols, std::uint64_t seed) {
    Matrix x = random_matrix(rows, cols, seed);
    for (Eigen::Index i = 0; i < x.rows(); ++i)
        for (Eigen::Index j = 0; j < x.cols(); ++j)
            x(i, j) *= std::pow(10.0, -6.0 * ((3 * i + 5 * j) % 7) / 6.0);
    return x;
}

class TwoWordProductTest : public LinalgTest {
protected:
    struct Case {
        Matrix a, b;
        Placed d;
        bool symmetric;
    };
    Case add(Graph& graph, std::uint64_t m, std::uint64_t n, std::uint64_t k) {
        const TwoWords a(uneven(m, k, m + n)), b(uneven(k, n, m + k));
        Case c{a.value(), b.value(), blank(graph, 1, 2 * m, n), false};
        add_two_word_product(graph, place(graph, {a.stored}).tensor, place(graph, {b.stored}).tensor,
                             c.d.tensor, {});
        return c;
    }
    Case add_symmetric(Graph& graph, std::uint64_t n) {
        const Matrix x = uneven(n, n, n);
        const Matrix s = TwoWords(x + x.transpose()).value(), s2 = s * s;
        const TwoWords a(s), b(0.5 * (s2 + s2.transpose()));
        Case c{a.value(), b.value(), blank(graph, 1, 2 * n, n), true};
        add_two_word_product(graph, place(graph, {a.stored}).tensor, place(graph, {b.stored}).tensor,
                             c.d.tensor, {.symmetric = true});
        return c;
    }
    // (k + 8) 2^-46 |A| |B| of each element, what float64 loses being nothing beside it; low words are what
    // high ones lack. One word alone has errors of 2^-24: the test would fail without any of its terms.
    void check(const std::string& kind, const Matrix& a, const Matrix& b, const Matrix& stored,
               bool symmetric) {
        const Matrix d = TwoWords::value(stored), exact = a * b, size = a.cwiseAbs() * b.cwiseAbs();
        const double k = static_cast<double>(a.cols());
        const std::string what =
            std::to_string(a.rows()) + " x " + std::to_string(b.cols()) + ", k " + std::to_string(a.cols());
        // Drivers that flush what is below the smallest normal number lose so much of an error term.
        const double tiny = k * 0x1p-126;
        ratio(kind, a.rows() > a.cols() ? a : b,
              ((d - exact).array().abs() / (size.array() * 0x1p-46 + tiny)).maxCoeff(), k + 8, what);
        const Eigen::Index rows = d.rows();
        EXPECT_EQ(rounded(d, DType::f32), stored.topRows(rows)) << what << ": not the nearest high words";
        if (symmetric) EXPECT_EQ(d, d.transpose()) << what << ": not symmetric bit for bit";
    }
};

TEST_P(TwoWordProductTest, MatchesFloat64) {
    for (const bool for_gpus : {false, true}) {
        Graph graph(for_gpus ? smallest_gpu() : device());
        std::vector<Case> cases;
        for (std::uint64_t n : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 31u, 32u, 33u, 65u, 129u})
            cases.push_back(add(graph, n, n, n));
        for (std::uint64_t k : {1u, 8u, 257u}) cases.push_back(add(graph, 3, 37, k));
        cases.push_back(add(graph, 1, 200, 17));
        cases.push_back(add(graph, 200, 1, 17));
        cases.push_back(add(graph, 40, 33, 1000));
        cases.push_back(add(graph, 5, 34, 4097));
        for (std::uint64_t n : {1u, 3u, 4u, 31u, 33u, 64u, 100u, 129u})
            cases.push_back(add_symmetric(graph, n));
        run(graph);
        for (const Case& c : cases)
            check(for_gpus ? "kernel for GPUs" : "product", c.a, c.b, c.d.read()[0], c.symmetric);
        EXPECT_EQ(graph.compile({}).dispatch_count(), 1u);
    }
}

// Every option by itself and all together: transposes, factors that f32 does not hold, C in place or not, the
// diagonal, high words alone, with gaps between rows; and no product at all.
TEST_P(TwoWordProductTest, ScalesTransposesAndAdds) {
    struct Options {
        bool transpose_a, transpose_b, symmetric, rounded;
        double alpha, beta, diagonal;
        bool product = true, in_place = false;
    };
    const double third = 1.0 / 3;
    const Options all[] = {{true, false, false, false, 1, 0, 0},
                           {false, true, false, false, 1, 0, 0},
                           {true, true, false, false, -third, 0, 0},
                           {false, false, false, false, 1, 0.1, 0},
                           {false, false, false, false, 1, 0, third},
                           {false, false, false, true, 1, -0.1, 0},
                           {true, false, true, false, 3.4445, -4.775, 2.0315},
                           {false, true, true, true, -third, 0.7, 0.1},
                           {false, false, true, false, 0, -0.1, third, false},
                           {false, false, false, false, 0, 0.7, third, false},
                           {true, true, false, false, third, 0.7, 0.1, true, true},
                           {false, true, true, false, third, 0.7, 0.1, true, true}};
    constexpr std::uint64_t items = 2;
    for (const bool for_gpus : {false, true})
        for (const Options& o : all)
            for (const auto& [rows, cols, k] : {std::array{1u, 1u, 1u}, std::array{37u, 5u, 19u},
                                                std::array{33u, 66u, 8u}, std::array{65u, 40u, 129u}}) {
                const std::uint64_t m = rows, n = o.symmetric ? rows : cols;
                std::vector<Matrix> a, b, c, c_of_d;
                for (std::uint64_t i = 0; i < items; ++i) {
                    const Matrix x = uneven(o.transpose_a ? k : m, o.transpose_a ? m : k, i + k);
                    a.push_back(TwoWords(x).stored);
                    b.push_back(
                        o.symmetric
                            ? TwoWords(o.transpose_a == o.transpose_b ? x.transpose() : x).stored
                            : TwoWords(uneven(o.transpose_b ? n : k, o.transpose_b ? k : n, i + n)).stored);
                    const Matrix y = uneven(m, n, i + 3);
                    c.push_back(TwoWords(o.symmetric ? Matrix(y + y.transpose()) : y).stored);
                }
                Graph graph(for_gpus ? smallest_gpu() : device());
                const Placed stored_c = place(graph, c);
                const Placed d = o.in_place  ? stored_c
                                 : o.rounded ? blank(graph, items, m, n, 3)
                                             : blank(graph, items, 2 * m, n);
                const Tensor left = o.product ? place(graph, a).tensor : Tensor{},
                             right = o.product ? place(graph, b).tensor : Tensor{};
                add_two_word_product(graph, left, right, d.tensor,
                                     {.transpose_a = o.transpose_a,
                                      .transpose_b = o.transpose_b,
                                      .symmetric = o.symmetric,
                                      .rounded = o.rounded,
                                      .alpha = o.alpha,
                                      .beta = o.beta,
                                      .diagonal = o.diagonal,
                                      .c = stored_c.tensor});
                run(graph);
                const std::vector<Matrix> results = d.read();
                for (std::uint64_t i = 0; i < items; ++i) {
                    const Matrix left_value = TwoWords::value(a[i]), right_value = TwoWords::value(b[i]),
                                 added = TwoWords::value(c[i]);
                    const Matrix op_a = o.transpose_a ? Matrix(left_value.transpose()) : left_value,
                                 op_b = o.transpose_b ? Matrix(right_value.transpose()) : right_value;
                    // Each scaling and sum loses 2^-43 of what it gives.
                    Matrix exact = o.beta * added, lost = 0x1p-42 * std::abs(o.beta) * added.cwiseAbs();
                    if (o.product) {
                        const Matrix size = std::abs(o.alpha) * op_a.cwiseAbs() * op_b.cwiseAbs();
                        exact += o.alpha * op_a * op_b;
                        lost += ((k + 8) * 0x1p-46 + 0x1p-42) * size;
                    }
                    exact.diagonal().array() += o.diagonal;
                    lost.diagonal().array() += 0x1p-42 * std::abs(o.diagonal);
                    if (o.rounded) lost += 0x1p-24 * exact.cwiseAbs();
                    const Matrix got = o.rounded ? results[i] : TwoWords::value(results[i]);
                    ratio(for_gpus ? "kernel for GPUs, all options" : "all options", exact,
                          ((got - exact).array().abs() / (lost.array() + 0x1p-120)).maxCoeff(), 1,
                          "alpha " + std::to_string(o.alpha) + ", beta " + std::to_string(o.beta) +
                              (o.rounded ? ", rounded" : "") + (o.in_place ? ", in place" : ""));
                    if (o.symmetric) EXPECT_EQ(got, got.transpose());
                }
            }
}

// In several pieces: lavapipe ends loops that run longer, silently.
TEST_P(TwoWordProductTest, AddsUpLongSums) {
    const std::uint64_t n = 3;
    for (const std::uint64_t k : {8192u, 8193u, 40000u})
        for (const bool tall : {false, true})
            for (const bool rounded : {false, true}) {
                std::vector<Matrix> x, c;
                for (std::uint64_t i = 0; i < 2; ++i) {
                    x.push_back(TwoWords(uneven(tall ? k : n, tall ? n : k, i)).stored);
                    c.push_back(TwoWords(uneven(n, n, i + 9)).stored);
                }
                for (const bool for_gpus : {false, true}) {
                    Graph graph(for_gpus ? smallest_gpu() : device());
                    const Tensor factor = place(graph, x).tensor;
                    const Placed d = rounded ? blank(graph, 2, n, n, 1) : blank(graph, 2, 2 * n, n);
                    add_two_word_product(graph, factor, factor, d.tensor,
                                         {.transpose_a = tall,
                                          .transpose_b = !tall,
                                          .rounded = rounded,
                                          .alpha = -1.5,
                                          .beta = 0.1,
                                          .diagonal = 0.7,
                                          .c = place(graph, c).tensor});
                    run(graph);
                    for (std::uint64_t i = 0; i < 2; ++i) {
                        const Matrix value = TwoWords::value(x[i]);
                        const Matrix op = tall ? Matrix(value.transpose()) : value;
                        Matrix exact = -1.5 * op * op.transpose() + 0.1 * TwoWords::value(c[i]);
                        exact.diagonal().array() += 0.7;
                        const Matrix got = rounded ? d.read()[i] : TwoWords::value(d.read()[i]);
                        const double size = 1.5 * op.squaredNorm() + 1;
                        EXPECT_LE((got - exact).cwiseAbs().maxCoeff(),
                                  size * static_cast<double>(k + 8) * 0x1p-46 +
                                      (rounded ? 0x1p-24 * exact.cwiseAbs().maxCoeff() : 0.0))
                            << k << (tall ? " tall" : "") << (rounded ? " rounded" : "");
                    }
                }
            }
}

TEST_P(TwoWordProductTest, MultipliesBatches) {
    const std::uint64_t m = 5, n = 37, k = 11, items = 4;
    std::vector<Matrix> a, b;
    for (std::uint64_t i = 0; i < items; ++i) {
        a.push_back(TwoWords(uneven(m, k, i)).stored);
        b.push_back(TwoWords(uneven(k, n, i + items)).stored);
    }
    for (const bool for_gpus : {false, true}) {
        Graph graph(for_gpus ? smallest_gpu() : device());
        const Placed d = blank(graph, items, 2 * m, n);
        add_two_word_product(graph, place(graph, a).tensor, place(graph, b).tensor, d.tensor, {});
        run(graph);
        for (std::uint64_t i = 0; i < items; ++i)
            check("batch", TwoWords::value(a[i]), TwoWords::value(b[i]), d.read()[i], false);
    }
}

TEST_P(TwoWordProductTest, LeavesItemsThatAreNotActiveAlone) {
    const std::uint64_t n = 9;
    std::vector<Matrix> a, b;
    for (std::uint64_t i = 0; i < 3; ++i) {
        a.push_back(TwoWords(uneven(n, n, i)).stored);
        b.push_back(TwoWords(uneven(n, n, i + 3)).stored);
    }
    b[1](4, 4) = kNan;  // of the one that is left alone; and one NaN stays in its item
    a[2](3, 2) = kNan;
    Graph graph(device());
    const Placed d = place(graph, std::vector<Matrix>(3, Matrix::Constant(2 * n, n, 7.0)));
    add_two_word_product(graph, place(graph, a).tensor, place(graph, b).tensor, d.tensor,
                         {.active = words(graph, Shape{3}, {1, 0, 1}).tensor});
    run(graph);
    const std::vector<Matrix> result = d.read();
    EXPECT_TRUE(result[0].allFinite());
    EXPECT_EQ(result[1], Matrix::Constant(2 * n, n, 7.0));
    for (Eigen::Index i = 0; i < static_cast<Eigen::Index>(n); ++i)
        EXPECT_EQ(result[2].row(i).allFinite(), i != 3) << i;
}

TEST_P(TwoWordProductTest, TheSameBitsEveryTimeAndSplit) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (std::uint64_t n : {9u, 33u, 70u}) {
            results.push_back(add(graph, n, n + 1, n).d.buffer);
            results.push_back(add_symmetric(graph, n).d.buffer);
        }
        return results;
    });
}

HERON_DEVICE_TESTS(TwoWordProductTest);

}  // namespace
}  // namespace heron::test
