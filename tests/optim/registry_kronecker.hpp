// SPDX-License-Identifier: MIT
// The optimizers with Kronecker factors, in the forms that the shared tests run.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_kronecker.hpp"

namespace heron::test::registry {

// Factors of any training: well-conditioned, of trace n; whiteners triangular where Cholesky's are.
inline std::vector<float> factor_state(const std::string& name, const Shape& shape, Whitening whitening) {
    const std::uint64_t n = shape[0];
    std::vector<float> values(shape.count(), 0.0f);
    if (name.ends_with("failures")) return values;
    const bool upper = name.ends_with("whitener") && whitening == Whitening::cholesky;
    for (std::uint64_t i = 0; i < n; ++i)
        for (std::uint64_t j = upper ? i : 0; j < n; ++j)
            values[i * n + j] = i == j ? 1.0f : 0.1f / static_cast<float>(1 + i + j);
    return values;
}

inline OptimizerCase fismo(std::string name, const FismoOptions& options) {
    OptimizerCase entry{std::move(name),
                        maker<Fismo>(options),
                        variants_of<Fismo>(options),
                        [=](const Shape& shape) {
                            const double m = static_cast<double>(shape[0]), n = static_cast<double>(shape[1]);
                            return std::make_unique<FismoReference>(options, shape[0], shape[1],
                                                                    options.shape_factor == ShapeFactor::none
                                                                        ? 1.0
                                                                        : std::sqrt(std::max(1.0, m / n)));
                        },
                        false,
                        {{1, 1}, {1, 9}, {40, 5}, {6, 10}, {17, 13}, {70, 64}, {3, 300}}};
    entry.late_state = [=](const std::string& state, const Shape& shape) {
        return state == "momentum" ? std::vector<float>() : factor_state(state, shape, options.whitening);
    };
    return entry;
}

inline OptimizerCase mousse(std::string name, const MousseOptions& options) {
    OptimizerCase entry{std::move(name),
                        maker<Mousse>(options),
                        variants_of<Mousse>(options),
                        [=](const Shape& shape) {
                            const double m = static_cast<double>(shape[0]), n = static_cast<double>(shape[1]);
                            return std::make_unique<MousseReference>(options, shape[0], shape[1],
                                                                     std::sqrt(m / n));
                        },
                        false,
                        {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {40, 20}}};
    entry.late_state = [](const std::string& state, const Shape& shape) {
        return state.starts_with("momentum") ? std::vector<float>()
                                             : factor_state(state, shape, Whitening::symmetric);
    };
    return entry;
}

inline std::vector<OptimizerCase> kronecker_cases() {
    FismoOptions lazy;
    lazy.refresh.stagger = false;
    FismoOptions turning;
    turning.statistic_scale = StatisticScale::paper;
    turning.momentum_space = MomentumSpace::whitened;
    turning.nesterov = true;
    turning.refresh.interval = 2;
    turning.refresh.stagger = false;
    turning.decay = DecayForm::cautious;
    turning.weight_decay = 0.1f;
    turning.max_order = 128;
    turning.polar.one_workgroup = false;
    FismoOptions turning_bf16 = turning;
    turning_bf16.moments = MomentFormat::bf16;
    turning_bf16.diagnostics = true;
    FismoOptions weak;
    weak.whitening = Whitening::symmetric;
    weak.exponent = 0.125;
    weak.graft = true;
    weak.refresh.stagger = false;
    weak.decay = DecayForm::after;
    weak.weight_decay = 0.1f;
    MousseOptions lazy_mousse;
    lazy_mousse.refresh.stagger = false;
    lazy_mousse.nesterov = true;
    lazy_mousse.decay = DecayForm::cautious;
    lazy_mousse.damping = 1e-4f;
    MousseOptions mousse_block8 = lazy_mousse;
    mousse_block8.moments = MomentFormat::block8;
    mousse_block8.decay = DecayForm::squared;
    std::vector<OptimizerCase> cases{fismo("fismo", lazy),
                                     fismo("fismo_paper", FismoOptions::paper()),
                                     fismo("fismo_whitened", turning),
                                     fismo("fismo_weak", weak),
                                     mousse("mousse", lazy_mousse),
                                     without_reference(fismo("fismo_whitened_bf16", turning_bf16)),
                                     without_reference(mousse("mousse_block8", mousse_block8))};
    cases[3].shapes = {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}};  // eigenvalues take long
    cases[0].shapes.push_back({129, 140});  // beyond one workgroup, and one panel of rows
    return cases;
}

}  // namespace heron::test::registry
