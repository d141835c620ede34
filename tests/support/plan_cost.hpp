// SPDX-License-Identifier: MIT
// FLOPs and bytes that plans state, beside those that headers claim.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "graph/graph.hpp"
#include "graph/plan.hpp"

namespace heron::test {

struct Cost {
    double flops = 0, bytes = 0;
    friend Cost operator+(const Cost& x, const Cost& y) { return {x.flops + y.flops, x.bytes + y.bytes}; }
};

// Of the plan's nodes for which `take` is true, but for the packing of operands: CPU drivers write and read
// them once more for some products, and headers speak of operands.
template <typename Take>
Cost cost_of(const Plan& plan, const Take& take) {
    Cost cost;
    for (const Node& node : plan.impl().graph.nodes)
        if (take(node) && std::string_view(node.operation.kernel->name) != "gemm_pack")
            cost = cost + Cost{node.operation.flops, node.operation.bytes};
    return cost;
}

// Of what runs in every step.
inline Cost every_step(const Plan& plan) {
    return cost_of(plan,
                   [](const Node& node) { return node.phase == Phase::step && node.section.every_step(); });
}
// Of what runs in some steps: refreshes.
inline Cost refresh(const Plan& plan) {
    return cost_of(plan,
                   [](const Node& node) { return node.phase == Phase::step && !node.section.every_step(); });
}

// How far plans may be below and above what a header says.
struct Margin {
    double less, more;
};
// Formulas that leave out the rounding to tiles, norms, partial sums and indices; they round up, too.
constexpr Margin kExact{0.02, 0.1};
// Formulas with "about".
constexpr Margin kAbout{0.25, 0.25};

struct Margins {
    Margin flops = kExact, bytes = kExact;
};
constexpr Margins kRough{kAbout, kAbout};

// A claim of 0 is none.
inline void expect_cost(const Cost& stated, const Cost& claimed, const Margins& margins,
                        const std::string& what) {
    const auto expect = [&](double ratio, const Margin& margin, const char* quantity) {
        EXPECT_TRUE(ratio >= 1 - margin.less && ratio <= 1 + margin.more)
            << what << ": " << quantity << " are " << ratio << " of what the header says";
    };
    if (claimed.flops > 0) expect(stated.flops / claimed.flops, margins.flops, "FLOPs");
    if (claimed.bytes > 0) expect(stated.bytes / claimed.bytes, margins.bytes, "bytes");
}

}  // namespace heron::test
