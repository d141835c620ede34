// SPDX-License-Identifier: MIT
// Inverse Fisher matrices against dense ones in float64, on every device. Pruning:
// tests/golden/mfac_static_golden_test.cpp.
#include "linalg/linalg_test.hpp"
#include "support/fisher_reference.hpp"

namespace heron::test {
namespace {

class FisherInverseTest : public LinalgTest {
protected:
    struct Results {
        FisherInverse inverse;
        Placed product, diagonal;
        Words elements, status;
    };
    // Everything that there is to ask, of the gradients in `g`.
    Results ask(Graph& graph, const Tensor& g, const Tensor& x, std::uint64_t block, float damping) {
        const std::uint64_t m = g.rows(), d = g.cols();
        Results r;
        r.inverse = {blank(graph, 1, 1, m * d).tensor, static_cast<std::uint32_t>(m), block, damping};
        r.status = words(graph, r.inverse.blocks());
        r.product = blank(graph, 1, d, 1);
        r.diagonal = blank(graph, 1, d, 1);
        r.elements = words(graph, Shape{pairs(d).size() / 2}, {}, DType::f32);
        fisher_inverse(graph, g, r.inverse, {.status = r.status.tensor});
        fisher_product(graph, r.inverse, x, r.product.tensor);
        fisher_diagonal(graph, r.inverse, r.diagonal.tensor);
        fisher_elements(graph, r.inverse, words(graph, Shape{pairs(d).size() / 2, 2}, pairs(d)).tensor,
                        r.elements.tensor);
        return r;
    }
    // Neighbours, the diagonal's end, blocks far apart, what is not there.
    static std::vector<std::uint32_t> pairs(std::uint64_t d) {
        const std::uint32_t last = static_cast<std::uint32_t>(d) - 1;
        return {0,    0, 0,    std::min(1u, last), last, last / 2, last,
                last, 0, last, last + 1,           0,    3,        0xffffffffu};
    }
    void check(const Results& r, const Matrix& g, const Matrix& x, const std::string& what) {
        const double damping = static_cast<double>(r.inverse.damping);
        const FisherReference reference(g, damping, r.inverse.block);
        const double allowed = reference.error / damping;
        ratio("product", g, (r.product.read()[0] - reference.inverse * x).norm(), allowed * x.norm(), what);
        const Matrix diagonal = r.diagonal.read()[0];
        ratio("diagonal", g, (diagonal.col(0) - reference.inverse.diagonal()).cwiseAbs().maxCoeff(), allowed,
              what);
        EXPECT_GT(diagonal.minCoeff(), 0) << what;
        const std::vector<std::uint32_t> at = pairs(static_cast<std::uint64_t>(g.cols()));
        const std::vector<float> elements = r.elements.floats();
        for (std::size_t k = 0; k < elements.size(); ++k) {
            const Eigen::Index i = at[2 * k], j = at[2 * k + 1];
            const bool there = i < g.cols() && j < g.cols();
            const double expected = there ? reference.inverse(i, j) : 0.0;
            ratio("element", g, std::abs(static_cast<double>(elements[k]) - expected),
                  expected == 0.0 ? 0.0 : allowed, what + ", pair " + std::to_string(k));
        }
        for (const std::string& status : r.status.statuses()) EXPECT_EQ(status, "ok") << what;
    }
};

HERON_DEVICE_TESTS(FisherInverseTest);

// One block, many, a shorter last one; more gradients than coordinates; panels of the factorization.
TEST_P(FisherInverseTest, MatchesTheDenseInverse) {
    struct Case {
        std::uint64_t m, d, block;
        DType dtype;
        std::uint64_t gap;
    };
    for (const Case& c :
         {Case{1, 9, 100, DType::f32, 0}, Case{5, 37, 8, DType::f32, 3}, Case{4, 64, 16, DType::bf16, 2},
          Case{12, 30, 10, DType::f16, 0}, Case{130, 300, 300, DType::f32, 0}})
        for (Device* on : {&device(), &gpu()}) {
            Graph graph(*on);
            const Placed g = place(graph, {random_matrix(c.m, c.d, 7)}, c.dtype, c.gap);
            const Placed x = place(graph, {random_matrix(c.d, 1, 8)});
            const Results results = ask(graph, g.tensor, x.tensor, c.block, 0.1f);
            run(graph);
            check(results, g.items[0], x.items[0], std::to_string(c.m) + " of " + std::to_string(c.d));
        }
}

TEST_P(FisherInverseTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e4, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed g = place(graph, {random_matrix(70, 130, 7)}),
                     x = place(graph, {random_matrix(130, 1, 8)});
        const Results results = ask(graph, g.tensor, x.tensor, 50, 0.1f);
        return {results.product.buffer, results.diagonal.buffer, results.elements.buffer};
    });
}

