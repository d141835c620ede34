// SPDX-License-Identifier: MIT
// PSGD for the shared tests.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_psgd.hpp"

namespace heron::test::registry {

// Factors that a training might come to, triangular ones among them.
inline std::vector<float> late_factor(const std::string& state, const Shape& shape) {
    if (!state.starts_with("Q")) return {};
    std::vector<float> values(shape.count(), 0.0f);
    const std::size_t order = shape[0];
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (shape.rank() == 1)
            values[i] = 0.5f + 0.125f * static_cast<float>(i % 5);
        else if (i / order <= i % order)
            values[i] = i / order == i % order ? 1.0f + 0.125f * static_cast<float>(i % 3) : 0.02f;
    }
    return values;
}

inline OptimizerCase psgd_kron(std::string name, const PsgdKronOptions& options, std::vector<Shape> shapes) {
    return {std::move(name),
            maker<PsgdKron>(options),
            variants_of<PsgdKron>(options),
            [=](const Shape& shape) { return std::make_unique<PsgdReference>(options, shape); },
            false,
            std::move(shapes),
            late_factor};
}

inline OptimizerCase psgd_newton(std::string name, const PsgdKronOptions& options,
                                 std::vector<Shape> shapes) {
    OptimizerCase entry = psgd_kron(std::move(name), options, std::move(shapes));
    entry.reference = [=](const Shape& shape) {
        return std::make_unique<PsgdNewtonReference>(options, shape);
    };
    return entry;
}

inline OptimizerCase psgd_lra(std::string name, const PsgdLraOptions& options) {
    // One preconditioner for all parameters: without a reference that has one of them.
    return {std::move(name),
            maker<PsgdLra>(options),
            variants_of<PsgdLra>(options),
            nullptr,
            false,
            {{7}, {5}, {6, 10}, {3, 7}, {4, 5}}};
}

inline OptimizerCase kron_torch(std::string name, const KronTorchOptions& options,
                                std::vector<Shape> shapes) {
    return {std::move(name),
            maker<KronTorch>(options),
            variants_of<KronTorch>(options),
            [=](const Shape& shape) { return std::make_unique<KronTorchReference>(options, shape); },
            false,
            std::move(shapes),
            late_factor};
}

inline std::vector<OptimizerCase> psgd_cases() {
    // Momentum, steps without fits and with balancing, tensors of three axes, both factors matrices.
    PsgdKronOptions whitening;
    whitening.lr = 0.01f;
    whitening.initial_scale = 1.0f;
    whitening.momentum = 0.9;
    whitening.max_skew = 4.0;
    whitening.bound_rows = 4;
    whitening.update_probability = 0.5f;
    whitening.balance_probability = 0.25f;
    whitening.weight_decay = 0.1f;
    PsgdKronOptions product = whitening;
    product.geometry = PsgdGeometry::qep;
    product.fit = PsgdFit::momentum;
    product.fit_first = false;
    product.update_probability = 1.0f;
    // The other geometries, a fit in every step.
    const auto geometry = [](PsgdGeometry of) {
        PsgdKronOptions options;
        options.lr = 0.01f;
        options.geometry = of;
        options.initial_scale = 1.0f;
        options.max_skew = 4.0;
        options.bound_rows = 4;
        return options;
    };
    const std::vector<Shape> shapes{{1, 9}, {7}, {8, 1}, {6, 10}, {12, 9}};
    KronTorchOptions triangular;
    triangular.lr = 0.01f;
    triangular.weight_decay = 0.1f;
    triangular.update_schedule = Schedule::linear(1.0f, 0.3f, 10);
    // A diagonal for the longer axis, fitted to gradients.
    KronTorchOptions diagonal = triangular;
    diagonal.memory = KronMemory::one_diagonal;
    diagonal.momentum_into_fit = false;
    PsgdKronOptions newton = PsgdKronOptions::newton();
    newton.initial_scale = 1.0f;
    newton.max_skew = 4.0;
    newton.bound_rows = 4;
    newton.momentum = 0.9;
    newton.update_probability = 0.5f;
    PsgdKronOptions in_turns = whitening;
    in_turns.update_probability = 0.7f;
    in_turns.refresh = {.interval = 2, .growth = 4, .doublings = 1};
    PsgdKronOptions newton_in_turns = newton;
    newton_in_turns.refresh = {.interval = 3, .stagger = false};
    KronTorchOptions triangular_in_turns = triangular;
    triangular_in_turns.update_schedule = {};
    triangular_in_turns.refresh = {.interval = 2, .first = 2};
    PsgdKronOptions newton_eq = newton;
    newton_eq.geometry = PsgdGeometry::eq;
    newton_eq.update_probability = 1.0f;
    PsgdKronOptions bf16 = whitening;
    bf16.moments = MomentFormat::bf16;
    KronTorchOptions triangular_bf16 = triangular;
    triangular_bf16.moments = MomentFormat::bf16;
    PsgdLraOptions low_rank_newton = PsgdLraOptions::newton();
    low_rank_newton.rank = 3;
    low_rank_newton.momentum = 0.9;
    PsgdLraOptions low_rank;
    low_rank.rank = 3;
    low_rank.lr = 0.01f;
    low_rank.momentum = 0.9;
    low_rank.update_probability = 0.5f;
    PsgdLraOptions rank_zero = low_rank;
    rank_zero.rank = 0;
    rank_zero.initial_scale = 1.0f;
    return {psgd_kron("psgd_kron", whitening, {{}, {7}, {6, 10}, {17, 13}, {5, 3, 4}}),
            psgd_kron("psgd_kron_qep", product, {{1, 9}, {6, 5}, {9, 1}, {3, 8}, {12, 9}}),
            psgd_kron("psgd_kron_qeq", geometry(PsgdGeometry::qeq), shapes),
            psgd_kron("psgd_kron_quad", geometry(PsgdGeometry::quad), shapes),
            psgd_kron("psgd_kron_eq", geometry(PsgdGeometry::eq), shapes),
            psgd_kron("psgd_kron_pro4p", geometry(PsgdGeometry::pro4p), shapes),
            psgd_kron("psgd_kron_quad4p", geometry(PsgdGeometry::quad4p), shapes),
            kron_torch("kron_torch", triangular, {{}, {70, 3}, {1, 9}, {5, 3, 3, 4}, {17, 13}}),
            kron_torch("kron_torch_diagonal", diagonal, {{}, {70, 3}, {1, 9}, {6, 10}, {17, 13}}),
            psgd_newton("psgd_newton", newton, shapes),
            psgd_newton("psgd_newton_eq", newton_eq, shapes),
            psgd_kron("psgd_kron_in_turns", in_turns, {{}, {7}, {6, 10}, {17, 13}, {5, 3, 4}}),
            psgd_newton("psgd_newton_in_turns", newton_in_turns, shapes),
            kron_torch("kron_torch_in_turns", triangular_in_turns, {{}, {70, 3}, {1, 9}, {6, 10}, {17, 13}}),
            without_reference(psgd_kron("psgd_kron_bf16", bf16, {{}, {7}, {6, 10}, {17, 13}, {5, 3, 4}})),
            without_reference(
                kron_torch("kron_torch_bf16", triangular_bf16, {{}, {70, 3}, {1, 9}, {6, 10}, {17, 13}})),
            psgd_lra("psgd_lra", low_rank),
            psgd_lra("psgd_lra_diagonal", rank_zero),
            psgd_lra("psgd_lra_newton", low_rank_newton)};
}

}  // namespace heron::test::registry
