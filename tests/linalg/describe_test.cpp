// SPDX-License-Identifier: MIT
// Plan::describe() says of every operation with several forms which one was taken, and why not the others.
#include <functional>
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
        {"inverse_root by products, denman_beavers: one workgroup is switched off; ",
         [&](Graph& g) { inverse_root(g, matrix(g, 8, 8), matrix(g, 8, 8), {.one_workgroup = false}); }},
        {"inverse_root by products, denman_beavers: one workgroup has newton, not denman_beavers; it fits "
         "one",
         [&](Graph& g) {
             inverse_root(g, matrix(g, 8, 8), matrix(g, 8, 8), {.method = RootMethod::denman_beavers});
         }},
        {"dct by a product: the length is no power of two; ",
         [&](Graph& g) { dct(g, matrix(g, 3, 24), matrix(g, 3, 24)); }},
        {"L G first: ",
         [&](Graph& g) {
             two_sided_product(g, matrix(g, 4, 4), matrix(g, 4, 4), matrix(g, 4, 4), {}, matrix(g, 4, 4));
         }},
        {"polar by products, standard form (a square matrix): does not fit one workgroup; ",
         [&](Graph& g) { polar(g, matrix(g, 400, 400), matrix(g, 400, 400)); }},
        {"polar by products, gram form (fewer FLOPs than the standard form): one workgroup is switched off; ",
         [&](Graph& g) {
             polar(g, matrix(g, 8, 800), matrix(g, 8, 800),
                   {.form = PolarForm::automatic, .one_workgroup = false});
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

HERON_DEVICE_TESTS(LinalgDescribeTest);

}  // namespace
}  // namespace heron::test
