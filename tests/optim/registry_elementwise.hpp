// SPDX-License-Identifier: MIT
// Lines of the registry: Lion, SignSGD, SGD with random scaling.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_elementwise.hpp"

namespace heron::test::registry {

inline OptimizerCase lion(std::string name, const LionOptions& options) {
    return {std::move(name),
            maker<Lion>(options),
            variants_of<Lion>(options),
            [=](const Shape&) { return std::make_unique<LionReference>(options); },
            true,
            any_shapes()};
}

inline OptimizerCase signsgd(std::string name, const SignSgdOptions& options) {
    return {std::move(name),
            maker<SignSgd>(options),
            variants_of<SignSgd>(options),
            [=](const Shape& shape) {
                double factor = 1;
                if (options.shape_scaling)
                    factor = 2 / (static_cast<double>(shape[0]) + static_cast<double>(shape[1]));
                return std::make_unique<SignSgdReference>(options, factor);
            },
            true,
            options.shape_scaling ? matrix_shapes() : any_shapes()};
}

inline OptimizerCase random_scaling_sgd(std::string name, const RandomScalingSgdOptions& options) {
    return {std::move(name),
            maker<RandomScalingSgd>(options),
            variants_of<RandomScalingSgd>(options),
            [=](const Shape&) { return std::make_unique<RandomScalingSgdReference>(options); },
            true,
            any_shapes()};
}

inline std::vector<OptimizerCase> elementwise_cases() {
    return {
        lion("lion", {.weight_decay = 0.1f}),
        signsgd("signsgd", {.momentum = 0.0}),
        signsgd("signum_nesterov", {.lr = 0.01f,
                                    .nesterov = true,
                                    .bias_correction = true,
                                    .shape_scaling = true,
                                    .weight_decay = 0.1f}),
        random_scaling_sgd("random_scaling_sgd", {.lr = 0.1f, .beta = 0.9, .mu = 0.5f}),
        without_reference(lion("lion_block8", {.moments = MomentFormat::block8})),
        without_reference(signsgd("signum_block8", {.moments = MomentFormat::block8})),
        without_reference(
            random_scaling_sgd("random_scaling_sgd_block8", {.beta = 0.9, .moments = MomentFormat::block8})),
    };
}

}  // namespace heron::test::registry
