// SPDX-License-Identifier: MIT
// GaLore and its relatives for the shared tests.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "optim/optimizer_case.hpp"
#include "optim/reference_low_rank.hpp"

namespace heron::test::registry {

inline std::vector<Shape> low_rank_shapes() {
    return {{}, {7}, {1, 9}, {6, 10}, {10, 6}, {8, 8}, {2, 3, 5}, {90, 17}, {40, 130}};
}

inline OptimizerCase galore(std::string name, const GaLoreOptions& options) {
    return {std::move(name),
            maker<GaLore>(options),
            variants_of<GaLore>(options),
            [=](const Shape& shape) { return std::make_unique<GaLoreReference>(options, shape); },
            false,
            low_rank_shapes()};
}

inline OptimizerCase online_subspace_descent(std::string name, const OnlineSubspaceDescentOptions& options) {
    return {std::move(name),
            maker<OnlineSubspaceDescent>(options),
            variants_of<OnlineSubspaceDescent>(options),
            [=](const Shape& shape) {
                return std::make_unique<SubspaceDescentReference>(galore_options(options), options.descent,
                                                                  shape);
            },
            false,
            low_rank_shapes()};
}

inline OptimizerCase natural_galore(std::string name, const NaturalGaLoreOptions& options) {
    return {std::move(name), maker<NaturalGaLore>(options), variants_of<NaturalGaLore>(options),
            [=](const Shape& shape) { return std::make_unique<NaturalGaLoreReference>(options, shape); },
            false, low_rank_shapes(),
            // A history that is empty: rows, products and exponents belong together. And nothing reported.
            [](const std::string& state, const Shape& shape) {
                constexpr std::array<std::string_view, 9> kOfHistory = {"history", "gram",   "exponents",
                                                                        "slot",    "status", "damping",
                                                                        "factor",  "system", "factor_counts"};
                const bool is_history =
                    std::find(kOfHistory.begin(), kOfHistory.end(), state) != kOfHistory.end();
                return std::vector<float>(is_history ? shape.count() : 0, 0.0f);
            }};
}

// With the published eps the first directions are signs, and one that changes because its coefficient is zero
// to rounding shows.
inline std::vector<OptimizerCase> low_rank_cases() {
    return {
        galore("galore", {.rank = 3,
                          .lr = 0.01f,
                          .eps = 0.05f,
                          .weight_decay = 0.1f,
                          .scale = 0.25f,
                          .refresh = {.interval = 40, .stagger = false}}),
        without_reference(galore("galore_8bit", {.rank = 3,
                                                 .lr = 0.01f,
                                                 .eps = 0.05f,
                                                 .refresh = {.interval = 40, .stagger = false},
                                                 .moment_bits = 8})),
        without_reference(galore("galore_16bit", {.rank = 3,
                                                  .lr = 0.01f,
                                                  .eps = 0.05f,
                                                  .refresh = {.interval = 40, .stagger = false},
                                                  .moment_bits = 16})),
        galore("galore_full", {.rank = 4,
                               .lr = 0.01f,
                               .eps = 0.05f,
                               .projection = GaLoreProjection::full,
                               .refresh = {.interval = 30, .stagger = false},
                               .moments = GaLoreMoments::rotate}),
        galore("galore_adafactor", {.rank = 3,
                                    .lr = 0.01f,
                                    .weight_decay = 0.1f,
                                    .projection = GaLoreProjection::reverse,
                                    .inner = GaLoreInner::adafactor}),
        galore("galore_adafactor_scaled", {.rank = 3,
                                           .lr = 0.01f,
                                           .weight_decay = 0.1f,
                                           .inner = GaLoreInner::adafactor,
                                           .scale_parameter = true,
                                           .adafactor_rate = AdafactorRate::capped}),
        without_reference(galore("galore_lion_8bit", {.rank = 3,
                                                      .lr = 0.01f,
                                                      .refresh = {.interval = 40, .stagger = false},
                                                      .moment_bits = 8,
                                                      .inner = GaLoreInner::lion})),
        without_reference(galore("galore_lion_16bit", {.rank = 3,
                                                       .lr = 0.01f,
                                                       .refresh = {.interval = 40, .stagger = false},
                                                       .moment_bits = 16,
                                                       .inner = GaLoreInner::lion})),
        natural_galore("natural_galore", {.rank = 3,
                                          .lr = 0.01f,
                                          .eps = 0.05f,
                                          .history = 3,
                                          .lambda = 0.1f,
                                          .refresh = {.interval = 40, .stagger = false}}),
        natural_galore("natural_galore_rotate", {.rank = 3,
                                                 .lr = 0.01f,
                                                 .eps = 0.05f,
                                                 .history = 2,
                                                 .lambda = 0.1f,
                                                 .refresh = {.interval = 30, .stagger = false},
                                                 .moments = GaLoreMoments::rotate,
                                                 .keep_factor = true}),
        without_reference(natural_galore(
            "natural_galore_8bit", {.rank = 3, .lr = 0.01f, .eps = 0.05f, .history = 3, .moment_bits = 8})),
        without_reference(natural_galore(
            "natural_galore_16bit", {.rank = 3, .lr = 0.01f, .eps = 0.05f, .history = 3, .moment_bits = 16})),
        natural_galore("natural_galore_core",
                       {.rank = 4,
                        .lr = 0.01f,
                        .eps = 0.05f,
                        .form = NaturalGaLoreForm::core,
                        .history = 2,
                        .lambda = 0.1f,
                        .basis = NaturalGaLoreBasis::descent,
                        .descent = {.rate = 0.01f, .eps = 1e-3f, .orthogonality = 0.1f}}),
        online_subspace_descent("online_subspace_descent",
                                {.rank = 3,
                                 .lr = 0.01f,
                                 .eps = 0.05f,
                                 .weight_decay = 0.1f,
                                 .iterations = 0,
                                 .descent = {.rate = 0.01f, .eps = 1e-3f, .orthogonality = 0.1f}}),
        online_subspace_descent("online_subspace_descent_sgd",
                                {.rank = 3,
                                 .lr = 0.01f,
                                 .weight_decay = 0.1f,
                                 .inner = GaLoreInner::adafactor,
                                 .iterations = 0,
                                 .descent = {.rule = SubspaceRule::sgd, .rate = 0.05f}}),
        // Signs of elements that are zero to rounding, and draws that the reference does not know.
        without_reference(online_subspace_descent("online_subspace_descent_lion",
                                                  {.rank = 3,
                                                   .lr = 0.01f,
                                                   .beta2 = 0.99,
                                                   .inner = GaLoreInner::lion,
                                                   .moment_bits = 8,
                                                   .iterations = 0,
                                                   .descent = {.rule = SubspaceRule::lion, .rate = 1e-3f}})),
        without_reference(online_subspace_descent(
            "online_subspace_descent_16bit",
            {.rank = 3, .lr = 0.01f, .eps = 0.05f, .moment_bits = 16, .iterations = 0})),
        without_reference(online_subspace_descent(
            "online_subspace_descent_random",
            {.rank = 3, .lr = 0.01f, .descent = {.rule = SubspaceRule::random, .interval = 2}})),
    };
}

}  // namespace heron::test::registry
