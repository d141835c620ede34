// SPDX-License-Identifier: MIT
// two_sided_product() against float64, on every device, and the order that it takes.
#include <cmath>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

struct Case {
    std::uint64_t p = 1, m = 1, n = 1, q = 1, batch = 1;
    bool left = true, right = true, transpose_left = false, transpose_right = false;
    bool one_left = false, one_g = false, one_right = false;  // one matrix for the whole batch
    float alpha = 1, beta = 0;
    std::uint64_t gap = 0;
    MatrixKind kind = MatrixKind::random;
    DType dtype = DType::f32;  // of G and D
};

class TwoSidedTest : public LinalgTest {
protected:
    struct Pending {
        Case x;
        Placed left, g, right, d;
    };

    void add(Graph& graph, const Case& x) {
        // Products of three that are huge, or tiny, are out of range: G alone is.
        const bool scaled = x.kind == MatrixKind::huge || x.kind == MatrixKind::tiny;
        const auto matrices = [&](bool one, std::uint64_t rows, std::uint64_t cols, std::uint64_t seed) {
            std::vector<Matrix> items;
            const MatrixKind kind = scaled && seed != 3 ? MatrixKind::random : x.kind;
            for (std::uint64_t item = 0; item < (one ? 1 : x.batch); ++item)
                items.push_back(make_matrix(kind, rows, cols, seed + 10 * item));
            return items;
        };
        Pending p{x, {}, {}, {}, {}};
        if (x.left)
            p.left = place(
                graph, matrices(x.one_left, x.transpose_left ? x.m : x.p, x.transpose_left ? x.p : x.m, 1),
                DType::f32, x.gap);
        if (x.right)
            p.right = place(
                graph, matrices(x.one_right, x.transpose_right ? x.q : x.n, x.transpose_right ? x.n : x.q, 2),
                DType::f32, x.gap);
        p.g = place(graph, matrices(x.one_g, x.m, x.n, 3), x.dtype, x.gap);
        p.d = x.beta != 0 ? place(graph, matrices(false, x.p, x.q, 4), x.dtype, x.gap)
                          : blank(graph, x.batch, x.p, x.q, x.gap, x.dtype);
        TwoSidedOptions options{.alpha = x.alpha, .beta = x.beta};
        if (x.transpose_left) options.transpose_left = Transpose::yes;
        if (x.transpose_right) options.transpose_right = Transpose::yes;
        two_sided_product(graph, p.left.tensor, p.g.tensor, p.right.tensor,
                          x.beta != 0 ? p.d.tensor : Tensor{}, p.d.tensor, options);
        pending_.push_back(std::move(p));
    }

    void check() {
        for (const Pending& p : pending_) {
            const Case& x = p.x;
            const std::vector<Matrix> results = p.d.read();
            for (std::size_t item = 0; item < x.batch; ++item) {
                const Matrix& g = p.g.items[x.one_g ? 0 : item];
                Matrix expected = g;
                double norms = std::abs(static_cast<double>(x.alpha)) * g.norm(), roots = 0;
                if (x.left) {
                    Matrix left = p.left.items[x.one_left ? 0 : item];
                    if (x.transpose_left) left.transposeInPlace();
                    expected = left * expected;
                    norms *= left.norm();
                    roots += std::sqrt(static_cast<double>(x.m) + 2);
                }
                if (x.right) {
                    Matrix right = p.right.items[x.one_right ? 0 : item];
                    if (x.transpose_right) right.transposeInPlace();
                    expected = expected * right;
                    norms *= right.norm();
                    roots += std::sqrt(static_cast<double>(x.n) + 2);
                }
                expected *= static_cast<double>(x.alpha);
                // The last rounding is all that is left without L and R.
                double allowed = 3 * kUnit * roots * norms + kUnit * expected.norm();
                if (x.beta != 0) {
                    expected += static_cast<double>(x.beta) * p.d.items[item];
                    allowed += 6 * kUnit * std::abs(static_cast<double>(x.beta)) * p.d.items[item].norm();
                }
                if (x.dtype != DType::f32) allowed += unit_roundoff(x.dtype) * expected.norm();
                ratio(std::string("product, ") + to_string(x.dtype), std::max({x.p, x.m, x.n, x.q}),
                      (results[item] - expected).norm(), allowed,
                      std::to_string(x.p) + " " + std::to_string(x.m) + " " + std::to_string(x.n) + " " +
                          std::to_string(x.q) + " batch " + std::to_string(x.batch));
            }
        }
        pending_.clear();
    }

    std::vector<Pending> pending_;
};

TEST_P(TwoSidedTest, MatchesFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 7u, 16u, 33u, 65u})
        for (int flags = 0; flags < 8; ++flags) {
            const bool transpose_left = (flags & 1) != 0, transpose_right = (flags & 2) != 0;
            const bool wide = (flags & 4) != 0;
            add(graph, {.p = wide ? 5 : n,
                        .m = n,
                        .n = 9,
                        .q = wide ? 40u : 3u,
                        .transpose_left = transpose_left,
                        .transpose_right = transpose_right});
        }
    add(graph, {.p = 9, .m = 20, .n = 8, .q = 8, .right = false, .alpha = 2, .beta = 0.5f});
    add(graph, {.p = 20, .m = 20, .n = 8, .q = 5, .left = false, .transpose_right = true});
    add(graph, {.p = 20, .m = 20, .n = 8, .q = 8, .left = false, .right = false, .alpha = -3});
    add(graph, {.p = 9, .m = 20, .n = 8, .q = 13, .batch = 3, .alpha = -0.5f, .beta = 2, .gap = 3});
    add(graph, {.p = 9, .m = 20, .n = 8, .q = 13, .batch = 3, .one_left = true, .one_right = true, .gap = 1});
    add(graph, {.p = 9, .m = 20, .n = 8, .q = 3, .batch = 3, .one_g = true});
    add(graph,
        {.p = 19, .m = 20, .n = 28, .q = 3, .batch = 3, .one_left = true, .one_g = true, .one_right = true});
    add(graph, {.p = 9, .m = 20, .n = 8, .q = 13, .beta = 1, .dtype = DType::f16});
    run(graph);
    check();
}

