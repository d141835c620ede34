// SPDX-License-Identifier: MIT
// Conda, Trion and DCT-AdamW for the shared tests.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_subspace.hpp"

namespace heron::test::registry {

inline OptimizerCase conda(std::string name, const CondaOptions& options) {
    return {std::move(name),
            maker<Conda>(options),
            variants_of<Conda>(options),
            [=](const Shape& shape) { return std::make_unique<CondaReference>(options, shape); },
            false,
            {{}, {7}, {1, 9}, {6, 10}, {10, 6}, {8, 8}, {2, 3, 5}, {90, 17}, {40, 130}}};
}

inline OptimizerCase trion(std::string name, const TrionOptions& options,
                           const std::function<double(double, double)>& factor) {
    return {std::move(name),
            maker<Trion>(options),
            variants_of<Trion>(options),
            [=](const Shape& shape) {
                const MatrixShape s(shape);
                return std::make_unique<TrionReference>(
                    options, shape, factor(static_cast<double>(s.rows), static_cast<double>(s.cols)));
            },
            false,
            {{1, 1}, {1, 9}, {9, 1}, {6, 10}, {17, 13}, {8, 8}, {4, 3, 5}, {200, 33}, {64, 300}}};
}

inline OptimizerCase dct_adamw(std::string name, const DctAdamWOptions& options) {
    return {std::move(name),
            maker<DctAdamW>(options),
            variants_of<DctAdamW>(options),
            [=](const Shape& shape) { return std::make_unique<DctAdamWReference>(options, shape); },
            false,
            {{}, {7}, {1, 9}, {6, 10}, {17, 13}, {8, 8}, {4, 3, 5}, {200, 33}, {64, 300}}};
}

inline std::vector<OptimizerCase> subspace_cases() {
    TrionOptions products{.rank = 5, .weight_decay = 0.1f, .shape_factor = ShapeFactor::match_rms};
    products.polar.one_workgroup = false;
    OptimizerCase coded = dct_adamw(
        "dct_adamw_coded", {.rank = 3, .lr = 0.01f, .eps = 1e-3f, .error_feedback = true, .error_bits = 4});
    coded.reference = nullptr;  // a code that is between two to rounding shows: see subspace_test.cpp
    coded.shapes = {{1, 1}, {9, 1}, {1, 9}, {6, 10}, {17, 13}};
    return {
        // With the published eps the first directions are signs, and one that changes because its coefficient
        // is zero to rounding shows.
        conda("conda",
              {.lr = 0.01f, .beta2 = 0.99, .eps = 0.05f, .weight_decay = 0.1f, .gap = 40, .scale = 0.25f}),
        conda("conda_longer",
              {.lr = 0.01f, .eps = 0.05f, .bias_correction = false, .side = CondaSide::longer}),
        without_reference(
            conda("conda_bf16", {.lr = 0.01f, .eps = 0.05f, .gap = 3, .moments = MomentFormat::bf16})),
        trion("trion", {.rank = 2, .shape_factor = ShapeFactor::sqrt_ratio},
              [](double m, double n) { return std::sqrt(m / n); }),
        trion("trion_products", products, [](double m, double n) { return 0.2 * std::sqrt(std::max(m, n)); }),
        dct_adamw("dct_adamw", {.rank = 3, .lr = 0.01f, .eps = 1e-3f, .weight_decay = 0.1f}),
        dct_adamw("dct_adamw_cubes", {.rank = 3, .lr = 0.01f, .eps = 1e-3f, .norm = 3.0f}),
        // Steps 2, 1000 and 2^31 choose.
        dct_adamw("dct_adamw_rotate", {.rank = 4,
                                       .lr = 0.01f,
                                       .eps = 1e-3f,
                                       .gap = 2,
                                       .rotate = true,
                                       .error_feedback = true,
                                       .vectors = DctVectors::rows,
                                       .weighted_norms = true}),
        coded,
    };
}

}  // namespace heron::test::registry