// Pages of whole blocks through one plan, gradients as columns of a larger matrix.
TEST_P(FisherInverseTest, PagesGoThroughOnePlan) {
    const std::uint64_t m = 6, d = 48, page = 16;
    Graph whole(device());
    const Placed g = place(whole, {random_matrix(m, d, 9)}), x = place(whole, {random_matrix(d, 1, 10)});
    Graph graph(device());
    const auto gradients = [&](std::uint64_t first) {
        return TensorView{g.buffer->address() + first * 4, DType::f32, Shape{m, page}, d};
    };
    const auto vector = [&](std::uint64_t first) {
        return TensorView{x.buffer->address() + first * 4, DType::f32, Shape{page}};
    };
    const Tensor g_page = graph.external("gradients", gradients(0)), x_page = graph.external("x", vector(0));
    const Results results = ask(graph, g_page, x_page, 8, 0.1f);
    Plan plan = run(graph);
    for (std::uint64_t first = 0; first < d; first += page) {
        const Plan::Rebinding page_views[] = {{"gradients", gradients(first)}, {"x", vector(first)}};
        plan.rebind(page_views);
        plan.run();
        const Eigen::Index at = static_cast<Eigen::Index>(first), count = static_cast<Eigen::Index>(page);
        check(results, g.items[0].middleCols(at, count), x.items[0].middleRows(at, count),
              "page at " + std::to_string(first));
    }
}

// Pruned weights are no part of F, and stay where they are.
TEST_P(FisherInverseTest, PrunedWeightsAreLeftOut) {
    Graph graph(device());
    Matrix values = random_matrix(4, 11, 14);
    const Placed g = place(graph, {values}), w = place(graph, {random_matrix(11, 1, 15)});
    const Words kept = words(graph, Shape{11}, {1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1});
    const FisherInverse inverse{blank(graph, 1, 4, 11).tensor, 4, 6, 0.2f};
    const Placed scores = blank(graph, 1, 11, 1);
    fisher_inverse(graph, g.tensor, inverse, {.kept = kept.tensor});
    pruning_scores(graph, inverse, w.tensor, kept.tensor, scores.tensor);
    prune_smallest(graph, scores.tensor, kept.tensor, 3);
    prune_weights(graph, inverse, kept.tensor, w.tensor);
    run(graph);
    values.col(2).setZero();
    values.col(6).setZero();
    const FisherReference reference(values, 0.2, 6);
    Matrix expected = w.items[0], removal = Matrix::Zero(11, 1);
    std::vector<std::pair<double, Eigen::Index>> order;
    for (Eigen::Index i = 0; i < 11; ++i)
        if (i != 2 && i != 6)
            order.push_back({std::pow(expected(i, 0), 2) / (2 * reference.inverse(i, i)), i});
    std::sort(order.begin(), order.end());
    std::vector<std::uint32_t> left(11, 1);
    // What was pruned before is only cut off.
    for (const Eigen::Index i :
         {Eigen::Index{2}, Eigen::Index{6}, order[0].second, order[1].second, order[2].second}) {
        left[static_cast<std::size_t>(i)] = 0;
        removal(i, 0) = -expected(i, 0) / reference.inverse(i, i);
    }
    expected += reference.inverse * removal;
    for (Eigen::Index i = 0; i < 11; ++i) expected(i, 0) *= left[static_cast<std::size_t>(i)];
    EXPECT_EQ(kept.words(), left);
    EXPECT_LE((w.read()[0] - expected).cwiseAbs().maxCoeff(), 1e-5);
    EXPECT_EQ(scores.read()[0](2, 0), kInfinity);
}

