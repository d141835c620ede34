// SPDX-License-Identifier: MIT
// Plan::describe() says of every operation with several forms which one was taken, and why not the others.
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class LinalgDescribeTest : public LinalgTest {};

TEST_P(LinalgDescribeTest, SaysWhichFormWasTakenAndWhyNotTheOthers) {
    const auto describe = [&](const std::function<void(Graph&)>& add) {
        Graph graph(gpu());
        add(graph);
        return graph.compile({}).describe();
    };
    std::uint64_t names = 0;
    const auto matrix = [&](Graph& graph, std::uint64_t rows, std::uint64_t cols) {
        return graph.state("m" + std::to_string(names++), DType::f32, {rows, cols});
    };
    const auto indices = [&](Graph& graph, std::uint64_t count) {
        return graph.state("m" + std::to_string(names++), DType::u32, {count});
    };
    const auto window = [&](Graph& graph) {
        return Window{
            .rows = matrix(graph, 3, 40), .gram = matrix(graph, 3, 3), .exponents = indices(graph, 3)};
    };
    struct Expected {
        const char* needle;
        std::function<void(Graph&)> add;
    };
    const std::vector<Expected> cases{
        {"not gemm_cpu: device is not a CPU driver",
         [&](Graph& g) { gemm(g, matrix(g, 8, 8), matrix(g, 8, 8), {}, matrix(g, 8, 8)); }},
        {"not factor_cpu: device is not a CPU driver",
         [&](Graph& g) { accumulate_factor(g, matrix(g, 9, 8), matrix(g, 8, 8)); }},
        {"it fits one workgroup: one for each matrix; not cholesky_cpu: device is not a CPU driver",
         [&](Graph& g) { cholesky(g, matrix(g, 8, 8), matrix(g, 8, 8)); }},
        {"cholesky in panels: above 88 rows",
         [&](Graph& g) { cholesky(g, matrix(g, 89, 89), matrix(g, 89, 89)); }},
        {"cholesky in panels: one workgroup is switched off",
         [&](Graph& g) { cholesky(g, matrix(g, 8, 8), matrix(g, 8, 8), {.one_workgroup = false}); }},
        {"not triangular_cpu: device is not a CPU driver",
         [&](Graph& g) { triangular_solve(g, matrix(g, 8, 8), matrix(g, 8, 2), matrix(g, 8, 2)); }},
        {"triangular_solve in blocks: above 64 rows; ",
         [&](Graph& g) { triangular_solve(g, matrix(g, 65, 65), matrix(g, 65, 2), matrix(g, 65, 2)); }},
        {"triangular_inverse in blocks: above 64 rows; ",
         [&](Graph& g) { triangular_inverse(g, matrix(g, 65, 65), matrix(g, 65, 65)); }},
        {"triangular_product in 2 panels of rows: above 128 rows; 64 x 64 tiles in shared memory; ",
         [&](Graph& g) { triangular_product(g, matrix(g, 150, 150), matrix(g, 150, 2), matrix(g, 150, 2)); }},
        {"inverse_root by products, denman_beavers: one workgroup is switched off; ",
         [&](Graph& g) { inverse_root(g, matrix(g, 8, 8), matrix(g, 8, 8), {.one_workgroup = false}); }},
        {"inverse_root by products, denman_beavers: one workgroup has newton, not denman_beavers; it fits "
         "one",
         [&](Graph& g) {
             inverse_root(g, matrix(g, 8, 8), matrix(g, 8, 8), {.method = RootMethod::denman_beavers});
         }},
        {"dct by a product: the length is odd, or its odd factor above 15; ",
         [&](Graph& g) { dct(g, matrix(g, 3, 34), matrix(g, 3, 34)); }},
        {"L G first: ",
         [&](Graph& g) {
             two_sided_product(g, matrix(g, 4, 4), matrix(g, 4, 4), matrix(g, 4, 4), {}, matrix(g, 4, 4));
         }},
        {"G R first: ",
         [&](Graph& g) {
             two_sided_product(g, matrix(g, 4, 4), matrix(g, 4, 8), matrix(g, 8, 1), {}, matrix(g, 4, 1));
         }},
        {"range form, refined where the small system is ill-conditioned; the rows in chunks of ",
         [&](Graph& g) { woodbury_range(g, window(g), matrix(g, 1, 3), matrix(g, 1, 40)); }},
        {"subtractive form, not refined; ",
         [&](Graph& g) {
             woodbury_solve(g, window(g), matrix(g, 1, 40), matrix(g, 1, 40),
                            {.refinement = Refinement::never});
         }},
        {"woodbury_diagonal by Cholesky: C is the identity; subtractive form, ",
         [&](Graph& g) {
             woodbury_diagonal(g, matrix(g, 1, 40), matrix(g, 40, 3), {}, matrix(g, 1, 40), matrix(g, 1, 40));
         }},
        {"woodbury_diagonal by LDL^T: C may be indefinite; ",
         [&](Graph& g) {
             woodbury_diagonal(g, matrix(g, 1, 40), matrix(g, 40, 3), matrix(g, 3, 3), matrix(g, 1, 40),
                               matrix(g, 1, 40), {.positive_definite = false});
         }},
        {"woodbury_diagonal_range by Cholesky: C is positive definite; range form, ",
         [&](Graph& g) {
             woodbury_diagonal_range(g, matrix(g, 1, 40), matrix(g, 40, 3), matrix(g, 3, 3), matrix(g, 1, 3),
                                     matrix(g, 1, 40));
         }},
        {"polar by products, standard form (a square matrix): does not fit one workgroup; ",
         [&](Graph& g) { polar(g, matrix(g, 400, 400), matrix(g, 400, 400)); }},
        {"polar by products, gram form (at least a fifth fewer FLOPs than the standard form): one workgroup "
         "is switched off; ",
         [&](Graph& g) { polar(g, matrix(g, 8, 800), matrix(g, 8, 800), {.one_workgroup = false}); }},
        {"eigh by Jacobi, one workgroup for each matrix; ",
         [&](Graph& g) { eigh(g, matrix(g, 8, 8), matrix(g, 1, 8), matrix(g, 8, 8)); }},
        {"eigh by divide and conquer: above 88 rows, one workgroup's limit; ",
         [&](Graph& g) { eigh(g, matrix(g, 89, 89), matrix(g, 1, 89), matrix(g, 89, 89)); }},
        {"eigh by divide and conquer: above 88 rows, one workgroup's limit; the basis is not used, which "
         "saves "
         "only sweeps",
         [&](Graph& g) {
             eigh(g, matrix(g, 89, 89), matrix(g, 1, 89), matrix(g, 89, 89), {.basis = matrix(g, 89, 89)});
         }},
        {"eigh by Jacobi in blocks: max_sweeps is set; above 88 rows",
         [&](Graph& g) {
             eigh(g, matrix(g, 89, 89), matrix(g, 1, 89), matrix(g, 89, 89), {.max_sweeps = 3});
         }},
        {"svd by Jacobi, a pair of blocks; of R: one side is above eight times the other; ",
         [&](Graph& g) { svd(g, matrix(g, 1025, 8), {}, matrix(g, 1, 8), {}); }},
        {"svd by the polar factor: above 88 columns, one workgroup's limit; ",
         [&](Graph& g) { svd(g, matrix(g, 89, 89), {}, matrix(g, 1, 89), {}); }},
        {"svd by Jacobi in blocks: max_sweeps is set; above 88 columns",
         [&](Graph& g) { svd(g, matrix(g, 89, 89), {}, matrix(g, 1, 89), {}, {.max_sweeps = 3}); }},
        {"svd by Jacobi, a pair of blocks; ",
         [&](Graph& g) { polar_by_svd(g, matrix(g, 9, 8), matrix(g, 9, 8)); }},
        {"svd by the polar factor: above 88 columns, one workgroup's limit; ",
         [&](Graph& g) {
             truncated_svd(g, matrix(g, 100, 95), matrix(g, 100, 90), matrix(g, 1, 90), matrix(g, 95, 90),
                           {.basis = matrix(g, 100, 90)});
         }},
        {"three matrices fit shared memory: one workgroup for each root",
         [&](Graph& g) { inverse_root(g, matrix(g, 8, 8), matrix(g, 8, 8), {.p = 4}); }},
        {"; one workgroup for each matrix",
         [&](Graph& g) {
             ldlt(g, matrix(g, 96, 96), {matrix(g, 96, 96), matrix(g, 96, 2), indices(g, 96)});
         }},
        {"ldlt in panels: above 96 rows, what one workgroup takes",
         [&](Graph& g) {
             ldlt(g, matrix(g, 97, 97), {matrix(g, 97, 97), matrix(g, 97, 2), indices(g, 97)});
         }},
        {"householder: few columns",
         [&](Graph& g) { qr(g, matrix(g, 9, 4), matrix(g, 9, 4), matrix(g, 4, 4)); }},
        {"cholesky: products, for large matrices; ",
         [&](Graph& g) { qr(g, matrix(g, 90, 80), matrix(g, 90, 80), matrix(g, 80, 80)); }},
    };
    for (const Expected& expected : cases) {
        const std::string text = describe(expected.add);
        EXPECT_NE(text.find(expected.needle), std::string::npos) << expected.needle << "\n" << text;
    }
}

