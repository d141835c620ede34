// SPDX-License-Identifier: MIT
// What headers say of a step's cost against what plans state: FLOPs and bytes of the Muon family and its
// neighbours, for a tall and a wide matrix in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "optim/registry.hpp"

namespace heron::test {
namespace {

// An m x n matrix, k its shorter and K its longer side.
struct Sides {
    double m, n;
    double k() const { return std::min(m, n); }
    double K() const { return std::max(m, n); }
    double elements() const { return m * n; }
};

using Cost = std::function<double(const Sides&)>;

struct Claim {
    std::string name;
    MakeOptimizer make;
    Cost flops, bytes;
    // How much more than that plans may state: what a header leaves at "and what is r wide", or at a method's
    // own. Else rounding to tiles, norms and partial sums: a tenth.
    double more_flops = 0.1, more_bytes = 0.1;
};

// Muon's, with five steps: products of these shapes take the standard form.
double muon_flops(const Sides& s) {
    return 5 * (3 * s.k() * s.k() * s.K() + std::pow(s.k(), 3)) + 15 * s.elements();
}
double muon_bytes(const Sides& s) { return 36 * s.elements() + 5 * (20 * s.elements() + 24 * s.k() * s.k()); }

Cost per_element(double factor) {
    return [=](const Sides& s) { return factor * s.elements(); };
}
Cost beside_muon(double (*of)(const Sides&), double factor) {
    return [=](const Sides& s) { return of(s) + factor * s.elements(); };
}
// polar() of a matrix with sides that long, in the Gram form.
double gram_flops(double k, double K) { return 9 * k * k * K + 11 * k * k * k; }

// Of Dion2 on s of the lines, which have the other side's length.
double dion2_flops(const Sides& s, double lines, double length) {
    return gram_flops(std::min(lines, length), std::max(lines, length)) + 6 * s.elements();
}
double dion2_bytes(const Sides& s, double lines, double length) {
    const double k = std::min(lines, length);
    return 20.25 * s.elements() + 28 * lines * length + 3 * 20 * lines * length + 5 * 24 * k * k;
}

std::vector<Claim> claims() {
    using registry::maker;
    constexpr std::uint32_t kRank = 32;
    const double r = kRank;
    const Cost normuon = [](const Sides& s) { return muon_bytes(s) + 20 * s.m; };
    const Cost conda_flops = [](const Sides& s) { return (6 * s.k() + 19) * s.elements(); };
    const Cost conda_bytes = [](const Sides& s) { return 72 * s.elements() + 12 * s.k() * s.k(); };
    const Cost dion_flops = [](const Sides& s) { return s.k() * s.elements(); };  // 8 m n r, r = k / 8
    const Cost dion_bytes = [](const Sides& s) {
        return 44 * s.elements() + s.k() / 2 * (4 * s.k() + 8 * s.K());
    };
    const Cost trion_flops = [=](const Sides& s) {
        return (2 * s.k() + 4 * r) * s.elements() + gram_flops(r, s.K());
    };
    const Cost dct_flops = [=](const Sides& s) {
        return (2 * s.k() + 2 * r) * s.elements() + 12 * s.K() * r;
    };
    return {
        {"sgd", maker<Sgd>(SgdOptions{}), per_element(6), per_element(12)},
        {"sgd_momentum", maker<Sgd>(SgdOptions{.momentum = 0.9}), per_element(6), per_element(20)},
        {"adamw", maker<AdamW>(AdamWOptions{}), per_element(12), per_element(28)},
        {"amsgrad", maker<AdamW>(AdamWOptions{.amsgrad = true}), per_element(12), per_element(36)},
        {"lion", maker<Lion>(LionOptions{}), per_element(8), per_element(20)},
        {"signum", maker<SignSgd>(SignSgdOptions{}), per_element(6), per_element(20)},
        {"random_scaling_sgd", maker<RandomScalingSgd>(RandomScalingSgdOptions{}), per_element(5),
         per_element(20)},
        {"adafactor", maker<Adafactor>(AdafactorOptions{}), per_element(20), per_element(24)},
        {"muon", maker<Muon>(MuonOptions{}), muon_flops, muon_bytes},
        {"normuon", maker<NorMuon>(NorMuonOptions{}), beside_muon(muon_flops, 3), normuon},
        {"adamuon", maker<AdaMuon>(AdaMuonOptions{}), beside_muon(muon_flops, 11),
         beside_muon(muon_bytes, 16)},
        {"auon", maker<Auon>(AuonOptions{}), per_element(30), per_element(32)},
        {"hybrid_auon", maker<Auon>(AuonOptions::hybrid_code()), beside_muon(muon_flops, 21),
         beside_muon(muon_bytes, 4)},
        {"scion", maker<Scion>(ScionOptions{.momentum = 0.9}), muon_flops, muon_bytes},
        {"conda", maker<Conda>(CondaOptions{}), conda_flops, conda_bytes},
        {"dion", maker<Dion>(DionOptions{.rank_fraction = 0.125}), dion_flops, dion_bytes, 0.25, 0.25},
        {"dion2", maker<Dion2>(Dion2Options{}),
         [](const Sides& s) { return dion2_flops(s, s.k() / 4, s.K()); },
         [](const Sides& s) { return dion2_bytes(s, s.k() / 4, s.K()); }},
        {"nordion2", maker<NorDion2>(NorDion2Options{}),
         [](const Sides& s) { return dion2_flops(s, s.m / 4, s.n) + 0.75 * s.elements(); },
         [](const Sides& s) { return dion2_bytes(s, s.m / 4, s.n); }},
        {"trion", maker<Trion>(TrionOptions{.rank = kRank}), trion_flops, per_element(48), 0.1, 0.35},
        {"dct_adamw", maker<DctAdamW>(DctAdamWOptions{.rank = kRank}), dct_flops, per_element(36), 0.1, 0.25},
    };
}

class CostTest : public DeviceTest {};
HERON_DEVICE_TESTS(CostTest);

TEST_P(CostTest, HeadersSayWhatPlansState) {
    for (const Claim& claim : claims())
        for (const Sides& sides : {Sides{400, 300}, Sides{300, 400}}) {
            const Shape shape{static_cast<std::uint64_t>(sides.m), static_cast<std::uint64_t>(sides.n)};
            StepOptions options;
            options.skip_nonfinite = false;  // a pass of the step's, not of an optimizer's
            Training training(device(), claim.make, {{.name = "w", .shape = shape}}, options);
            const double flops = training.plan().flops() / claim.flops(sides);
            const double bytes = training.plan().bytes() / claim.bytes(sides);
            EXPECT_TRUE(flops >= 0.99 && flops <= 1 + claim.more_flops)
                << claim.name << ' ' << shape.text() << ": FLOPs are " << flops << " of what the header says";
            EXPECT_TRUE(bytes >= 0.99 && bytes <= 1 + claim.more_bytes)
                << claim.name << ' ' << shape.text() << ": bytes are " << bytes << " of what the header says";
        }
}

}  // namespace
}  // namespace heron::test