// A block that fails leaves the others alone: its inverse is that of the damping.
TEST_P(FisherInverseTest, BlocksFailAlone) {
    Graph graph(device());
    Matrix values = random_matrix(3, 12, 11);
    values(1, 5) = kInfinity;
    const Placed g = place(graph, {values}), x = place(graph, {random_matrix(12, 1, 12)});
    const Results results = ask(graph, g.tensor, x.tensor, 4, 0.5f);
    run(graph);
    EXPECT_EQ(results.status.statuses(), (std::vector<std::string>{"ok", "nonfinite", "ok"}));
    values.middleCols(4, 4).setZero();
    const FisherReference reference(values, 0.5, 4);
    const Matrix product = results.product.read()[0];
    EXPECT_LE((product - reference.inverse * x.items[0]).norm(), reference.error / 0.5 * x.items[0].norm());
    EXPECT_EQ(product(5, 0), 2 * x.items[0](5, 0));
    // A damping that drowns: two equal gradients.
    Graph equal(device());
    const Placed twice = place(equal, {Matrix::Constant(2, 7, 1.0)});
    const Placed y = place(equal, {random_matrix(7, 1, 13)});
    const Results raised = ask(equal, twice.tensor, y.tensor, 7, 1e-12f);
    run(equal);
    EXPECT_EQ(raised.status.statuses(), (std::vector<std::string>{"jittered"}));
    EXPECT_TRUE(raised.product.read()[0].allFinite());
}

TEST_P(FisherInverseTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor g = place(graph, {Matrix::Zero(3, 8)}).tensor, y = place(graph, {Matrix::Zero(3, 8)}).tensor;
    const Tensor d8 = place(graph, {Matrix::Zero(1, 8)}).tensor,
                 d7 = place(graph, {Matrix::Zero(1, 7)}).tensor;
    const Tensor kept = words(graph, 8).tensor, three = words(graph, 3).tensor;
    const FisherInverse inverse{y, 3, 4, 0.1f};
    const auto with = [&](auto change) {
        FisherInverse other = inverse;
        change(other);
        return other;
    };
    const auto make = [&](const FisherInverse& other) { fisher_inverse(graph, g, other); };
    expect_refusals(graph,
                    {{"0 gradients", [&] { make(with([](FisherInverse& f) { f.gradients = 0; })); }},
                     {"1025 gradients", [&] { make(with([](FisherInverse& f) { f.gradients = 1025; })); }},
                     {"multiple of 5", [&] { make(with([](FisherInverse& f) { f.gradients = 5; })); }},
                     {"3 rows of 8", [&] { fisher_inverse(graph, d8, inverse); }},
                     {"block", [&] { make(with([](FisherInverse& f) { f.block = 0; })); }},
                     {"damping", [&] { make(with([](FisherInverse& f) { f.damping = 0.0f; })); }},
                     {"damping", [&] { make(with([](FisherInverse& f) { f.damping = 1e-45f; })); }},
                     {"the gradients", [&] { fisher_inverse(graph, y, inverse); }},
                     {"status", [&] { fisher_inverse(graph, g, inverse, {.status = three}); }},
                     {"kept", [&] { fisher_inverse(graph, g, inverse, {.kept = three}); }},
                     {"x is", [&] { fisher_product(graph, inverse, d7, d8); }},
                     {"the result", [&] { fisher_product(graph, inverse, d8, d7); }},
                     {"the result", [&] { fisher_product(graph, inverse, d8, d8); }},
                     {"the result", [&] { fisher_diagonal(graph, inverse, d7); }},
                     {"no pairs", [&] { fisher_elements(graph, inverse, three, d7); }},
                     {"the result", [&] { fisher_elements(graph, inverse, kept, d7); }},
                     {"the weights", [&] { pruning_scores(graph, inverse, d7, kept, d8); }},
                     {"kept", [&] { pruning_scores(graph, inverse, d8, three, d8); }},
                     {"the scores", [&] { pruning_scores(graph, inverse, d8, kept, d8); }},
                     {"the count is 9", [&] { prune_smallest(graph, d8, kept, 9); }},
                     {"kept", [&] { prune_smallest(graph, d8, three, 1); }},
                     {"the weights", [&] { prune_weights(graph, inverse, kept, d7); }},
                     {"kept", [&] { prune_weights(graph, inverse, three, d8); }}});
}

}  // namespace
}  // namespace heron::test
