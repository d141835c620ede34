// SPDX-License-Identifier: MIT
// Shampoo in the forms that the shared tests run.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_shampoo.hpp"

namespace heron::test::registry {

inline OptimizerCase shampoo(std::string name, const ShampooOptions& options, std::vector<Shape> shapes) {
    OptimizerCase entry{
        std::move(name),
        maker<Shampoo>(options),
        variants_of<Shampoo>(options),
        [=](const Shape& shape) { return std::make_unique<ShampooReference>(options, shape); },
        false,
        std::move(shapes)};
    // Factors of blocks of any order are semidefinite where all elements are the same.
    entry.late_state = [](const std::string& state, const Shape& shape) {
        if (!state.starts_with("factor")) return std::vector<float>();
        return std::vector<float>(shape.count(), state.ends_with("failures") ? 0.0f : 0.25f);
    };
    return entry;
}

inline std::vector<OptimizerCase> shampoo_cases() {
    // Blocks, tensors of three axes, a root in every second step.
    ShampooOptions blocked;
    blocked.epsilon = 1e-2f;
    blocked.null_space = ShampooNullSpace::epsilon;
    blocked.beta2 = 0.99;
    blocked.block_size = 16;
    blocked.refresh.interval = 2;
    blocked.refresh.first = 1;
    blocked.refresh.stagger = false;
    blocked.weight_decay = 0.1f;
    // KL-Shampoo with all that the other leaves out.
    ShampooOptions whitened = ShampooOptions::kl();
    whitened.refresh.interval = 1;
    whitened.epsilon = 5e-2f;
    whitened.beta3 = 0.8;
    whitened.root = ShampooRoot::newton;
    whitened.trace_exponent = 0.5;
    whitened.graft = ShampooGraft::rmsprop;
    whitened.graft_eps = 1e-4f;
    whitened.momentum = 0.9;
    whitened.dampening = 0.1;
    whitened.nesterov = true;
    whitened.decay = ShampooDecay::l2;
    whitened.weight_decay = 0.1f;
    // Shampoo^2: (L kron R / tr L)^(-1/2), no graft.
    ShampooOptions square = ShampooOptions::shampoo2();
    square.epsilon = 5e-2f;
    square.beta2 = 0.99;
    // No basis is renewed where eigenvalues are equal, since it would be any: in the first steps of tensors
    // that are compared for a hundred, and in the late steps.
    ShampooOptions basis = ShampooOptions::soap();
    basis.first_basis = ShampooFirstBasis::qr;
    basis.epsilon = 5e-2f;
    basis.qr_steps = 0;
    basis.moment_exponents[2] = 0.4;
    basis.block_size = 16;
    basis.refresh.interval = 7;
    basis.refresh.stagger = false;
    ShampooOptions bf16 = basis;
    bf16.moments = MomentFormat::bf16;
    bf16.momentum = 0.9;
    bf16.graft = ShampooGraft::rmsprop;
    return {without_reference(shampoo("shampoo_bf16", bf16, {{5, 3, 3, 18}, {1, 9}, {17, 13}, {12, 9}, {7}})),
            shampoo("shampoo", blocked, {{}, {7}, {17, 13}, {5, 3, 3, 18}, {1, 9}}),
            shampoo("shampoo_kl", whitened, {{1, 9}, {}, {9, 1}, {40, 5}, {6, 10}}),
            shampoo("shampoo2", square, {{1, 9}, {7}, {9, 1}, {6, 10}, {17, 13}}),
            shampoo("shampoo_soap", basis, {{5, 3, 3, 18}, {1, 9}, {17, 13}, {12, 9}, {6, 10}})};
}

}  // namespace heron::test::registry
