// SPDX-License-Identifier: MIT
// MKOR in the forms that the shared tests run.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_mkor.hpp"
#include "optim/registry_kronecker.hpp"

namespace heron::test::registry {

inline OptimizerCase mkor(std::string name, const MkorOptions& options) {
    OptimizerCase entry{
        std::move(name),
        maker<Mkor>(options),
        variants_of<Mkor>(options),
        [=](const Shape& shape) { return std::make_unique<MkorReference>(options, shape[0], shape[1]); },
        false,
        {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {70, 64}}};
    entry.late_state = [](const std::string& state, const Shape& shape) {
        if (state.ends_with("failures")) return std::vector<float>(shape.count(), 0.0f);
        return state.ends_with("inverse") ? factor_state(state, shape, Whitening::symmetric)
                                          : std::vector<float>();
    };
    return entry;
}

inline std::vector<OptimizerCase> mkor_cases() {
    MkorOptions exact;
    exact.refresh.interval = 2;
    exact.warmup_steps = 3;
    exact.clip = 2.0f;
    exact.step.weight_decay = 0.01f;
    MkorOptions published;
    published.recurrence = MkorRecurrence::published;
    published.refresh.interval = 1;
    published.base = MkorBase::adam;
    published.eps = 1e-4f;
    published.beta2 = 0.99;
    published.step.weight_decay = 0.01f;
    return {mkor("mkor", exact), mkor("mkor_adam", published)};
}

}  // namespace heron::test::registry
