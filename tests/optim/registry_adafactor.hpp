// SPDX-License-Identifier: MIT
// Lines of the registry: Adafactor.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_adafactor.hpp"

namespace heron::test::registry {

inline OptimizerCase adafactor(std::string name, const AdafactorOptions& options) {
    // Vectors, few and many items, rows and columns, more of each than one tile has.
    const std::vector<Shape> shapes{{},           {7},      {1021},     {64, 65},   {40, 13},   {1, 1},
                                    {2, 3, 5, 7}, {700, 3}, {1, 10000}, {10000, 1}, {300, 217}, {300, 3, 3}};
    return {std::move(name),
            maker<Adafactor>(options),
            variants_of<Adafactor>(options),
            [=](const Shape& shape) { return std::make_unique<AdafactorReference>(options, shape); },
            false,
            shapes};
}

inline std::vector<OptimizerCase> adafactor_cases() {
    AdafactorOptions transformers = AdafactorOptions::transformers();
    transformers.rate = AdafactorRate::warmup;
    transformers.lr = 10.0f;  // a thousand times the usual, so that the first steps are seen beside W
    transformers.beta1 = 0.9;
    transformers.weight_decay = 0.1f;
    AdafactorOptions constant;
    constant.rate = AdafactorRate::constant;
    constant.scale_parameter = false;
    constant.clip_threshold = 0.5f;
    return {
        adafactor("adafactor", {.weight_decay = 0.1f}),
        adafactor("adafactor_constant", constant),
        adafactor("adafactor_transformers", transformers),
    };
}

}  // namespace heron::test::registry
