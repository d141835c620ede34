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
    const auto entry = [](std::string name, const MfacOptions& with) {
        return OptimizerCase{std::move(name),
                             maker<Mfac>(with),
                             variants_of<Mfac>(with),
                             nullptr,
                             false,
                             {{7}, {5}, {6, 10}, {3, 7}, {4, 5}}};
    };
    MfacOptions kept = options;
    kept.blocks = MfacBlocks::layer;
    kept.average = MfacAverage::window;
    kept.window_dtype = DType::f32;
    kept.keep_factor = true;
    return {entry("mfac", options), entry("mfac_kept", kept)};
}

}  // namespace heron::test::registry
