// SPDX-License-Identifier: MIT
// What headers of the optimizers with Kronecker factors say of their cost against what plans state: of every
// step, and of a refresh.
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/polar.hpp"
#include "optim/optimizer_case.hpp"
#include "optim/test_layer.hpp"
#include "support/plan_cost.hpp"

namespace heron::test {
namespace {

// Of which no one is a multiple of a tile.
constexpr std::uint64_t kRows = 300, kCols = 400, kSamples = 200;
constexpr double m = kRows, n = kCols, N = kSamples;

struct Claims {
    Cost step, refresh;
    Margins margins{};
};

class KroneckerCostTest : public DeviceTest {
protected:
    // Muon's step of m x n: what polar() has, and 15 FLOPs and 36 bytes an element.
    static Cost muon(Device& on, std::uint64_t rows, std::uint64_t cols) {
        return step_of(on, registry::maker<Muon>(MuonOptions{}), rows, cols).first;
    }
    // In every step, and in a refresh.
    static std::pair<Cost, Cost> step_of(Device& on, const MakeOptimizer& make, std::uint64_t rows,
                                         std::uint64_t cols) {
        StepOptions options;
        options.skip_nonfinite = false;  // a pass of the step's, not of an optimizer's
        Training training(on, make, {{.name = "w", .shape = {rows, cols}}}, options);
        return {every_step(training.plan()), refresh(training.plan())};
    }
    Cost power_of(std::uint64_t order) {
        Graph graph(device());
        const Tensor a = graph.state("a", DType::f32, {order, order}),
                     x = graph.state("x", DType::f32, {order, order});
        matrix_power(graph, a, x, {.exponent = -0.25});
        return cost_of(graph.compile({}), [](const Node&) { return true; });
    }
    void expect(const std::string& name, const std::pair<Cost, Cost>& stated, const Claims& claims) {
        expect_cost(stated.first, claims.step, claims.margins, name + ", every step");
        expect_cost(stated.second, claims.refresh, claims.margins, name + ", a refresh");
    }
    // Of a layer without a bias.
    template <typename Layered, typename Options>
    std::pair<Cost, Cost> layer_step_of(const Options& options) {
        const TestLayer layer(device(), {.name = "layer",
                                         .weight = {kRows, kCols},
                                         .inputs = {kSamples, kCols},
                                         .output_gradients = {kSamples, kRows},
                                         .bias = false});
        Layered optimizer(device(), options);
        optimizer.add_layer(layer.layer());
        const Optimizer* pointer = &optimizer;
        StepOptions step;
        step.skip_nonfinite = false;
        const Plan plan = compile(device(), {&pointer, 1}, step);
        return {every_step(plan), refresh(plan)};
    }
};
HERON_DEVICE_TESTS(KroneckerCostTest);

TEST_P(KroneckerCostTest, OptimizersOfMatrices) {
    using registry::maker;
    const double cubes = m * m * m + n * n * n, squares = m * m + n * n;
    // With the kernels for GPUs, whose triangular products go in eight panels.
    constexpr std::uint64_t kOrder = 1024;
    const double square = kOrder * kOrder, panels = 8;
    Device& gpu = device({.cpu = true});
    expect("fismo", step_of(gpu, maker<Fismo>(FismoOptions{}), kOrder, kOrder),
           {muon(gpu, kOrder, kOrder) + Cost{4.5 * kOrder * square, (32 + 8 * panels) * square},
            {(4.2 + 1.4) * kOrder * square, (180 + 7 * panels) * square}});
    expect("mousse", step_of(device(), maker<Mousse>(MousseOptions{}), kRows, kCols),
           {muon(device(), kRows, kCols) + Cost{5 * m * n * (m + n), 76 * m * n + 24 * squares},
            power_of(kRows) + power_of(kCols) + Cost{cubes, 20 * squares}});
    ShampooOptions shampoo;
    shampoo.refresh.interval = 10;
    expect("shampoo", step_of(device(), maker<Shampoo>(shampoo), kRows, kCols),
           {{3 * m * n * (m + n), 92 * m * n + 20 * squares}, power_of(kRows) + power_of(kCols)});
    // Statistics with one rectification, roots with four.
    expect("shampoo4bit", step_of(device(), maker<Shampoo4Bit>(Shampoo4BitOptions{}), kRows, kCols),
           {{2 * m * n * (m + n), 64 * m * n + 8.6 * squares},
            {m * n * (m + n) + (7.7 + 3) * cubes + (3 * 4 + 1) * cubes, 0},
            kRough});
}

TEST_P(KroneckerCostTest, OptimizersOfLayers) {
    const double cubes = m * m * m + n * n * n, squares = m * m + n * n;
    expect("kfac", layer_step_of<Kfac>(KfacOptions{.method = KfacMethod::inverse, .factor_interval = 10}),
           {{2 * m * n * (m + n), 4 * squares + 52 * m * n},
            {N * squares + 2 * cubes, 4 * N * (m + n) + (20 + 65) * squares},
            kRough});
    // MKOR's kernels look for themselves whether it is their turn: all are recorded in every step.
    expect("mkor", layer_step_of<Mkor>(MkorOptions{}),
           {{2 * m * n * (m + n) + 8 * squares + N * (m + n), 60 * m * n + 16 * squares + 4 * N * (m + n)},
            {},
            kRough});
    expect("singd", layer_step_of<Singd>(SingdOptions{}),
           {{2 * m * n * (m + n) + cubes, 44 * m * n + 16 * squares}, {N * squares + 6 * cubes, 0}, kRough});
}

}  // namespace
}  // namespace heron::test
