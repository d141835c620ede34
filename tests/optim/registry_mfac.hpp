// SPDX-License-Identifier: MIT
// M-FAC for the shared tests.
#pragma once

#include "optim/optimizer_case.hpp"

namespace heron::test::registry {

// One window for all parameters: without a reference that has one of them (tests/optim/mfac_test.cpp has
// both). Everything that a step may have.
inline std::vector<OptimizerCase> mfac_cases() {
    MfacOptions options;
    options.lr = 0.01f;
    options.window = 3;
    options.damping = 1e-2f;
    options.momentum = 0.9;
    options.weight_decay = 0.1f;
    options.average = MfacAverage::filled;
    options.window_dtype = DType::bf16;
    options.sparse = true;
    return {{"mfac",
             maker<Mfac>(options),
             variants_of<Mfac>(options),
             nullptr,
             false,
             {{7}, {5}, {6, 10}, {3, 7}, {4, 5}}}};
}

}  // namespace heron::test::registry
