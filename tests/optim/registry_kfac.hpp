// SPDX-License-Identifier: MIT
// K-FAC in the forms that the shared tests run.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_kfac.hpp"
#include "optim/registry_kronecker.hpp"

namespace heron::test::registry {

inline OptimizerCase kfac(std::string name, const KfacOptions& options, std::vector<Shape> shapes) {
    OptimizerCase entry{
        std::move(name),
        maker<Kfac>(options),
        variants_of<Kfac>(options),
        [=](const Shape& shape) { return std::make_unique<KfacReference>(options, shape[0], shape[1]); },
        false,
        std::move(shapes)};
    entry.late_state = [](const std::string& state, const Shape& shape) {
        if (state == "left_out" || state.ends_with("_failures"))
            return std::vector<float>(shape.count(), 0.0f);
        const bool matrix = state.starts_with("A") || state.starts_with("S");
        return matrix && shape.rank() == 2 ? factor_state(state, shape, Whitening::symmetric)
                                           : std::vector<float>();
    };
    return entry;
}

inline std::vector<OptimizerCase> kfac_cases() {
    KfacOptions pi;
    pi.damping = 0.1f;
    pi.kl_clip.reset();
    pi.refresh.interval = 2;
    pi.step.weight_decay = 0.01f;
    pi.step.decoupled_decay = true;
    KfacOptions full = pi;
    full.damping_unit = DampingUnit::mean;
    full.damping_split = DampingSplit::full;
    full.warm_factors = true;
    full.factor_interval = 2;
    full.refresh.interval = 1;
    full.step = {.momentum = 0.9, .nesterov = true, .weight_decay = 0.01f, .decay_from = 1};
    KfacOptions eigen = pi;
    eigen.method = KfacMethod::eigen;
    eigen.damping = 1e-2f;
    eigen.damping_unit = DampingUnit::mean;
    eigen.damping_schedule = Schedule::linear(2.0f, 1.0f, 20);
    eigen.damping_at_refresh = true;
    eigen.factor_decay_schedule = Schedule::linear(0.9f, 1.0f, 20);
    eigen.refresh.interval = 3;
    eigen.step = {.momentum = 0.0};
    // Orders below the number of samples: in the space of a repeated eigenvalue moments depend on the basis.
    KfacOptions ekfac = pi;
    ekfac.method = KfacMethod::ekfac;
    ekfac.refresh.interval = 200;
    ekfac.step = {.momentum = 0.9, .dampening = 0.1};
    KfacOptions batch = pi;
    batch.method = KfacMethod::batch;
    batch.damping_unit = DampingUnit::mean;
    KfacOptions bf16 = full;
    bf16.step.moments = MomentFormat::bf16;
    return {without_reference(kfac("kfac_bf16", bf16, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}})),
            kfac("kfac_batch", batch, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {70, 5}}),
            kfac("kfac", pi, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {70, 64}, {3, 140}}),
            kfac("kfac_full", full, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}}),
            kfac("kfac_eigen", eigen, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {70, 64}}),
            kfac("ekfac", ekfac, {{1, 1}, {1, 3}, {3, 2}, {6, 5}, {4, 4}, {7, 5}})};
}

}  // namespace heron::test::registry
