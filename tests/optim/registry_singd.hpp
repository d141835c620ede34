// SPDX-License-Identifier: MIT
// SINGD, IKFAC and INGD in the forms that the shared tests run. (Of 16-bit factors rounding is all that is
// seen in a hundred steps: singd_test.cpp.)
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_singd.hpp"

namespace heron::test::registry {

// A factor that a training might come to: near the identity.
inline std::vector<float> structured_state(const MatrixStructure& structure, const Shape& shape) {
    const std::uint64_t count = shape.count();
    std::vector<float> values(count, 0.02f);
    Eigen::Index order = 0;
    while (structure_positions(structure, order).size() < count) ++order;
    const auto positions = structure_positions(structure, order);
    for (std::size_t e = 0; e < count; ++e)
        if (positions[e].first == positions[e].second) values[e] = 1.0f;
    return values;
}

inline OptimizerCase singd(std::string name, const SingdOptions& options, std::vector<Shape> shapes) {
    OptimizerCase entry{
        std::move(name),
        maker<Singd>(options),
        variants_of<Singd>(options),
        [=](const Shape& shape) { return std::make_unique<SingdReference>(options, shape[0], shape[1]); },
        false,
        std::move(shapes)};
    entry.late_state = [=](const std::string& state, const Shape& shape) {
        if (state.ends_with("failures")) return std::vector<float>(shape.count(), 0.0f);
        if (state.ends_with("_momentum")) return std::vector<float>(shape.count(), 0.01f);
        if (state == "momentum") return std::vector<float>();
        return structured_state(state == "K" ? options.inputs : options.outputs, shape);
    };
    return entry;
}

inline std::vector<OptimizerCase> singd_cases() {
    SingdOptions dense;
    dense.lr_cov = 2e-3f;
    dense.refresh.interval = 2;
    dense.refresh.stagger = false;
    dense.step.weight_decay = 0.01f;
    SingdOptions blocks = dense;
    blocks.inputs = {.kind = StructureKind::block_diagonal, .block = 4};
    blocks.outputs = {.kind = StructureKind::hierarchical, .first = 3, .last = 2};
    blocks.normalize_lr_cov = true;
    blocks.lr_cov = 0.05f;
    blocks.refresh.interval = 1;
    blocks.step = {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1f, .decoupled_decay = true};
    // The first 40 steps have no decay.
    SingdOptions ingd = SingdOptions::ingd(1e-2f, 2);
    ingd.refresh.stagger = false;
    ingd.step.weight_decay = 0.01f;
    SingdOptions upper = dense;
    upper.inputs.kind = StructureKind::upper_toeplitz;
    upper.outputs.kind = StructureKind::lower_toeplitz;
    upper.alpha1 = 0.0;
    SingdOptions ikfac = SingdOptions::ikfac();
    ikfac.lr_cov = 2e-3f;
    ikfac.refresh.interval = 2;
    ikfac.refresh.stagger = false;
    SingdOptions toeplitz = SingdOptions::ikfac();
    toeplitz.inputs.kind = StructureKind::lower_toeplitz;
    toeplitz.outputs.kind = StructureKind::diagonal;
    toeplitz.lr_cov = 2e-3f;
    toeplitz.lr_cov_schedule = Schedule::linear(0.5f, 1.0f, 20);
    toeplitz.refresh.interval = 3;
    toeplitz.refresh.stagger = false;
    toeplitz.step = {.momentum = 0.0};
    return {singd("singd", dense, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {70, 64}}),
            singd("singd_blocks", blocks, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {40, 70}}),
            singd("singd_toeplitz", upper, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}}),
            singd("ingd", ingd, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}}),
            singd("ikfac", ikfac, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}}),
            singd("ikfac_toeplitz", toeplitz, {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {3, 140}})};
}

}  // namespace heron::test::registry