// Plan::describe() has a line for each dispatch, with its work.
TEST_P(LinalgDescribeTest, EveryDispatchOfAWindowCostsSomething) {
    Graph graph(device());
    const auto floats = [&](const Shape& shape) { return graph.temporary(DType::f32, shape); };
    const Window window{.rows = graph.state("rows", DType::f32, {5, 3000}),
                        .gram = graph.state("gram", DType::f32, {5, 5}),
                        .exponents = graph.state("exponents", DType::u32, {5})};
    window_gram(graph, window);
    window_push(graph, window, graph.state("g", DType::f32, {3000}), graph.state("slot", DType::u32, {1}));
    woodbury_range(graph, window, graph.state("y", DType::f32, {5}), floats({3000}));
    woodbury_solve(graph, window, graph.state("b", DType::f32, {3000}), floats({3000}));
    std::istringstream text(graph.compile({}).describe());
    int seen = 0;
    for (std::string line; std::getline(text, line);) {
        if (line.find(" woodbury_") == std::string::npos) continue;
        ++seen;
        EXPECT_EQ(line.find(" 0 FLOP"), std::string::npos) << line;
        EXPECT_EQ(line.find(" 0 B"), std::string::npos) << line;
    }
    EXPECT_GT(seen, 10) << text.str();
}

HERON_DEVICE_TESTS(LinalgDescribeTest);

}  // namespace
}  // namespace heron::test
