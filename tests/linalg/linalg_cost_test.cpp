// SPDX-License-Identifier: MIT
// What headers of linear algebra say of FLOPs and bytes against what plans state, in f32, above the sizes of
// one workgroup.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"
#include "support/plan_cost.hpp"

namespace heron::test {
namespace {

// States of a graph, one after the other.
class States {
public:
    explicit States(Graph& graph) : graph_(graph) {}
    Tensor matrix(std::uint64_t rows, std::uint64_t cols) { return add(DType::f32, {rows, cols}); }
    Tensor vector(std::uint64_t count) { return add(DType::f32, {count}); }
    Tensor indices(std::uint64_t count) { return add(DType::u32, {count}); }

private:
    Tensor add(DType dtype, const Shape& shape) {
        return graph_.state("x" + std::to_string(count_++), dtype, shape);
    }
    Graph& graph_;
    int count_ = 0;
};

using Add = std::function<void(Graph&, States&)>;

Cost stated(const Device& device, const Add& add) {
    Graph graph(device);
    States states(graph);
    add(graph, states);
    return cost_of(graph.compile({}), [](const Node&) { return true; });
}

struct Claim {
    std::string name;
    Cost cost;
    Add add;
    Margins margins{};
};

constexpr double m = 500, n = 400, k = 300;  // of which no one is a multiple of a tile
constexpr double h = 200, w = 800;           // of polar()

double cube(double x) { return x * x * x; }

std::vector<Claim> products() {
    return {
        {"gemm",
         {2 * m * n * k, 4 * (m * k + k * n + m * n)},
         [](Graph& g, States& s) {
             gemm(g, s.matrix(500, 300), s.matrix(300, 400), {}, s.matrix(500, 400));
         }},
        {"gemm with C",
         {2 * m * n * k, 4 * (m * k + k * n + 2 * m * n)},
         [](Graph& g, States& s) {
             gemm(g, s.matrix(500, 300), s.matrix(300, 400), s.matrix(500, 400), s.matrix(500, 400),
                  {.beta = 1});
         }},
        {"syrk",
         {m * m * n, 4 * (2 * m * n + m * m)},
         [](Graph& g, States& s) { syrk(g, s.matrix(500, 400), {}, s.matrix(500, 500)); }},
        {"two_sided_product",  // 100 x 200, 200 x 300, 300 x 150: the left one first
         {2.0 * 100 * 300 * (200 + 150),
          4.0 * (100 * 200 + 200 * 300 + 300 * 150 + 100 * 150) + 8 * 100 * 300},
         [](Graph& g, States& s) {
             two_sided_product(g, s.matrix(100, 200), s.matrix(200, 300), s.matrix(300, 150), {},
                               s.matrix(100, 150));
         }},
        {"accumulate_factor",
         {k * (k + 1) * 200, 4 * 200 * k + 6 * k * k},  // too few rows to be split
         [](Graph& g, States& s) { accumulate_factor(g, s.matrix(200, 300), s.matrix(300, 300)); }},
        {"dct by a product",  // an odd factor of 17
         {100 * 2 * 272.0 * 272, 8 * 100 * 272 + 4 * 272.0 * 272},
         [](Graph& g, States& s) { dct(g, s.matrix(100, 272), s.matrix(100, 272)); }},
        {"dct",  // 512 = 1 * 2^9
         {100 * 512 * 2.5 * 9, 8 * 100 * 512},
         [](Graph& g, States& s) { dct(g, s.matrix(100, 512), s.matrix(100, 512)); },
         kRough},
        {"dct_basis",
         {8 * 20 * 272, 4 * 20 * 272 + 8 * 272},
         [](Graph& g, States& s) { dct_basis(g, s.indices(20), s.matrix(20, 272)); }},
    };
}

std::vector<Claim> factorisations() {
    return {
        {"cholesky, small",
         {cube(60) / 3, 8 * 60 * 60},
         [](Graph& g, States& s) { cholesky(g, s.matrix(60, 60), s.matrix(60, 60)); }},
        // GPUs: every workgroup factors the diagonal blocks for itself.
        {"cholesky",
         {cube(m) / 3, m * m * (20 + m / 96)},
         [](Graph& g, States& s) { cholesky(g, s.matrix(500, 500), s.matrix(500, 500)); },
         {{0.25, 0.35}, kAbout}},
        {"triangular_solve",
         {m * m * n, 4 * (m * m / 2 + m * n * (2 + m / 128))},
         [](Graph& g, States& s) {
             triangular_solve(g, s.matrix(500, 500), s.matrix(500, 400), s.matrix(500, 400));
         },
         kRough},
        {"cholesky_solve",
         {2 * m * m * n, 8 * (m * m / 2 + m * n * (2 + m / 128))},
         [](Graph& g, States& s) {
             cholesky_solve(g, s.matrix(500, 500), s.matrix(500, 400), s.matrix(500, 400));
         },
         kRough},
        {"triangular_inverse",  // three doublings; up to 2/3 n^3, of large ones 3/8
         {0.5 * cube(m), 15 * m * m},
         [](Graph& g, States& s) { triangular_inverse(g, s.matrix(500, 500), s.matrix(500, 500)); },
         {{0.3, 0.35}, {0.25, 0.5}}},  // more panels, and bytes, where they are packed
        {"spd_inverse",
         {2 * cube(m), 0},
         [](Graph& g, States& s) { spd_inverse(g, s.matrix(500, 500), s.matrix(500, 500)); },
         kRough},
        {"ldlt",
         {cube(m) / 3 + 60 * m * m, m * m * (150 + m / 33)},
         [](Graph& g, States& s) {
             ldlt(g, s.matrix(500, 500), {s.matrix(500, 500), s.matrix(500, 2), s.indices(500)});
         },
         kRough},
        {"qr, householder",
         {4 * m * k * k - 4.0 / 3 * cube(k), 4 * m * k * (50 + k / 14)},
         [](Graph& g, States& s) {
             qr(g, s.matrix(500, 300), s.matrix(500, 300), s.matrix(300, 300),
                {.method = QrMethod::householder});
         },
         kRough},
        {"qr, cholesky, two passes",
         {2 * (2 * m * k * k + 4.0 / 3 * cube(k)) + 2 * cube(k),
          2 * (4 * m * k * (8 + k / 128) + 50 * k * k)},
         [](Graph& g, States& s) {
             qr(g, s.matrix(500, 300), s.matrix(500, 300), s.matrix(300, 300),
                {.method = QrMethod::cholesky, .passes = 2});
         },
         kRough},
        {"qr, cholesky, two passes, tall",
         {2 * (2 * 2000 * k * k + 4.0 / 3 * cube(k)) + 2 * cube(k),
          2 * (4 * 2000 * k * (8 + k / 128) + 50 * k * k)},
         [](Graph& g, States& s) {
             qr(g, s.matrix(2000, 300), s.matrix(2000, 300), s.matrix(300, 300),
                {.method = QrMethod::cholesky, .passes = 2});
         },
         kRough},
        {"eigh",
         {8 * cube(m), 0},
         [](Graph& g, States& s) { eigh(g, s.matrix(500, 500), s.vector(500), s.matrix(500, 500)); },
         {{0.25, 0.3}, kAbout}},
        {"power_iteration, three",
         {3 * 2 * m * m, 3 * (4 * m * m + 16 * m)},
         [](Graph& g, States& s) {
             power_iteration(g, s.matrix(500, 500), s.matrix(500, 1), s.vector(1), {.iterations = 3});
         }},
        // Below what packed panels are for, which copy the operands besides.
        {"polar, standard form",
         {5 * (3 * h * h * w + cube(h)), 12 * h * w + 5 * 4 * (5 * h * w + 6 * h * h)},
         [](Graph& g, States& s) {
             polar(g, s.matrix(200, 800), s.matrix(200, 800), {.form = PolarForm::standard});
         }},
        {"polar, standard form, two words",
         {15 * (3 * h * h * w + cube(h)), 12 * h * w + 5 * (50 * h * w + 78 * h * h)},
         [](Graph& g, States& s) {
             polar(g, s.matrix(200, 800), s.matrix(200, 800),
                   {.form = PolarForm::standard, .precision = DType::f16, .words = 2});
         }},
        {"polar, standard form, two f32 words",
         {10.5 * 5 * (3 * h * h * w + cube(h)), 12 * h * w + 5 * 8 * (5 * h * w + 6 * h * h)},
         [](Graph& g, States& s) {
             polar(g, s.matrix(200, 800), s.matrix(200, 800), {.form = PolarForm::standard, .words = 2});
         }},
        {"polar, Gram form, two f32 words",
         {10.5 * (3 * h * h * w + 17 * cube(h)), 12 * h * w + 8 * (4 * h * w + 59 * h * h)},
         [](Graph& g, States& s) { polar(g, s.matrix(200, 800), s.matrix(200, 800), {.words = 2}); }},
        {"polar, Gram form",
         {9 * h * h * w + 11 * cube(h), 12 * h * w + 4 * (13 * h * w + 50 * h * h)},
         [](Graph& g, States& s) { polar(g, s.matrix(200, 800), s.matrix(200, 800)); }},
        {"polar, Gram form, two words",
         {3 * (9 * h * h * w + 11 * cube(h)), 12 * h * w + 142 * h * w + 586 * h * h},
         [](Graph& g, States& s) {
             polar(g, s.matrix(200, 800), s.matrix(200, 800), {.precision = DType::f16, .words = 2});
         }},
        {"polar, Gram form, two words, longer",
         {3 * (9 * h * h * 2 * w + 11 * cube(h)), 12 * h * 2 * w + 142 * h * 2 * w + 586 * h * h},
         [](Graph& g, States& s) {
             polar(g, s.matrix(200, 1600), s.matrix(200, 1600), {.precision = DType::f16, .words = 2});
         }},
        {"condition_estimate, of a square root",
         {(8 + 16) * 2 * m * m, (8 + 16) * (4 * m * m + 16 * m)},
         [](Graph& g, States& s) {
             condition_estimate(g, s.matrix(500, 500), s.matrix(500, 500), s.vector(1), {.root = 2});
         }},
        {"inverse_root, newton, five iterations of p = 4",
         {5 * 4 * cube(m), 0},
         [](Graph& g, States& s) {
             inverse_root(g, s.matrix(500, 500), s.matrix(500, 500),
                          {.p = 4, .method = RootMethod::newton, .iterations = 5});
         },
         kRough},
        {"inverse_root in two words, five iterations of p = 4",
         {5 * 4 * 10.5 * cube(m), 5 * (4 * 24 + 24) * m * m},
         [](Graph& g, States& s) {
             inverse_root(g, s.matrix(500, 500), s.matrix(500, 500), {.p = 4, .iterations = 5, .words = 2});
         },
         kRough},
    };
}

std::vector<Claim> updates() {
    return {
        {"sherman_morrison",
         {5 * m * m, 12 * m * m},
         [](Graph& g, States& s) { sherman_morrison(g, s.matrix(500, 500), s.vector(500)); }},
        {"cholesky_update",
         {6 * m * m, 6 * m * m},
         [](Graph& g, States& s) { cholesky_update(g, s.matrix(500, 500), s.vector(500)); }},
        {"cholesky_downdate",
         {6 * m * m, 6 * m * m},
         [](Graph& g, States& s) { cholesky_downdate(g, s.matrix(500, 500), s.vector(500)); }},
        {"cholesky_replace_row",
         {12 * m * m, 6 * m * m},
         [](Graph& g, States& s) {
             cholesky_replace_row(g, s.matrix(500, 500), s.indices(1), s.vector(500));
         }},
        {"update_inverse",
         {3 * m * m * 40 + 2 * m * 40 * 40, 12 * m * m + 32 * m * 40},
         [](Graph& g, States& s) { update_inverse(g, s.matrix(500, 500), s.matrix(500, 40)); }},
        {"window_gram",  // 16 rows
         {16.0 * (16 + 8) * 100'000, 4 * (16 / 8.0 + 2) * 16.0 * 100'000},
         [](Graph& g, States& s) {
             window_gram(g, {s.matrix(16, 100'000), s.matrix(16, 16), s.indices(16)});
         },
         kRough},
        {"window_push",
         {2 * 16 * 100'000, 4 * 17 * 100'000},
         [](Graph& g, States& s) {
             window_push(g, {s.matrix(16, 100'000), s.matrix(16, 16), s.indices(16)}, s.vector(100'000),
                         s.indices(1));
         },
         kRough},
    };
}

std::vector<Claim> passes() {
    return {
        {"row_norms",
         {2 * m * n, 4 * m * n + 4 * m},
         [](Graph& g, States& s) { row_norms(g, s.matrix(500, 400), s.vector(500)); }},
        {"column_norms",
         {2 * m * n, 4 * m * n + 4 * n},
         [](Graph& g, States& s) { column_norms(g, s.matrix(500, 400), s.vector(400)); }},
        {"row_power_norms",
         {8 * m * n, 2 * (4 * m * n + 4 * m)},
         [](Graph& g, States& s) { row_power_norms(g, s.matrix(500, 400), s.vector(500), 3); }},
        {"scale_rows",
         {m * n, 8 * m * n + 4 * m},
         [](Graph& g, States& s) { scale_rows(g, s.matrix(500, 400), s.vector(500), s.matrix(500, 400)); }},
        {"normalize_rows",
         {3 * m * n, 12 * m * n},
         [](Graph& g, States& s) { normalize_rows(g, s.matrix(500, 400), s.matrix(500, 400)); }},
        {"sum", {m * n, 4 * m * n}, [](Graph& g, States& s) { sum(g, s.matrix(500, 400), s.vector(1)); }},
        {"convert",
         {m * n, 8 * m * n},
         [](Graph& g, States& s) { convert(g, s.matrix(500, 400), s.matrix(500, 400), 2); }},
        {"gather_rows",
         {0, 8 * 50 * n},
         [](Graph& g, States& s) { gather_rows(g, s.matrix(500, 400), s.indices(50), s.matrix(50, 400)); }},
    };
}

class LinalgCostTest : public LinalgTest {};
HERON_DEVICE_TESTS(LinalgCostTest);

TEST_P(LinalgCostTest, HeadersSayWhatPlansState) {
    for (Device* on : {&device(), &gpu()})
        for (const auto& claims : {products(), factorisations(), updates(), passes()})
            for (const Claim& claim : claims) {
                const Cost cost = stated(*on, claim.add);
                const std::string what = claim.name + (on == &device() ? "" : " with the kernels for GPUs");
                expect_cost(cost, claim.cost, claim.margins, what);
            }
}

// What is made of another operation costs that and what the header adds.
TEST_P(LinalgCostTest, HeadersSayWhatIsAdded) {
    const auto cost = [&](const Add& add) { return stated(device(), add); };
    const Cost eigen =
        cost([](Graph& g, States& s) { eigh(g, s.matrix(500, 500), s.vector(500), s.matrix(500, 500)); });
    const Cost power = cost([](Graph& g, States& s) {
        matrix_power(g, s.matrix(500, 500), s.matrix(500, 500), {.exponent = -0.5});
    });
    expect_cost(power, eigen + Cost{cube(m), 20 * m * m}, {}, "matrix_power");
}

}  // namespace
}  // namespace heron::test
