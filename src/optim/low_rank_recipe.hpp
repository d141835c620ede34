// SPDX-License-Identifier: MIT
// The recipe of GaLore, Natural GaLore and Online Subspace Descent, per batch of equal matrices of each
// parameter:
//
//   copy of G  |  refresh: svd of G, signs  |  project  |  window  |  moments and direction  |  back  |
//   update
//                                                        |  descent of the basis
//
// and with bases on both sides, in a refresh, after the projection: what is not on its diagonal becomes zero.
#pragma once

#include <string>

#include "optim/low_rank.hpp"
#include "optim/natural_window.hpp"
#include "optim/subspace_descent.hpp"

namespace heron {

struct LowRankRecipe {
    std::string name;        // begins the names of stages
    std::uint64_t rank = 0;  // 0: no projection
    GaLoreProjection projection = GaLoreProjection::standard;
    LowRankRates rates;
    LowRankInnerOptions inner;
    RefreshPolicy refresh;  // from the first step on
    std::uint32_t iterations = 0;
    GaLoreMoments moments = GaLoreMoments::keep;
    NaturalWindowOptions window;
    bool descends = false;  // refreshes in the first step alone, or (SubspaceRule::random) not at all
    SubspaceDescentOptions descent;
};

// Of the options that all of them have.
template <class Options>
LowRankRates low_rank_rates(const Options& o) {
    return {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, o.bias_correction, o.schedule};
}
// Adafactor inside, with GaLoreOptions' members of it: their defaults for optimizers that have no such
// options.
AdafactorOptions low_rank_adafactor(const LowRankRates& rates, const GaLoreOptions& options = {});

// What all of them refuse.
void check_low_rank(std::string_view optimizer, const LowRankRecipe& recipe);
std::vector<HyperValue> low_rank_hyper(const LowRankRecipe& recipe);
void build_low_rank(StepBuilder& step, const LowRankRecipe& recipe);

}  // namespace heron