TEST_P(TwoSidedTest, MatchesFloat64ForEveryKindOfMatrix) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds()) {
        add(graph, {.p = 17, .m = 31, .n = 23, .q = 40, .kind = kind});
        add(graph, {.p = 31, .m = 31, .n = 8, .q = 8, .right = false, .kind = kind});
    }
    run(graph);
    check();
}

// A NaN in G reaches all that it is multiplied into; one in L its row, one in R its column.
TEST_P(TwoSidedTest, NonfiniteElementsReachWhatIsMadeOfThem) {
    for (int bad = 0; bad < 3; ++bad) {
        Graph graph(device());
        std::vector<Matrix> operands{random_matrix(6, 5, 1), random_matrix(5, 4, 2), random_matrix(4, 7, 3)};
        operands[static_cast<std::size_t>(bad)](2, 3) = kNan;
        const Placed left = place(graph, {operands[0]}), g = place(graph, {operands[1]}),
                     right = place(graph, {operands[2]}), d = blank(graph, 1, 6, 7, 2);
        two_sided_product(graph, left.tensor, g.tensor, right.tensor, {}, d.tensor);
        run(graph);
        const Matrix result = d.read()[0];
        for (Eigen::Index i = 0; i < 6; ++i)
            for (Eigen::Index j = 0; j < 7; ++j)
                EXPECT_EQ(std::isnan(result(i, j)), bad == 0 ? i == 2 : bad == 1 || j == 3)
                    << bad << ": " << i << ", " << j;
    }
}

TEST_P(TwoSidedTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed left = place(graph, {random_matrix(70, 60, 1)}),
                     g = place(graph, {random_matrix(60, 80, 2)}),
                     right = place(graph, {random_matrix(80, 50, 3)}), d = blank(graph, 1, 70, 50);
        two_sided_product(graph, left.tensor, g.tensor, right.tensor, {}, d.tensor);
        return {d.buffer};
    });
}

TEST_P(TwoSidedTest, TakesTheCheaperOrder) {
    const auto flops = [&](std::uint64_t p, std::uint64_t m, std::uint64_t n, std::uint64_t q) {
        Graph graph(device());
        add(graph, {.p = p, .m = m, .n = n, .q = q});
        pending_.clear();
        return graph.compile({}).flops();
    };
    EXPECT_EQ(flops(4, 100, 50, 60), 2.0 * 4 * 50 * (100 + 60));  // left first
    EXPECT_EQ(flops(100, 60, 50, 4), 2.0 * 60 * 4 * (50 + 100));  // right first
}

TEST_P(TwoSidedTest, AlphaOfZeroReadsNoOperand) {
    Graph graph(device());
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Placed g = place(graph, {Matrix::Constant(3, 4, nan)}),
                 left = place(graph, {random_matrix(3, 3, 1)}),
                 right = place(graph, {random_matrix(4, 4, 2)});
    std::vector<Placed> results;
    for (const bool with_left : {false, true})
        for (const bool with_right : {false, true}) {
            results.push_back(blank(graph, 1, 3, 4));
            two_sided_product(graph, with_left ? left.tensor : Tensor{}, g.tensor,
                              with_right ? right.tensor : Tensor{}, {}, results.back().tensor, {.alpha = 0});
        }
    run(graph);
    for (const Placed& result : results) EXPECT_EQ(result.read().front(), Matrix::Zero(3, 4));
}

TEST_P(TwoSidedTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor left = graph.temporary(DType::f32, {3, 4}), g = graph.temporary(DType::f32, {4, 5}),
                 right = graph.temporary(DType::f32, {5, 6}), d = graph.temporary(DType::f32, {3, 6});
    const auto product = [&](const Tensor& l, const Tensor& x, const Tensor& r, const Tensor& to,
                             const TwoSidedOptions& options = {}) {
        two_sided_product(graph, l, x, r, {}, to, options);
    };
    expect_refusals(
        graph, {{"G is empty", [&] { product(left, {}, right, d); }},
                {"D is empty", [&] { product(left, g, right, {}); }},
                {"as many columns as G rows", [&] { product(right, g, right, d); }},
                {"as many rows as G columns", [&] { product(left, g, left, d); }},
                {"is 3x6", [&] { product(left, g, right, g); }},
                {"C is empty", [&] { product(left, g, right, d, {.beta = 1}); }},
                {"alpha is nan", [&] { product(left, g, right, d, {.alpha = std::nanf("")}); }},
                {"beta inf", [&] { product(left, g, right, d, {.beta = INFINITY}); }},
                {"transpose_left",
                 [&] { product(left, g, right, d, {.transpose_left = static_cast<Transpose>(7)}); }},
                {"transpose_right",
                 [&] { product(left, g, right, d, {.transpose_right = static_cast<Transpose>(2)}); }},
                {"overlaps L",
                 [&] {
                     product(d, graph.temporary(DType::f32, {6, 6}), {}, d);
                 }},
                {"L and R are empty",
                 [&] {
                     two_sided_product(graph, {}, d, {}, d, graph.temporary(DType::f32, {3, 6}), {.beta = 1});
                 }},
                {"one for all", [&] {
                     product(graph.temporary(DType::f32, {2, 3, 4}), g, right, d);
                 }}});
}

HERON_DEVICE_TESTS(TwoSidedTest);

}  // namespace
}  // namespace heron::test
