// SPDX-License-Identifier: MIT
// What headers say of a step's cost against what plans state: FLOPs and bytes of the Muon family and its
// neighbours in f32, for tall and wide matrices, one long enough for polar()'s Gram form, and one that a
// workgroup holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "heron/linalg/polar.hpp"
#include "heron/linalg/qr.hpp"
#include "optim/optimizer_case.hpp"
#include "support/plan_cost.hpp"

namespace heron::test {
namespace {

// An m x n matrix, k its shorter and K its longer side.
struct Matrix {
    Device& device;
    std::uint64_t rows, cols;
    double m() const { return static_cast<double>(rows); }
    double n() const { return static_cast<double>(cols); }
    double k() const { return std::min(m(), n()); }
    double K() const { return std::max(m(), n()); }
    double elements() const { return m() * n(); }
    Cost per_element(double flops, double bytes) const { return {flops * elements(), bytes * elements()}; }
    bool fits_one_workgroup(double of_rows, double of_cols) const {
        return polar_fits_one_workgroup(device, static_cast<std::uint64_t>(of_rows),
                                        static_cast<std::uint64_t>(of_cols), {});
    }
    // The five iterations of polar() on rows x cols, by heron/linalg/polar.hpp: without the norm and the
    // first iterate.
    Cost iterations(double of_rows, double of_cols) const {
        const double k = std::min(of_rows, of_cols), K = std::max(of_rows, of_cols);
        const Cost standard{5 * (3 * k * k * K + k * k * k), 5 * (20 * k * K + 24 * k * k)};
        if (fits_one_workgroup(of_rows, of_cols)) return {standard.flops, 0};
        if (3 * K <= 7 * k) return standard;
        return {9 * k * k * K + 11 * k * k * k, 52 * k * K + 200 * k * k};
    }
    Cost muon() const { return per_element(15, 36) + iterations(m(), n()); }
    // On so many of the lines, which have the other side's length.
    Cost dion2(double lines, double length) const {
        return per_element(6, 20.25) + Cost{0, 24 * lines * length} + iterations(lines, length);
    }
    // The transform of a cosine basis, which is by products where it is not by a fast algorithm, in bytes of
    // its own. (The sides here have odd factors above 15.)
    Cost transform() const { return {2 * elements() * k(), 4 * k() * k()}; }
    Cost dion(double fraction) const {
        const double r = std::ceil(fraction * k());
        const Cost products{(8 * r + 10) * elements(), 44 * elements() + 4 * r * (4 * K() + 8 * k())};
        Graph graph(device);
        const auto rank = static_cast<std::uint64_t>(r), side = static_cast<std::uint64_t>(K());
        const Tensor y = graph.state("y", DType::f32, Shape{side, rank}),
                     right = graph.state("r", DType::f32, Shape{rank, rank});
        qr(graph, y, y, right);
        return products + every_step(graph.compile({}));
    }
    Cost trion(double rank) const {
        const double r = std::min(rank, k());
        const double sides = (fits_one_workgroup(r, K()) ? 24 : 28) * K() + 12 * k();
        return per_element(4 * r, 48) + transform() + Cost{0, r * sides} + iterations(r, K());
    }
    Cost dct_adamw(double rank) const {
        const double r = std::min(rank, k());
        return per_element(0, 36) + transform() +
               Cost{2 * elements() * r + 12 * K() * r, r * (36 * K() + 8 * k())};
    }
};

struct Claim {
    std::string name;
    MakeOptimizer make;
    std::function<Cost(const Matrix&)> cost;
};

Claim per_element(std::string name, MakeOptimizer make, double flops, double bytes) {
    return {std::move(name), std::move(make),
            [=](const Matrix& matrix) { return matrix.per_element(flops, bytes); }};
}
Claim beside_muon(std::string name, MakeOptimizer make, double flops, double bytes) {
    return {std::move(name), std::move(make),
            [=](const Matrix& matrix) { return matrix.muon() + matrix.per_element(flops, bytes); }};
}

std::vector<Claim> claims() {
    using registry::maker;
    constexpr std::uint32_t kRank = 32;
    return {
        per_element("sgd", maker<Sgd>(SgdOptions{}), 6, 12),
        per_element("sgd_momentum", maker<Sgd>(SgdOptions{.momentum = 0.9}), 6, 20),
        per_element("adamw", maker<AdamW>(AdamWOptions{}), 12, 28),
        per_element("amsgrad", maker<AdamW>(AdamWOptions{.amsgrad = true}), 12, 36),
        per_element("lion", maker<Lion>(LionOptions{}), 8, 20),
        per_element("signum", maker<SignSgd>(SignSgdOptions{}), 6, 20),
        per_element("random_scaling_sgd", maker<RandomScalingSgd>(RandomScalingSgdOptions{}), 5, 20),
        per_element("adafactor", maker<Adafactor>(AdafactorOptions{}), 20, 24),
        per_element("auon", maker<Auon>(AuonOptions{}), 30, 32),
        beside_muon("muon", maker<Muon>(MuonOptions{}), 0, 0),
        {"normuon", maker<NorMuon>(NorMuonOptions{}),
         [](const Matrix& x) {
             return x.muon() + x.per_element(3, 0) + Cost{0, 20 * x.m()};
         }},
        beside_muon("adamuon", maker<AdaMuon>(AdaMuonOptions{}), 11, 16),
        beside_muon("hybrid_auon", maker<Auon>(AuonOptions::hybrid_code()), 21, 4),
        beside_muon("scion", maker<Scion>(ScionOptions{.momentum = 0.9}), 0, 0),
        {"conda", maker<Conda>(CondaOptions{}),
         [](const Matrix& x) {
             return x.per_element(6 * x.k() + 19, 72) + Cost{0, 12 * x.k() * x.k()};
         }},
        {"dion", maker<Dion>(DionOptions{.rank_fraction = 0.125}),
         [](const Matrix& x) { return x.dion(0.125); }},
        {"dion2", maker<Dion2>(Dion2Options{}),
         [](const Matrix& x) { return x.dion2(std::ceil(x.k() / 4), x.K()); }},
        {"nordion2", maker<NorDion2>(NorDion2Options{}),
         [](const Matrix& x) {
             const double s = std::ceil(x.m() / 4);
             return x.dion2(s, x.n()) + Cost{3 * s * x.n(), 0};
         }},
        {"trion", maker<Trion>(TrionOptions{.rank = kRank}), [](const Matrix& x) { return x.trion(kRank); }},
        {"dct_adamw", maker<DctAdamW>(DctAdamWOptions{.rank = kRank}),
         [](const Matrix& x) { return x.dct_adamw(kRank); }},
    };
}

class CostTest : public DeviceTest {};
HERON_DEVICE_TESTS(CostTest);

TEST_P(CostTest, HeadersSayWhatPlansState) {
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> sizes{
        {400, 300}, {300, 400}, {148, 592}, {60, 46}};
    for (const Claim& claim : claims())
        for (const auto& [rows, cols] : sizes) {
            StepOptions options;
            options.skip_nonfinite = false;  // a pass of the step's, not of an optimizer's
            const Shape shape{rows, cols};
            Training training(device(), claim.make, {{.name = "w", .shape = shape}}, options);
            expect_cost(every_step(training.plan()), claim.cost({device(), rows, cols}), {},
                        claim.name + ' ' + shape.text());
        }
}

}  // namespace
}  // namespace heron::test
