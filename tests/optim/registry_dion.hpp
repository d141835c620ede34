// SPDX-License-Identifier: MIT
// Dion and its successors.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_dion.hpp"

namespace heron::test::registry {

inline OptimizerCase dion(std::string name, const DionOptions& options) {
    return {std::move(name),
            maker<Dion>(options),
            extreme_maker<Dion>(options),
            [=](const Shape& shape) { return std::make_unique<DionReference>(options, shape[0], shape[1]); },
            false,
            // Y = M Q is as well-conditioned as random matrices are that are far from square.
            {{1, 1}, {1, 9}, {9, 1}, {8, 14}, {27, 16}, {130, 90}, {200, 34}, {40, 310}, {1, 10000}}};
}

inline std::vector<OptimizerCase> dion_cases() {
    DionOptions half;
    half.rank_fraction = 0.5;
    DionOptions sketched = half;
    sketched.qr = DionQr::rcqr;
    sketched.power_iterations = 2;
    DionOptions simple = DionOptions::simple(3);
    simple.qr = DionQr::cqr;
    return {dion("dion", half), dion("dion_rcqr", sketched), dion("dion_simple", simple)};
}

}  // namespace heron::test::registry
